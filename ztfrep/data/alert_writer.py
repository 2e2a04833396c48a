"""A writer of alert tables in the schema of `alert_schema`; `alert_table` reads them."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ztfrep.data import checksums
from ztfrep.data.alert_checks import RowChecks
from ztfrep.data.alert_schema import CHANNELS, ROW_GROUP, UNLABELLED, TableInfo
from ztfrep.data.files import replacing


class AlertWriter:
    """Writes a table in row groups; the file appears when the `with` block ends without an error.

    One row group is checked and compressed while the caller prepares the next. Raises ValueError
    for rows that fail the checks of `alert_checks`, at the latest when the block ends.
    """

    def __init__(self, path: str | Path, info: TableInfo) -> None:
        info.validate()
        self.info = info
        self._checks = RowChecks(info)
        self._rows = 0
        self._path = path
        self._schema = info.schema()
        # The next rows fill one while the other is being written.
        self._buffers = [np.empty((0, info.pixels_per_row), np.float32) for _ in range(2)]
        self._writing: Future[None] | None = None

    def __enter__(self) -> "AlertWriter":
        with ExitStack() as stack:
            self._temporary = stack.enter_context(replacing(self._path))
            self._file = stack.enter_context(checksums.ChecksummedFile(self._temporary))
            stack.push(self._write_checksum)
            self._writer = stack.enter_context(
                # Pixels are seldom equal: a dictionary of them costs time, and gains nothing.
                pq.ParquetWriter(
                    self._file,
                    self._schema,
                    compression="lz4",
                    use_dictionary=["object_id", "split"],
                    # Bytes of equal significance are stored together: an eighth smaller. zstd would
                    # gain a twentieth more, for a third more time.
                    use_byte_stream_split=["stamps.list.element"],
                    write_statistics=["split", "label", "mjd"],
                )
            )
            self._pool = stack.enter_context(ThreadPoolExecutor(1))
            stack.push(self._finish_table)
            self._exit_stack = stack.pop_all()
        return self

    def write(self, columns: Mapping[str, np.ndarray | pa.Array | Sequence[object]]) -> None:
        """Append rows.

        `stamps` is float32 `(n, 3, H, W)`, NaN where not observed; a stamp of NaN alone becomes
        null. With `has_stamps`, bool `(n,)`, it has only the stamps of the rows that
        are True; none with `stamp_location` "by_candid". `label` -1 becomes null, and so does NaN
        in a feature or `mjd`. A nullable column that is missing is null. The arrays are still read
        after this returns: do not change them. Raises ValueError for a required column that is
        missing, for an unknown one, and for a `candid` of floats: they cannot hold its 19 digits.
        """
        unknown = set(columns) - set(self._schema.names)
        if unknown:
            raise ValueError(f"no such column: {sorted(unknown)}")
        candid = pa.array(columns.get("candid", []), from_pandas=True)
        if pa.types.is_floating(candid.type):
            # Whole numbers in a float column would pass, rounded.
            raise ValueError(f"candid is {candid.type}: its 19 digits do not fit in a float")
        rows = len(columns["object_id"])
        shape = (0, len(CHANNELS), self.info.height, self.info.width)
        stamps = np.asarray(columns.get("stamps", np.empty(shape, np.float32)))
        if "has_stamps" in columns:
            present = np.asarray(columns["has_stamps"], dtype=bool)
        else:
            present = _has_pixels(stamps, rows)
            stamps = stamps[present[: len(stamps)]]
        arrays = []
        for field in self._schema:
            values = columns.get(field.name)
            if field.name == "has_stamps":
                arrays.append(pa.array(present))
            elif field.name == "stamps":
                inline = present if self.info.stamp_location == "inline" else np.zeros(rows, bool)
                arrays.append(self._stamps_to_arrow(stamps, inline, field.type))
            elif values is None:
                if not field.nullable:
                    raise ValueError(f"column {field.name!r} is required")
                arrays.append(pa.nulls(rows, field.type))
            elif field.name == "label":
                label = np.asarray(values, dtype=np.int8)
                arrays.append(pa.array(label, field.type, mask=label == UNLABELLED))
            elif isinstance(values, pa.Array):
                arrays.append(values.cast(field.type))
            else:
                arrays.append(pa.array(values, field.type, from_pandas=field.nullable))
        batch = pa.RecordBatch.from_arrays(arrays, schema=self._schema)
        self._wait()
        flat = np.ascontiguousarray(stamps).reshape(len(stamps), self.info.pixels_per_row)
        self._writing = self._pool.submit(
            self._write, batch, flat, np.flatnonzero(present) + self._rows
        )
        self._rows += rows

    def _write(self, batch: pa.RecordBatch, stamps: np.ndarray, rows: np.ndarray) -> None:
        self._checks.check_rows(batch)
        self._checks.check_pixels(stamps, rows[: len(stamps)])
        self._writer.write_table(pa.Table.from_batches([batch]), row_group_size=ROW_GROUP)

    def _finish_table(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._wait()
        if kind is None:
            self._checks.finish()
            self._writer.add_key_value_metadata({checksums.KEY: checksums.BLANK})

    def _write_checksum(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._file.write_checksum(self._temporary)

    def _wait(self) -> None:
        """Wait until the previous rows are written; raise the error of writing them."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def _stamps_to_arrow(
        self, stamps: np.ndarray, present: np.ndarray, kind: pa.DataType
    ) -> pa.Array:
        expected = (int(present.sum()), *kind.shape)
        if stamps.shape != expected or stamps.dtype != np.float32:
            raise ValueError(f"stamps {stamps.shape} {stamps.dtype}, expected {expected} float32")
        flat = np.ascontiguousarray(stamps).reshape(len(stamps), self.info.pixels_per_row)
        if not present.all():
            # In memory a null row has pixels too. They are not written to the file, so the values
            # of earlier rows may stay in the buffer.
            self._buffers.reverse()
            if len(self._buffers[0]) < len(present):
                self._buffers[0] = np.zeros((len(present), flat.shape[1]), np.float32)
            buffer = self._buffers[0][: len(present)]
            buffer[present] = flat
            flat = buffer
        storage = pa.FixedSizeListArray.from_arrays(
            pa.array(flat.reshape(-1)),
            type=pa.list_(pa.float32(), flat.shape[1]),
            mask=pa.array(~present),
        )
        return pa.ExtensionArray.from_storage(kind, storage)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        return self._exit_stack.__exit__(kind, error, trace)


def _has_pixels(stamps: np.ndarray, rows: int) -> np.ndarray:
    if not len(stamps):
        return np.zeros(rows, dtype=bool)
    observed: np.ndarray = ~np.isnan(stamps.reshape(len(stamps), -1)).all(axis=1)
    return observed
