"""Two halves of labelled objects: one for choices, and one that a claim is measured on once.

Half A is for every choice: parameters, epochs, which method is used. Half B is evaluated once per
claim, after the choices; a figure of B that led to another choice is a figure of A.
"""

import hashlib
from typing import Literal

import numpy as np

Part = Literal["A", "B", "all"]


def half_of(objects: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the half of each row, "A" or "B", str `(n,)`; rows of an object are in one half.

    `objects` `(n,)` are identifiers and `labels` int `(n,)`, -1 where unlabelled. The objects of
    each class, in the order of the MD5 of their identifiers, are A and B in turn, so that the
    halves have as many of each, and the same objects for ever. The class of an object is the
    lowest of its labels.
    """
    labelled = np.where(labels >= 0, labels, np.iinfo(np.int64).max)
    names, index = np.unique(np.asarray(objects, dtype=str), return_inverse=True)
    class_of = np.full(len(names), np.iinfo(np.int64).max)
    np.minimum.at(class_of, index, labelled)
    digest = np.array(
        [hashlib.md5(name.encode(), usedforsecurity=False).hexdigest() for name in names]
    )
    half = np.empty(len(names), dtype="U1")
    for label in np.unique(class_of):
        members = np.flatnonzero(class_of == label)
        members = members[np.argsort(digest[members])]
        half[members] = np.where(np.arange(len(members)) % 2, "B", "A")
    return half[index]


def rows_of(part: Part, objects: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the labelled rows of a part, int `(m,)`: of half A, of half B, or all of them."""
    labelled = np.asarray(labels) >= 0
    if part == "all":
        return np.flatnonzero(labelled)
    return np.flatnonzero(labelled & (half_of(objects, labels) == part))
