"""A reader of the user's table of labels; rows without a usable label are counted by kind."""

import logging
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ztfrep.data.alert_schema import CLASSES
from ztfrep.errors import InputError, quote
from ztfrep.sources.packets.delimited import open_table
from ztfrep.sources.packets.identifiers import parse_candid, parse_object_id, strip_padding
from ztfrep.sources.packets.labels import (
    ROW_KINDS,
    Labels,
    list_classes,
    log_labels,
    make_labels,
    rows_by_candid,
    rows_by_object,
)

# Names of a column without case, blanks, `_` and `-`; the first that the table has is used.
_CANDID_COLUMNS = ("candid",)
_OBJECT_COLUMNS = ("objectid", "oid", "ztfid")
_MAX_ROWS, _MAX_BLANK_FIELDS = 20_000_000, 100
# A file whose rows do not fit their header is refused after this number of them.
_MAX_MALFORMED_ROWS = 200
# Distinct names of classes that are stored, and characters of each.
_MAX_CLASSES, _MAX_CLASS_CHARACTERS = 1000, 40
_LABEL_OF_CLASS = {name.lower(): label for label, name in enumerate(CLASSES)}
_NO_CLASS, _OTHER_CLASS = -1, -2
_UNUSABLE_KINDS = {
    "malformed": "that do not fit the header",
    "without_id": "with a class and neither candid nor object_id",
    "with_bad_id": "whose identifier cannot be read",
}


class _Columns(NamedTuple):
    """Indices of columns; -1 for a column that is not there."""

    candid: int
    object_id: int
    label: int


def read_labels(path: Path, column: str) -> Labels:
    """Read a CSV with the class in `column`, of the alert named by `candid`, or else of the object.

    The id of an object is in `object_id`, `objectId`, `oid` or `ZTFID`; a row with both identifiers
    is for its alert. The case of a class does not matter. A class outside CLASSES is no label; nor
    are two classes of one identifier. Logs the numbers of rows. Raises InputError for any other
    file, and for a table without a usable row.
    """
    reader = _LabelReader(path, column)
    reader.read()
    labels = reader.labels()
    log_labels(labels)
    return labels


class _LabelReader:
    """Reads a table of labels row by row."""

    def __init__(self, path: Path, column: str) -> None:
        self._path, self._column = path, column
        self._counts: Counter[str] = Counter()
        self._other_classes: Counter[str] = Counter()
        self._alerts, self._objects = rows_by_candid(), rows_by_object()
        # The first unusable row of each kind, for messages.
        self._examples: dict[str, str] = {}
        # Labels by the text of their field, for the fields that were read.
        self._label_of_text: dict[str, int] = {}
        self._comment_lines = 0

    def read(self) -> None:
        with open_table(
            self._path, self._find_columns, f"candid or object_id, and {self._column}"
        ) as table:
            columns, width = table.columns, len(table.names)
            last = max(columns)
            for line, fields in table.rows():
                # Separators at the end are no further fields, unless they are too many.
                if len(fields) != width and (
                    not last < len(fields) <= width + _MAX_BLANK_FIELDS
                    or any(map(str.strip, fields[width:]))
                ):
                    self._count_malformed(line, len(fields), width)
                    continue
                text = fields[columns.label]
                label = self._label_of_text.get(text)
                if label is None:
                    label = self._parse_class(text)
                if label >= 0:
                    self._add(columns, fields, label, line)
                elif label == _OTHER_CLASS:
                    self._count_other_class(text)
                else:
                    self._counts["without_class"] += 1
                if line > _MAX_ROWS:
                    raise self._error(f"more than {_MAX_ROWS} rows", "give fewer rows")
            self._comment_lines = table.comment_lines

    def _find_columns(self, names: list[str]) -> _Columns | None:
        candid = self._find_column(names, _CANDID_COLUMNS)
        object_id = self._find_column(names, _OBJECT_COLUMNS)
        label = self._find_column(names, (self._column,))
        if label < 0 or (candid < 0 and object_id < 0):
            return None
        return _Columns(candid, object_id, label)

    def _find_column(self, names: list[str], accepted: tuple[str, ...]) -> int:
        simplified = [_simplify(name) for name in names]
        for name in accepted:
            # An exact match has priority.
            matches = [n for n, column in enumerate(names) if column == name] or [
                n for n, column in enumerate(simplified) if column == _simplify(name)
            ]
            if len(matches) > 1:
                found = f"{len(matches)} columns named {quote(names[matches[0]])}"
                raise self._error(found, "rename all but one of them")
            if matches:
                return matches[0]
        return -1

    def _count_malformed(self, line: int, fields: int, width: int) -> None:
        self._counts["malformed"] += 1
        self._examples.setdefault(
            "malformed", f"line {line} has {fields} fields, its header {width}"
        )
        rows = sum(self._counts[kind] for kind in ROW_KINDS)
        if self._counts["malformed"] >= _MAX_MALFORMED_ROWS and self._is_mostly_malformed(rows):
            raise self._malformed_error(rows)

    def _is_mostly_malformed(self, rows: int) -> bool:
        return self._counts["malformed"] > rows / 2

    def _malformed_error(self, rows: int) -> InputError:
        return self._error(
            f"{self._counts['malformed']} of {rows} rows that do not fit the header: "
            f"{self._examples['malformed']}",
            "write a name for each column, and quotes around fields that hold the separator",
        )

    def _parse_class(self, text: str) -> int:
        name = strip_padding(text[: 4 * _MAX_CLASS_CHARACTERS])
        label = _LABEL_OF_CLASS.get(name.lower(), _OTHER_CLASS) if name else _NO_CLASS
        if len(self._label_of_text) < _MAX_CLASSES and len(text) <= 4 * _MAX_CLASS_CHARACTERS:
            self._label_of_text[text] = label
        return label

    def _count_other_class(self, text: str) -> None:
        self._counts["of_other_classes"] += 1
        if text in self._other_classes:
            self._other_classes[text] += 1
            return
        name = strip_padding(text[: 4 * _MAX_CLASS_CHARACTERS])
        name = quote(name, _MAX_CLASS_CHARACTERS)[1:-1]
        if name in self._other_classes or len(self._other_classes) < _MAX_CLASSES:
            self._other_classes[name] += 1

    def _add(self, columns: _Columns, fields: list[str], label: int, line: int) -> None:
        """Add a row with a class by its candid, or by its object's id if it has no candid."""
        text = fields[columns.candid] if columns.candid >= 0 else ""
        rows = self._alerts
        parse: Callable[[str], int | str] = parse_candid
        # Digits alone have no padding; this is fast.
        name = text if text.isdigit() else strip_padding(text)
        if not name and columns.object_id >= 0:
            text = fields[columns.object_id]
            rows, parse = self._objects, parse_object_id
            name = strip_padding(text)
        if not name:
            self._counts["without_id"] += 1
            self._examples.setdefault("without_id", f"line {line}")
            return
        try:
            key = parse(name)
        except ValueError as error:
            self._counts["with_bad_id"] += 1
            self._examples.setdefault(
                "with_bad_id", f"line {line}: {rows.name} {quote(text)}, {error}"
            )
            return
        rows.add(key, label, line)
        self._counts["labelled"] += 1
        if name is not text or (key is not name and not name.isdigit()):
            self._counts["normalised"] += str(key) != text.strip()

    def labels(self) -> Labels:
        """Return the labels; log the unusable rows, and raise InputError if none is usable."""
        counts = self._counts
        rows = sum(counts[kind] for kind in ROW_KINDS)
        if not rows:
            comments = f" ({self._comment_lines} comments)" if self._comment_lines else ""
            raise self._error(f"0 rows{comments}", "add a row for each alert or object")
        if self._is_mostly_malformed(rows):
            raise self._malformed_error(rows)
        with_class = counts["without_id"] + counts["with_bad_id"] + counts["labelled"]
        if not with_class:
            raise self._error(
                f"no row with one of the classes: {counts['without_class']} of {rows} rows have "
                f"none, and {counts['of_other_classes']} others "
                f"({list_classes(self._other_classes)})",
                "add a column with these names, and set sources.alerts.label_column to its name",
                expected=f"a class in column {self._column}: {', '.join(CLASSES)}",
            )
        unusable = [
            f"{counts[kind]} {description} ({self._examples[kind]})"
            for kind, description in _UNUSABLE_KINDS.items()
            if counts[kind]
        ]
        if not counts["labelled"]:
            raise self._error(
                f"no row with a class that names an alert or object: {'; '.join(unusable)}",
                "write candids as text with all their digits, or remove that column to label "
                "objects by object_id",
            )
        if unusable:
            logging.warning("%s: rows that are not used: %s", self._path, "; ".join(unusable))
        return make_labels(
            str(self._path),
            self._alerts,
            self._objects,
            counts,
            self._other_classes,
            self._comment_lines,
        )

    def _error(self, found: str, remedy: str, expected: str = "") -> InputError:
        expected = expected or f"rows of candid or object_id, and {self._column}"
        return InputError(self._path, found=found, expected=expected, remedy=remedy)


def _simplify(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).lower()
