"""Labels of alerts and of objects, each identifier once, and the counts of a user's table."""

import logging
from collections import Counter
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from ztfrep.data.alert_schema import CLASSES, UNLABELLED
from ztfrep.errors import quote
from ztfrep.sources.packets.keyed_rows import KeyedRows

# Kinds of rows; a `labelled` one has a class and an identifier.
ROW_KINDS = (
    "malformed",
    "without_class",
    "of_other_classes",
    "without_id",
    "with_bad_id",
    "labelled",
)
_MAX_CLASSES_IN_COUNTS, _MAX_CLASSES_IN_MESSAGE = 20, 5
# Characters of a class in a message that lists several.
_MAX_CLASS_CHARACTERS = 15


@dataclass(frozen=True)
class Labels:
    """Labels of alerts by candid, and of objects by their id, each once.

    `alerts` has the columns `candid` (int64), `label` (int8, an index of CLASSES; -1 if rows
    contradict each other), `rows` (int64, the number of rows with this candid) and `line` (int64,
    of the first row); `objects` has the same by `object_id` (text). `counts` are the numbers of
    rows, in all and by kind, and `other_classes` those of rows of a class outside CLASSES, by its
    name.
    """

    source: str
    alerts: pa.Table
    objects: pa.Table
    counts: dict[str, int]
    other_classes: dict[str, int]


def rows_by_candid() -> KeyedRows:
    """Return empty rows whose key is a candid."""
    return KeyedRows("candid", pa.int64())


def rows_by_object() -> KeyedRows:
    """Return empty rows whose key is an object's id."""
    return KeyedRows("object_id", pa.string())


def no_labels() -> Labels:
    """Return the labels of a source that has none."""
    return make_labels("", rows_by_candid(), rows_by_object(), Counter(), Counter(), 0)


def make_labels(
    source: str,
    alerts: KeyedRows,
    objects: KeyedRows,
    counts: Counter[str],
    other_classes: Counter[str],
    comment_lines: int,
) -> Labels:
    """Return the labels in rows, and the counts of the rows by ROW_KINDS and `normalised`."""
    tables = alerts.to_table(), objects.to_table()
    contradictory = sum(pc.sum(pc.equal(t["label"], UNLABELLED)).as_py() or 0 for t in tables)
    all_counts = {
        "rows": sum(counts[kind] for kind in ROW_KINDS),
        **{f"rows_{kind}": counts[kind] for kind in ROW_KINDS if kind != "of_other_classes"},
        "other_classes": counts["of_other_classes"],
        "comment_lines": comment_lines,
        "normalised_ids": counts["normalised"],
        "contradictory_ids": contradictory,
    }
    frequent = dict(other_classes.most_common(_MAX_CLASSES_IN_COUNTS))
    return Labels(source, *tables, all_counts, frequent)


def list_classes(counts: Counter[str] | dict[str, int]) -> str:
    """Return the most frequent classes and their counts, for a message."""
    classes = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    parts = [
        f"{quote(name, _MAX_CLASS_CHARACTERS)} {count}"
        for name, count in classes[:_MAX_CLASSES_IN_MESSAGE]
    ]
    return ", ".join([*parts, "..."] if len(classes) > len(parts) else parts) or "none"


def log_labels(labels: Labels) -> None:
    """Log the numbers of rows of each kind, with a warning if most are of other classes."""
    counts = labels.counts
    others = counts["other_classes"]
    if counts["normalised_ids"]:
        logging.info(
            "%s: %d identifiers are written in another form than they are read",
            labels.source,
            counts["normalised_ids"],
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
        f", which are no labels: {list_classes(labels.other_classes)}" if others else "",
    )
    if counts["contradictory_ids"]:
        logging.warning(
            "%s: %d alerts or objects have rows of more than one class, and no label",
            labels.source,
            counts["contradictory_ids"],
        )
