import numpy as np
import pytest

from tests.evaluation.blobs import blobs
from ztfrep.evaluation.bootstrap import Bootstrap
from ztfrep.evaluation.retrieval import retrieval


@pytest.mark.parametrize(("distance", "low", "high"), [(20, 1.0, 1.0), (0, 0.2, 0.5)])
def test_retrieval_finds_the_class_where_classes_are_separate(distance, low, high):
    queries, labels = blobs(60, distance, 1)
    bootstrap = Bootstrap.within_classes(labels, seed=0, repeats=100)
    scores = retrieval(*blobs(300, distance), queries, labels, bootstrap)
    for name in ("precision_at_10", "mean_average_precision"):
        assert low <= scores[f"{name}_low"] <= scores[name] <= scores[f"{name}_high"] <= high


def test_mean_average_precision_is_that_of_the_ranks():
    train, train_labels = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0, 1, 0, 1])
    bootstrap = Bootstrap.within_classes(np.array([0]), seed=0, repeats=3)
    scores = retrieval(train, train_labels, np.array([[-1.0]]), np.array([0]), bootstrap)
    # The hits have ranks 1 and 3.
    assert scores["mean_average_precision"] == pytest.approx((1 + 2 / 3) / 2)
    assert scores["precision_at_10"] == 0.5
