"""Samples of rows by class.

Labels are int `(n,)`, -1 where unlabelled. Samples are row indices in ascending order.
"""

import numpy as np


def undersample(labels: np.ndarray, seed: int) -> np.ndarray:
    """Draw the same number of labelled rows of each class, that of the rarest: int64 `(m,)`."""
    generator = np.random.default_rng(seed)
    size = min(map(len, _rows_by_class(labels)), default=0)
    drawn = [generator.choice(rows, size, replace=False) for rows in _rows_by_class(labels)]
    return np.sort(np.concatenate(drawn)) if drawn else np.empty(0, dtype=np.int64)


def oversampling_counts(labels: np.ndarray) -> np.ndarray:
    """Return how often to repeat each row so that classes are about equally common: int64 `(n,)`.

    Rows of the most common class and unlabelled rows have the count 1.
    """
    labelled = labels >= 0
    counts = np.bincount(labels[labelled])
    repeats = np.rint(counts.max(initial=1) / np.maximum(counts, 1)).astype(np.int64)
    return np.where(labelled, np.append(repeats, 1)[labels], 1)


def sample_fraction(labels: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """Draw a fraction of the labelled rows of each class, at least two of each: int64 `(m,)`."""
    generator = np.random.default_rng(seed)
    drawn = [
        generator.permutation(rows)[: max(2, round(fraction * len(rows)))]
        for rows in _rows_by_class(labels)
    ]
    return np.sort(np.concatenate(drawn)) if drawn else np.empty(0, dtype=np.int64)


def stratified_sample(labels: np.ndarray, maximum: int, seed: int) -> np.ndarray:
    """Draw at most `maximum` rows, as equally distributed over the labels as possible: `(m,)`.

    -1 counts as a label of its own.
    """
    if len(labels) <= maximum:
        return np.arange(len(labels))
    # Rows are drawn by their rank within the class, in random order.
    order = np.random.default_rng(seed).permutation(len(labels))
    rank = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        members = order[labels[order] == label]
        rank[members] = np.arange(len(members))
    return np.sort(order[np.argsort(rank[order], kind="stable")][:maximum])


def _rows_by_class(labels: np.ndarray) -> list[np.ndarray]:
    return [np.flatnonzero(labels == label) for label in np.unique(labels[labels >= 0])]
