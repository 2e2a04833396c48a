"""Scores of calibrated probabilities and of prediction sets on rows with known classes."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ztfrep.encoders.reference import Reference
from ztfrep.evaluation.bootstrap import SLOW_REPEATS, Bootstrap, Scores
from ztfrep.evaluation.calibration import ReliabilityBins, calibration, reliability_bins

# The coverage of the prediction sets that are evaluated.
COVERAGE = 0.9
# Names of the probabilities before and after calibration.
BEFORE, AFTER = "before", "after"


def score_probabilities(
    logits: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    reference: Reference | None,
    *,
    seed: int,
) -> dict[str, Any]:
    """Score the class probabilities of logits `(n, k)`; `labels` int `(n,)` are in 0..k-1.

    `calibration` has the scores before calibration. With a reference, `calibrated` has those after
    it, with its temperature, and `prediction_sets` the scores of the sets of coverage 0.9. The
    reference is fitted to validation rows, whose coverage is therefore not a test of it.
    """
    bootstrap = Bootstrap.within_classes(labels, seed=seed, repeats=SLOW_REPEATS)
    probabilities_of = _class_probabilities(logits, reference)
    scores: dict[str, Any] = {
        "calibration": calibration(probabilities_of[BEFORE], labels, bootstrap)
    }
    if reference is not None:
        probabilities = probabilities_of[AFTER]
        sets = reference.prediction_sets(probabilities, COVERAGE)
        scores["calibrated"] = {
            "temperature": reference.temperature,
            **calibration(probabilities, labels, bootstrap),
        }
        scores["prediction_sets"] = {
            "stated_coverage": COVERAGE,
            **score_prediction_sets(sets, labels, classes, bootstrap),
        }
    return scores


def bin_probabilities(
    logits: np.ndarray, labels: np.ndarray, reference: Reference | None
) -> dict[str, ReliabilityBins]:
    """Return the bins of `score_probabilities` before calibration, and with a reference after it.

    `logits` are `(n, k)`, and `labels` int `(n,)` in 0..k-1.
    """
    probabilities = _class_probabilities(logits, reference)
    return {name: reliability_bins(values, labels) for name, values in probabilities.items()}


def _class_probabilities(logits: np.ndarray, reference: Reference | None) -> dict[str, np.ndarray]:
    from scipy.special import softmax  # Slow to import.

    probabilities = {BEFORE: softmax(logits, axis=1)}
    if reference is not None:
        probabilities[AFTER] = reference.probabilities(logits)
    return probabilities


def score_prediction_sets(
    sets: np.ndarray, labels: np.ndarray, classes: Sequence[str], bootstrap: Bootstrap
) -> dict[str, Any]:
    """Return coverage and size of prediction sets bool `(n, k)`; `labels` int `(n,)` in 0..k-1.

    `coverage` is the fraction of rows whose set has their class. `mean_class_coverage` is its mean
    over the classes that have rows, which is what the sets are calibrated for; `by_class` has the
    coverage of each with an exact binomial interval (Clopper & Pearson 1934). `mean_size` is the
    mean number of classes in a set, `empty` and `single` are fractions of sets.
    """
    covered = sets[np.arange(len(labels)), labels]
    sizes = sets.sum(axis=1)

    def mean_class_coverage(covered: np.ndarray, labels: np.ndarray) -> float:
        return float(np.mean([covered[labels == label].mean() for label in np.unique(labels)]))

    by_class = {
        classes[label]: {
            **_coverage(covered[labels == label]),
            "mean_size": float(sizes[labels == label].mean()),
            "rows": int((labels == label).sum()),
        }
        for label in np.unique(labels)
    }
    return {
        **_coverage(covered),
        **bootstrap.score("mean_class_coverage", mean_class_coverage, covered, labels),
        **bootstrap.score("mean_size", lambda sizes: float(sizes.mean()), sizes),
        "empty": float((sizes == 0).mean()),
        "single": float((sizes == 1).mean()),
        "by_class": by_class,
    }


def _coverage(covered: np.ndarray) -> Scores:
    from scipy.stats import binomtest  # Slow to import.

    interval = binomtest(int(covered.sum()), len(covered)).proportion_ci(0.95, method="exact")
    return {
        "coverage": float(covered.mean()),
        "coverage_low": float(interval.low),
        "coverage_high": float(interval.high),
    }
