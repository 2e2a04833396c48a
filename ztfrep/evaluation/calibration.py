"""Calibration of class probabilities."""

import numpy as np

from ztfrep.evaluation.bootstrap import Bootstrap, Scores

_BINS = 15


def calibration(probabilities: np.ndarray, labels: np.ndarray, bootstrap: Bootstrap) -> Scores:
    """Compute expected calibration error and Brier score.

    `probabilities` `(n, k)` sum to 1 in each row; `labels` `(n,)` are all known.
    """
    return {
        **bootstrap.score("ece", expected_calibration_error, probabilities, labels),
        **bootstrap.score("brier", brier_score, probabilities, labels),
    }


def expected_calibration_error(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean distance of confidence and accuracy over 15 bins of confidence.

    Bins are weighted by their rows (Guo et al. 2017, ICML).
    """
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    index = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    gaps = np.abs(np.bincount(index, confidence - correct, minlength=_BINS))
    return float(gaps.sum() / len(labels))


def brier_score(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean squared distance to the label, summed over the classes: 0 to 2."""
    truth = np.eye(probabilities.shape[1])[labels]
    return float(np.square(probabilities - truth).sum(axis=1).mean())
