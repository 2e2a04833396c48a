"""Which rows to look at: as many of each class, a share of them, or some of too many."""

import numpy as np


def balanced_subset(labels: np.ndarray, seed: int) -> np.ndarray:
    """Draw the rarest class' number of rows from every class: ascending rows `(m,)`."""
    generator = np.random.default_rng(seed)
    members = [np.flatnonzero(labels == label) for label in np.unique(labels[labels >= 0])]
    size = min(map(len, members), default=0)
    drawn = [generator.choice(rows, size, replace=False) for rows in members]
    return np.sort(np.concatenate(drawn)) if drawn else np.empty(0, dtype=np.int64)


def copies_for_balance(labels: np.ndarray) -> np.ndarray:
    """Say how often to visit each row `(n,)` so that the classes weigh about alike: int `(n,)`.

    A row of the commonest class, or without a label, is visited once.
    """
    known = labels >= 0
    counts = np.bincount(labels[known])
    times = np.rint(counts.max(initial=1) / np.maximum(counts, 1)).astype(np.int64)
    return np.where(known, np.append(times, 1)[labels], 1)


def draw_share(labels: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Draw a share of each class' rows, two at least: ascending rows `(m,)`, none unlabelled."""
    generator = np.random.default_rng(seed)
    drawn = [
        generator.permutation(members)[: max(2, round(share * len(members)))]
        for members in (np.flatnonzero(labels == label) for label in np.unique(labels[labels >= 0]))
    ]
    return np.sort(np.concatenate(drawn)) if drawn else np.empty(0, dtype=np.int64)


def draw_rows(labels: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Draw at most `most` rows, rare classes whole before common ones: ascending rows `(m,)`."""
    if len(labels) <= most:
        return np.arange(len(labels))
    # A row's rank within its class, in random order: the classes fill up evenly.
    order = np.random.default_rng(seed).permutation(len(labels))
    rank = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        members = order[labels[order] == label]
        rank[members] = np.arange(len(members))
    return np.sort(order[np.argsort(rank[order], kind="stable")][:most])
