"""A reader of the user's table of labels; rows without a usable label are counted by kind."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from ztfrep.data.alert_schema import CLASSES
from ztfrep.data.class_map import ClassMap, read_class_map
from ztfrep.errors import InputError, quote
from ztfrep.sources.packets.delimited import open_table
from ztfrep.sources.packets.identifiers import parse_candid, parse_object_id, strip_padding
from ztfrep.sources.packets.label_classes import EXCLUDED, MAPPED, OTHER, LabelClasses
from ztfrep.sources.packets.label_columns import LabelColumns, describe_columns, find_columns
from ztfrep.sources.packets.labels import (
    ROW_KINDS,
    Labels,
    list_classes,
    log_labels,
    make_labels,
    rows_by_candid,
    rows_by_object,
)
from ztfrep.sources.packets.parquet_labels import LabelRow, is_parquet, read_parquet_rows

_MAX_ROWS, _MAX_BLANK_FIELDS = 20_000_000, 100
# A file whose rows do not fit their header is refused after this number of them.
_MAX_MALFORMED_ROWS = 200
_UNUSABLE_KINDS = {
    "malformed": "that do not fit the header",
    "without_id": "with a class and neither candid nor object_id",
    "with_bad_id": "whose identifier cannot be read",
}
_WITH_ALL_DIGITS = (
    "write candids as text with all their digits, or remove that column to label objects by "
    "object_id"
)


def read_labels(path: Path, column: str, class_map: ClassMap | None = None) -> Labels:
    """Read a CSV or Parquet table with the class in `column`, of alerts by `candid` or of objects.

    The id of an object is in `object_id`, `objectId`, `oid` or `ZTFID`; a row with both identifiers
    is for its alert. The case of a class does not matter. A class outside CLASSES is mapped onto
    one of them by `class_map`, by default the shipped one, or is no label; nor are two classes of
    one identifier. Logs the numbers of rows. Raises InputError for any other file, and for a table
    without a usable row.
    """
    reader = _LabelReader(path, column, class_map or read_class_map())
    reader.read()
    labels = reader.labels()
    log_labels(labels)
    return labels


class _LabelReader:
    """Reads a table of labels row by row."""

    def __init__(self, path: Path, column: str, class_map: ClassMap) -> None:
        self._path, self._column = path, column
        self._counts: Counter[str] = Counter()
        self._classes = LabelClasses(class_map)
        self._alerts, self._objects = rows_by_candid(), rows_by_object()
        # The first unusable row of each kind, for messages.
        self._examples: dict[str, str] = {}
        self._comment_lines = 0
        # The rows of a text are named by their line.
        self._unit = "row" if is_parquet(path) else "line"

    def read(self) -> None:
        count = self._classes.count
        for number, candid, object_id, text in self._rows():
            row_class = count(text)
            if row_class.label >= 0:
                self._counts[MAPPED] += row_class.kind == MAPPED
                self._add(candid, object_id, row_class.label, number)
            else:
                self._counts[row_class.kind] += 1
            if number > _MAX_ROWS:
                raise self._error(f"more than {_MAX_ROWS} rows", "give fewer rows")

    def _rows(self) -> Iterator[LabelRow]:
        if self._unit == "row":
            return read_parquet_rows(
                self._path,
                self._find_columns,
                describe_columns(self._column),
                _WITH_ALL_DIGITS,
            )
        return self._read_text()

    def _find_columns(self, names: list[str]) -> LabelColumns | None:
        return find_columns(self._path, names, self._column)

    def _read_text(self) -> Iterator[LabelRow]:
        with open_table(self._path, self._find_columns, describe_columns(self._column)) as table:
            (candid, object_id, label), width = table.columns, len(table.names)
            last = max(table.columns)
            for line, fields in table.rows():
                # Separators at the end are no further fields, unless they are too many.
                if len(fields) != width and (
                    not last < len(fields) <= width + _MAX_BLANK_FIELDS
                    or any(map(str.strip, fields[width:]))
                ):
                    self._count_malformed(line, len(fields), width)
                    continue
                yield (
                    line,
                    fields[candid] if candid >= 0 else "",
                    fields[object_id] if object_id >= 0 else "",
                    fields[label],
                )
            self._comment_lines = table.comment_lines

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

    def _add(self, candid: str, object_id: str, label: int, number: int) -> None:
        """Add a row with a class by its candid, or by its object's id if it has no candid."""
        text = candid
        rows = self._alerts
        parse: Callable[[str], int | str] = parse_candid
        # Digits alone have no padding; this is fast.
        name = text if text.isdigit() else strip_padding(text)
        if not name:
            text = object_id
            rows, parse = self._objects, parse_object_id
            name = strip_padding(text)
        if not name:
            self._counts["without_id"] += 1
            self._examples.setdefault("without_id", f"{self._unit} {number}")
            return
        try:
            key = parse(name)
        except ValueError as error:
            self._counts["with_bad_id"] += 1
            self._examples.setdefault(
                "with_bad_id", f"{self._unit} {number}: {rows.name} {quote(text)}, {error}"
            )
            return
        rows.add(key, label, number)
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
            raise self._no_class_error(rows)
        unusable = [
            f"{counts[kind]} {description} ({self._examples[kind]})"
            for kind, description in _UNUSABLE_KINDS.items()
            if counts[kind]
        ]
        if not counts["labelled"]:
            raise self._error(
                f"no row with a class that names an alert or object: {'; '.join(unusable)}",
                _WITH_ALL_DIGITS,
            )
        if unusable:
            logging.warning("%s: rows that are not used: %s", self._path, "; ".join(unusable))
        return make_labels(
            str(self._path),
            self._alerts,
            self._objects,
            counts,
            self._classes,
            comment_lines=self._comment_lines,
            unit=self._unit,
        )

    def _no_class_error(self, rows: int) -> InputError:
        counts, names = self._counts, self._classes.names
        found = (
            f"no row with one of the classes: {counts['without_class']} of {rows} rows have none, "
            f"and {counts[OTHER]} others ({list_classes(names[OTHER])})"
        )
        if counts[EXCLUDED]:
            found += f", and {counts[EXCLUDED]} mapped to none ({list_classes(names[EXCLUDED])})"
        return self._error(
            found,
            "set sources.alerts.label_column to a column with these names, or map it: "
            "sources.alerts.class_map",
            expected=f"a class in column {self._column}: {', '.join(CLASSES)}",
        )

    def _error(self, found: str, remedy: str, expected: str = "") -> InputError:
        expected = expected or f"rows of {describe_columns(self._column)}"
        return InputError(self._path, found=found, expected=expected, remedy=remedy)
