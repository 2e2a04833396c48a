"""Rows of labels in a Parquet file, as the text that a CSV of the same table has."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from ztfrep.data.parquet_files import ENCRYPTED, MAGIC, iterate_batches, open_parquet
from ztfrep.data.parquet_layout import Layout, check_layout
from ztfrep.errors import InputError, quote
from ztfrep.sources.packets.delimited import MAX_BYTES
from ztfrep.sources.packets.label_columns import LabelColumns

# Number of a row from 1, and its candid, object_id and class.
LabelRow = tuple[int, str, str, str]
# Bytes of a column in a row group, decompressed: 20 million candids as text have half of it.
MAX_COLUMN_BYTES = 1 << 30
_BATCH_ROWS = 1 << 14
# Bytes of a text that are read: more than any identifier or class has.
_MAX_TEXT_BYTES = 1024
_REMEDY = "write it again, or give it as a CSV"


def is_parquet(path: Path) -> bool:
    """Return whether a file begins as a Parquet file does; False if it cannot be opened."""
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) in (MAGIC, ENCRYPTED)
    except OSError:
        return False


def read_parquet_rows(
    path: Path,
    find_columns: Callable[[list[str]], LabelColumns | None],
    expected: str,
    rounded_remedy: str,
) -> Iterator[LabelRow]:
    """Yield the rows of a Parquet file; nulls and absent columns are empty text.

    `find_columns` takes the names of the columns and returns None if a needed one is missing;
    `expected` lists the needed columns for a message. Identifiers and classes are text or integers,
    also as dictionaries. Raises InputError for any other file, with `rounded_remedy` for candids
    that are floats.
    """
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise InputError(
            path,
            found=f"{size} bytes",
            expected=f"at most {MAX_BYTES}",
            remedy="remove the columns and rows that are not needed",
        )
    try:
        layout = check_layout(path)
        with open_parquet(path) as file:
            schema = file.schema_arrow
    except InputError as error:
        raise error.with_remedy(_REMEDY) from error
    found = find_columns(schema.names)
    if found is None:
        raise InputError(
            path,
            found=f"columns {quote(', '.join(schema.names), 80)[1:-1]}",
            expected=f"a Parquet table with the columns {expected}",
            remedy="rename its columns, or set sources.alerts.label_column",
        )
    names = [schema.names[index] if index >= 0 else "" for index in found]
    _check_types(path, schema, found, rounded_remedy)
    _check_sizes(path, layout, names)
    yield from _read_rows(path, names)


def _check_types(path: Path, schema: pa.Schema, columns: LabelColumns, rounded_remedy: str) -> None:
    for index in columns:
        if index < 0:
            continue
        field = schema.field(index)
        kind = field.type.value_type if pt.is_dictionary(field.type) else field.type
        if index == columns.candid and (pt.is_floating(kind) or pt.is_decimal(kind)):
            raise InputError(
                path,
                found=f"candids as {field.type}, rounded by a spreadsheet or a float64 column",
                expected="int64, uint64 or text",
                remedy=rounded_remedy,
            )
        if not (_is_text(kind) or pt.is_integer(kind) or pt.is_null(kind)):
            raise InputError(
                path,
                found=f"the column {quote(field.name)} of type {quote(str(field.type))[1:-1]}",
                expected="text or integers",
                remedy="convert it to text, or set sources.alerts.label_column",
            )


def _check_sizes(path: Path, layout: Layout, names: list[str]) -> None:
    for group, sizes in enumerate(layout.sizes):
        for name, size in zip(layout.columns, sizes, strict=True):
            if name in names and size > MAX_COLUMN_BYTES:
                raise InputError(
                    path,
                    found=f"{size} bytes in column {quote(name)} of row group {group}",
                    expected=f"at most {MAX_COLUMN_BYTES}",
                    remedy="write it in smaller row groups, or without long text",
                )


def _read_rows(path: Path, names: list[str]) -> Iterator[LabelRow]:
    present = [name for name in names if name]
    number = 0
    try:
        # As dictionaries, so that a long text that many rows repeat is read once.
        with open_parquet(path, dictionaries=tuple(present)) as file:
            for batch in iterate_batches(path, file, present, _BATCH_ROWS):
                texts = [_to_text(batch.column(name)) if name else None for name in names]
                empty = [""] * len(batch)
                for row in zip(*(empty if text is None else text for text in texts), strict=True):
                    number += 1
                    yield number, *row
    except InputError as error:
        raise error.with_remedy(_REMEDY) from error


def _is_text(kind: pa.DataType) -> bool:
    return any(
        test(kind)
        for test in (pt.is_string, pt.is_large_string, pt.is_string_view,
                     pt.is_binary, pt.is_large_binary, pt.is_binary_view)
    )  # fmt: skip


def _to_text(column: pa.Array) -> list[str]:
    """Return the values of a column as text; nulls are empty."""
    if pt.is_dictionary(column.type):
        # Only what the rows of a batch have: a dictionary may be larger than they are.
        indices = column.indices
        used = pc.unique(indices.drop_null())
        values = dict(zip(used.to_pylist(), _to_text(column.dictionary.take(used)), strict=True))
        return [values.get(index, "") for index in indices.to_pylist()]
    values = column.to_pylist() if not _is_text(column.type) else _cut(column).to_pylist()
    return ["" if value is None else _decode(value) for value in values]


def _cut(column: pa.Array) -> pa.Array:
    """Return the first bytes of each text: a file may have one that fills the memory."""
    return pc.binary_slice(column.cast(pa.large_binary()), 0, _MAX_TEXT_BYTES)


def _decode(value: Any) -> str:
    # Bytes that are not valid become U+FFFD, as in a CSV.
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
