"""An alert table on disk: checked when it is opened, then read on demand."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from ztfrep.data.alert_schema import IDENTITY, ROW_GROUP, UNLABELLED, stamps_to_numpy
from ztfrep.data.alerts import PHOTOMETRY, AlertBatch
from ztfrep.data.features import ALERCE_FEATURES, PHYSICAL
from ztfrep.data.frames import look_up, to_frame
from ztfrep.data.parquet_files import as_input_errors, iterate_batches, open_parquet
from ztfrep.data.table_validation import validate_table
from ztfrep.errors import InputError

# Bytes of stamps in a batch, whatever their size: 1,000 rows of ZTF's.
_BATCH_BYTES = 48 << 20


class AlertTable:
    """A table on disk, checked when it is opened; columns and stamps are read on demand.

    Raises InputError for a table that is not valid; see `table_validation`. With `series`, the
    observations of the objects are the rows of that table.
    """

    def __init__(self, path: str | Path, *, series: str | Path | None = None) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise InputError(
                self.path, found="no such file", expected="an alert table", remedy="run dvc repro"
            )
        self.info, self.rows = validate_table(self.path)
        self.series = None if series is None else AlertTable(series)

    def _read(self, columns: list[str]) -> pa.Table:
        with open_parquet(self.path) as file, as_input_errors(self.path):
            return file.read(columns)

    def identity(self) -> pd.DataFrame:
        """Read the identity columns; `label` is -1 for null.

        `candid` is int64, or pandas' Int64 if some rows have none; never a float.
        """
        frame = to_frame(self._read([name for name, _, _ in IDENTITY]))
        frame["label"] = frame["label"].fillna(UNLABELLED).astype(np.int64)
        return frame

    def has_stamps(self) -> np.ndarray:
        """Return True for rows that have stamps, bool `(n,)`."""
        present: np.ndarray = self._read(["has_stamps"]).column(0).to_numpy()
        return present

    def features(self, names: Sequence[str] = ALERCE_FEATURES.names) -> np.ndarray:
        """Read metadata features, float64 `(n, k)` in the order of their names; by default all.

        NaN where null. See `clipped_features`.
        """
        table = self._read(list(names))
        values = np.empty((table.num_rows, len(names)))
        for column, name in enumerate(names):
            values[:, column] = table.column(name).to_numpy()
        return values

    def clipped_features(self) -> np.ndarray:
        """Read the features `(n, k)`, clipped if they are in physical units."""
        values = self.features()
        return ALERCE_FEATURES.clip(values) if self.info.feature_unit == PHYSICAL else values

    def stamps(self, rows_per_batch: int = ROW_GROUP) -> Iterator[np.ndarray]:
        """Stream the stamps of the rows that have any, in table order.

        Batches are float32 `(m, 3, H, W)`, NaN where not observed. m is at most `rows_per_batch`,
        and less if a batch would have more than 48 MiB. Raises InputError if they are in another
        table.
        """
        for batch in self._read_batches(["stamps"], rows_per_batch):
            yield stamps_to_numpy(batch.column("stamps"), self.info)

    def _read_batches(self, columns: list[str], maximum: int) -> Iterator[pa.RecordBatch]:
        """Stream columns of which one is the stamps; see `stamps`."""
        if self.info.stamp_location != "inline":
            raise InputError(
                self.path,
                found="a series table, whose stamps are in the stamps table",
                expected="a table with stamps",
                remedy="open both: read_table('stamps.parquet', series='series.parquet')",
            )
        with open_parquet(self.path) as file:
            yield from iterate_batches(self.path, file, columns, self.rows_per_batch(maximum))

    def rows_per_batch(self, rows: int) -> int:
        """Return the number of rows of a batch of at most `rows`, see `stamps`."""
        return min(rows, self.info.rows_per_batch(_BATCH_BYTES))

    @property
    def feature_unit(self) -> str:
        """The unit of the metadata: "physical", "zscored-unknown" or "none"."""
        return self.info.feature_unit

    def index(self) -> pd.DataFrame:
        """Return the identity of every row that has stamps, in table order."""
        identity = self.identity()
        return identity[identity["has_stamps"]].reset_index(drop=True)

    def batches(self, rows: int = ROW_GROUP) -> Iterator[AlertBatch]:
        """Iterate over stamps and metadata of the rows that have stamps, in table order.

        Raises InputError if the stamps are in another table.
        """
        names = ALERCE_FEATURES.names
        for batch in self._read_batches(["stamps", "has_stamps", *names], rows):
            has_stamps = batch.column("has_stamps").to_numpy(zero_copy_only=False)
            if has_stamps.any():
                columns = (batch.column(name).to_numpy(zero_copy_only=False) for name in names)
                metadata = np.stack([column[has_stamps] for column in columns], axis=1)
                stamps = stamps_to_numpy(batch.column("stamps"), self.info)
                yield AlertBatch(stamps, metadata.astype(np.float64))

    def observations(self) -> pd.DataFrame:
        """Return every observation of the alerts' objects; see `ztfrep.data.alerts.Alerts`.

        These are the rows of the series table if there is one, else those of this table.
        """
        if self.series is not None:
            return self._observations_of(self.series)
        return self._observations()

    def _observations(self) -> pd.DataFrame:
        identity, values = self.identity(), self.features(PHOTOMETRY)
        alert = np.where(identity["has_stamps"], identity["has_stamps"].cumsum() - 1, -1)
        return identity.assign(**dict(zip(PHOTOMETRY, values.T, strict=True)), alert=alert)

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
        If a table is not valid by `table_validation`.
    """
    return AlertTable(path, series=series)
