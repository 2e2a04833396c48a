"""Parquet files of strangers: opened only if what they claim is in proportion to their bytes.

A footer or a page header may claim any number of rows or bytes, and a library makes room for them
first. Every claim is therefore compared with the size of the file before the library sees it.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from ztfrep.errors import InputError
from ztfrep.filetypes import HEAD_BYTES, describe, quote
from ztfrep.thrift import BINARY, I32, I64, LIST, STRUCT, Struct, read_struct

# Of one page, decompressed. Other writers' pages are of 1 MiB too, unless a row is larger.
LARGEST_PAGE = 32 << 20
# Pixels and features of the sky compress to a half; what expands so much more is no observation.
# The second is a second's work, in memory that is not as large.
MOST_EXPANSION, ALWAYS_ALLOWED = 256, 512 << 20
_MAGIC, _ENCRYPTED = b"PAR1", b"PARE"
_TAIL = 8
_LONGEST_TEXT = 1 << 20
# Memory for reading, per column.
_BUFFER = 1 << 16
# As much of a page header as is read; text of statistics may make it longer.
_HEADER, _LONGEST_HEADER = 128, 1 << 16
_REMEDY = "make the table again with dvc repro"


def refused(path: Path, found: str, expected: str, remedy: str = _REMEDY) -> InputError:
    """Return the error for a file that cannot be used."""
    return InputError(path, found=found, expected=expected, remedy=remedy)


@contextmanager
def refusing(path: Path, expected: str = "a Parquet file that can be read") -> Iterator[None]:
    """Turn whatever a reader of Parquet raises into InputError."""
    try:
        yield
    except InputError:
        raise
    except (pa.ArrowException, OSError, ValueError, LookupError, MemoryError, ArithmeticError,
            TypeError, RuntimeError, NotImplementedError) as error:  # fmt: skip
        found = f"{type(error).__name__} {quote(str(error), 80)} on reading it"
        raise refused(path, found, expected) from error


def find_footer(path: Path) -> range:
    """Return the bytes of a Parquet file that its footer takes; raises InputError if it has none.

    The bytes before it are data; behind it stand its length and the format's mark, 8 bytes.
    """
    expected = "a Parquet file"
    with refusing(path), path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        head = file.read(HEAD_BYTES)
        file.seek(max(size - _TAIL, 0))
        tail = file.read(_TAIL)
    if head.startswith(_ENCRYPTED) or (head.startswith(_MAGIC) and tail.endswith(_ENCRYPTED)):
        raise refused(path, "an encrypted Parquet file", "one without encryption")
    if not head.startswith(_MAGIC):
        raise refused(path, describe(head), expected)
    if not tail.endswith(_MAGIC) or size < len(_MAGIC) + _TAIL:
        raise refused(path, f"{size} bytes of a Parquet file without its end", expected)
    length = int.from_bytes(tail[:4], "little")
    end = size - _TAIL
    if not 0 < length <= end - len(_MAGIC):
        raise refused(path, f"a footer of {length} bytes in a file of {size}", expected)
    return range(end - length, end)


@contextmanager
def opening(path: Path, *, coded: tuple[str, ...] = ()) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file to stream it, after `check_layout`.

    Columns in `coded` are read as dictionary arrays. Raises InputError for a file that is none.
    """
    footer = find_footer(path)
    with refusing(path, "a Parquet file"):
        file = pq.ParquetFile(
            path,
            # It would read whole columns before they are asked for.
            pre_buffer=False,
            buffer_size=_BUFFER,
            page_checksum_verification=True,
            read_dictionary=list(coded),
            thrift_string_size_limit=_LONGEST_TEXT,
            # Room is made for as many entries as a list claims. Row groups of some 36 columns take
            # over 1,000 bytes each.
            thrift_container_size_limit=256 + len(footer) // 1000,
        )
    with file:
        yield file


class Layout(NamedTuple):
    """What a footer says, once its claims are in proportion to the file.

    `columns` are paths (the parts joined by dots); `rows` of every row group; `values` of every
    row group and column, as many as rows unless the column is one of lists.
    """

    columns: list[str]
    rows: list[int]
    values: list[list[int]]


def check_layout(path: Path) -> Layout:
    """Compare what the footer and the page headers claim with the bytes of the file.

    Nothing is decoded. Some 0.3 s for 200 row groups of 36 columns. Raises InputError.
    """
    footer = find_footer(path)
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(footer.start)
        data = file.read(len(footer))
        try:
            content, _ = read_struct(data, 0)
            layout, chunks = _parse_footer(content)
        except (IndexError, KeyError, ValueError, TypeError) as error:
            raise refused(path, "a damaged footer", "a Parquet file") from error
        claimed: Any = content.get((_ROWS, I64))
        rows = sum(layout.rows)
        if claimed != rows or min(layout.rows, default=0) < 0:
            raise refused(path, f"{claimed} rows, and {rows} in its row groups", "the same")
        if not rows:
            raise refused(path, "no rows", "an alert or more")
        if rows > size:
            raise refused(path, f"{rows} rows in {size} bytes", "a byte or more for every row")
        expanded = 0
        for group, chunk in enumerate(chunks):
            for column, (name, start, length) in enumerate(
                zip(layout.columns, chunk.starts, chunk.lengths, strict=True)
            ):
                where = f"column {quote(name)} of row group {group}"
                if length <= 0 or start < len(_MAGIC) or start + length > footer.start:
                    found = f"{where} at bytes {start} to {start + length}"
                    raise refused(path, found, f"bytes {len(_MAGIC)} to {footer.start}")
                found_values, more = _check_pages(
                    path, file.fileno(), range(start, start + length), where
                )
                if found_values != layout.values[group][column]:
                    found = f"{found_values} values in {where}"
                    raise refused(
                        path, found, f"{layout.values[group][column]}, as its footer says"
                    )
                expanded += more
    check_expansion(path, size, expanded)
    return layout


def check_expansion(path: Path, size: int, expanded: int) -> None:
    """Raise InputError if a file of `size` bytes expands out of all proportion."""
    if expanded > max(MOST_EXPANSION * size, ALWAYS_ALLOWED):
        found = f"{size} bytes that expand to {expanded}"
        raise refused(path, found, f"at most {MOST_EXPANSION} times as many")


class _Chunks(NamedTuple):
    """Where the columns of a row group start, and how long they are, in bytes."""

    starts: list[int]
    lengths: list[int]


# Numbers of the fields in Parquet's definition. Of a footer:
_SCHEMA, _ROWS, _GROUPS = 2, 3, 4
# Of a schema's element, of a row group, of a column of it:
_CHILDREN = 5
_COLUMNS = 1
_FILE, _META, _CRYPTO, _SECRET = 1, 3, 8, 9
_PATH, _VALUES, _LENGTH, _DATA_PAGE, _DICTIONARY_PAGE = 3, 5, 7, 9, 11
# Of a page header, and of that of each kind of page:
_EXPANDED, _COMPRESSED, _DATA, _DICTIONARY, _DATA_V2 = 2, 3, 5, 7, 8
_PAGE_VALUES = 1


def _parse_footer(content: Struct) -> tuple[Layout, list[_Chunks]]:
    """Raises KeyError, TypeError or ValueError for a footer that is none."""
    schema: Any = content[_SCHEMA, LIST]
    # They are read in a recursion.
    if len(schema) > _MOST_ELEMENTS:
        raise ValueError(f"{len(schema)} columns")
    leaves = sum(not element.get((_CHILDREN, I32)) for element in schema)
    layout = Layout([], [], [])
    chunks = []
    groups: Any = content[_GROUPS, LIST]
    for group in groups:
        columns = group[_COLUMNS, LIST]
        if len(columns) != leaves:
            raise ValueError(f"{len(columns)} columns of {leaves}")
        if any(column.keys() & _ELSEWHERE for column in columns):
            raise ValueError("columns that are encrypted or in another file")
        metas = [column[_META, STRUCT] for column in columns]
        names = [b".".join(meta[_PATH, LIST]).decode() for meta in metas]
        if layout.columns and names != layout.columns:
            raise ValueError("other columns in another row group")
        layout = layout._replace(columns=names)
        layout.rows.append(group[_ROWS, I64])
        layout.values.append([meta[_VALUES, I64] for meta in metas])
        chunks.append(_Chunks([_start(meta) for meta in metas], [m[_LENGTH, I64] for m in metas]))
    return layout, chunks


_MOST_ELEMENTS = 256
_ELSEWHERE = {(_FILE, BINARY), (_CRYPTO, STRUCT), (_SECRET, BINARY)}


def _start(meta: Struct) -> int:
    data: Any = meta[_DATA_PAGE, I64]
    dictionary: Any = meta.get((_DICTIONARY_PAGE, I64), 0)
    return int(dictionary if 0 < dictionary < data else data)


def _check_pages(path: Path, file: int, pages: range, where: str) -> tuple[int, int]:
    """Return the values in a column's pages, and their bytes once they are decompressed."""
    at, values, expanded = pages.start, 0, 0
    while at < pages.stop:
        for most in (_HEADER, _LONGEST_HEADER):
            try:
                header, length = read_struct(os.pread(file, min(most, pages.stop - at), at), 0)
                size: Any = header[_EXPANDED, I32]
                compressed: Any = header[_COMPRESSED, I32]
                break
            except IndexError:
                continue
            except (ValueError, KeyError):
                raise refused(path, f"no page header at byte {at}, {where}", "one") from None
        else:
            raise refused(path, f"no page header at byte {at}, {where}", "one")
        if not 0 <= size <= LARGEST_PAGE:
            found = f"a page of {size} bytes in {where}"
            raise refused(path, found, f"at most {LARGEST_PAGE} bytes a page")
        at += length + compressed
        if compressed < 0 or at > pages.stop:
            found = f"a page of {compressed} bytes, compressed, beyond the end of {where}"
            raise refused(path, found, "pages within their column")
        for kind in (_DATA, _DICTIONARY, _DATA_V2):
            content: Any = header.get((kind, STRUCT), {})
            count = content.get((_PAGE_VALUES, I32), 0)
            # Room is made for a dictionary by its number of entries, none of which is empty.
            if count < 0 or (kind == _DICTIONARY and count > size):
                found = f"{count} entries in a page of {size} bytes, {where}"
                raise refused(path, found, "fewer than bytes")
            values += count if kind != _DICTIONARY else 0
        expanded += size
    return values, expanded
