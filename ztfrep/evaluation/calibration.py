"""Calibration of class probabilities."""

import numpy as np

from ztfrep.evaluation.bootstrap import Bootstrap, Scores

_BINS = 15


def calibration(probabilities: np.ndarray, labels: np.ndarray, bootstrap: Bootstrap) -> Scores:
    """Compute expected calibration error and Brier score.

    `probabilities` `(n, k)` sum to 1 in each row; `labels` int `(n,)` are in 0..k-1.
    """
    return {
        **bootstrap.score("ece", expected_calibration_error, probabilities, labels),
        **bootstrap.score("brier", brier_score, probabilities, labels),
    }


def expected_calibration_error(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean absolute difference of confidence and accuracy in 15 bins of confidence.

    Bins are weighted by their numbers of rows (Guo et al. 2017, ICML, eq. 3).
    """
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    index = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    gaps = np.abs(np.bincount(index, confidence - correct, minlength=_BINS))
    return float(gaps.sum() / len(labels))


def brier_score(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean over rows of the squared error summed over classes, 0 to 2 (Brier 1950)."""
    truth = np.eye(probabilities.shape[1])[labels]
    return float(np.square(probabilities - truth).sum(axis=1).mean())
