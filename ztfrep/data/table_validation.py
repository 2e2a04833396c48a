"""Validation of an alert table on disk: layout, schema and, without a checksum, rows."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from ztfrep.data.alert_checks import RowChecks
from ztfrep.data.alert_schema import (
    SCALAR_COLUMNS,
    TableError,
    TableInfo,
    parse_schema,
    stamps_to_numpy,
)
from ztfrep.data.checksums import Checksum, verify
from ztfrep.data.parquet_files import as_input_errors, iterate_batches, open_parquet, parquet_error
from ztfrep.data.parquet_layout import Layout, check_expansion, check_layout

# Bytes of stamps in a batch: pyarrow takes several times as much memory to read them.
_BATCH_BYTES = 8 << 20
_SCALAR_BATCH_ROWS = 1 << 14
_REMEDY = "correct the table, or make it again with dvc repro"


def validate_table(path: Path) -> tuple[TableInfo, int]:
    """Validate an alert table; return its description and its number of rows.

    A table with a valid checksum was checked when it was written: every byte is read once (2.5 GB/s
    on one core), and none is decoded. Any other table is decoded once and checked row by row (some
    0.5 GB/s of pixels), in memory that does not grow with its pixels. Raises InputError for a table
    that fails the checks of `alert_schema` or `alert_checks`.
    """
    with as_input_errors(path):
        try:
            return _validate(path)
        except TableError as error:
            raise parquet_error(path, error.found, error.expected, _REMEDY) from error


def _validate(path: Path) -> tuple[TableInfo, int]:
    layout = check_layout(path)
    with open_parquet(path) as file:
        info = parse_schema(file.schema_arrow)
    checksum = verify(path)
    if checksum is Checksum.VALID:
        return info, sum(layout.rows)
    # As dictionaries, so that a long text that many rows repeat is read once.
    with open_parquet(path, dictionaries=("object_id", "split")) as file:
        _check_rows(path, file, layout, info)
    if checksum is Checksum.INVALID:
        raise TableError("bytes that changed since it was written", "the bytes of its checksum")
    return info, sum(layout.rows)


def _check_rows(path: Path, file: pq.ParquetFile, layout: Layout, info: TableInfo) -> None:
    checks = RowChecks(info)
    parts = [np.empty(0, dtype=bool)]
    for batch in iterate_batches(path, file, SCALAR_COLUMNS, _SCALAR_BATCH_ROWS):
        checks.check_rows(batch)
        parts.append(batch.column("has_stamps").to_numpy(zero_copy_only=False))
    checks.finish()
    has_stamps = np.concatenate(parts)
    if len(has_stamps) != sum(layout.rows):
        raise TableError(f"{len(has_stamps)} rows", f"{sum(layout.rows)}, as the footer says")
    if info.stamp_location != "inline":
        has_stamps[:] = False
    _check_stamps(path, file, layout, info, has_stamps, checks)


def _check_stamps(
    path: Path,
    file: pq.ParquetFile,
    layout: Layout,
    info: TableInfo,
    has_stamps: np.ndarray,
    checks: RowChecks,
) -> None:
    """Check the pixels, and that exactly the rows of `has_stamps`, bool `(n,)`, have stamps."""
    column = [name.split(".")[0] for name in layout.columns].index("stamps")
    rows = np.array(layout.rows)
    values = np.array([group[column] for group in layout.values])
    # A null stamp takes one value in the file, and a whole stamp in memory.
    filled = np.flatnonzero(values > rows)
    check_expansion(path, path.stat().st_size, 4 * info.pixels_per_row * int(rows[filled].sum()))
    starts = np.cumsum(rows) - rows
    batch_rows = info.rows_per_batch(_BATCH_BYTES)
    for group in range(len(rows)):
        row = int(starts[group])
        if group not in filled:
            expected = has_stamps[row : row + rows[group]]
            _compare_has_stamps(expected, np.zeros(rows[group], bool), row, info)
            continue
        for batch in iterate_batches(path, file, ["stamps"], batch_rows, [group]):
            storage = batch.column(0).storage
            valid = storage.is_valid().to_numpy(zero_copy_only=False)
            _compare_has_stamps(has_stamps[row : row + len(valid)], valid, row, info)
            stamps = stamps_to_numpy(batch.column(0), info)
            checks.check_pixels(stamps.reshape(len(stamps), -1), np.flatnonzero(valid) + row)
            row += len(valid)


def _compare_has_stamps(
    has_stamps: np.ndarray, valid: np.ndarray, first: int, info: TableInfo
) -> None:
    """Raise TableError unless `has_stamps` equals `valid`, of the rows from `first` on."""
    if len(has_stamps) == len(valid) and (has_stamps == valid).all():
        return
    row = int((has_stamps[: len(valid)] != valid).argmax())
    found = f"stamps in row {first + row}" if valid[row] else f"no stamps in row {first + row}"
    expected = "stamps where has_stamps is true, and nowhere else"
    if info.stamp_location != "inline":
        expected = f"none, with stamp_location {info.stamp_location}"
    raise TableError(found, expected)
