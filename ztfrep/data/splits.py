"""The splits of a data set, and the splitting of objects."""

from dataclasses import dataclass

import numpy as np

# In the order of the rows of every table and file.
SPLITS = ("train", "validation", "test")
# Minimum of objects of a class: one for each split.
_MIN_OBJECTS = 3


@dataclass(frozen=True)
class Splitting:
    """Parameters of the splitting of objects: arguments of `split_objects`."""

    test_fraction: float
    min_test_objects: int
    seed: int


def split_objects(
    labels: np.ndarray, *, test_fraction: float, min_test_objects: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Split objects into train, validation and test rows, stratified by label `(n,)` and seeded.

    Validation and test have the same fraction of the objects: `test_fraction`, or a larger one if
    the rarest class would have fewer than `min_test_objects` in each, up to a third. Every class
    has that fraction. Returns rows in ascending order. Raises ValueError if a class has fewer than
    three objects.
    """
    from sklearn.model_selection import train_test_split  # Slow to import.

    classes, counts = np.unique(labels, return_counts=True)
    if counts.min(initial=_MIN_OBJECTS) < _MIN_OBJECTS:
        rarest = classes[counts.argmin()]
        raise ValueError(f"class {rarest} has {counts.min()} objects; a split needs three")
    fraction = min(max(test_fraction, min_test_objects / counts.min()), 1 / 3)
    rows = np.arange(len(labels))
    train, rest = train_test_split(rows, test_size=2 * fraction, stratify=labels, random_state=seed)
    validation, test = train_test_split(
        rest, test_size=0.5, stratify=labels[rest], random_state=seed
    )
    return np.sort(train), np.sort(validation), np.sort(test)
