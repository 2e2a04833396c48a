"""Tables as text with one row per line, such as CSV: any separator, encoding and line end."""

import csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TextIO, TypeVar

from ztfrep.data.filetypes import HEAD_BYTES, describe
from ztfrep.errors import InputError, quote

# Limits that a file cannot raise. A row of hundreds of columns has a few thousand characters.
MAX_BYTES = 512 << 20
MAX_LINE_CHARACTERS = 1 << 16
MAX_COLUMNS = 5000
_MAX_LINES_BEFORE_HEADER = 1000
_SEPARATORS = (",", "\t", ";", "|", " ")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
# A row that is added after the last one. If it is not read as such, a quote is never closed.
_END_ROW = "\0end"
Columns = TypeVar("Columns")


@dataclass
class DelimitedTable(Generic[Columns]):
    """A table whose header has been read.

    `names` are those of its columns, without blanks around them; `columns` is the value that
    `find_columns` returned for them.
    """

    path: Path
    names: list[str]
    columns: Columns
    comment_lines: int
    _lines: Iterator[str]
    _separator: str
    _first_line: int

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the line number, from 1, on which each row begins, and its fields.

        Blank lines and comments, which begin with `#`, are skipped; comments are counted. Raises
        InputError for a line or a field that is too long, and for a quote that is never closed.
        """
        lines = _LinesWithEnd(self._lines)
        reader = csv.reader(lines, delimiter=self._separator, skipinitialspace=True)
        line = self._first_line
        try:
            for fields in reader:
                start, line = line, self._first_line + reader.line_num
                if lines.ended and _END_ROW in fields[-1]:
                    if fields != [_END_ROW]:
                        raise self._open_quote_error(start)
                    return
                if not fields:
                    continue
                if fields[0][:1] == "#":
                    self.comment_lines += 1
                    continue
                yield start, fields
        except csv.Error as error:
            raise self._open_quote_error(line) from error
        except _LongLineError as error:
            raise _long_line_error(self.path, self._first_line + reader.line_num) from error

    def _open_quote_error(self, line: int) -> InputError:
        return InputError(
            self.path,
            found=f"a quote in the row of line {line} that is never closed",
            expected=f"fields of at most {csv.field_size_limit()} characters",
            remedy="close it, or remove it",
        )


class _LongLineError(Exception):
    pass


class _LinesWithEnd:
    """Lines, and after the last of them the end row."""

    def __init__(self, lines: Iterator[str]) -> None:
        self.ended = False
        self._lines = lines

    def __iter__(self) -> Iterator[str]:
        yield from self._lines
        self.ended = True
        yield _END_ROW


@contextmanager
def open_table(
    path: Path, find_columns: Callable[[list[str]], Columns | None], expected: str
) -> Iterator[DelimitedTable[Columns]]:
    """Open a table of text; its separator is the first with which `find_columns` succeeds.

    `find_columns` takes the names in a header and returns None if a needed column is missing;
    `expected` lists the needed columns for a message. Lines before the header may be blank or begin
    with `#`, as the header itself may. Text is UTF-8, or UTF-16 with a byte order mark; bytes that
    are not valid become U+FFFD. Raises InputError for any other file.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as binary:
            head = binary.read(HEAD_BYTES)
    except OSError as error:
        remedy = "give a table with a header line"
        raise InputError(path, found=str(error), expected="a table", remedy=remedy) from error
    if size > MAX_BYTES:
        raise InputError(
            path,
            found=f"{size} bytes",
            expected=f"at most {MAX_BYTES}",
            remedy="remove the columns and rows that are not needed",
        )
    utf16 = head[:2] in _UTF16
    if not head.strip() or (b"\0" in head and not utf16):
        raise _header_error(path, describe(head), expected)
    encoding = "utf-16" if utf16 else "utf-8-sig"
    # Line ends are not converted: they may be within quotes.
    with path.open(encoding=encoding, errors="replace", newline="") as file:
        lines = _read_lines(file)
        try:
            table = _read_header(path, lines, find_columns, head, expected)
        except _LongLineError as error:
            raise _long_line_error(path, 1) from error
        yield table


def _read_header(
    path: Path,
    lines: Iterator[str],
    find_columns: Callable[[list[str]], Columns | None],
    head: bytes,
    expected: str,
) -> DelimitedTable[Columns]:
    comments = 0
    names: list[str] = []
    for number, line in zip(range(1, _MAX_LINES_BEFORE_HEADER + 1), lines, strict=False):
        text = line.strip()
        commented = text.startswith("#")
        for separator in _SEPARATORS:
            fields = _split_header(text.lstrip("#"), separator)
            columns = find_columns(fields) if len(fields) <= MAX_COLUMNS else None
            if columns is not None:
                return DelimitedTable(path, fields, columns, comments, lines, separator, number + 1)
            if not commented and len(fields) > len(names):
                names = fields
        comments += commented
        # Excel's first line may name the separator.
        if text and not commented and not text.lower().startswith("sep="):
            break
    kind = describe(head)
    if not names or not kind.startswith(("text", "a file")):
        raise _header_error(path, kind, expected)
    raise _header_error(path, f"columns {quote(', '.join(names), 80)[1:-1]}", expected)


def _split_header(text: str, separator: str) -> list[str]:
    try:
        fields = next(csv.reader([text], delimiter=separator, skipinitialspace=True), [])
    except csv.Error:
        return []
    names = [field.strip().strip("'\"").strip() for field in fields]
    # A header may end in separators.
    while names and not names[-1]:
        names.pop()
    return names


def _read_lines(file: TextIO) -> Iterator[str]:
    while line := file.readline(MAX_LINE_CHARACTERS + 1):
        if len(line) > MAX_LINE_CHARACTERS:
            raise _LongLineError
        yield line


def _header_error(path: Path, found: str, expected: str) -> InputError:
    remedy = "give it as text"
    if found.startswith("columns"):
        remedy = "rename its columns, or set sources.alerts.label_column"
    header = f"a CSV table with a header line of {expected}"
    return InputError(path, found=found, expected=header, remedy=remedy)


def _long_line_error(path: Path, number: int) -> InputError:
    return InputError(
        path,
        found=f"a line, number {number} or later, of more than {MAX_LINE_CHARACTERS} characters",
        expected="a row a line",
        remedy="give a CSV table with a header line",
    )
