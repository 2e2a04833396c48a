"""Scores of prediction sets and of calibrated probabilities."""

import numpy as np
import pytest

from tests.model_folders import make_reference
from ztfrep.encoders.reference import Reference
from ztfrep.evaluation.bootstrap import Bootstrap
from ztfrep.evaluation.prediction_sets import (
    COVERAGE,
    score_prediction_sets,
    score_probabilities,
)

CLASSES = ("AGN", "SN", "VS")


def draw(n, seed, scale=1.0):
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 3, n)
    return labels, scale * (2 * np.eye(3)[labels] + generator.normal(size=(n, 3)))


def score(sets, labels):
    bootstrap = Bootstrap.within_classes(labels, seed=0, repeats=50)
    return score_prediction_sets(np.array(sets, bool), np.array(labels), CLASSES, bootstrap)


def test_coverage_and_size_are_those_of_the_rows():
    labels = np.array([0, 0, 0, 1])
    scores = score([[1, 0, 0], [1, 1, 1], [0, 1, 0], [0, 0, 0]], labels)
    assert scores["coverage"] == 0.5
    assert scores["mean_class_coverage"] == pytest.approx((2 / 3 + 0) / 2)
    assert scores["mean_size"] == 1.25
    assert (scores["empty"], scores["single"]) == (0.25, 0.5)
    assert list(scores["by_class"]) == ["AGN", "SN"]
    assert scores["by_class"]["AGN"]["coverage"] == pytest.approx(2 / 3)
    assert scores["by_class"]["AGN"]["mean_size"] == pytest.approx(5 / 3)
    assert scores["by_class"]["SN"] == {
        "coverage": 0, "coverage_low": 0, "coverage_high": pytest.approx(0.975),
        "mean_size": 0, "rows": 1,
    }  # fmt: skip


def test_the_interval_is_narrower_for_more_rows():
    few, many = (score(np.ones((n, 3)), np.arange(n) % 3) for n in (30, 300))
    assert few["coverage"] == many["coverage"] == many["coverage_high"] == 1
    assert few["coverage_low"] < 0.9 < many["coverage_low"]


def test_calibration_of_confident_logits_is_better_and_sets_cover_the_stated_rate():
    validation_labels, validation_logits = draw(2000, 1, scale=4)
    vectors = np.random.default_rng(0).normal(size=(2000, 2)).astype(np.float32)
    reference = Reference.fit(
        vectors, validation_labels, vectors, validation_logits, validation_labels
    )
    labels, logits = draw(2000, 2, scale=4)
    scores = score_probabilities(logits, labels, CLASSES, reference, seed=0)
    assert scores["calibrated"]["ece_high"] < scores["calibration"]["ece_low"]
    assert scores["calibrated"]["brier"] < scores["calibration"]["brier"]
    assert scores["calibrated"]["temperature"] == reference.temperature
    sets = scores["prediction_sets"]
    assert sets["stated_coverage"] == COVERAGE
    assert sets["coverage"] == pytest.approx(COVERAGE, abs=0.03)
    for name in CLASSES:
        assert sets["by_class"][name]["coverage"] == pytest.approx(COVERAGE, abs=0.05)


def test_without_a_reference_only_the_uncalibrated_probabilities_are_scored():
    labels, logits = draw(50, 3)
    without = score_probabilities(logits, labels, CLASSES, None, seed=0)
    assert list(without) == ["calibration"]
    reference = make_reference(2, 3, temperature=1.0)
    scores = score_probabilities(logits, labels, CLASSES, reference, seed=0)
    for name, value in scores["calibration"].items():
        assert scores["calibrated"][name] == pytest.approx(value, abs=1e-5)
