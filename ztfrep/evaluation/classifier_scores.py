"""Scores of several classifiers on the same rows, and their paired differences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ztfrep.evaluation.bootstrap import REPEATS, Bootstrap, Scores, with_interval
from ztfrep.evaluation.metrics import METRICS, confusion


@dataclass(frozen=True)
class ClassifierScores:
    """Metrics with intervals, by classifier, and paired differences by name `A_minus_B`."""

    by_classifier: dict[str, Scores]
    paired_differences: dict[str, Scores]


def score_classifiers(
    labels: np.ndarray,
    predicted: Mapping[str, np.ndarray],
    classes: Sequence[str],
    *,
    pairs: Sequence[tuple[str, str]] = (),
    seed: int,
    repeats: int = REPEATS,
) -> ClassifierScores:
    """Compute every metric of `METRICS` for each classifier, with 95 % intervals.

    `labels` and the values of `predicted` are int `(n,)`. Rows labelled -1 are excluded, and so are
    classes without rows. Rows are resampled within each class. The samples are the same for all
    classifiers, so that the interval of a difference is that of paired rows. Pairs (method,
    baseline) that are not both in `predicted` are skipped. Raises ValueError as `confusion` does.
    """
    labelled = labels >= 0
    names = list(predicted)
    matrices = [confusion(labels, predicted[name], len(classes)) for name in names]
    samples = resampled_confusions(
        labels[labelled],
        np.stack([predicted[name][labelled] for name in names]),
        len(classes),
        Bootstrap.within_classes(labels[labelled], seed=seed, repeats=repeats),
    )
    by_classifier: dict[str, Scores] = {name: {} for name in names}
    differences: dict[str, Scores] = {}
    for metric, compute in METRICS.items():
        values = dict(zip(names, compute(np.stack(matrices)), strict=True))
        drawn = dict(zip(names, compute(samples).T, strict=True))
        for name in names:
            by_classifier[name] |= with_interval(metric, values[name], drawn[name])
        for name, baseline in pairs:
            if name in values and baseline in values:
                difference = with_interval(
                    metric, values[name] - values[baseline], drawn[name] - drawn[baseline]
                )
                differences.setdefault(f"{name}_minus_{baseline}", {}).update(difference)
    return ClassifierScores(by_classifier, differences)


def resampled_confusions(
    labels: np.ndarray, predicted: np.ndarray, n_classes: int, bootstrap: Bootstrap
) -> np.ndarray:
    """Return the confusion matrices of m classifiers on each sample: int `(repeats, m, k, k)`.

    `labels` int `(n,)` and `predicted` int `(m, n)` are all in 0..k-1.
    """
    size = n_classes**2
    # The index of each row's cell in the concatenated, flattened matrices of all classifiers.
    cells = labels * n_classes + predicted + size * np.arange(len(predicted))[:, None]

    def count(sampled: np.ndarray) -> np.ndarray:
        return np.bincount(sampled.ravel(), minlength=size * len(predicted))

    counts = bootstrap.distribution(count, cells.T)
    return counts.reshape(-1, len(predicted), n_classes, n_classes)
