"""Parquet files of strangers: opened only if what they claim is in proportion to their bytes.

A footer or a page header may claim any number of rows or bytes, and a library makes room for them
first. Every claim is therefore compared with the size of the file before anything is decoded.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from ztfrep.errors import InputError
from ztfrep.filetypes import HEAD_BYTES, describe, quote

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
    """Open a Parquet file to stream it; its footer may claim no more than its bytes can hold.

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


def check_layout(path: Path, file: pq.ParquetFile, list_column: str, list_size: int) -> None:
    """Check what the footer and the page headers claim against the bytes of the file.

    `list_column` is the one column of lists, of `list_size` values each. Raises InputError.
    """
    meta = file.metadata
    size = path.stat().st_size
    data = range(len(_MAGIC), find_footer(path).start)
    groups = [meta.row_group(group) for group in range(meta.num_row_groups)]
    rows = sum(group.num_rows for group in groups)
    if meta.num_rows != rows or any(group.num_rows < 0 for group in groups):
        raise refused(path, f"{meta.num_rows} rows, and {rows} in its row groups", "the same")
    if not rows:
        raise refused(path, "no rows", "an alert or more")
    if rows > size:
        raise refused(path, f"{rows} rows in {size} bytes", "a byte or more for every row")
    expanded = 0
    with path.open("rb") as raw:
        for number, group in enumerate(groups):
            for place in range(group.num_columns):
                column = group.column(place)
                name = column.path_in_schema
                most = group.num_rows * (list_size if name.startswith(f"{list_column}.") else 1)
                where = f"column {quote(name)} of row group {number}"
                if not group.num_rows <= column.num_values <= most:
                    found = f"{column.num_values} values in {where} of {group.num_rows} rows"
                    raise refused(path, found, f"{group.num_rows} to {most} values")
                start = column.data_page_offset
                if column.has_dictionary_page and 0 < (column.dictionary_page_offset or 0) < start:
                    start = column.dictionary_page_offset
                pages = range(start, start + column.total_compressed_size)
                if not pages or pages[0] not in data or pages[-1] not in data:
                    found = f"{where} at bytes {pages.start} to {pages.stop}"
                    raise refused(path, found, f"bytes {data.start} to {data.stop}")
                expanded += _check_pages(path, raw.fileno(), pages, where)
    check_expansion(path, size, expanded)


def check_expansion(path: Path, size: int, expanded: int) -> None:
    """Raise InputError if a file of `size` bytes expands out of all proportion."""
    if expanded > max(MOST_EXPANSION * size, ALWAYS_ALLOWED):
        found = f"{size} bytes that expand to {expanded}"
        raise refused(path, found, f"at most {MOST_EXPANSION} times as many")


def _check_pages(path: Path, file: int, pages: range, where: str) -> int:
    """Return the bytes of a column's pages once they are decompressed."""
    at = pages.start
    expanded = 0
    while at < pages.stop:
        try:
            page = _read_header(os.pread(file, min(_HEADER, pages.stop - at), at))
        except IndexError:
            try:
                page = _read_header(os.pread(file, min(_LONGEST_HEADER, pages.stop - at), at))
            except (IndexError, ValueError):
                raise refused(path, f"no page header at byte {at}, {where}", "one") from None
        except ValueError:
            raise refused(path, f"no page header at byte {at}, {where}", "one") from None
        if not 0 <= page.expanded <= LARGEST_PAGE:
            found = f"a page of {page.expanded} bytes in {where}"
            raise refused(path, found, f"at most {LARGEST_PAGE} bytes a page")
        at += page.header + page.compressed
        if page.compressed < 0 or at > pages.stop:
            found = f"a page of {page.compressed} bytes, compressed, beyond the end of {where}"
            raise refused(path, found, "pages within their column")
        expanded += page.expanded
    return expanded


class _Page(NamedTuple):
    """Bytes of a page: of its header, of what follows it, and of that decompressed."""

    header: int
    compressed: int
    expanded: int


# Thrift's compact protocol, as far as a page header needs it: no maps, no lists.
_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _STRUCT = 1, 2, 3, 4, 5, 6, 7, 8, 12
_EXPANDED_FIELD, _COMPRESSED_FIELD = 2, 3
_DEEPEST = 4


def _read_header(data: bytes) -> _Page:
    """Parse a page header; raises IndexError if the bytes end before it, ValueError if it is none.

    pyarrow reads headers, and shows none of them.
    """
    sizes: dict[int, int] = {}
    field, at = 0, 0
    while data[at]:
        kind, field, at = _read_field(data, at, field)
        if field in (_EXPANDED_FIELD, _COMPRESSED_FIELD):
            if kind != _I32 or field in sizes:
                raise ValueError("the sizes are no integers")
            value, at = _read_varint(data, at)
            sizes[field] = (value >> 1) ^ -(value & 1)
        else:
            at = _skip(data, at, kind, _DEEPEST)
    if len(sizes) != 2:
        raise ValueError("no sizes")
    return _Page(at + 1, sizes[_COMPRESSED_FIELD], sizes[_EXPANDED_FIELD])


def _read_field(data: bytes, at: int, before: int) -> tuple[int, int, int]:
    """Return the type and the number of the next field, and where its value starts."""
    kind, step = data[at] & 15, data[at] >> 4
    if step:
        return kind, before + step, at + 1
    value, at = _read_varint(data, at + 1)
    return kind, (value >> 1) ^ -(value & 1), at


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while data[at] & 128:
        value |= (data[at] & 127) << shift
        shift += 7
        at += 1
        if shift > 63:
            raise ValueError("an integer of more than 64 bits")
    return value | data[at] << shift, at + 1


def _skip(data: bytes, at: int, kind: int, depth: int) -> int:
    """Return where a value ends."""
    if kind in (_TRUE, _FALSE):
        return at
    if kind == _BYTE:
        return at + 1
    if kind in (_I16, _I32, _I64):
        return _read_varint(data, at)[1]
    if kind == _DOUBLE:
        return at + 8
    if kind == _BINARY:
        length, at = _read_varint(data, at)
        return at + length
    if kind != _STRUCT or not depth:
        raise ValueError(f"a field of type {kind}")
    field = 0
    while data[at]:
        kind, field, at = _read_field(data, at, field)
        at = _skip(data, at, kind, depth - 1)
    return at + 1
