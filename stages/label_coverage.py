"""What the labels of a data set do not let the later stages learn or score, by split."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ztfrep.data.alert_schema import CLASSES, SPLITS
from ztfrep.data.alert_table import AlertTable

# Labelled rows by split and class.
Labelled = Mapping[str, Mapping[str, int]]


class _Table(NamedTuple):
    """A table's rows, and what is left out without labels: keep in step with the stages."""

    rows: str
    # Not learned without two classes of train rows.
    learned: str
    # Not scored without a labelled row.
    scored: str
    # Learned of one class, but not of none.
    of_one: str = ""


_ALERTS = _Table(
    "alerts",
    "probes of the alerts' vectors, of features and of a PCA are not fitted",
    "classification, probes and confusion",
    "the classification branch learns no class, ",
)
_OBJECTS = _Table(
    "objects",
    "the recurrent network is not trained, and probes of the objects' vectors are not fitted",
    "the recurrent network (classes, early classification, next magnitude), probes and confusion",
)
_REPRESENTATION = "retrieval, clustering and anomaly detection"


def count_packets(counts: Mapping[str, Any]) -> tuple[Labelled, Labelled]:
    """Return the labelled alerts and objects among what was counted of packets."""
    return (
        {s: {c: counts["stamps"][s][f"written_{c}"] for c in CLASSES} for s in SPLITS},
        {s: {c: counts["series"][s][f"objects_{c}"] for c in CLASSES} for s in SPLITS},
    )


def count_tables(alerts: AlertTable, series: AlertTable) -> tuple[Labelled, Labelled]:
    """Return the labelled alerts and objects of two tables."""
    counted = []
    rows_of_tables = (alerts.identity(), series.identity().drop_duplicates("object_id"))
    for table, rows in zip((alerts, series), rows_of_tables, strict=True):
        counted.append(
            {
                split: {
                    name: int(np.sum((rows["split"] == split) & (rows["label"] == label)))
                    for label, name in enumerate(table.info.classes)
                }
                for split in SPLITS
            }
        )
    return counted[0], counted[1]


def unscored(alerts: Labelled, objects: Labelled) -> list[str]:
    """Return a sentence for each thing that labelled rows are too few to learn or to score.

    Both give the rows of every class, 0 too, by split; no sentence if there are some of each.
    """
    return [*_unscored(_ALERTS, alerts), *_unscored(_OBJECTS, objects)]


def _unscored(table: _Table, counts: Labelled) -> Iterator[str]:
    present = {split: [c for c, n in counts[split].items() if n] for split in SPLITS}
    if not any(present.values()):
        yield (
            f"no labelled {table.rows}: {table.learned}; {table.scored} will not be scored, "
            f"nor {_REPRESENTATION}"
        )
        return
    learned = len(present["train"]) > 1
    if not learned:
        of_none = "" if present["train"] else table.of_one
        rows = f"train {table.rows} of {_number(present['train'])}"
        yield f"labelled {rows}: {of_none}{table.learned}; {_REPRESENTATION} will not be scored"
    for split in SPLITS[1:]:
        rows, classes = f"{split} {table.rows}", present[split]
        if not classes:
            also = f", nor {_REPRESENTATION}" if learned else ""
            yield f"no labelled {rows}: {table.scored} will not be scored on {split}{also}"
            continue
        if len(classes) == 1 and learned:
            yield f"labelled {rows} of {_number(classes)}: {_REPRESENTATION} will not be scored"
        missing = [name for name in counts[split] if name not in classes]
        if missing:
            yield f"no {rows} of class {', '.join(missing)}: these count in no score on {split}"


def _number(classes: Sequence[str]) -> str:
    return f"one class ({classes[0]})" if classes else "no class"
