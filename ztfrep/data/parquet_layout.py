"""The sizes that a Parquet file claims, compared with its bytes before anything is decoded.

A footer or a page header may claim any number of rows or bytes, and pyarrow allocates memory for
them.
"""

import os
from pathlib import Path
from typing import Any, NamedTuple

from ztfrep.data.parquet_files import MAGIC, find_footer, parquet_error
from ztfrep.data.thrift import BINARY, I32, I64, LIST, STRUCT, Struct, read_struct
from ztfrep.errors import quote

# Bytes of a page, decompressed. The usual size is 1 MiB, unless a row is larger.
MAX_PAGE_BYTES = 32 << 20
# Maximum ratio of the decompressed bytes to the size of the file: pixels and features compress to a
# half. ALWAYS_ALLOWED bytes are read from any file: that takes half a second.
MAX_EXPANSION, ALWAYS_ALLOWED = 256, 256 << 20
# Bytes of a page header that are read first, and at most: statistics of text may be long.
_HEADER_BYTES, _MAX_HEADER_BYTES = 128, 1 << 16
_MAX_COLUMNS = 256

# Numbers of the fields in Parquet's definition. Of a footer:
_SCHEMA, _ROWS, _GROUPS = 2, 3, 4
# Of an element of the schema, of a row group, of a column of a row group:
_CHILDREN = 5
_COLUMNS = 1
_FILE, _META, _CRYPTO, _SECRET = 1, 3, 8, 9
_PATH, _VALUES, _LENGTH, _DATA_PAGE, _DICTIONARY_PAGE = 3, 5, 7, 9, 11
# Of a page header, and of the header of a kind of page:
_EXPANDED, _COMPRESSED, _DATA, _DICTIONARY, _DATA_V2 = 2, 3, 5, 7, 8
_PAGE_VALUES = 1
# Fields of a column that is encrypted or in another file.
_ELSEWHERE = {(_FILE, BINARY), (_CRYPTO, STRUCT), (_SECRET, BINARY)}


class Layout(NamedTuple):
    """The content of a footer, once its claims are in proportion to the file.

    `columns` are paths (the parts joined by dots); `rows` of every row group; `values` of every
    row group and column, as many as rows unless the column is one of lists; `sizes` of every row
    group and column, in bytes, decompressed.
    """

    columns: list[str]
    rows: list[int]
    values: list[list[int]]
    sizes: list[list[int]]


class _Chunk(NamedTuple):
    """A column of a row group: its numbers and name, its bytes in the file, its values."""

    group: int
    column: int
    where: str
    start: int
    length: int
    values: int


def check_layout(path: Path) -> Layout:
    """Compare the claims of the footer and the page headers with the bytes of the file.

    Nothing is decoded; some 3 ms for a row group of 36 columns. Raises InputError.
    """
    footer = find_footer(path)
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(footer.start)
        try:
            content, _ = read_struct(file.read(len(footer)), 0)
            layout, chunks = _parse_footer(content)
        except (IndexError, KeyError, ValueError, TypeError, AttributeError) as error:
            raise parquet_error(path, "a damaged footer", "a Parquet file") from error
        claimed: Any = content.get((_ROWS, I64))
        rows = sum(layout.rows)
        if claimed != rows or min(layout.rows, default=0) < 0:
            raise parquet_error(path, f"{claimed} rows, and {rows} in its row groups", "the same")
        if not rows:
            raise parquet_error(path, "no rows", "an alert or more")
        if rows > size:
            raise parquet_error(
                path, f"{rows} rows in {size} bytes", "a byte or more for every row"
            )
        expanded = end = 0
        for chunk in sorted(chunks, key=lambda chunk: chunk.start):
            last = chunk.start + chunk.length
            # Bytes that several columns share would be read many times.
            if chunk.length <= 0 or chunk.start < max(end, len(MAGIC)) or last > footer.start:
                found = f"{chunk.where} at bytes {chunk.start} to {last}"
                raise parquet_error(path, found, "columns one after another, before the footer")
            end = last
            size_of_pages = _check_pages(path, file.fileno(), chunk)
            layout.sizes[chunk.group][chunk.column] = size_of_pages
            expanded += size_of_pages
    check_expansion(path, size, expanded)
    return layout


def check_expansion(path: Path, size: int, expanded: int) -> None:
    """Raise InputError if a file of `size` bytes expands to too many, `expanded`."""
    if expanded > max(MAX_EXPANSION * size, ALWAYS_ALLOWED):
        found = f"{size} bytes that expand to {expanded}"
        raise parquet_error(path, found, f"at most {MAX_EXPANSION} times as many")


def _parse_footer(content: Struct) -> tuple[Layout, list[_Chunk]]:
    """Raise KeyError, TypeError, AttributeError or ValueError for an invalid footer."""
    schema: Any = content[_SCHEMA, LIST]
    # pyarrow reads the columns recursively.
    if len(schema) > _MAX_COLUMNS:
        raise ValueError(f"{len(schema)} columns")
    leaves = sum(not element.get((_CHILDREN, I32)) for element in schema)
    layout = Layout([], [], [], [])
    chunks = []
    groups: Any = content[_GROUPS, LIST]
    for number, group in enumerate(groups):
        columns = group[_COLUMNS, LIST]
        if len(columns) != leaves:
            raise ValueError(f"{len(columns)} columns of {leaves}")
        if any(column.keys() & _ELSEWHERE for column in columns):
            raise ValueError("columns that are encrypted or in another file")
        entries = [column[_META, STRUCT] for column in columns]
        names = [b".".join(entry[_PATH, LIST]).decode() for entry in entries]
        if layout.columns and names != layout.columns:
            raise ValueError("other columns in another row group")
        layout = layout._replace(columns=names)
        layout.rows.append(group[_ROWS, I64])
        layout.values.append([entry[_VALUES, I64] for entry in entries])
        layout.sizes.append([0] * len(entries))
        for column, (name, entry) in enumerate(zip(names, entries, strict=True)):
            start, dictionary = entry[_DATA_PAGE, I64], entry.get((_DICTIONARY_PAGE, I64), 0)
            start = dictionary if 0 < dictionary < start else start
            where = f"column {quote(name)} of row group {number}"
            chunks.append(
                _Chunk(number, column, where, start, entry[_LENGTH, I64], entry[_VALUES, I64])
            )
    return layout, chunks


def _check_pages(path: Path, file: int, chunk: _Chunk) -> int:
    """Return the number of bytes of a column's pages, decompressed."""
    position, stop = chunk.start, chunk.start + chunk.length
    values = expanded = 0
    while position < stop:
        for length_limit in (_HEADER_BYTES, _MAX_HEADER_BYTES):
            try:
                header, length = read_struct(
                    os.pread(file, min(length_limit, stop - position), position), 0
                )
                size: Any = header[_EXPANDED, I32]
                compressed: Any = header[_COMPRESSED, I32]
                break
            except IndexError:
                continue
            except (ValueError, KeyError):
                raise parquet_error(
                    path, f"no page header at byte {position}, {chunk.where}", "one"
                ) from None
        else:
            raise parquet_error(path, f"no page header at byte {position}, {chunk.where}", "one")
        if not 0 <= size <= MAX_PAGE_BYTES:
            found = f"a page of {size} bytes in {chunk.where}"
            raise parquet_error(path, found, f"at most {MAX_PAGE_BYTES} bytes a page")
        position += length + compressed
        if compressed < 0 or position > stop:
            found = f"a page of {compressed} bytes, compressed, beyond the end of {chunk.where}"
            raise parquet_error(path, found, "pages within their column")
        for kind in (_DATA, _DICTIONARY, _DATA_V2):
            content: Any = header.get((kind, STRUCT), {})
            count = content.get((_PAGE_VALUES, I32), 0)
            # Memory is allocated by a dictionary's number of entries, none of which is empty.
            if count < 0 or (kind == _DICTIONARY and count > size):
                found = f"{count} entries in a page of {size} bytes, {chunk.where}"
                raise parquet_error(path, found, "no more than bytes")
            values += count if kind != _DICTIONARY else 0
        expanded += size
    if values != chunk.values:
        raise parquet_error(
            path, f"{values} values in {chunk.where}", f"{chunk.values}, as claimed"
        )
    return expanded
