"""Labelled rows by identifier: stored compactly as they are read, then combined by identifier."""

from array import array
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ztfrep.data.alert_schema import UNLABELLED

_CHUNK_ROWS = 100_000


@dataclass
class KeyedRows:
    """Rows with a class and an identifier; `name` and `kind` are the identifier's name and type."""

    name: str
    kind: pa.DataType
    keys: list[Any] = field(default_factory=list)
    chunks: list[pa.Array] = field(default_factory=list)
    labels: "array[int]" = field(default_factory=lambda: array("b"))
    lines: "array[int]" = field(default_factory=lambda: array("q"))

    def add(self, key: int | str, label: int, line: int) -> None:
        """Add a row: the identifier of its alert or object, the index of its class, its line."""
        self.keys.append(key)
        self.labels.append(label)
        self.lines.append(line)
        if len(self.keys) == _CHUNK_ROWS:
            self._pack()

    def _pack(self) -> None:
        # A string in Python is several times as large as its characters.
        self.chunks.append(pa.array(self.keys, self.kind))
        self.keys.clear()

    def to_table(self) -> pa.Table:
        """Return each identifier once, in the order of reading, with `label`, `rows` and `line`.

        The label (int8) is -1 if rows contradict each other; `rows` (int64) is the number of rows
        with the identifier, and `line` (int64) that of the first.
        """
        self._pack()
        columns = {
            self.name: pa.chunked_array(self.chunks, self.kind),
            "label": np.asarray(self.labels),
            "line": np.asarray(self.lines),
        }
        rows = pa.table(columns).group_by(self.name, use_threads=False)
        unique = rows.aggregate(
            [("label", "min"), ("label", "max"), ("label", "count"), ("line", "min")]
        ).sort_by("line_min")
        low, high = unique["label_min"], unique["label_max"]
        label = pc.if_else(pc.equal(low, high), low, pa.scalar(UNLABELLED, pa.int8()))
        return pa.table(
            {
                self.name: unique[self.name],
                "label": label,
                "rows": unique["label_count"],
                "line": unique["line_min"],
            }
        )
