"""Calibration of class probabilities."""

from typing import NamedTuple

import numpy as np

from ztfrep.evaluation.bootstrap import Bootstrap, Scores

_BINS = 15


class ReliabilityBins(NamedTuple):
    """The bins of confidence that have rows, in their order.

    Attributes
    ----------
    low, high : float (b,)
        The bin is low <= confidence < high, and the last one includes 1.
    confidence, accuracy : float (b,)
        Means over the rows of the bin.
    rows : int (b,)
    """

    low: np.ndarray
    high: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray
    rows: np.ndarray


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
    index, confidence, correct = _bin_rows(probabilities, labels)
    gaps = np.abs(np.bincount(index, confidence - correct, minlength=_BINS))
    return float(gaps.sum() / len(labels))


def reliability_bins(probabilities: np.ndarray, labels: np.ndarray) -> ReliabilityBins:
    """Return confidence and accuracy in the bins of `expected_calibration_error`.

    The arguments are those of `calibration`.
    """
    index, confidence, correct = _bin_rows(probabilities, labels)
    rows = np.bincount(index, minlength=_BINS)
    bins = np.flatnonzero(rows)
    rows = rows[bins]
    mean_confidence, accuracy = (
        np.bincount(index, values, minlength=_BINS)[bins] / rows for values in (confidence, correct)
    )
    return ReliabilityBins(bins / _BINS, (bins + 1) / _BINS, mean_confidence, accuracy, rows)


def _bin_rows(
    probabilities: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the bin int, the confidence and the correctness bool of each row, `(n,)` each."""
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    return np.minimum((confidence * _BINS).astype(int), _BINS - 1), confidence, correct


def brier_score(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean over rows of the squared error summed over classes, 0 to 2 (Brier 1950)."""
    truth = np.eye(probabilities.shape[1])[labels]
    return float(np.square(probabilities - truth).sum(axis=1).mean())
