import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, recall_score

from ztfrep.evaluation.metrics import METRICS, confusion, recall

CLASSES = ("AGN", "SN", "VS")


def test_metrics_are_those_of_scikit_learn():
    labels, predicted = np.random.default_rng(1).integers(0, 3, (2, 200))
    matrix = confusion(labels, predicted, 3)
    expected = {
        "accuracy": accuracy_score(labels, predicted),
        "balanced_accuracy": balanced_accuracy_score(labels, predicted),
        "macro_f1": f1_score(labels, predicted, average="macro"),
    }
    assert {name: compute(matrix) for name, compute in METRICS.items()} == pytest.approx(expected)
    assert list(recall(matrix, CLASSES).values()) == pytest.approx(
        list(recall_score(labels, predicted, average=None))
    )


def test_metrics_of_many_matrices_are_those_of_each():
    matrices = np.random.default_rng(0).integers(1, 9, (4, 2, 3, 3))
    for compute in METRICS.values():
        together = compute(matrices)
        assert together.shape == (4, 2)
        assert together[3, 1] == compute(matrices[3, 1])


def test_unlabelled_rows_and_absent_classes_do_not_count():
    labels, predicted = np.array([0, 0, 2, 2, -1]), np.array([0, 1, 2, 2, 0])
    matrix = confusion(labels, predicted, 3)
    assert matrix.tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 2]]
    assert {name: float(compute(matrix)) for name, compute in METRICS.items()} == {
        "accuracy": 0.75,
        "balanced_accuracy": 0.75,
        "macro_f1": pytest.approx((2 / 3 + 1) / 2),
    }
    assert recall(matrix, CLASSES) == {"AGN": 0.5, "VS": 1.0}
    with pytest.raises(ValueError, match="no row is labelled"):
        confusion(labels[4:], predicted[4:], 3)


@pytest.mark.parametrize("stray", [-1, 3])
def test_a_class_out_of_range_is_refused_and_never_dropped(stray):
    # Without the second row the score would be perfect.
    labels, predicted = np.array([0, 1, 1]), np.array([0, stray, 1])
    with pytest.raises(ValueError, match=f"predicted classes from {min(stray, 0)} to"):
        confusion(labels, predicted, 3)
    with pytest.raises(ValueError, match="true classes from 0 to 3, expected 0 to 2"):
        confusion(np.array([0, 1, 3]), labels, 3)


def test_the_order_of_rows_changes_nothing():
    rng = np.random.default_rng(2)
    labels, predicted = rng.integers(0, 3, (2, 50))
    order = rng.permutation(50)
    np.testing.assert_array_equal(
        confusion(labels, predicted, 3), confusion(labels[order], predicted[order], 3)
    )
