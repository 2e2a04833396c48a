"""The distance of vectors to their nearest neighbours: how unlike the others they are."""

import numpy as np

_NEIGHBOURS = 10
# Rows whose distances to all others are in memory at a time.
_ROWS_PER_CHUNK = 1024


def neighbour_distance(others: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Return the mean Euclidean distance of each vector to its ten nearest others: float64 `(n,)`.

    `others` is `(m, d)`, `vectors` `(n, d)`; with fewer than ten others it is the mean over all.
    Every distance is computed: `NearestNeighbors` of scikit-learn does the same for vectors of this
    length, and takes seconds to import.
    """
    k = min(_NEIGHBOURS, len(others))
    others = others.astype(np.float64)
    lengths = np.square(others).sum(axis=1)
    means = [
        _distances(others, lengths, vectors[start : start + _ROWS_PER_CHUNK], k).mean(axis=1)
        for start in range(0, len(vectors), _ROWS_PER_CHUNK)
    ]
    return np.concatenate([np.empty(0), *means])


def _distances(others: np.ndarray, lengths: np.ndarray, vectors: np.ndarray, k: int) -> np.ndarray:
    """Return the k smallest distances of vectors `(n, d)`, in no order: `(n, k)`."""
    vectors = vectors.astype(np.float64)
    squares = lengths - 2 * vectors @ others.T
    nearest = np.partition(squares, k - 1, axis=1)[:, :k]
    nearest += np.square(vectors).sum(axis=1, keepdims=True)
    # Rounding makes the distance of equal vectors negative.
    distances: np.ndarray = np.sqrt(np.maximum(nearest, 0))
    return distances
