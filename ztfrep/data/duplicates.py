"""Duplicates among stamps: digests of rows, groups of equal ones, and stamps without content."""

import hashlib

import numpy as np

from ztfrep.data.chunks import chunks

# Grey levels of a canonical digest, and the level of a pixel that is not observed.
_LEVELS, _NOT_OBSERVED = 32, 255


def is_constant(stamps: np.ndarray) -> np.ndarray:
    """Return True for stamps `(n, c, H, W)` with a channel whose observed pixels are all equal.

    NaN is not observed.
    """
    flat = stamps.reshape(*stamps.shape[:2], -1)
    highest = np.fmax.reduce(flat, axis=2)
    lowest = np.fmin.reduce(flat, axis=2)
    return ~(highest > lowest).all(axis=1)


def digests(rows: np.ndarray, progress: str | None = None) -> np.ndarray:
    """Compute a digest of the bytes of every row of `(n, ...)`: dtype `V16`, `(n,)`.

    `progress` is the label of a progress bar.
    """
    joined = bytearray()
    for chunk in chunks(len(rows), progress):
        for row in np.ascontiguousarray(rows[chunk]):
            # Processors have instructions for SHA-256: it takes a third of the time of BLAKE2.
            joined += hashlib.sha256(row.data).digest()[:16]
    return np.frombuffer(bytes(joined), dtype="V16")


def canonical_digests(science: np.ndarray) -> np.ndarray:
    """Compute digests of science crops `(n, H, W)` that an affine scaling does not change.

    A crop is min-max scaled and rounded to 32 levels: coarse enough that float32 rounding seldom
    changes the level of a pixel, and fine enough, with hundreds of pixels, that two alerts do not
    have the same digest by chance.
    """
    flat = science.reshape(len(science), -1).astype(np.float64)
    lowest = np.fmin.reduce(flat, axis=1)[:, None]
    span = np.fmax.reduce(flat, axis=1)[:, None] - lowest
    levels = (flat - lowest) / np.where(span > 0, span, 1) * (_LEVELS - 1)
    rounded = np.where(np.isnan(levels), _NOT_OBSERVED, np.rint(levels))
    return digests(rounded.astype(np.uint8))


def group_equal(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Group equal keys `(n,)`.

    Returns the row of each group's first member in ascending order `(g,)`, the members per
    group `(g,)`, and the group of every row `(n,)`.
    """
    _, first, group, count = np.unique(
        keys, return_index=True, return_inverse=True, return_counts=True
    )
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return first[order], count[order], rank[group]


def is_contradictory(labels: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
    """Return True for groups of identical stamps with more than one label: bool `(groups,)`.

    `labels` are `(n,)`, and `group` is that of `group_equal`.
    """
    lowest = np.full(groups, np.iinfo(np.int64).max)
    highest = np.full(groups, np.iinfo(np.int64).min)
    np.minimum.at(lowest, group, labels)
    np.maximum.at(highest, group, labels)
    return lowest != highest
