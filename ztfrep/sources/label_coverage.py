"""Warnings of parts of training and evaluation that are skipped for lack of labels."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ztfrep.data.alert_schema import CLASSES
from ztfrep.data.alert_table import AlertTable
from ztfrep.data.splits import SPLITS

# Labelled rows by split and class.
LabelCounts = Mapping[str, Mapping[str, int]]


class _Consequences(NamedTuple):
    """Parts that are skipped for lack of labels. To be updated with training and evaluation."""

    rows: str
    # Skipped with less than two classes among the train rows.
    not_trained: str
    # Skipped without a labelled row.
    not_scored: str
    # Skipped without any class among the train rows.
    without_classes: str = ""


_ALERTS = _Consequences(
    rows="alerts",
    not_trained="probes of the alerts' vectors, of features and of a PCA are not fitted",
    not_scored="classification, probes and confusion",
    without_classes="the classifier head learns no class, ",
)
_OBJECTS = _Consequences(
    rows="objects",
    not_trained=(
        "the recurrent network is not trained, and probes of the objects' vectors are not fitted"
    ),
    not_scored=(
        "the recurrent network (classes, early classification, next magnitude), probes and "
        "confusion"
    ),
)
_REPRESENTATION = "retrieval, clustering and anomaly detection"


def count_packets(counts: Mapping[str, Any]) -> tuple[LabelCounts, LabelCounts]:
    """Return the numbers of labelled alerts and objects from the counts of a conversion."""
    return (
        {s: {c: counts["stamps"][s][f"written_{c}"] for c in CLASSES} for s in SPLITS},
        {s: {c: counts["series"][s][f"objects_{c}"] for c in CLASSES} for s in SPLITS},
    )


def count_tables(alerts: AlertTable, series: AlertTable) -> tuple[LabelCounts, LabelCounts]:
    """Return the numbers of labelled alerts and objects of two tables."""
    counts = []
    rows_of_tables = (alerts.identity(), series.identity().drop_duplicates("object_id"))
    for table, rows in zip((alerts, series), rows_of_tables, strict=True):
        counts.append(
            {
                split: {
                    name: int(np.sum((rows["split"] == split) & (rows["label"] == label)))
                    for label, name in enumerate(table.info.classes)
                }
                for split in SPLITS
            }
        )
    return counts[0], counts[1]


def warn_of_unscored(alerts: LabelCounts, objects: LabelCounts) -> None:
    """Log each sentence of `describe_unscored` as a warning."""
    for sentence in describe_unscored(alerts, objects):
        logging.warning("%s", sentence)


def describe_unscored(alerts: LabelCounts, objects: LabelCounts) -> list[str]:
    """Return a sentence for each part that is not trained or not scored for lack of labels.

    Both arguments are the numbers of labelled rows by split and class, zeros included. The list is
    empty if every class has rows in every split.
    """
    return [*_describe(_ALERTS, alerts), *_describe(_OBJECTS, objects)]


def _describe(table: _Consequences, counts: LabelCounts) -> Iterator[str]:
    present = {split: [c for c, n in counts[split].items() if n] for split in SPLITS}
    if not any(present.values()):
        yield (
            f"no labelled {table.rows}: {table.not_trained}; {table.not_scored} will not be "
            f"scored, nor {_REPRESENTATION}"
        )
        return
    trained = len(present["train"]) > 1
    if not trained:
        consequences = ("" if present["train"] else table.without_classes) + table.not_trained
        rows = f"train {table.rows} of {_describe_classes(present['train'])}"
        yield f"labelled {rows}: {consequences}; {_REPRESENTATION} will not be scored"
    for split in SPLITS[1:]:
        rows, classes = f"{split} {table.rows}", present[split]
        if not classes:
            also = f", nor {_REPRESENTATION}" if trained else ""
            yield f"no labelled {rows}: {table.not_scored} will not be scored on {split}{also}"
            continue
        if len(classes) == 1 and trained:
            class_names = _describe_classes(classes)
            yield f"labelled {rows} of {class_names}: {_REPRESENTATION} will not be scored"
        missing = [name for name in counts[split] if name not in classes]
        if missing:
            yield f"no {rows} of class {', '.join(missing)}: these count in no score on {split}"


def _describe_classes(classes: Sequence[str]) -> str:
    return f"one class ({classes[0]})" if classes else "no class"
