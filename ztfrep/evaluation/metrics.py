"""Metrics of classifiers, computed from confusion matrices."""

from collections.abc import Callable, Sequence

import numpy as np


def confusion(labels: np.ndarray, predicted: np.ndarray, n_classes: int) -> np.ndarray:
    """Count the rows of each true (row) and predicted (column) class: int `(k, k)`.

    `labels` and `predicted` are int `(n,)`; rows labelled -1 are excluded. Raises ValueError if no
    row is labelled, or if a labelled row has a true or predicted class that is not in 0..k-1.
    """
    labelled = labels >= 0
    if not labelled.any():
        raise ValueError("no row is labelled")
    # A count over 0..k-1 would silently exclude other classes, and with them wrong predictions.
    for name, classes in (("true", labels[labelled]), ("predicted", predicted[labelled])):
        if classes.min() < 0 or classes.max() >= n_classes:
            raise ValueError(
                f"{name} classes from {classes.min()} to {classes.max()}, "
                f"expected 0 to {n_classes - 1}"
            )
    cells = labels[labelled] * n_classes + predicted[labelled]
    return np.bincount(cells, minlength=n_classes**2).reshape(n_classes, n_classes)


def accuracy(matrix: np.ndarray) -> np.ndarray:
    """Return the fraction of rows on the diagonal of confusion matrices `(..., k, k)`: `(...)`."""
    fraction: np.ndarray = np.trace(matrix, axis1=-2, axis2=-1) / matrix.sum(axis=(-2, -1))
    return fraction


def balanced_accuracy(matrix: np.ndarray) -> np.ndarray:
    """Return the mean recall of the classes that have rows: `(...)`."""
    rows = matrix.sum(axis=-1)
    recall = np.diagonal(matrix, axis1=-2, axis2=-1) / np.maximum(rows, 1)
    mean: np.ndarray = recall.sum(axis=-1) / (rows > 0).sum(axis=-1)
    return mean


def macro_f1(matrix: np.ndarray) -> np.ndarray:
    """Return the mean F1 score of the classes that have rows: `(...)`."""
    rows, columns = matrix.sum(axis=-1), matrix.sum(axis=-2)
    f1 = 2 * np.diagonal(matrix, axis1=-2, axis2=-1) / np.maximum(rows + columns, 1)
    mean: np.ndarray = np.where(rows > 0, f1, 0).sum(axis=-1) / (rows > 0).sum(axis=-1)
    return mean


METRICS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "macro_f1": macro_f1,
}


def recall(matrix: np.ndarray, classes: Sequence[str]) -> dict[str, float]:
    """Return the recall of each class that has rows, by its name; `matrix` is `(k, k)`."""
    rows = matrix.sum(axis=1)
    return {
        name: float(matrix[index, index] / rows[index])
        for index, name in enumerate(classes)
        if rows[index]
    }
