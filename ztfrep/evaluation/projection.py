"""Projections of vectors to a plane, for figures."""

from typing import NamedTuple

import numpy as np

from ztfrep.training.sampling import stratified_sample

PROJECTIONS = ("pca", "tsne")


class Projection(NamedTuple):
    """Projected vectors: method, points float32 `(n, 2)`, labels int `(n,)`, -1 if unlabelled."""

    method: str
    points: np.ndarray
    labels: np.ndarray


def project_sample(
    vectors: np.ndarray, labels: np.ndarray, max_rows: int, *, seed: int
) -> list[Projection]:
    """Project a stratified sample of at most `max_rows` rows by every method of `PROJECTIONS`."""
    rows = stratified_sample(labels, max_rows, seed)
    return [
        Projection(method, project(vectors[rows], method, seed=seed), labels[rows])
        for method in PROJECTIONS
    ]


def project(vectors: np.ndarray, method: str, *, seed: int) -> np.ndarray:
    """Return standardised vectors `(n, d)`, d > 1, projected by `pca` or `tsne`: float32 `(n, 2)`.

    If all vectors are equal, all points are 0. Raises ValueError for another method.
    """
    if method not in PROJECTIONS:
        raise ValueError(f"Unknown projection {method!r}. Must be one of: {', '.join(PROJECTIONS)}")
    if (vectors == vectors[:1]).all():
        return np.zeros((len(vectors), 2), dtype=np.float32)
    # Slow to import.
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from sklearn.preprocessing import StandardScaler

    scaled = StandardScaler().fit_transform(vectors.astype(np.float64))
    if method == "pca":
        plane = PCA(2, svd_solver="full").fit_transform(scaled)
    else:
        perplexity = min(30.0, (len(vectors) - 1) / 3)
        plane = TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(scaled)
    return plane.astype(np.float32)
