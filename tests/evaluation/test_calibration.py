import numpy as np
import pytest

from ztfrep.evaluation.bootstrap import Bootstrap
from ztfrep.evaluation.calibration import (
    calibration,
    expected_calibration_error,
    reliability_bins,
)

RNG = np.random.default_rng(0)
PROBABILITIES = RNG.dirichlet(np.ones(3), 20_000)
# Drawn with these probabilities.
LABELS = (PROBABILITIES.cumsum(axis=1) > RNG.random((20_000, 1))).argmax(axis=1)


def test_true_probabilities_are_calibrated_and_certainty_is_not():
    assert expected_calibration_error(PROBABILITIES, LABELS) < 0.01
    certain = np.eye(3)[PROBABILITIES.argmax(axis=1)]
    wrong = (certain.argmax(axis=1) != LABELS).mean()
    assert expected_calibration_error(certain, LABELS) == pytest.approx(wrong)


def test_certain_classes_have_the_smallest_or_the_largest_error():
    labels = LABELS[:99]
    bootstrap = Bootstrap.within_classes(labels, seed=0, repeats=100)
    right = calibration(np.eye(3)[labels], labels, bootstrap)
    assert right["ece"] == right["brier"] == right["brier_high"] == 0
    wrong = np.roll(np.eye(3)[labels], 1, axis=1)
    assert calibration(wrong, labels, bootstrap)["brier"] == 2


def test_the_bins_have_every_row_and_their_gaps_are_the_calibration_error():
    bins = reliability_bins(PROBABILITIES, LABELS)
    assert bins.rows.sum() == len(LABELS)
    assert (bins.rows > 0).all()
    assert ((bins.low <= bins.confidence) & (bins.confidence < bins.high)).all()
    gaps = np.abs(bins.confidence - bins.accuracy) * bins.rows
    error = expected_calibration_error(PROBABILITIES, LABELS)
    assert gaps.sum() / len(LABELS) == pytest.approx(error)


def test_a_certain_class_is_in_the_last_bin():
    bins = reliability_bins(np.eye(3)[LABELS], LABELS)
    assert (bins.rows.tolist(), bins.accuracy.tolist()) == ([len(LABELS)], [1.0])
    assert bins.high.tolist() == [1.0]
