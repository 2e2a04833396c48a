"""A user's own classes of the rows of a catalogue, from a CSV of identifiers and classes."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ztfrep.catalogues.catalogue import Catalogue
from ztfrep.catalogues.catalogue_schema import ALERTS
from ztfrep.errors import InputError, quote
from ztfrep.sources.packets.delimited import open_table
from ztfrep.sources.packets.identifiers import (
    are_rounded,
    parse_candid,
    parse_object_id,
    strip_padding,
)

# Between the classes of a prediction set in a table.
SEPARATOR = "|"
MAX_CLASSES, MAX_CLASS_CHARACTERS = 200, 100
# Names of a column without case, blanks, `_` and `-`; the first that the table has is used.
_CANDID_COLUMNS = ("candid",)
_OBJECT_COLUMNS = ("objectid", "oid", "ztfid")
_MAX_ROWS = 20_000_000
# Candids by which rounding is recognised with certainty, and the maximum that is tested.
_CERTAIN_CANDIDS, _MAX_TESTED_CANDIDS = 20, 1000


@dataclass(frozen=True, eq=False)
class UserLabels:
    """The classes of the n rows of a catalogue.

    Attributes
    ----------
    classes : tuple of str
        In alphabetical order.
    labels : int64 (n,)
        Indices of `classes`, -1 where unlabelled.
    counts : dict of int
        `rows` of the table = `malformed` + `without_class` + `not_mapped` + `without_id` +
        `with_bad_id` + `unmatched` + `matched`. `contradictory` identifiers have rows of more than
        one class, and no label.
    """

    classes: tuple[str, ...]
    labels: np.ndarray
    counts: dict[str, int]


class _Columns(NamedTuple):
    """Indices of columns; -1 for a column that is not there."""

    candid: int
    object_id: int
    label: int


def read_user_labels(
    path: str | Path,
    catalogue: Catalogue,
    *,
    column: str = "class",
    map_class: Callable[[str], str | None] | None = None,
) -> UserLabels:
    """Read a CSV with the class in `column`, and join it to the rows of a catalogue.

    A row labels the alert named by `candid`, or, without one, all alerts of the object named by
    `object_id`, `objectId`, `oid` or `ZTFID`; an alert's own label has priority. For a catalogue of
    objects only the object's id is read. `map_class` returns the class in place of a name in the
    table, or None for a name that is no class. Raises InputError for any other file, for an unusual
    name of a class, and if no row matches or if candids were rounded.
    """
    reader = _UserLabelReader(Path(path), catalogue, column, map_class)
    reader.read()
    return reader.labels()


class _UserLabelReader:
    """Reads a table of labels row by row; only what matches is stored."""

    def __init__(
        self,
        path: Path,
        catalogue: Catalogue,
        column: str,
        map_class: Callable[[str], str | None] | None,
    ) -> None:
        self._path, self._column, self._map_class = path, column, map_class
        self._rows = catalogue.info.rows
        table = catalogue.table
        self._object_ids = table["object_id"]
        self._candids = table["candid"] if self._rows == ALERTS else pd.Series(dtype="int64")
        self._known = {
            "candid": set(self._candids.dropna().tolist()),
            "object_id": set(self._object_ids.dropna().tolist()),
        }
        # The class of each identifier that matches, None if rows contradict each other.
        self._found: dict[str, dict[int | str, str | None]] = {"candid": {}, "object_id": {}}
        self._counts: Counter[str] = Counter()
        self._examples: dict[str, str] = {}
        self._tested_candids: list[int] = []
        self._classes: set[str] = set()

    def read(self) -> None:
        expected = f"candid or object_id, and {self._column}"
        with open_table(self._path, self._find_columns, expected) as table:
            columns, width = table.columns, len(table.names)
            for number, (line, fields) in enumerate(table.rows()):
                if number >= _MAX_ROWS:
                    raise self._error(f"more than {_MAX_ROWS:,} rows", "give fewer rows")
                # Separators at the end are no further fields.
                if len(fields) <= max(columns) or any(map(str.strip, fields[width:])):
                    kind = "malformed"
                else:
                    kind = self._read_row(columns, fields, line)
                self._counts[kind] += 1
                self._examples.setdefault(kind, f"line {line}")

    def _find_columns(self, names: list[str]) -> _Columns | None:
        candid = self._find_column(names, _CANDID_COLUMNS) if self._rows == ALERTS else -1
        object_id = self._find_column(names, _OBJECT_COLUMNS)
        label = self._find_column(names, (self._column,))
        if candid < 0 and object_id < 0:
            if self._rows != ALERTS and self._find_column(names, _CANDID_COLUMNS) >= 0:
                raise self._error(
                    "candids", "add a column object_id, or give the catalogue of alerts"
                )
            return None
        if label < 0:
            found = f"columns {quote(', '.join(names), 80)[1:-1]}"
            raise self._error(found, "name the column of the classes: --label-column")
        return _Columns(candid, object_id, label)

    def _find_column(self, names: list[str], accepted: tuple[str, ...]) -> int:
        simplified = [_simplify(name) for name in names]
        for name in accepted:
            # An exact match has priority.
            matches = [n for n, column in enumerate(names) if column == name] or [
                n for n, column in enumerate(simplified) if column == _simplify(name)
            ]
            if len(matches) > 1:
                found = f"{len(matches)} columns named {quote(names[matches[0]])}"
                raise self._error(found, "rename all but one of them")
            if matches:
                return matches[0]
        return -1

    def _read_row(self, columns: _Columns, fields: list[str], line: int) -> str:
        """Read a row; return its kind."""
        name: str | None = strip_padding(fields[columns.label])
        if not name:
            return "without_class"
        if self._map_class is not None:
            name = self._map_class(name)
            if name is None:
                return "not_mapped"
        self._check_class(name, line)
        key, parse = "candid", parse_candid
        text = strip_padding(fields[columns.candid]) if columns.candid >= 0 else ""
        if not text and columns.object_id >= 0:
            key, parse = "object_id", parse_object_id  # type: ignore[assignment]
            text = strip_padding(fields[columns.object_id])
        if not text:
            return "without_id"
        try:
            identifier: int | str = parse(text)
        except ValueError as error:
            example = f"line {line}: {key} {quote(text)}, {error}"
            self._examples.setdefault("with_bad_id", example)
            return "with_bad_id"
        if isinstance(identifier, int) and len(self._tested_candids) < _MAX_TESTED_CANDIDS:
            self._tested_candids.append(identifier)
        if identifier not in self._known[key]:
            self._examples.setdefault("unmatched", f"line {line}: {key} {quote(text)}")
            return "unmatched"
        found = self._found[key]
        if found.setdefault(identifier, name) != name:
            found[identifier] = None
        return "matched"

    def _check_class(self, name: str, line: int) -> None:
        if name in self._classes:
            return
        if len(name) > MAX_CLASS_CHARACTERS or not name.isprintable() or SEPARATOR in name:
            raise self._error(
                f"the class {quote(name)} in line {line}",
                "rename it",
                f"at most {MAX_CLASS_CHARACTERS} printable characters without {SEPARATOR!r}",
            )
        self._classes.add(name)
        if len(self._classes) > MAX_CLASSES:
            raise self._error(
                f"more than {MAX_CLASSES} classes in column {self._column}",
                "name the column of the classes: --label-column",
            )

    def labels(self) -> UserLabels:
        """Return the labels of the catalogue's rows; raise InputError if no row matches."""
        matched, unmatched = self._counts["matched"], self._counts["unmatched"]
        rounded = are_rounded(self._tested_candids)
        certain = rounded and len(self._tested_candids) >= _CERTAIN_CANDIDS
        if not matched or (certain and matched < unmatched):
            raise self._match_error(rounded)
        names = self._object_ids.map(self._found["object_id"].get, na_action="ignore")
        if self._rows == ALERTS:
            own = self._candids.map(self._found["candid"].get, na_action="ignore")
            has_own = self._candids.isin(list(self._found["candid"]))
            names = names.where(~has_own.to_numpy(), own)
        classes = sorted(set(names.dropna()))
        index = {name: label for label, name in enumerate(classes)}
        labels = np.array([index.get(name, -1) for name in names], dtype=np.int64)
        kinds = (
            *("malformed", "without_class", "not_mapped", "without_id", "with_bad_id"),
            *("unmatched", "matched"),
        )
        contradictory = sum(
            name is None for found in self._found.values() for name in found.values()
        )
        counts = {
            "rows": self._counts.total(),
            **{kind: self._counts[kind] for kind in kinds},
            "contradictory": contradictory,
        }
        return UserLabels(tuple(classes), labels, counts)

    def _match_error(self, rounded: bool) -> InputError:
        kinds = [
            f"{count:,} {kind.replace('_', ' ')} ({self._examples[kind]})"
            for kind, count in self._counts.items()
        ]
        found = f"{', '.join(kinds) or 'no rows'}"
        remedy = "give the catalogue of these alerts, or labels of its alerts"
        if rounded:
            found += "; these candids were rounded by a spreadsheet or a float64 column"
            remedy = "write candids as text with all their digits, or label objects by object_id"
        return self._error(found, remedy, "rows that match the catalogue")

    def _error(self, found: str, remedy: str, expected: str = "") -> InputError:
        expected = expected or f"rows of candid or object_id, and {self._column}"
        return InputError(self._path, found=found, expected=expected, remedy=remedy)


def _simplify(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).lower()
