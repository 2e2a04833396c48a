"""Projections of the vectors of a catalogue to the square of the map."""

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ztfrep.catalogues.similarity import unit_vectors
from ztfrep.errors import InputError, quote

UMAP, PCA, TSNE = PROJECTIONS = ("umap", "pca", "tsne")
# Rows up to which t-SNE is made unasked: it takes half a minute there. UMAP takes 2 minutes for
# 100,000.
MAX_TSNE_ROWS = 5_000
# Different vectors below which UMAP and t-SNE have no neighbourhoods to preserve.
MIN_VECTORS = 10
_NEIGHBOURS, _PERPLEXITY = 15, 30.0


class MapProjection(NamedTuple):
    """Points float32 `(n, 2)` in [-1, 1], both axes in the same unit, and a note for the reader."""

    points: np.ndarray
    note: str


def projection_methods(asked: Sequence[str], rows: int) -> tuple[str, ...]:
    """Return the methods that are asked for, or else those for a number of rows.

    Raises InputError for an unknown one.
    """
    for name in asked:
        if name not in PROJECTIONS:
            raise InputError(
                "--projection",
                found=quote(name),
                expected=f"one of {', '.join(PROJECTIONS)}",
                remedy="correct it; it may be repeated",
            )
    default = PROJECTIONS if rows <= MAX_TSNE_ROWS else (UMAP, PCA)
    return tuple(dict.fromkeys(asked)) or default


def projection_settings(method: str, seed: int) -> dict[str, Any]:
    """Return what determines the projection of given vectors, as JSON."""
    settings: dict[str, dict[str, Any]] = {
        UMAP: {"neighbours": _NEIGHBOURS, "metric": "cosine", "init": "pca", "seed": seed},
        PCA: {"scaling": "standardised"},
        TSNE: {"perplexity": _PERPLEXITY, "metric": "cosine", "init": "pca"},
    }
    return settings[method]


def project_vectors(vectors: np.ndarray, method: str, *, seed: int) -> MapProjection:
    """Project finite vectors `(n, d)`, n >= 1, on one thread: equal points for equal arguments.

    The seed is that of UMAP; from the axes of PCA, t-SNE needs none. Both preserve neighbourhoods
    by cosine distance; fewer than ten different vectors are projected by PCA instead. Raises
    InputError if UMAP is not installed.
    """
    from threadpoolctl import threadpool_limits

    if method == UMAP:
        # Before anything is computed.
        import_umap()
    with threadpool_limits(1):
        if method == PCA:
            return _project_pca(vectors)
        if len(np.unique(vectors, axis=0)) < MIN_VECTORS:
            points, _ = _project_pca(vectors)
            return MapProjection(points, f"PCA: fewer than {MIN_VECTORS} different vectors")
        points = _project_umap(vectors, seed) if method == UMAP else _project_tsne(vectors)
    return MapProjection(_fit_square(points), "cosine distance")


def _project_pca(vectors: np.ndarray) -> MapProjection:
    """Project on the two axes of the largest variance of the standardised numbers."""
    mean = vectors.mean(axis=0, dtype=np.float64)
    spread = vectors.std(axis=0, dtype=np.float64)
    scaled = vectors - mean
    # A number that hardly varies is rounding.
    varies = spread > 1e-6 * np.abs(vectors).max(axis=0, initial=0)
    scaled *= np.where(varies, 1 / np.where(varies, spread, 1), 0)
    covariance = scaled.T @ scaled / len(scaled)
    variances, axes = np.linalg.eigh(covariance)
    best = axes[:, ::-1][:, :2]
    # The sign of an axis is arbitrary: its largest number is positive.
    largest = np.abs(best).argmax(axis=0)
    points = scaled @ (best * np.sign(best[largest, range(best.shape[1])]))
    if points.shape[1] < 2:
        points = np.hstack([points, np.zeros_like(points)])
    total = variances.sum()
    share = variances[::-1][:2].sum() / total if total > 0 else 0.0
    return MapProjection(_fit_square(points), f"{100 * share:.0f} % of the variance")


def _project_umap(vectors: np.ndarray, seed: int) -> np.ndarray:
    umap = import_umap()
    neighbours = min(_NEIGHBOURS, len(vectors) - 1)
    # Axes of PCA preserve more of the large scale than a spectral layout, in less time: Kobak and
    # Linderman (2021), Nature Biotechnology 39, 156.
    model = umap.UMAP(
        n_neighbors=neighbours, metric="cosine", init="pca", random_state=seed, n_jobs=1
    )
    points: np.ndarray = model.fit_transform(unit_vectors(vectors))
    return points


def _project_tsne(vectors: np.ndarray) -> np.ndarray:
    from sklearn.manifold import TSNE as Tsne  # Slow to import.  # noqa: N811

    perplexity = min(_PERPLEXITY, (len(vectors) - 1) / 3)
    model = Tsne(2, perplexity=perplexity, metric="cosine", init="pca", random_state=0, n_jobs=1)
    points: np.ndarray = model.fit_transform(unit_vectors(vectors))
    return points


def _fit_square(points: np.ndarray) -> np.ndarray:
    """Return points `(n, 2)` moved and scaled into [-1, 1], float32."""
    low, high = points.min(axis=0), points.max(axis=0)
    half = (high - low).max() / 2
    centred = points.astype(np.float64) - (low + high) / 2
    return (centred / (half if half > 0 else 1)).clip(-1, 1).astype(np.float32)


def import_umap() -> Any:
    """Return the module umap; raise InputError if it is not installed."""
    try:
        with warnings.catch_warnings():
            # It warns that TensorFlow, which it does not need, is not installed.
            warnings.simplefilter("ignore", ImportWarning)
            import umap
    except ImportError as error:
        raise InputError(
            "umap-learn",
            found="that it is not installed",
            expected="it for a map by UMAP",
            remedy='install it: pip install "ztfrep[explore]"; or pass --projection pca',
        ) from error
    return umap
