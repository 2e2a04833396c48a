import numpy as np
import pytest

from ztfrep.evaluation.bootstrap import Bootstrap
from ztfrep.evaluation.calibration import calibration, expected_calibration_error

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
