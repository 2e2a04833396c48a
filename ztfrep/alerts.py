"""The alert tables: one Parquet schema for every source; write, read, check.

A row is an alert: one detection with its three stamps and its metadata. Rows are ordered by split
(train, validation, test), then by object, then by `detection`, so that a reader may stream.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ztfrep import features
from ztfrep.errors import InputError
from ztfrep.files import replacing
from ztfrep.frames import to_frame

CLASSES = ("AGN", "SN", "VS", "asteroid", "bogus")
# The published series hold these three, and their network has as many outputs.
SERIES_CLASSES = CLASSES[:3]
CHANNELS = ("science", "template", "difference")
SPLITS = ("train", "validation", "test")
UNLABELLED = -1

# How the pixels of a table relate to counts; each is an affine scaling of them.
SCALINGS = ("counts", "minmax", "unknown")
FEATURE_UNITS = (features.PHYSICAL, features.ZSCORED_UNKNOWN, "none")
# Where the stamps of a table's rows stand: in its own rows, or in the alerts' table, by candid.
HELD = ("here", "by_candid")
FORMAT = "ztfrep-alerts-3"
ROW_GROUP = 1000

_IDENTITY: tuple[tuple[str, pa.DataType, bool], ...] = (
    # name, type, nullable; mjd in days
    ("object_id", pa.string(), False),
    ("candid", pa.int64(), True),
    ("mjd", pa.float64(), True),
    ("fid", pa.int8(), True),
    ("detection", pa.int32(), False),
    ("split", pa.string(), False),
    ("label", pa.int8(), True),
    ("n_copies", pa.int32(), False),
    ("has_stamps", pa.bool_(), False),
)
_METADATA: tuple[tuple[str, pa.DataType, bool], ...] = tuple(
    # Positions need more than float32's seven digits.
    (name, pa.float64() if name in ("ra", "dec") else pa.float32(), True)
    for name in features.NAMES
)


@dataclass(frozen=True)
class TableInfo:
    """What a table holds: stamp size in pixels, their scaling, the features' unit, the classes.

    With `held` "by_candid" its stamps are null, and those of the rows that have some stand in the
    alerts' table.
    """

    height: int
    width: int
    scaling: str
    feature_unit: str
    classes: tuple[str, ...] = CLASSES
    held: str = HELD[0]

    def schema(self) -> pa.Schema:
        """Give the Arrow schema, this information in its metadata."""
        tensor = pa.fixed_shape_tensor(pa.float32(), [3, self.height, self.width])
        columns = (*_IDENTITY, ("stamps", tensor, True), *_METADATA)
        metadata = {
            "format": FORMAT,
            "channels": ",".join(CHANNELS),
            "scaling": self.scaling,
            "feature_unit": self.feature_unit,
            "classes": ",".join(self.classes),
            "stamps": self.held,
        }
        return pa.schema([pa.field(n, t, nullable=null) for n, t, null in columns], metadata)


class AlertWriter:
    """Writes a table in row groups; the file appears when the `with` block ends well.

    One row group is compressed while the caller brings the next together.
    """

    def __init__(self, path: str | Path, info: TableInfo) -> None:
        if (
            info.scaling not in SCALINGS
            or info.feature_unit not in FEATURE_UNITS
            or info.held not in HELD
        ):
            raise ValueError(f"no such scaling, feature unit or place of stamps: {info}")
        self.info = info
        self._path = path
        self._schema = info.schema()
        # One is filled while the other is written.
        size = len(CHANNELS) * info.height * info.width
        self._buffers = [np.empty((0, size), np.float32) for _ in range(2)]
        self._writing: Future[None] | None = None

    def __enter__(self) -> "AlertWriter":
        with ExitStack() as stack:
            temporary = stack.enter_context(replacing(self._path))
            self._writer = stack.enter_context(
                # Floats of an image hardly repeat: a dictionary costs time, and gains nothing.
                pq.ParquetWriter(
                    temporary,
                    self._schema,
                    compression="lz4",
                    use_dictionary=["object_id", "split"],
                    # Bytes of like significance side by side: an eighth smaller. zstd would gain
                    # a twentieth more, for a third more time.
                    use_byte_stream_split=["stamps.list.element"],
                    write_statistics=["split", "label", "mjd"],
                )
            )
            self._pool = stack.enter_context(ThreadPoolExecutor(1))
            stack.callback(self._finish)
            self._open = stack.pop_all()
        return self

    def write(self, columns: Mapping[str, np.ndarray | pa.Array | Sequence[object]]) -> None:
        """Append rows.

        `stamps` is float32 `(n, 3, H, W)` with NaN where a pixel is not observed; a stamp of NaN
        alone becomes null. With `has_stamps`, bool `(n,)`, it holds those of the rows so marked
        alone; none where they stand in the alerts' table. `label` -1 becomes null, and so does NaN
        in a feature or `mjd`. A nullable column left out is null. The arrays are still read after
        this returns: leave them as they are. Raises ValueError for a missing or unknown column, and
        for a `candid` of floats: they cannot hold its 19 digits.
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
        present = np.asarray(columns.get("has_stamps", _has_pixels(stamps, rows)), dtype=bool)
        if "has_stamps" not in columns:
            stamps = stamps[present[: len(stamps)]]
        arrays = []
        for field in self._schema:
            values = columns.get(field.name)
            if field.name == "has_stamps":
                arrays.append(pa.array(present))
            elif field.name == "stamps":
                held = present if self.info.held == "here" else np.zeros(rows, dtype=bool)
                arrays.append(self._stamps_to_arrow(stamps, held, field.type))
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
        table = pa.Table.from_arrays(arrays, schema=self._schema)
        self._finish()
        self._writing = self._pool.submit(self._writer.write_table, table, row_group_size=ROW_GROUP)

    def _finish(self) -> None:
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def _stamps_to_arrow(
        self, stamps: np.ndarray, present: np.ndarray, kind: pa.DataType
    ) -> pa.Array:
        expected = (int(present.sum()), *kind.shape)
        if stamps.shape != expected or stamps.dtype != np.float32:
            raise ValueError(f"stamps {stamps.shape} {stamps.dtype}, expected {expected} float32")
        flat = np.ascontiguousarray(stamps).reshape(len(stamps), self._buffers[0].shape[1])
        if not present.all():
            # A null row takes its place among the pixels too. What stands there is not written, so
            # that the place of earlier rows will do, and need not be cleared.
            self._buffers.reverse()
            if len(self._buffers[0]) < len(present):
                self._buffers[0] = np.zeros((len(present), flat.shape[1]), np.float32)
            places = self._buffers[0][: len(present)]
            places[present] = flat
            flat = places
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
        return self._open.__exit__(kind, error, trace)


class AlertTable:
    """A table on disk, its schema checked; columns and stamps are read on demand."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise InputError(
                self.path, found="no such file", expected="an alert table", remedy="run dvc repro"
            )
        try:
            schema = pq.read_schema(self.path)
        except (pa.ArrowInvalid, OSError) as error:
            raise self._refused(str(error), "a Parquet file") from error
        self.info = self._check(schema)
        self.rows = pq.read_metadata(self.path).num_rows

    def _refused(self, found: str, expected: str) -> InputError:
        remedy = "make the table again with dvc repro"
        return InputError(self.path, found=found, expected=expected, remedy=remedy)

    def _check(self, schema: pa.Schema) -> TableInfo:
        metadata = {k.decode(): v.decode() for k, v in (schema.metadata or {}).items()}
        if metadata.get("format") != FORMAT:
            raise self._refused(f"format {metadata.get('format')!r}", repr(FORMAT))
        if metadata["channels"] != ",".join(CHANNELS):
            raise self._refused(f"channels {metadata['channels']}", ",".join(CHANNELS))
        shape = schema.field("stamps").type.shape
        info = TableInfo(
            shape[1],
            shape[2],
            metadata["scaling"],
            metadata["feature_unit"],
            tuple(metadata["classes"].split(",")),
            metadata["stamps"],
        )
        if not schema.equals(info.schema()):
            raise self._refused(f"columns {schema.names}", f"{info.schema().names}")
        return info

    def identity(self) -> pd.DataFrame:
        """Read every identity column but the features; `label` is -1 where null.

        `candid` is int64, or pandas' Int64 where some rows have none: never a float.
        """
        names = [name for name, _, _ in _IDENTITY]
        frame = to_frame(pq.read_table(self.path, columns=names))
        frame["label"] = frame["label"].fillna(UNLABELLED).astype(np.int64)
        return frame

    def has_stamps(self) -> np.ndarray:
        """Tell for every row whether it has stamps, bool `(n,)`."""
        column = pq.read_table(self.path, columns=["has_stamps"]).column(0)
        present: np.ndarray = column.to_numpy()
        return present

    def features(self) -> np.ndarray:
        """Read the metadata features, float64 `(n, 26)`, NaN where null; see `clipped_features`."""
        table = pq.read_table(self.path, columns=list(features.NAMES))
        columns = [table.column(name).to_numpy().astype(np.float64) for name in features.NAMES]
        return np.stack(columns, axis=1)

    def clipped_features(self) -> np.ndarray:
        """Read the features as a network or a scaling takes them: physical ones clipped."""
        values = self.features()
        return features.clip(values) if self.info.feature_unit == features.PHYSICAL else values

    def stamps(self, rows_per_batch: int = ROW_GROUP) -> Iterator[np.ndarray]:
        """Stream the stamps of the rows that have any, in table order.

        Batches are float32 `(m, 3, H, W)`, NaN where not observed, m up to `rows_per_batch`.
        Raises ValueError if they stand in another table.
        """
        if self.info.held != "here":
            raise ValueError(f"{self.path}: the stamps stand in the alerts' table, by candid")
        # pre_buffer would read the whole column ahead: memory grows with the table.
        with pq.ParquetFile(self.path, pre_buffer=False) as file:
            for batch in file.iter_batches(rows_per_batch, columns=["stamps"]):
                yield _stamps_to_numpy(batch.column(0), self.info)


def _has_pixels(stamps: np.ndarray, rows: int) -> np.ndarray:
    if not len(stamps):
        return np.zeros(rows, dtype=bool)
    observed: np.ndarray = ~np.isnan(stamps.reshape(len(stamps), -1)).all(axis=1)
    return observed


def _stamps_to_numpy(column: pa.Array, info: TableInfo) -> np.ndarray:
    storage = column.storage
    size = 3 * info.height * info.width
    # `flatten` would drop null rows, and `values` ignores the offset of a slice.
    values = storage.values.slice(storage.offset * size, len(storage) * size)
    stamps = values.to_numpy(zero_copy_only=False).reshape(-1, 3, info.height, info.width)
    if storage.null_count:
        stamps = stamps[storage.is_valid().to_numpy(zero_copy_only=False)]
    return stamps
