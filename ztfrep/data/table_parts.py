"""Parts of an alert table, which other processes and machines read at the same path."""

import socket
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np
import pyarrow as pa

from ztfrep.data.alert_schema import TableInfo, stamps_to_numpy
from ztfrep.data.alert_table import AlertTable
from ztfrep.data.alerts import AlertBatch
from ztfrep.data.features import ALERCE_FEATURES
from ztfrep.data.parquet_files import find_footer, iterate_batches, open_parquet
from ztfrep.errors import InputError


@dataclass(frozen=True)
class TablePart:
    """The rows `first` to `last` of a table that was checked when it was opened.

    Its batches, of `rows` rows, are those of the whole table in these rows. `footer` is the
    checksum of the table's footer, which has that of the table.
    """

    path: Path
    info: TableInfo
    footer: int
    first: int
    last: int
    rows: int

    @property
    def feature_unit(self) -> str:
        """The unit of the metadata: "physical", "zscored-unknown" or "none"."""
        return self.info.feature_unit

    def batches(self, rows: int) -> Iterator[AlertBatch]:
        """Iterate over stamps and metadata of the rows that have stamps, `rows` of the part.

        Raises InputError if this machine does not see the table, or sees another one.
        """
        if rows != self.rows:
            raise ValueError(f"batches of {rows} rows; the table was split for {self.rows}")
        self._validate()
        for batch in self._row_batches():
            stamps = stamps_to_numpy(batch.column("stamps"), self.info)
            if len(stamps):
                valid = batch.column("stamps").is_valid().to_numpy(zero_copy_only=False)
                names = ALERCE_FEATURES.names
                columns = [batch.column(n).to_numpy(zero_copy_only=False) for n in names]
                metadata = np.stack([column.astype(np.float64) for column in columns], axis=1)
                yield AlertBatch(stamps, metadata[valid])

    def _row_batches(self) -> Iterator[pa.RecordBatch]:
        """Yield record batches: the row groups may begin before the rows."""
        columns = ["stamps", *ALERCE_FEATURES.names]
        with open_parquet(self.path) as file:
            sizes = [file.metadata.row_group(g).num_rows for g in range(file.num_row_groups)]
            starts = [0, *accumulate(sizes)]
            groups = [
                group
                for group, start in enumerate(starts[:-1])
                if start < self.last and starts[group + 1] > self.first
            ]
            start = starts[groups[0]]
            waiting: list[pa.RecordBatch] = []
            for batch in iterate_batches(self.path, file, columns, self.rows, groups):
                first, last = max(0, self.first - start), min(len(batch), self.last - start)
                start += len(batch)
                if first < last:
                    waiting.append(batch.slice(first, last - first))
                    if sum(map(len, waiting)) >= self.rows:
                        whole = pa.concat_batches(waiting)
                        yield whole.slice(0, self.rows)
                        waiting = [whole.slice(self.rows)]
            if sum(map(len, waiting)):
                yield pa.concat_batches(waiting)

    def _validate(self) -> None:
        if self.path.is_file():
            if _footer_checksum(self.path) == self.footer:
                return
            found = "another file"
        else:
            found = "no such file"
        raise InputError(
            self.path,
            found=f"{found} on {socket.gethostname()}",
            expected="the table that the client reads, at the same path",
            remedy="mount its folder on all machines",
        )


def split_table(table: AlertTable, rows: int, batches: int) -> list[TablePart]:
    """Return the parts of a table, of `batches` batches each, in order.

    A batch has at most `rows` rows, as in `AlertTable.batches`.
    """
    rows = table.rows_per_batch(rows)
    footer = _footer_checksum(table.path)
    path = table.path.absolute()
    return [
        TablePart(path, table.info, footer, first, min(first + rows * batches, table.rows), rows)
        for first in range(0, table.rows, rows * batches)
    ]


def _footer_checksum(path: Path) -> int:
    footer = find_footer(path)
    with path.open("rb") as file:
        file.seek(footer.start)
        return zlib.crc32(file.read(len(footer)))
