"""Tables as text, one row a line: CSV and its kin, of whatever separator, encoding and line end."""

import csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TextIO, TypeVar

from ztfrep.data.filetypes import HEAD_BYTES, describe, quote
from ztfrep.errors import InputError

# Limits that a file cannot raise. A row of hundreds of columns has a few thousand characters.
MOST_BYTES = 512 << 20
MOST_LINE = 1 << 16
MOST_COLUMNS = 5000
_MOST_LINES_BEFORE_HEADER = 1000
_SEPARATORS = (",", "\t", ";", "|", " ")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
# A row of ours after the last, which only a quoted field that is never closed can swallow.
_END = "\0end"
Chosen = TypeVar("Chosen")


@dataclass
class DelimitedTable(Generic[Chosen]):
    """A table whose header has been read.

    `names` are those of its columns, without blanks around; `chosen` is what was made of them.
    """

    path: Path
    names: list[str]
    chosen: Chosen
    comment_lines: int
    _lines: Iterator[str]
    _separator: str
    _first_line: int

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the line number, from 1, on which each row begins, and its fields.

        Blank lines and those that begin with `#` are left out, the latter counted. Raises
        InputError for a line or a field that is too long, and for a quote that is never closed.
        """
        lines = _Ended(self._lines)
        reader = csv.reader(lines, delimiter=self._separator, skipinitialspace=True)
        line = self._first_line
        try:
            for fields in reader:
                start, line = line, self._first_line + reader.line_num
                if lines.ended and _END in fields[-1]:
                    if fields != [_END]:
                        raise self._refused_quote(start)
                    return
                if not fields:
                    continue
                if fields[0][:1] == "#":
                    self.comment_lines += 1
                    continue
                yield start, fields
        except csv.Error as error:
            raise self._refused_quote(line) from error
        except _LongLineError as error:
            raise _refused_line(self.path, self._first_line + reader.line_num) from error

    def _refused_quote(self, line: int) -> InputError:
        return InputError(
            self.path,
            found=f"a quote in the row of line {line} that is never closed",
            expected=f"fields of at most {csv.field_size_limit()} characters",
            remedy="close it, or remove it",
        )


class _LongLineError(Exception):
    pass


class _Ended:
    """Lines, and after the last of them our own."""

    def __init__(self, lines: Iterator[str]) -> None:
        self.ended = False
        self._lines = lines

    def __iter__(self) -> Iterator[str]:
        yield from self._lines
        self.ended = True
        yield _END


@contextmanager
def open_table(
    path: Path, choose: Callable[[list[str]], Chosen | None], expected: str
) -> Iterator[DelimitedTable[Chosen]]:
    """Open a table of text; its separator is the one by which `choose` finds its columns.

    `choose` takes the names in a header and returns None if they do not have what is needed, which
    `expected` says for a message. Lines before the header may be blank or begin with `#`, as the
    header itself may. Text is UTF-8, or UTF-16 with a byte order mark; what is not valid becomes
    U+FFFD. Raises InputError for what is no such table.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as binary:
            head = binary.read(HEAD_BYTES)
    except OSError as error:
        remedy = "give a table with a header line"
        raise InputError(path, found=str(error), expected="a table", remedy=remedy) from error
    if size > MOST_BYTES:
        raise InputError(
            path,
            found=f"{size} bytes",
            expected=f"at most {MOST_BYTES}",
            remedy="leave out the columns and rows that are not needed",
        )
    utf16 = head[:2] in _UTF16
    if not head.strip() or (b"\0" in head and not utf16):
        raise _refused(path, describe(head), expected)
    encoding = "utf-16" if utf16 else "utf-8-sig"
    # Line ends are kept, so that those within quotes stay as they are.
    with path.open(encoding=encoding, errors="replace", newline="") as file:
        lines = _lines_of(file)
        try:
            table = _read_header(path, lines, choose, head, expected)
        except _LongLineError as error:
            raise _refused_line(path, 1) from error
        yield table


def _read_header(
    path: Path,
    lines: Iterator[str],
    choose: Callable[[list[str]], Chosen | None],
    head: bytes,
    expected: str,
) -> DelimitedTable[Chosen]:
    comments = 0
    names: list[str] = []
    for number, line in zip(range(1, _MOST_LINES_BEFORE_HEADER + 1), lines, strict=False):
        text = line.strip()
        commented = text.startswith("#")
        for separator in _SEPARATORS:
            found = _names(text.lstrip("#"), separator)
            chosen = choose(found) if len(found) <= MOST_COLUMNS else None
            if chosen is not None:
                return DelimitedTable(path, found, chosen, comments, lines, separator, number + 1)
            if not commented and len(found) > len(names):
                names = found
        comments += commented
        # Excel's first line may name the separator.
        if text and not commented and not text.lower().startswith("sep="):
            break
    kind = describe(head)
    if not names or not kind.startswith(("text", "a file")):
        raise _refused(path, kind, expected)
    raise _refused(path, f"columns {quote(', '.join(names), 80)[1:-1]}", expected)


def _names(text: str, separator: str) -> list[str]:
    try:
        fields = next(csv.reader([text], delimiter=separator, skipinitialspace=True), [])
    except csv.Error:
        return []
    names = [field.strip().strip("'\"").strip() for field in fields]
    # Of a header that ends in separators.
    while names and not names[-1]:
        names.pop()
    return names


def _lines_of(file: TextIO) -> Iterator[str]:
    while line := file.readline(MOST_LINE + 1):
        if len(line) > MOST_LINE:
            raise _LongLineError
        yield line


def _refused(path: Path, found: str, expected: str) -> InputError:
    remedy = "give it as text"
    if found.startswith("columns"):
        remedy = "rename its columns, or set sources.alerts.label_column"
    header = f"a CSV table with a header line of {expected}"
    return InputError(path, found=found, expected=header, remedy=remedy)


def _refused_line(path: Path, number: int) -> InputError:
    return InputError(
        path,
        found=f"a line, number {number} or later, of more than {MOST_LINE} characters",
        expected="a row a line",
        remedy="give a CSV table with a header line",
    )
