"""Untrusted Parquet files: their footer, and streams of their content.

The sizes that a file claims are compared with its bytes first: see `parquet_layout`.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ztfrep.data.filetypes import HEAD_BYTES, describe
from ztfrep.errors import InputError, quote

MAGIC, ENCRYPTED = b"PAR1", b"PARE"
_TAIL_BYTES = 8
_MAX_TEXT_BYTES = 1 << 20
# Memory for reading, per column.
_BUFFER_BYTES = 1 << 16
# Of a file of up to 4 MiB; the footer of a larger one has at most a quarter of its bytes. A footer
# is parsed at 1 MB/s.
_MAX_FOOTER_BYTES = 1 << 20
_REMEDY = "make the table again with dvc repro"


def parquet_error(path: Path, found: str, expected: str, remedy: str = _REMEDY) -> InputError:
    """Return the error for a file that cannot be used."""
    return InputError(path, found=found, expected=expected, remedy=remedy)


@contextmanager
def as_input_errors(
    path: Path, expected: str = "a Parquet file that can be read"
) -> Iterator[None]:
    """Convert the exceptions of a reader of Parquet to InputError."""
    try:
        yield
    except InputError:
        raise
    except (pa.ArrowException, OSError, ValueError, LookupError, MemoryError, ArithmeticError,
            TypeError, RuntimeError, NotImplementedError) as error:  # fmt: skip
        found = f"{type(error).__name__} {quote(str(error), 80)} on reading it"
        raise parquet_error(path, found, expected) from error


def find_footer(path: Path) -> range:
    """Return the range of bytes of a Parquet file's footer; raises InputError if it has none.

    The bytes before it are data; the 8 bytes after it are its length and the format's mark.
    """
    expected = "a Parquet file"
    with as_input_errors(path), path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        head = file.read(HEAD_BYTES)
        file.seek(max(size - _TAIL_BYTES, 0))
        tail = file.read(_TAIL_BYTES)
    if head.startswith(ENCRYPTED) or (head.startswith(MAGIC) and tail.endswith(ENCRYPTED)):
        raise parquet_error(path, "an encrypted Parquet file", "one without encryption")
    if not head.startswith(MAGIC):
        raise parquet_error(path, describe(head), expected)
    if not tail.endswith(MAGIC) or size < len(MAGIC) + _TAIL_BYTES:
        raise parquet_error(path, f"{size} bytes of a Parquet file without its end", expected)
    length = int.from_bytes(tail[:4], "little")
    end = size - _TAIL_BYTES
    maximum = min(end - len(MAGIC), max(_MAX_FOOTER_BYTES, size // 4))
    if not 0 < length <= maximum:
        raise parquet_error(path, f"a footer of {length} bytes in a file of {size}", expected)
    return range(end - length, end)


@contextmanager
def open_parquet(path: Path, *, dictionaries: tuple[str, ...] = ()) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file to stream it, after `parquet_layout.check_layout`.

    Columns in `dictionaries` are read as dictionary arrays. Raises InputError for a file that is
    not Parquet.
    """
    footer = find_footer(path)
    with as_input_errors(path, "a Parquet file"):
        file = pq.ParquetFile(
            path,
            # True would read whole columns in advance.
            pre_buffer=False,
            buffer_size=_BUFFER_BYTES,
            page_checksum_verification=True,
            read_dictionary=list(dictionaries),
            thrift_string_size_limit=_MAX_TEXT_BYTES,
            # Memory is allocated for as many entries as a list claims. A row group of some 36
            # columns takes over 1,000 bytes.
            thrift_container_size_limit=256 + len(footer) // 1000,
        )
    with file:
        yield file


def iterate_batches(
    path: Path,
    file: pq.ParquetFile,
    columns: Sequence[str],
    rows: int,
    groups: list[int] | None = None,
) -> Iterator[pa.RecordBatch]:
    """Iterate over batches of at most `rows` rows of an open file, or of its row groups `groups`.

    Raises InputError if they cannot be read.
    """
    with as_input_errors(path):
        batches = file.iter_batches(rows, row_groups=groups, columns=list(columns))
    while True:
        # Not around the yield: an error of the caller is not one of the file.
        with as_input_errors(path):
            batch = next(batches, None)
        if batch is None:
            return
        yield batch
