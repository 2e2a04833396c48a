"""Samples of rows that respect classes: as many of each, a fraction of each, or a limited number.

Labels are int `(n,)`, -1 where unlabelled. Rows come back in ascending order.
"""

import numpy as np


def undersample(labels: np.ndarray, seed: int) -> np.ndarray:
    """Draw from every class as many rows as the rarest class has: rows `(m,)`, none unlabelled."""
    generator = np.random.default_rng(seed)
    size = min(map(len, _rows_by_class(labels)), default=0)
    drawn = [generator.choice(rows, size, replace=False) for rows in _rows_by_class(labels)]
    return np.sort(np.concatenate(drawn)) if drawn else np.empty(0, dtype=np.int64)


def oversampling_counts(labels: np.ndarray) -> np.ndarray:
    """Return how often to visit each row `(n,)` so that classes have about equal weight: int.

    A row of the most common class, or without a label, is visited once.
    """
    labelled = labels >= 0
    counts = np.bincount(labels[labelled])
    times = np.rint(counts.max(initial=1) / np.maximum(counts, 1)).astype(np.int64)
    return np.where(labelled, np.append(times, 1)[labels], 1)


def sample_fraction(labels: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """Draw a fraction of each class, at least two rows: rows `(m,)`, none unlabelled."""
    generator = np.random.default_rng(seed)
    drawn = [
        generator.permutation(rows)[: max(2, round(fraction * len(rows)))]
        for rows in _rows_by_class(labels)
    ]
    return np.sort(np.concatenate(drawn)) if drawn else np.empty(0, dtype=np.int64)


def stratified_sample(labels: np.ndarray, maximum: int, seed: int) -> np.ndarray:
    """Draw at most `maximum` rows, rare classes whole before common ones: rows `(m,)`."""
    if len(labels) <= maximum:
        return np.arange(len(labels))
    # A row's rank within its class, in random order: the classes fill up evenly.
    order = np.random.default_rng(seed).permutation(len(labels))
    rank = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        members = order[labels[order] == label]
        rank[members] = np.arange(len(members))
    return np.sort(order[np.argsort(rank[order], kind="stable")][:maximum])


def _rows_by_class(labels: np.ndarray) -> list[np.ndarray]:
    return [np.flatnonzero(labels == label) for label in np.unique(labels[labels >= 0])]
