"""An alert table on disk: checked when it is opened, then read on demand."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ztfrep.data.alert_checks import RowChecks
from ztfrep.data.alert_schema import (
    CHANNELS,
    IDENTITY,
    ROW_GROUP,
    SCALAR_COLUMNS,
    UNLABELLED,
    TableError,
    TableInfo,
    parse_schema,
)
from ztfrep.data.alerts import PHOTOMETRY, AlertBatch
from ztfrep.data.checksums import Checksum, verify
from ztfrep.data.features import ALERCE_FEATURES, PHYSICAL
from ztfrep.data.frames import look_up, to_frame
from ztfrep.data.parquet_files import as_input_errors, open_parquet, parquet_error
from ztfrep.data.parquet_layout import Layout, check_expansion, check_layout
from ztfrep.errors import InputError

# Bytes of stamps in a batch, whatever their size: 1,000 rows of ZTF's.
_BATCH_BYTES = 48 << 20
# A batch that is only checked is smaller: pyarrow takes several times as much memory to read it.
_CHECKED_BATCH_BYTES = 8 << 20
_SCALAR_BATCH_ROWS = 1 << 14
_REMEDY = "correct the table, or make it again with dvc repro"


class AlertTable:
    """A table on disk, checked when it is opened; columns and stamps are read on demand.

    A table whose checksum is that of its bytes was checked as it was written: opening it reads
    every byte once (2.5 GB/s of a core), and decodes none. Any other table is decoded once and
    checked row by row (some 0.5 GB/s of pixels), in memory that does not grow with its pixels.
    Raises InputError for a table that fails the checks of `alert_schema` or `alert_checks`.
    With `series`, the observations of the objects are the rows of that table.
    """

    def __init__(self, path: str | Path, *, series: str | Path | None = None) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise InputError(
                self.path, found="no such file", expected="an alert table", remedy="run dvc repro"
            )
        with as_input_errors(self.path):
            try:
                self._check()
            except TableError as error:
                raise parquet_error(self.path, error.found, error.expected, _REMEDY) from error
        self.series = None if series is None else AlertTable(series)

    def _check(self) -> None:
        layout = check_layout(self.path)
        with open_parquet(self.path) as file:
            self.info = parse_schema(file.schema_arrow)
        self.rows = sum(layout.rows)
        checksum = verify(self.path)
        if checksum is Checksum.RIGHT:
            return
        # As dictionaries: a long text that is repeated in many rows is read once.
        with open_parquet(self.path, dictionaries=("object_id", "split")) as file:
            self._check_rows(file, layout)
        if checksum is Checksum.WRONG:
            raise TableError(
                "bytes that changed since it was written",
                "the bytes that the checksum in it was made of",
            )

    def _check_rows(self, file: pq.ParquetFile, layout: Layout) -> None:
        checks = RowChecks(self.info)
        present = [np.empty(0, dtype=bool)]
        for batch in self._batches(file, SCALAR_COLUMNS, _SCALAR_BATCH_ROWS):
            checks.rows(batch)
            present.append(batch.column("has_stamps").to_numpy(zero_copy_only=False))
        checks.finish()
        claimed = np.concatenate(present)
        if len(claimed) != self.rows:
            raise TableError(f"{len(claimed)} rows", f"{self.rows}, as the footer says")
        if self.info.stamp_location != "inline":
            claimed[:] = False
        self._check_stamps(file, layout, claimed, checks)

    def _check_stamps(
        self, file: pq.ParquetFile, layout: Layout, claimed: np.ndarray, checks: RowChecks
    ) -> None:
        """Check the pixels, and that exactly the rows `claimed`, bool `(n,)`, have stamps."""
        column = [name.split(".")[0] for name in layout.columns].index("stamps")
        rows = np.array(layout.rows)
        values = np.array([group[column] for group in layout.values])
        # A null stamp takes one value in the file, and a whole stamp in memory.
        filled = np.flatnonzero(values > rows)
        check_expansion(
            self.path, self.path.stat().st_size, 4 * self.info.pixels * int(rows[filled].sum())
        )
        starts = np.cumsum(rows) - rows
        batch_rows = self._rows_in(_CHECKED_BATCH_BYTES)
        for group in range(len(rows)):
            row = int(starts[group])
            if group not in filled:
                self._compare(claimed[row : row + rows[group]], np.zeros(rows[group], bool), row)
                continue
            for batch in self._batches(file, ["stamps"], batch_rows, [group]):
                storage = batch.column(0).storage
                valid = storage.is_valid().to_numpy(zero_copy_only=False)
                self._compare(claimed[row : row + len(valid)], valid, row)
                stamps = _stamps_to_numpy(batch.column(0), self.info)
                checks.pixels(stamps.reshape(len(stamps), -1), np.flatnonzero(valid) + row)
                row += len(valid)

    def _compare(self, claimed: np.ndarray, valid: np.ndarray, first: int) -> None:
        if len(claimed) == len(valid) and (claimed == valid).all():
            return
        row = int((claimed[: len(valid)] != valid).argmax())
        found = f"stamps in row {first + row}" if valid[row] else f"no stamps in row {first + row}"
        expected = "stamps where has_stamps is true, and nowhere else"
        if self.info.stamp_location != "inline":
            expected = f"none, with stamp_location {self.info.stamp_location}"
        raise TableError(found, expected)

    def _rows_in(self, size: int) -> int:
        return max(1, size // (4 * self.info.pixels))

    def _batches(
        self,
        file: pq.ParquetFile,
        columns: list[str] | tuple[str, ...],
        rows: int,
        groups: list[int] | None = None,
    ) -> Iterator[pa.RecordBatch]:
        with as_input_errors(self.path):
            batches = file.iter_batches(rows, row_groups=groups, columns=list(columns))
        while True:
            # Not around the yield: an error of the caller is not one of the file.
            with as_input_errors(self.path):
                batch = next(batches, None)
            if batch is None:
                return
            yield batch

    def _read(self, columns: list[str]) -> pa.Table:
        with open_parquet(self.path) as file, as_input_errors(self.path):
            return file.read(columns)

    def identity(self) -> pd.DataFrame:
        """Read the identity columns; `label` is -1 where null.

        `candid` is int64, or pandas' Int64 where some rows have none: never a float.
        """
        frame = to_frame(self._read([name for name, _, _ in IDENTITY]))
        frame["label"] = frame["label"].fillna(UNLABELLED).astype(np.int64)
        return frame

    def has_stamps(self) -> np.ndarray:
        """Return True for rows that have stamps, bool `(n,)`."""
        present: np.ndarray = self._read(["has_stamps"]).column(0).to_numpy()
        return present

    def features(self) -> np.ndarray:
        """Read the metadata features, float64 `(n, k)` in the order of `ALERCE_FEATURES`.

        NaN where null. See `clipped_features`.
        """
        names = ALERCE_FEATURES.names
        table = self._read(list(names))
        return np.stack([table.column(n).to_numpy().astype(np.float64) for n in names], axis=1)

    def clipped_features(self) -> np.ndarray:
        """Read the features `(n, k)`, clipped if they are in physical units."""
        values = self.features()
        return ALERCE_FEATURES.clip(values) if self.info.feature_unit == PHYSICAL else values

    def stamps(self, rows_per_batch: int = ROW_GROUP) -> Iterator[np.ndarray]:
        """Stream the stamps of the rows that have any, in table order.

        Batches are float32 `(m, 3, H, W)`, NaN where not observed, m up to `rows_per_batch`, fewer
        where a batch would be larger than 48 MiB. Raises InputError if they are in another table.
        """
        if self.info.stamp_location != "inline":
            raise InputError(
                self.path,
                found="a series table, whose stamps are in the stamps table",
                expected="a table with stamps",
                remedy="open both: read_table('stamps.parquet', series='series.parquet')",
            )
        with open_parquet(self.path) as file:
            for batch in self._batches(
                file, ["stamps"], min(rows_per_batch, self._rows_in(_BATCH_BYTES))
            ):
                yield _stamps_to_numpy(batch.column(0), self.info)

    @property
    def feature_unit(self) -> str:
        """The unit of the metadata: "physical", "zscored-unknown" or "none"."""
        return self.info.feature_unit

    def index(self) -> pd.DataFrame:
        """Return the identity of every row that has stamps, in table order."""
        identity = self.identity()
        return identity[identity["has_stamps"]].reset_index(drop=True)

    def batches(self, rows: int = ROW_GROUP) -> Iterator[AlertBatch]:
        """Return stamps and metadata of the rows that have stamps, in table order.

        Raises InputError if the stamps are in another table.
        """
        metadata = self.features()[self.has_stamps()]
        start = 0
        for stamps in self.stamps(rows):
            if len(stamps):
                yield AlertBatch(stamps, metadata[start : start + len(stamps)])
                start += len(stamps)

    def observations(self) -> pd.DataFrame:
        """Return every observation of the alerts' objects; see `ztfrep.data.alerts.Alerts`.

        These are the rows of the series table if there is one, else those of this table.
        """
        if self.series is not None:
            return self._observations_of(self.series)
        return self._observations()

    def _observations(self) -> pd.DataFrame:
        identity, values = self.identity(), self.features()
        alert = np.where(identity["has_stamps"], identity["has_stamps"].cumsum() - 1, -1)
        columns = {name: values[:, ALERCE_FEATURES.index(name)] for name in PHOTOMETRY}
        return identity.assign(**columns, alert=alert)

    def _observations_of(self, series: "AlertTable") -> pd.DataFrame:
        """Return the observations of a series table, whose alerts have their stamps here."""
        observations = series._observations()
        has_stamps = observations["has_stamps"].to_numpy()
        alerts = self.index()
        alerts["alert"] = np.arange(len(alerts))
        matched = look_up(
            observations[has_stamps].reset_index(drop=True),
            "candid", alerts, same=["object_id"], source=str(self.path),
        )  # fmt: skip
        observations.loc[has_stamps, "alert"] = matched["alert"].to_numpy()
        return observations


def read_table(path: str | Path, *, series: str | Path | None = None) -> AlertTable:
    """Open a table of alerts, which is read on demand.

    Parameters
    ----------
    path : path
        An alert table, as `data/parquet/stamps.parquet` of the pipeline.
    series : path, optional
        The table of the observations of its objects, as `data/parquet/series.parquet`: prior
        detections and upper limits, which vectors of objects take into account.

    Raises
    ------
    InputError
        If a table breaks what its schema promises.
    """
    return AlertTable(path, series=series)


def _stamps_to_numpy(column: pa.Array, info: TableInfo) -> np.ndarray:
    storage = column.storage
    size = info.pixels
    # `flatten` would drop null rows, and `values` ignores the offset of a slice.
    values = storage.values.slice(storage.offset * size, len(storage) * size)
    stamps = values.to_numpy(zero_copy_only=False)
    stamps = stamps.reshape(-1, len(CHANNELS), info.height, info.width)
    if storage.null_count:
        stamps = stamps[storage.is_valid().to_numpy(zero_copy_only=False)]
    return stamps
