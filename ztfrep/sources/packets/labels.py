"""Labels of alerts or objects, from a table of the user's: every row is a label, or is counted."""

import logging
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from ztfrep.data.alert_schema import CLASSES, UNLABELLED
from ztfrep.data.filetypes import quote
from ztfrep.errors import InputError
from ztfrep.sources.packets.delimited import open_table
from ztfrep.sources.packets.identifiers import bare, parse_candid, parse_object_id
from ztfrep.sources.packets.keyed_rows import KeyedRows

# What becomes of a row with a class; `labelled` is the one that is of use.
ROWS = ("malformed", "without_class", "of_other_classes", "without_id", "with_bad_id", "labelled")
# Names of a column without case, blanks, `_` and `-`, the first that is there.
_CANDID = ("candid",)
_OBJECT = ("objectid", "oid", "ztfid")
_MOST_ROWS, _MOST_BLANK = 20_000_000, 100
# A file of rows that do not fit their header is given up after so many.
_ENOUGH_MALFORMED = 200
_MOST_NAMES, _SHOWN_NAMES = 1000, 20
# Characters of a class' name, and of one that a message lists beside others.
_MOST_NAME, _MOST_SHOWN = 40, 15
_BY_NAME = {name.lower(): label for label, name in enumerate(CLASSES)}
_NO_CLASS, _OTHER_CLASS = -1, -2


@dataclass(frozen=True)
class Labels:
    """Labels of alerts by candid, and of objects by their id, each once.

    `alerts` has the columns `candid` (int64), `label` (int8, a place in CLASSES; -1 if rows
    contradict each other), `rows` (int64, how many name it) and `line` (int64, of the first);
    `objects` the same by `object_id` (text). `counts` are the table's rows by ROWS, whole and by
    what was done to them, and `other_classes` those of a class outside CLASSES by its name.
    """

    source: str
    alerts: pa.Table
    objects: pa.Table
    counts: dict[str, int]
    other_classes: dict[str, int]


class _Columns(NamedTuple):
    """Places of columns; -1 for one that is not there."""

    candid: int
    object_id: int
    label: int


def no_labels() -> Labels:
    """Return the labels of a source without any."""
    return _labels("", _by_candid(), _by_object(), Counter(), Counter(), 0)


def read_labels(path: Path, column: str) -> Labels:
    """Read a CSV with the class in `column`, of the alert named by `candid`, or else of the object.

    An object's id stands in `object_id`, `objectId`, `oid` or `ZTFID`; a row of both names its
    alert. A class outside CLASSES, whatever its case, is no label; nor are two classes of one key.
    Logs what the rows are. Raises InputError for what is no such table, and for one without a row
    that is of use.
    """
    reading = _Reading(path, column)
    reading.read()
    labels = reading.labels()
    _log(labels)
    return labels


def _by_candid() -> KeyedRows:
    return KeyedRows("candid", pa.int64())


def _by_object() -> KeyedRows:
    return KeyedRows("object_id", pa.string())


def _labels(
    source: str,
    alerts: KeyedRows,
    objects: KeyedRows,
    counts: Counter[str],
    other: Counter[str],
    comment_lines: int,
) -> Labels:
    tables = alerts.table(), objects.table()
    contradictory = sum(pc.sum(pc.equal(t["label"], UNLABELLED)).as_py() or 0 for t in tables)
    listed = {
        "rows": sum(counts[kind] for kind in ROWS),
        **{f"rows_{kind}": counts[kind] for kind in ROWS if kind != "of_other_classes"},
        "other_classes": counts["of_other_classes"],
        "comment_lines": comment_lines,
        "respelled_ids": counts["respelled"],
        "contradictory_ids": contradictory,
    }
    return Labels(source, *tables, listed, dict(other.most_common(_SHOWN_NAMES)))


class _Reading:
    """A table of labels as it is read."""

    def __init__(self, path: Path, column: str) -> None:
        self._path, self._column = path, column
        self._counts: Counter[str] = Counter()
        self._other: Counter[str] = Counter()
        self._alerts, self._objects = _by_candid(), _by_object()
        # The first row that was of no use, by what is wrong with it.
        self._examples: dict[str, str] = {}
        self._classes: dict[str, int] = {}
        self._comment_lines = 0

    def read(self) -> None:
        with open_table(
            self._path, self._columns, f"candid or object_id, and {self._column}"
        ) as table:
            columns, width = table.chosen, len(table.names)
            last = max(columns)
            for line, fields in table.rows():
                # Separators at the end are no further column, unless there is no end of them.
                if len(fields) != width and (
                    not last < len(fields) <= width + _MOST_BLANK
                    or any(map(str.strip, fields[width:]))
                ):
                    self._malformed(line, len(fields), width)
                    continue
                text = fields[columns.label]
                label = self._classes.get(text)
                if label is None:
                    label = self._class(text)
                if label >= 0:
                    self._add(columns, fields, label, line)
                elif label == _OTHER_CLASS:
                    self._count_other(text)
                else:
                    self._counts["without_class"] += 1
                if line > _MOST_ROWS:
                    raise self._refused(f"more than {_MOST_ROWS} rows", "give fewer rows")
            self._comment_lines = table.comment_lines

    def _columns(self, names: list[str]) -> _Columns | None:
        candid, of_object = self._place(names, _CANDID), self._place(names, _OBJECT)
        label = self._place(names, (self._column,))
        if label < 0 or (candid < 0 and of_object < 0):
            return None
        return _Columns(candid, of_object, label)

    def _place(self, names: list[str], accepted: tuple[str, ...]) -> int:
        plain = [_plain(name) for name in names]
        for name in accepted:
            # One that is spelled just so comes first.
            same = [n for n, other in enumerate(names) if other == name] or [
                n for n, other in enumerate(plain) if other == _plain(name)
            ]
            if len(same) > 1:
                found = f"{len(same)} columns named {quote(names[same[0]])}"
                raise self._refused(found, "rename all but one of them")
            if same:
                return same[0]
        return -1

    def _malformed(self, line: int, found: int, width: int) -> None:
        self._counts["malformed"] += 1
        self._examples.setdefault(
            "malformed", f"line {line} has {found} fields, its header {width}"
        )
        rows = sum(self._counts[kind] for kind in ROWS)
        if self._counts["malformed"] >= _ENOUGH_MALFORMED and self._mostly_malformed(rows):
            raise self._refused_malformed(rows)

    def _mostly_malformed(self, rows: int) -> bool:
        return self._counts["malformed"] > rows / 2

    def _refused_malformed(self, rows: int) -> InputError:
        return self._refused(
            f"{self._counts['malformed']} of {rows} rows that do not fit the header: "
            f"{self._examples['malformed']}",
            "write a name for each column, and quotes around fields that hold the separator",
        )

    def _class(self, text: str) -> int:
        name = bare(text[: 4 * _MOST_NAME])
        label = _BY_NAME.get(name.lower(), _OTHER_CLASS) if name else _NO_CLASS
        if len(self._classes) < _MOST_NAMES and len(text) <= 4 * _MOST_NAME:
            self._classes[text] = label
        return label

    def _count_other(self, text: str) -> None:
        self._counts["of_other_classes"] += 1
        if text in self._other:
            self._other[text] += 1
            return
        name = quote(bare(text[: 4 * _MOST_NAME]), _MOST_NAME)[1:-1]
        if name in self._other or len(self._other) < _MOST_NAMES:
            self._other[name] += 1

    def _add(self, columns: _Columns, fields: list[str], label: int, line: int) -> None:
        """Add a row with a class by its candid, or where it has none by its object's id."""
        text = fields[columns.candid] if columns.candid >= 0 else ""
        rows = self._alerts
        parse: Callable[[str], int | str] = parse_candid
        # Digits alone need no look at what is around them.
        name = text if text.isdigit() else bare(text)
        if not name and columns.object_id >= 0:
            text = fields[columns.object_id]
            rows, parse = self._objects, parse_object_id
            name = bare(text)
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
            self._counts["respelled"] += str(key) != text.strip()

    def labels(self) -> Labels:
        """Return the labels; logs what rows cannot be used, and refuses if none can."""
        counts = self._counts
        rows = sum(counts[kind] for kind in ROWS)
        if not rows:
            comments = f" ({self._comment_lines} comments)" if self._comment_lines else ""
            raise self._refused(f"0 rows{comments}", "add a row for each alert or object")
        if self._mostly_malformed(rows):
            raise self._refused_malformed(rows)
        with_class = counts["without_id"] + counts["with_bad_id"] + counts["labelled"]
        if not with_class:
            raise self._refused(
                f"no row with one of the classes: {counts['without_class']} of {rows} rows have "
                f"none, and {counts['of_other_classes']} others ({_listed(self._other)})",
                "add a column with these names, and set sources.alerts.label_column to its name",
                expected=f"a class in column {self._column}: {', '.join(CLASSES)}",
            )
        unusable = [
            f"{counts[kind]} {what} ({self._examples[kind]})"
            for kind, what in _UNUSABLE.items()
            if counts[kind]
        ]
        if not counts["labelled"]:
            raise self._refused(
                f"no row with a class that names an alert or object: {'; '.join(unusable)}",
                "write candids as text with all their digits, or remove that column to label "
                "objects by object_id",
            )
        if unusable:
            logging.warning("%s: rows left out: %s", self._path, "; ".join(unusable))
        return _labels(
            str(self._path), self._alerts, self._objects, counts, self._other, self._comment_lines
        )

    def _refused(self, found: str, remedy: str, expected: str = "") -> InputError:
        expected = expected or f"rows of candid or object_id, and {self._column}"
        return InputError(self._path, found=found, expected=expected, remedy=remedy)


_UNUSABLE = {
    "malformed": "that do not fit the header",
    "without_id": "with a class and neither candid nor object_id",
    "with_bad_id": "whose identifier cannot be read",
}


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).lower()


def _listed(counts: Counter[str] | dict[str, int], most: int = 5) -> str:
    """List names and their counts for a message, the most frequent first."""
    names = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown = [f"{quote(name, _MOST_SHOWN)} {count}" for name, count in names[:most]]
    return ", ".join([*shown, "..."] if len(names) > most else shown) or "none"


def _log(labels: Labels) -> None:
    counts = labels.counts
    others = counts["other_classes"]
    if counts["respelled_ids"]:
        logging.info(
            "%s: %d identifiers are read in another spelling than they have there",
            labels.source,
            counts["respelled_ids"],
        )
    log = logging.warning if others > counts["rows_labelled"] else logging.info
    log(
        "%s: %d rows: %d with one of the classes %s; %d without a class; %d of other classes%s",
        labels.source,
        counts["rows"],
        counts["rows_labelled"] + counts["rows_with_bad_id"] + counts["rows_without_id"],
        ", ".join(CLASSES),
        counts["rows_without_class"],
        others,
        f", which are no labels: {_listed(labels.other_classes)}" if others else "",
    )
    if counts["contradictory_ids"]:
        logging.warning(
            "%s: %d alerts or objects have rows of more than one class, and get no label",
            labels.source,
            counts["contradictory_ids"],
        )
