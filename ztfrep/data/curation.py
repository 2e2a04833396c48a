"""What is kept of a data set: no duplicate, no leak between splits, no stamp without content.

Functions on arrays; rows may be views of a memory map, and are touched a block at a time.
"""

import hashlib
from collections.abc import Iterator

import numpy as np
from sklearn.model_selection import train_test_split
from tqdm import tqdm

_BLOCK = 500


def blocks(rows: int, progress: str | None = None, size: int = _BLOCK) -> Iterator[slice]:
    """Cut `rows` into slices of at most `size`; `progress` names a bar, drawn on a terminal."""
    disable = None if progress else True
    with tqdm(total=rows, desc=progress, unit=" rows", disable=disable, leave=False) as bar:
        for start in range(0, rows, size):
            block = slice(start, min(start + size, rows))
            yield block
            bar.update(block.stop - block.start)


def is_constant(stamps: np.ndarray) -> np.ndarray:
    """Tell for `(n, c, H, W)` which rows have a channel without two different observed pixels."""
    flat = stamps.reshape(*stamps.shape[:2], -1)
    highest = np.fmax.reduce(flat, axis=2)
    lowest = np.fmin.reduce(flat, axis=2)
    return ~(highest > lowest).all(axis=1)


def digests(rows: np.ndarray, progress: str | None = None) -> np.ndarray:
    """Hash every row of `(n, ...)` by its bytes: 16 bytes each, dtype `V16`."""
    found = bytearray()
    for block in blocks(len(rows), progress):
        for row in np.ascontiguousarray(rows[block]):
            found += hashlib.blake2b(row.data, digest_size=16).digest()
    return np.frombuffer(bytes(found), dtype="V16")


def canonical_digests(science: np.ndarray) -> np.ndarray:
    """Hash science crops `(n, 21, 21)` so that an affine scaling of the counts changes nothing.

    Min-max scaled and rounded to 32 levels: coarse enough that float32 rounding seldom moves a
    pixel to another level, and 441 pixels are fine enough that two alerts do not meet by chance.
    """
    flat = science.reshape(len(science), -1).astype(np.float64)
    lowest = np.fmin.reduce(flat, axis=1)[:, None]
    span = np.fmax.reduce(flat, axis=1)[:, None] - lowest
    levels = (flat - lowest) / np.where(span > 0, span, 1) * 31
    return digests(np.where(np.isnan(levels), 255, np.rint(levels)).astype(np.uint8))


def first_of_each(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
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


def contradictory(labels: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
    """Tell which groups `(groups,)` of identical stamps carry more than one label."""
    lowest = np.full(groups, np.iinfo(np.int64).max)
    highest = np.full(groups, np.iinfo(np.int64).min)
    np.minimum.at(lowest, group, labels)
    np.maximum.at(highest, group, labels)
    return lowest != highest


def split_objects(
    labels: np.ndarray, *, held_out: float, at_least: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Split objects into train, validation and test rows, stratified by label `(n,)` and seeded.

    Validation and test are each `held_out` of the objects, or as much more as gives them
    `at_least` of the rarest class (no more than a third), so that the classes keep their
    proportions. Rows come back in ascending order. Raises ValueError if a class has fewer than
    three objects.
    """
    classes, counts = np.unique(labels, return_counts=True)
    if counts.min(initial=3) < 3:
        rare = classes[counts.argmin()]
        raise ValueError(f"class {rare} has {counts.min()} objects; a split needs three")
    fraction = min(max(held_out, at_least / counts.min()), 1 / 3)
    rows = np.arange(len(labels))
    train, held = train_test_split(rows, test_size=2 * fraction, stratify=labels, random_state=seed)
    validation, test = train_test_split(
        held, test_size=0.5, stratify=labels[held], random_state=seed
    )
    return np.sort(train), np.sort(validation), np.sort(test)
