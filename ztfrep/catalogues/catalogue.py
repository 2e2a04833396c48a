"""Catalogues: Parquet tables of the vectors, class probabilities and anomaly scores of alerts.

A catalogue has a row per alert, or a row per object. The columns are those of `CatalogueInfo`.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ztfrep.catalogues.catalogue_schema import ALERTS, FORMAT, LIGHT_CURVE, OBJECTS, CatalogueInfo
from ztfrep.data.alert_schema import CHANNELS
from ztfrep.data.frames import to_frame
from ztfrep.data.parquet_files import as_input_errors, iterate_batches, open_parquet
from ztfrep.data.parquet_layout import check_layout
from ztfrep.errors import InputError, quote

# Rows of a row group: few, so that the previews of some rows are read without those of others.
ROW_GROUP = 256
# Columns of many numbers in a row, and of text. Numbers hardly repeat: a dictionary of them takes
# longer than their compression.
_NUMBERS, _TEXTS = ("vector", "preview"), ("object_id", "class", "split")
_MAX_VECTOR, _MAX_CLASSES = 4096, 1000
_REMEDY = "make it with ztfrep encode"


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
        wanted = pa.schema([schema.field(name) for name in columns])
        chunks = []
        for path in self.files:
            with open_parquet(path) as file:
                # Files of packets, in a folder with those of alert tables, have no labels.
                present = [name for name in columns if name in file.schema_arrow.names]
                chunks += [
                    _with_nulls(batch, wanted)
                    for batch in iterate_batches(path, file, present, 65_536)
                ]
        return pa.Table.from_batches(chunks, wanted)


def objects_path(out: Path) -> Path:
    """Return the path of the catalogue of objects beside that of alerts: `NAME.objects.parquet`."""
    return out.with_name(f"{out.stem}.objects{out.suffix}")


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
    labelled = any(info.labelled for info in infos.values())
    first = replace(next(iter(infos.values())), labelled=labelled)
    for file, info in infos.items():
        if replace(info, labelled=labelled) != first:
            raise _error(file, "a catalogue of another model", "files of one model in a folder")
    return Catalogue(path, list(infos), first)


def _with_nulls(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return a batch with the columns of a schema, null where it has none."""
    columns = [
        batch.column(field.name)
        if field.name in batch.schema.names
        else pa.nulls(batch.num_rows, field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


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
            labelled="split" in schema.names,
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
