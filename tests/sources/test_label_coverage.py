"""What cannot be trained or scored for lack of labels is reported by the conversion."""

import numpy as np
import pytest

from ztfrep.data.alert_schema import CLASSES, SERIES_CLASSES, TableInfo
from ztfrep.data.alert_table import AlertTable
from ztfrep.data.alert_writer import AlertWriter
from ztfrep.data.splits import SPLITS
from ztfrep.sources.label_coverage import count_packets, count_tables, describe_unscored


def labelled(train, validation, test, classes=CLASSES):
    """Rows by split and class, of as many classes from the first as are not 0."""
    return {
        split: dict(zip(classes, rows, strict=True))
        for split, rows in zip(SPLITS, (train, validation, test), strict=True)
    }


ALL, NONE = (5,) * 5, (0,) * 5
COMPLETE = labelled(ALL, ALL, ALL)


def test_labels_of_every_class_in_every_split_need_no_warning():
    assert describe_unscored(COMPLETE, COMPLETE) == []
    three = labelled(*[(1, 1, 1)] * 3, classes=SERIES_CLASSES)
    assert describe_unscored(COMPLETE, three) == []


def test_without_labels_no_class_is_scored():
    none = labelled(NONE, NONE, NONE)
    alerts, objects = describe_unscored(none, none)
    assert alerts.startswith("no labelled alerts: probes")
    assert "classification, probes and confusion will not be scored" in alerts
    assert "the recurrent network is not trained" in objects
    assert "next magnitude" in objects


@pytest.mark.parametrize("index", [0, 1])
def test_with_labels_of_one_class_no_probe_is_fitted(index):
    one_class = labelled((9, 0, 0, 0, 0), (1, 0, 0, 0, 0), (1, 0, 0, 0, 0))
    counts = [COMPLETE, COMPLETE]
    counts[index] = one_class
    rows = ("alerts", "objects")[index]
    first, validation, test = describe_unscored(*counts)
    assert first.startswith(f"labelled train {rows} of one class (AGN): ")
    assert "not fitted" in first
    assert "retrieval, clustering and anomaly detection will not be scored" in first
    assert test == (
        f"no test {rows} of class SN, VS, asteroid, bogus: these count in no score on test"
    )
    assert validation == test.replace("test", "validation")


def test_a_split_without_labels_or_with_one_class_is_named():
    (sentence,) = describe_unscored(labelled(ALL, ALL, NONE), COMPLETE)
    assert sentence == (
        "no labelled test alerts: classification, probes and confusion will not be scored on test, "
        "nor retrieval, clustering and anomaly detection"
    )
    one_class, missing = describe_unscored(COMPLETE, labelled(ALL, (0, 2, 0, 0, 0), ALL))
    assert one_class.startswith("labelled validation objects of one class (SN): retrieval")
    assert missing.startswith("no validation objects of class AGN, VS, asteroid, bogus")


def test_without_train_labels_no_probe_is_fitted_though_other_splits_are_scored():
    first, *others = describe_unscored(labelled(NONE, ALL, ALL), COMPLETE)
    assert first.startswith(
        "labelled train alerts of no class: the classifier head learns no class, probes"
    )
    assert others == []


def test_labelled_rows_of_packets_and_of_tables_are_counted_equally(tmp_path):
    tables = []
    for name, classes in (("stamps", CLASSES), ("series", SERIES_CLASSES)):
        with AlertWriter(
            tmp_path / name, TableInfo(21, 21, "counts", "physical", classes)
        ) as writer:
            for split, labels in zip(SPLITS, ([0, 1, 1, -1], [2], [-1]), strict=True):
                n = len(labels)
                writer.write(
                    {
                        # The third row is of the second's object.
                        "object_id": [f"{split}{i - (i == 2)}" for i in range(n)],
                        "detection": np.array([i == 2 for i in range(n)], np.int32),
                        "split": [split] * n,
                        "label": np.array(labels, np.int8),
                        "n_copies": np.ones(n, np.int32),
                        "stamps": np.ones((n, 3, 21, 21), np.float32),
                    }
                )
        tables.append(AlertTable(tmp_path / name))
    alerts, objects = count_tables(*tables)
    assert alerts == labelled((1, 2, 0, 0, 0), (0, 0, 1, 0, 0), NONE)
    assert objects == labelled((1, 1, 0), (0, 0, 1), (0, 0, 0), classes=SERIES_CLASSES)
    counts = {
        "stamps": {s: {f"written_{c}": n for c, n in each.items()} for s, each in alerts.items()},
        "series": {s: {f"objects_{c}": n for c, n in each.items()} for s, each in alerts.items()},
    }
    assert count_packets(counts) == (alerts, alerts)
