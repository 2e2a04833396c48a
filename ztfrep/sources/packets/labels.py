"""Labels of alerts and of objects, each identifier once, and the counts of a user's table."""

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from ztfrep.data.alert_schema import CLASSES, UNLABELLED
from ztfrep.data.class_map import ClassMap
from ztfrep.errors import quote
from ztfrep.sources.packets.keyed_rows import KeyedRows
from ztfrep.sources.packets.label_classes import (
    EXCLUDED,
    MAPPED,
    OTHER,
    WITHOUT_CLASS,
    LabelClasses,
)

# Kinds of rows; a `labelled` one has a class and an identifier.
ROW_KINDS = (
    "malformed",
    WITHOUT_CLASS,
    EXCLUDED,
    OTHER,
    "without_id",
    "with_bad_id",
    "labelled",
)
_MAX_CLASSES_IN_COUNTS, _MAX_CLASSES_IN_MESSAGE = 20, 5
# Characters of a class in a message that lists several, and in a log, which lists more.
_MAX_CLASS_CHARACTERS, _MAX_LOGGED_CHARACTERS = 15, 30


@dataclass(frozen=True)
class Labels:
    """Labels of alerts by candid, and of objects by their id, each once.

    `alerts` has the columns `candid` (int64), `label` (int8, an index of CLASSES; -1 if rows
    contradict each other), `rows` (int64, the number of rows with this candid) and `line` (int64,
    of the first row); `objects` has the same by `object_id` (text). `counts` are the numbers of
    rows, in all and by kind. Those of rows of a class outside CLASSES are by its name too:
    `mapped_classes` onto one of CLASSES, first by that one; `excluded_classes` onto none; and
    `other_classes`, which the class map lacks. `unit` is what `line` counts: lines of a text, or
    rows.
    """

    source: str
    alerts: pa.Table
    objects: pa.Table
    counts: dict[str, int]
    mapped_classes: dict[str, dict[str, int]]
    excluded_classes: dict[str, int]
    other_classes: dict[str, int]
    unit: str = "line"


def rows_by_candid() -> KeyedRows:
    """Return empty rows whose key is a candid."""
    return KeyedRows("candid", pa.int64())


def rows_by_object() -> KeyedRows:
    """Return empty rows whose key is an object's id."""
    return KeyedRows("object_id", pa.string())


def no_labels() -> Labels:
    """Return the labels of a source that has none."""
    return make_labels(
        "", rows_by_candid(), rows_by_object(), Counter(), LabelClasses(ClassMap({}))
    )


def make_labels(
    source: str,
    alerts: KeyedRows,
    objects: KeyedRows,
    counts: Counter[str],
    classes: LabelClasses,
    *,
    comment_lines: int = 0,
    unit: str = "line",
) -> Labels:
    """Return the labels in rows, and the counts of the rows by ROW_KINDS and `normalised`."""
    tables = alerts.to_table(), objects.to_table()
    contradictory = sum(pc.sum(pc.equal(t["label"], UNLABELLED)).as_py() or 0 for t in tables)
    all_counts = {
        "rows": sum(counts[kind] for kind in ROW_KINDS),
        **{f"rows_{kind}": counts[kind] for kind in ROW_KINDS if kind not in (EXCLUDED, OTHER)},
        "mapped_classes": counts[MAPPED],
        "excluded_classes": counts[EXCLUDED],
        "other_classes": counts[OTHER],
        "comment_lines": comment_lines,
        "normalised_ids": counts["normalised"],
        "contradictory_ids": contradictory,
    }
    return Labels(
        source,
        *tables,
        all_counts,
        mapped_classes=classes.most_common_mapped(_MAX_CLASSES_IN_COUNTS),
        excluded_classes=classes.most_common(EXCLUDED, _MAX_CLASSES_IN_COUNTS),
        other_classes=classes.most_common(OTHER, _MAX_CLASSES_IN_COUNTS),
        unit=unit,
    )


def list_classes(
    counts: Mapping[str, int],
    maximum: int = _MAX_CLASSES_IN_MESSAGE,
    characters: int = _MAX_CLASS_CHARACTERS,
) -> str:
    """Return the `maximum` most frequent classes and their counts, for a message."""
    classes = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    parts = [f"{quote(name, characters)} {count}" for name, count in classes[:maximum]]
    return ", ".join([*parts, "..."] if len(classes) > len(parts) else parts) or "none"


def _list_for_log(tables: Mapping[str, Mapping[str, int]], rows: int) -> str:
    """Return the names of classes by the class that they are, with a mark if some are left out."""
    parts = [
        f"{target} {list_classes(names, _MAX_CLASSES_IN_COUNTS, _MAX_LOGGED_CHARACTERS)}".strip()
        for target, names in tables.items()
    ]
    listed = sum(sum(names.values()) for names in tables.values())
    return "; ".join(parts) + (", ..." if listed < rows else "")


def log_labels(labels: Labels) -> None:
    """Log the numbers of rows of each kind, with a warning if most are of other classes."""
    counts = labels.counts
    if counts["normalised_ids"]:
        logging.info(
            "%s: %d identifiers are written in another form than they are read",
            labels.source,
            counts["normalised_ids"],
        )
    logging.info(
        "%s: %d rows: %d with one of the classes %s, %d of them mapped; %d without a class; "
        "%d of classes that the class map has as none of these; %d of other classes",
        labels.source,
        counts["rows"],
        counts["rows_labelled"] + counts["rows_with_bad_id"] + counts["rows_without_id"],
        ", ".join(CLASSES),
        counts["mapped_classes"],
        counts["rows_without_class"],
        counts["excluded_classes"],
        counts["other_classes"],
    )
    unlabelled = counts["excluded_classes"] + counts["other_classes"]
    log = logging.warning if unlabelled > counts["rows_labelled"] else logging.info
    for write, kind, outcome, names in (
        (logging.info, "mapped", "are mapped", labels.mapped_classes),
        (log, "excluded", "are no labels, as the class map has it", {"": labels.excluded_classes}),
        (
            log,
            "other",
            "are no labels, unless sources.alerts.class_map maps their classes",
            {"": labels.other_classes},
        ),
    ):
        if rows := counts[f"{kind}_classes"]:
            write("%s: %d rows %s: %s", labels.source, rows, outcome, _list_for_log(names, rows))
    if counts["contradictory_ids"]:
        logging.warning(
            "%s: %d alerts or objects have rows of more than one class, and no label",
            labels.source,
            counts["contradictory_ids"],
        )
