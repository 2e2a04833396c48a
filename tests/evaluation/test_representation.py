"""What vectors are good for: the best and the worst case of every measure, and its interval."""

import numpy as np
import pytest

from ztfrep.evaluation import representation

CLASSES = ("a", "b", "c")


def blobs(n, apart, seed=0, d=3):
    """Classes on a triangle, `apart` deviations from each other."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    centres = np.zeros((3, d))
    centres[[0, 1, 2], [0, 1, 2]] = apart / np.sqrt(2)
    return rng.normal(size=(n, d)) + centres[labels], labels


@pytest.mark.parametrize(("apart", "low", "high"), [(20, 1.0, 1.0), (0, 0.2, 0.5)])
def test_search_finds_what_is_alike_where_classes_are_apart(apart, low, high):
    found = representation.retrieval(*blobs(300, apart), *blobs(60, apart, 1), seed=0)
    for name in ("precision_at_10", "mean_average_precision"):
        assert low <= found[f"{name}_low"] <= found[name] <= found[f"{name}_high"] <= high


def test_mean_average_precision_is_that_of_the_ranks():
    train, train_labels = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0, 1, 0, 1])
    found = representation.retrieval(train, train_labels, np.array([[-1.0]]), np.array([0]), seed=0)
    # Hits stand at ranks 1 and 3.
    assert found["mean_average_precision"] == pytest.approx((1 + 2 / 3) / 2)
    assert found["precision_at_10"] == 0.5


@pytest.mark.parametrize(("apart", "low", "high"), [(20, 0.99, 1.0), (0, -0.1, 0.2)])
def test_clusters_are_the_classes_where_those_are_apart(apart, low, high):
    found = representation.clustering(*blobs(150, apart), seed=0)
    for name in ("kmeans_nmi", "kmeans_ari", "hdbscan_nmi", "hdbscan_ari"):
        assert low <= found[name] <= high


def test_a_class_that_was_never_seen_stands_far_from_those_that_were():
    far = representation.anomaly_detection(*blobs(300, 20), *blobs(60, 20, 1), CLASSES, seed=0)
    assert far["auroc_mean"] == far["auroc_mean_low"] == far["auroc_a"] == 1
    near = representation.anomaly_detection(*blobs(300, 0), *blobs(90, 0, 1), CLASSES, seed=0)
    assert near["auroc_mean"] == pytest.approx(0.5, abs=0.1)
    assert near["auroc_a_low"] < near["auroc_a"] < near["auroc_a_high"]
    assert near["auroc_mean_low"] < near["auroc_mean"] < near["auroc_mean_high"]


def test_who_says_what_is_so_is_calibrated():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(3), 20_000)
    labels = (probabilities.cumsum(axis=1) > rng.random((20_000, 1))).argmax(axis=1)
    assert representation.calibration_error(probabilities, labels) < 0.01
    sure = np.eye(3)[probabilities.argmax(axis=1)]
    wrong = (sure.argmax(axis=1) != labels).mean()
    assert representation.calibration_error(sure, labels) == pytest.approx(wrong)
    perfect = representation.calibration(np.eye(3)[labels[:99]], labels[:99], seed=0)
    assert perfect["ece"] == perfect["brier"] == perfect["brier_high"] == 0
    opposite = np.roll(np.eye(3)[labels[:99]], 1, axis=1)
    assert representation.calibration(opposite, labels[:99], seed=0)["brier"] == 2


def test_an_interval_covers_what_it_says():
    rng = np.random.default_rng(0)
    covered = 0
    for seed in range(100):
        values = rng.normal(size=60)
        found = representation.with_interval(
            "mean", np.mean, values, labels=np.zeros(60), seed=seed
        )
        covered += found["mean_low"] <= 0 <= found["mean_high"]
    assert 86 <= covered <= 100


def test_a_squared_error_is_below_a_rivals_by_their_difference():
    rng = np.random.default_rng(1)
    pixels = rng.normal(size=(50, 3, 4, 4))
    observed = rng.random(pixels.shape) < 0.8
    ours = pixels + rng.normal(0, 0.1, pixels.shape)
    rival = ours + rng.normal(0, 0.05, pixels.shape)
    given = pixels, observed, ours, rival
    found = representation.squared_error_below(*given, seed=0)
    each = [representation.squared_error(pixels, observed, e, seed=0)["mse"] for e in (ours, rival)]
    assert found["mse"] == pytest.approx(each[1] - each[0])
    assert 0 < found["mse_low"] < found["mse"] < found["mse_high"]
    spoilt = np.where(observed, ours, 99)
    assert representation.squared_error_below(pixels, observed, spoilt, rival, seed=0) == found
