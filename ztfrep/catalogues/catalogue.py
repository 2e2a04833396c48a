"""Catalogues: Parquet tables of the vectors, class probabilities and anomaly scores of alerts.

A catalogue has a row per alert, or a row per object. The columns are those of `CatalogueInfo`.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ztfrep.data.alert_schema import CHANNELS
from ztfrep.data.frames import to_frame
from ztfrep.data.parquet_files import as_input_errors, iterate_batches, open_parquet
from ztfrep.data.parquet_layout import check_layout
from ztfrep.encoders.reference import ANOMALY_TERMS, CLASS_ENTROPY, NEIGHBOUR_DISTANCE
from ztfrep.errors import InputError, quote

FORMAT = "ztfrep-catalogue-1"
ALERTS, OBJECTS = "alerts", "objects"
PROBABILITY = "probability_"
# Rows of a row group: few, so that the previews of some rows are read without those of others.
ROW_GROUP = 256
# Columns of many numbers in a row, and of text. Numbers hardly repeat: a dictionary of them takes
# longer than their compression.
_NUMBERS, _TEXTS = ("vector", "preview"), ("object_id",)
_MAX_VECTOR, _MAX_CLASSES = 4096, 1000
_REMEDY = "make it with ztfrep encode"
# mjd in days, magnitudes in mag, positions in degrees.
_ALERT_COLUMNS = (
    ("object_id", pa.string()),
    ("candid", pa.int64()),
    ("mjd", pa.float64()),
    ("fid", pa.int8()),
    ("magpsf", pa.float32()),
    ("ra", pa.float64()),
    ("dec", pa.float64()),
)
_OBJECT_COLUMNS = (
    ("object_id", pa.string()),
    ("mjd", pa.float64()),
    ("n_alerts", pa.int32()),
    ("n_observations", pa.int32()),
)
# Observations in time order: detections have magpsf, upper limits diffmaglim alone.
LIGHT_CURVE = pa.list_(
    pa.struct(
        [
            ("mjd", pa.float64()),
            ("fid", pa.int8()),
            ("magpsf", pa.float32()),
            ("sigmapsf", pa.float32()),
            ("diffmaglim", pa.float32()),
        ]
    )
)
SCORES = ("anomaly_score", *ANOMALY_TERMS)
_OBJECT_SCORES = ("anomaly_score", NEIGHBOUR_DISTANCE, CLASS_ENTROPY)


@dataclass(frozen=True)
class CatalogueInfo:
    """What the rows of a catalogue are, and the model that computed them.

    Attributes
    ----------
    rows : str
        "alerts" or "objects".
    classes : tuple of str
    vector_length : int
    model : str
        Checksums of the weights; see `Encoder.checksum`.
    version : str
        The version of ztfrep that wrote it.
    preview_size : int or None
        Height and width in pixels of the previews of stamps; None without previews.
    """

    rows: str
    classes: tuple[str, ...]
    vector_length: int
    model: str
    version: str
    preview_size: int | None = None

    def schema(self) -> pa.Schema:
        """Return the Arrow schema, with this information in its metadata."""
        is_alerts = self.rows == ALERTS
        columns = [
            *(_ALERT_COLUMNS if is_alerts else _OBJECT_COLUMNS),
            *((f"{PROBABILITY}{name}", pa.float32()) for name in self.classes),
            *((name, pa.float32()) for name in (SCORES if is_alerts else _OBJECT_SCORES)),
            ("vector", pa.list_(pa.float32(), self.vector_length)),
        ]
        if not is_alerts:
            columns.append(("light_curve", LIGHT_CURVE))
        if self.preview_size is not None:
            shape = [len(CHANNELS), self.preview_size, self.preview_size]
            tensor = pa.fixed_shape_tensor(pa.uint8(), shape)
            columns.append(("preview", tensor))
        metadata = {
            "format": FORMAT,
            "rows": self.rows,
            "classes": json.dumps(self.classes),
            "vector_length": str(self.vector_length),
            "model": self.model,
            "ztfrep": self.version,
        }
        return pa.schema(columns, metadata)

    @property
    def probability_columns(self) -> list[str]:
        """Names of the columns of class probabilities."""
        return [f"{PROBABILITY}{name}" for name in self.classes]


class Catalogue:
    """A catalogue on disk: a file, or a folder of files of the same model; see `read_catalogue`.

    Attributes
    ----------
    path : path
    files : tuple of path
    info : CatalogueInfo
    """

    def __init__(self, path: Path, files: Sequence[Path], info: CatalogueInfo) -> None:
        self.path, self.files, self.info = path, tuple(files), info

    def __len__(self) -> int:
        return len(self.table)

    @cached_property
    def table(self) -> pd.DataFrame:
        """Every column that has one value per row, in the order of the rows.

        `candid` is int64, or Int64 if some rows have none. `predicted_class` is added: the class
        of the largest probability.
        """
        nested = ("vector", "preview", "light_curve")
        columns = [name for name in self.info.schema().names if name not in nested]
        frame = to_frame(self._read(columns))
        probabilities = frame[self.info.probability_columns].to_numpy()
        best = np.asarray(self.info.classes, dtype=object)[probabilities.argmax(axis=1)]
        return frame.assign(predicted_class=best)

    def vectors(self) -> np.ndarray:
        """Return the vectors, float32 `(n, d)`; raises InputError unless all are finite."""
        flat = [
            column.flatten().to_numpy(zero_copy_only=False)
            for column in self._read(["vector"]).column(0).chunks
        ]
        length = self.info.vector_length
        vectors = np.concatenate([np.empty(0, np.float32), *flat]).reshape(-1, length)
        if len(vectors) != len(self) or not np.isfinite(vectors).all():
            raise _error(self.path, "rows without a vector of finite numbers", "a vector per row")
        return vectors

    def previews(self, rows: Sequence[int] | np.ndarray) -> np.ndarray | None:
        """Return previews of the stamps of some rows, uint8 `(m, 3, H, W)`, or None without any.

        Only the row groups of these rows are read. 0 is a pixel that was not observed; see
        `ztfrep.data.stamp_previews`.
        """
        size = self.info.preview_size
        if size is None:
            return None
        previews = np.zeros((len(rows), len(CHANNELS), size, size), np.uint8)
        for positions, group_rows, group in self._groups(rows, "preview"):
            previews[positions] = group.to_numpy_ndarray()[group_rows]
        return previews

    def light_curves(self, rows: Sequence[int] | np.ndarray) -> list[pd.DataFrame]:
        """Return the observations of some objects: a table with the columns of the light curve.

        Raises ValueError for a catalogue of alerts.
        """
        if self.info.rows != OBJECTS:
            raise ValueError("a catalogue of alerts has no light curves")
        names = [field.name for field in LIGHT_CURVE.value_type]
        curves: list[pd.DataFrame] = [pd.DataFrame()] * len(rows)
        for positions, group_rows, group in self._groups(rows, "light_curve"):
            for position, row in zip(positions, group_rows, strict=True):
                curves[position] = pd.DataFrame(group[int(row)].as_py(), columns=names)
        return curves

    def _groups(
        self, rows: Sequence[int] | np.ndarray, column: str
    ) -> Iterator[tuple[np.ndarray, np.ndarray, pa.Array]]:
        """Yield a column of each row group that has some of the rows.

        With it, the positions in `rows` of those that it has, and their rows in the group.
        """
        wanted = np.asarray(rows, dtype=np.int64)
        start = 0
        for path in self.files:
            with open_parquet(path) as file:
                for number in range(file.num_row_groups):
                    stop = start + file.metadata.row_group(number).num_rows
                    positions = np.flatnonzero((wanted >= start) & (wanted < stop))
                    if len(positions):
                        with as_input_errors(path):
                            table = file.read_row_group(number, columns=[column])
                            group = table.column(0).combine_chunks()
                        yield positions, wanted[positions] - start, group
                    start = stop

    def _read(self, columns: list[str]) -> pa.Table:
        schema = self.info.schema()
        chunks = []
        for path in self.files:
            with open_parquet(path) as file:
                chunks += list(iterate_batches(path, file, columns, 65_536))
        return pa.Table.from_batches(chunks, pa.schema([schema.field(name) for name in columns]))


def read_catalogue(path: str | Path) -> Catalogue:
    """Open a catalogue that `ztfrep encode` wrote: a file, or a folder of them.

    Of a folder, the catalogues of alerts are read, in the order of their names. Raises InputError
    for a file that is no catalogue, and for files of different models.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(path, found="no such file", expected="a catalogue", remedy=_REMEDY)
    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    infos = {file: _read_info(file) for file in files}
    if path.is_dir():
        infos = {file: info for file, info in infos.items() if info.rows == ALERTS}
    if not infos:
        raise _error(path, "a folder without catalogues of alerts", "files *.parquet")
    first = next(iter(infos.values()))
    for file, info in infos.items():
        if info != first:
            raise _error(file, "a catalogue of another model", "files of one model in a folder")
    return Catalogue(path, list(infos), first)


def _read_info(path: Path) -> CatalogueInfo:
    """Return the information in the schema of a file, whose columns are compared with it."""
    try:
        check_layout(path)
        with open_parquet(path) as file, as_input_errors(path):
            schema = file.schema_arrow
    except InputError as error:
        raise error.with_remedy(_REMEDY) from error
    metadata = {
        key.decode("utf-8", "replace"): value.decode("utf-8", "replace")
        for key, value in (schema.metadata or {}).items()
    }
    if metadata.get("format") != FORMAT:
        found = quote(metadata["format"]) if "format" in metadata else "another Parquet file"
        raise _error(path, found, f"a catalogue ({FORMAT})")
    size = None
    if "preview" in schema.names:
        kind = schema.field("preview").type
        shape = list(getattr(kind, "shape", []))
        size = shape[1] if len(shape) == 3 else 0
    try:
        info = CatalogueInfo(
            rows=metadata["rows"],
            classes=tuple(json.loads(metadata["classes"])),
            vector_length=int(metadata["vector_length"]),
            model=metadata["model"],
            version=metadata["ztfrep"],
            preview_size=size,
        )
        valid = (
            info.rows in (ALERTS, OBJECTS)
            and 1 <= info.vector_length <= _MAX_VECTOR
            and 1 <= len(info.classes) <= _MAX_CLASSES
            and all(isinstance(name, str) for name in info.classes)
            and info.schema().equals(schema)
        )
    except (KeyError, ValueError, TypeError, RecursionError, pa.ArrowException) as error:
        raise _error(path, "a catalogue whose metadata is broken", "that of its writer") from error
    if not valid:
        raise _error(path, "columns that do not fit its metadata", "those of its writer")
    return info


def _error(path: Path, found: str, expected: str) -> InputError:
    return InputError(path, found=found, expected=expected, remedy=_REMEDY)


def write_catalogue(path: Path, info: CatalogueInfo, batches: Iterator[pa.Table]) -> int:
    """Write tables with the columns of `info.schema()` to a path; return the number of rows.

    The caller renames the file, see `ztfrep.data.files.replacing`.
    """
    rows = 0
    schema = info.schema()
    numbers = [name for name in _NUMBERS if name in schema.names]
    with pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        use_dictionary=[name for name in _TEXTS if name in schema.names],
        column_encoding={f"{name}.list.element": "BYTE_STREAM_SPLIT" for name in numbers},
        write_statistics=[name for name in schema.names if name not in numbers],
        write_page_checksum=True,
    ) as writer:
        for table in batches:
            writer.write_table(table.select(schema.names).cast(schema), row_group_size=ROW_GROUP)
            rows += len(table)
    return rows
