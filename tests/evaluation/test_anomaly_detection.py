import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tests.evaluation.blobs import blobs
from ztfrep.evaluation.anomaly_detection import anomaly_detection, auroc, top_share
from ztfrep.evaluation.bootstrap import Bootstrap

CLASSES = ("a", "b", "c")


def detect(distance, n):
    vectors, labels = blobs(n, distance, 1)
    bootstrap = Bootstrap.within_classes(labels, seed=0, repeats=100)
    return anomaly_detection(*blobs(300, distance), vectors, labels, CLASSES, bootstrap)


def test_a_class_without_train_rows_is_detected_where_classes_are_separate():
    scores = detect(20, 60)
    assert scores["auroc_mean"] == scores["auroc_mean_low"] == scores["auroc_a"] == 1


def test_a_class_like_the_others_is_not_detected():
    scores = detect(0, 90)
    assert scores["auroc_mean"] == pytest.approx(0.5, abs=0.1)
    assert scores["auroc_a_low"] < scores["auroc_a"] < scores["auroc_a_high"]
    assert scores["auroc_mean_low"] < scores["auroc_mean"] < scores["auroc_mean_high"]


def test_the_top_of_the_ranking_is_of_a_class_that_is_separate_and_mixed_otherwise():
    separate = detect(20, 90)
    assert separate["top_10_a"] == 1 and separate["top_50_b"] == 30 / 50
    assert separate["top_100_c"] == 30 / 90 and "top_10_a_low" not in separate
    assert 0 < detect(0, 300)["top_100_a"] < 0.6


def test_the_share_is_of_the_rows_with_the_highest_scores():
    is_anomaly, scores = np.array([True, False, True, False]), np.array([1.0, 4.0, 3.0, 0.0])
    assert [top_share(is_anomaly, scores, top) for top in (1, 2, 3, 9)] == [0, 1 / 2, 2 / 3, 1 / 2]


def test_one_class_alone_is_no_anomaly():
    vectors, labels = np.ones((4, 2)), np.zeros(4, int)
    bootstrap = Bootstrap.within_classes(labels, seed=0, repeats=3)
    assert anomaly_detection(vectors, labels, vectors, labels, CLASSES, bootstrap) == {}


@pytest.mark.parametrize("values", [3, 1000], ids=["equal scores", "different scores"])
def test_the_auroc_of_each_column_is_that_of_scikit_learn(values):
    generator = np.random.default_rng(0)
    is_anomaly = generator.random((60, 4)) < 0.3
    scores = generator.integers(values, size=(60, 4)) + is_anomaly
    expected = [roc_auc_score(*columns) for columns in zip(is_anomaly.T, scores.T, strict=True)]
    np.testing.assert_allclose(auroc(is_anomaly, scores), expected, rtol=1e-12)
