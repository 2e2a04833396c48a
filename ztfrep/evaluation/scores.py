"""How good vectors, classes and reconstructions are: arrays in, plain numbers out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import TSNE
from sklearn.metrics import confusion_matrix, recall_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

PROBES = ("linear_probe", "knn", "svm", "forest")


def reconstruction(
    pixels: np.ndarray, observed: np.ndarray, reconstructed: np.ndarray, channels: Sequence[str]
) -> dict[str, float]:
    """Mean squared error and PSNR over the observed pixels, in all and per channel.

    Arrays are `(n, c, H, W)`; PSNR is -10 log10(MSE) in dB, for a peak of 1. A perfect
    reconstruction has a PSNR of 300 dB, a number where infinity would be none. Raises ValueError
    if a channel has no observed pixel, or if an observed pixel or its reconstruction is not finite.
    """
    error = np.where(observed, reconstructed.astype(np.float64) - pixels, 0) ** 2
    counts, sums = observed.sum(axis=(0, 2, 3)), error.sum(axis=(0, 2, 3))
    if not counts.all():
        raise ValueError("a channel has no observed pixel")
    if not np.isfinite(sums).all():
        raise ValueError("observed pixels or their reconstructions are not all finite")
    mse = {"": sums.sum() / counts.sum()}
    mse |= {f"_{name}": s / n for name, s, n in zip(channels, sums, counts, strict=True)}
    found = {f"mse{name}": float(value) for name, value in mse.items()}
    return found | {
        f"psnr{name}": float(-10 * np.log10(max(value, 1e-30))) for name, value in mse.items()
    }


def classification(
    labels: np.ndarray, predicted: np.ndarray, classes: Sequence[str]
) -> dict[str, Any]:
    """Accuracy, balanced accuracy, macro-F1 and the recall of each class.

    `labels` and `predicted` are int `(n,)`; rows labelled -1 are left out, and classes without a
    row count nowhere. Raises ValueError as `confusion` does.
    """
    matrix = confusion(labels, predicted, classes)
    found: dict[str, Any] = {name: float(METRICS[name](matrix)) for name in METRICS}
    present = np.flatnonzero(matrix.sum(axis=1))
    known = labels >= 0
    recalls = recall_score(labels[known], predicted[known], labels=present, average=None)
    return found | {
        "recall": {classes[int(c)]: float(r) for c, r in zip(present, recalls, strict=True)}
    }


def confusion(labels: np.ndarray, predicted: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """Count the rows of each true (row) and predicted (column) class: int `(k, k)`.

    Rows labelled -1 are left out. Raises ValueError if no row is labelled, or if a labelled row has
    a true or predicted class that is not in 0..k-1.
    """
    known = labels >= 0
    if not known.any():
        raise ValueError("no row is labelled")
    # The count would drop such a row in silence, and with it a miss.
    for what, found in (("true", labels[known]), ("predicted", predicted[known])):
        if found.min() < 0 or found.max() >= len(classes):
            raise ValueError(
                f"{what} classes from {found.min()} to {found.max()}, "
                f"expected 0 to {len(classes) - 1}"
            )
    matrix: np.ndarray = confusion_matrix(
        labels[known], predicted[known], labels=np.arange(len(classes))
    )
    return matrix


# Of confusion matrices (..., k, k), so that a bootstrap scores all its samples at once.
def _accuracy(matrix: np.ndarray) -> np.ndarray:
    return np.trace(matrix, axis1=-2, axis2=-1) / matrix.sum(axis=(-2, -1))


def _balanced_accuracy(matrix: np.ndarray) -> np.ndarray:
    rows = matrix.sum(axis=-1)
    recall = np.diagonal(matrix, axis1=-2, axis2=-1) / np.maximum(rows, 1)
    return recall.sum(axis=-1) / (rows > 0).sum(axis=-1)


def _macro_f1(matrix: np.ndarray) -> np.ndarray:
    rows, columns = matrix.sum(axis=-1), matrix.sum(axis=-2)
    f1 = 2 * np.diagonal(matrix, axis1=-2, axis2=-1) / np.maximum(rows + columns, 1)
    return np.where(rows > 0, f1, 0).sum(axis=-1) / (rows > 0).sum(axis=-1)


METRICS = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "macro_f1": _macro_f1,
}


def bootstrap_interval(
    labels: np.ndarray,
    predicted: np.ndarray,
    metric: str,
    *,
    seed: int,
    repeats: int = 1000,
    level: float = 0.95,
) -> tuple[float, float]:
    """Percentile interval of a metric under resampling of the rows within each class.

    `metric` is one of METRICS. Raises ValueError for another one, and as `confusion` does.
    """
    _check_metric(metric)
    known = labels >= 0
    # Two at least: a class without rows counts nowhere, and scikit-learn warns of a single one.
    k = _classes_in(labels[known], predicted[known])
    matrix = confusion(labels, predicted, [""] * k)
    return _quantiles(METRICS[metric](_resampled(matrix, seed, repeats)), level)


def paired_difference(
    labels: np.ndarray,
    predicted: np.ndarray,
    rival: np.ndarray,
    metric: str,
    *,
    seed: int,
    repeats: int = 1000,
    level: float = 0.95,
) -> tuple[float, float, float]:
    """How far a metric of `predicted` is above that of `rival`, and its percentile interval.

    Both are judged on the same resampled rows, so that what makes rows hard for both cancels out.
    Arrays are int `(n,)`; raises ValueError as `bootstrap_interval` does.
    """
    _check_metric(metric)
    known = labels >= 0
    labels, predicted, rival = labels[known], predicted[known], rival[known]
    k = _classes_in(labels, predicted, rival)
    measure = METRICS[metric]
    own, other = (confusion(labels, each, [""] * k) for each in (predicted, rival))
    # Both predictions of a row are drawn together, as one of k * k outcomes.
    both = np.bincount((labels * k + predicted) * k + rival, minlength=k**3).reshape(k, k * k)
    samples = _resampled(both, seed, repeats).reshape(repeats, k, k, k)
    off = measure(samples.sum(axis=3)) - measure(samples.sum(axis=2))
    return float(measure(own) - measure(other)), *_quantiles(off, level)


def _check_metric(metric: str) -> None:
    if metric not in METRICS:
        raise ValueError(f"Unknown metric {metric!r}. Must be one of: {', '.join(METRICS)}")


def _classes_in(*arrays: np.ndarray) -> int:
    return 1 + int(max(1, *(array.max(initial=0) for array in arrays)))


def _resampled(matrix: np.ndarray, seed: int, repeats: int) -> np.ndarray:
    """Draw each class' rows anew from counts `(k, outcomes)`: counts `(repeats, k, outcomes)`."""
    # Rows of one class are exchangeable: resampling them draws their outcomes multinomially.
    generator = np.random.default_rng(seed)
    rows = matrix.sum(axis=1)
    shares = matrix / np.maximum(rows, 1)[:, None]
    nothing = np.zeros((repeats, matrix.shape[1]), np.int64)
    return np.stack(
        [
            generator.multinomial(n, p, size=repeats) if n else nothing
            for n, p in zip(rows, shares, strict=True)
        ],
        axis=1,
    )


def _quantiles(samples: np.ndarray, level: float) -> tuple[float, float]:
    low, high = np.quantile(samples, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def fit_probe(
    kind: str,
    vectors: np.ndarray,
    labels: np.ndarray,
    *,
    seed: int,
    linear_c: float = 0.05,
    svm_c: float = 10.0,
    neighbours: int = 15,
    trees: int = 100,
    threads: int = 1,
) -> Pipeline:
    """Fit a classifier on vectors `(n, d)`, classes weighted alike; rows labelled -1 are left out.

    `kind` is one of PROBES; only the forest admits NaN. Raises ValueError for fewer than two
    classes.
    """
    known = labels >= 0
    vectors, labels = vectors[known], labels[known]
    if len(np.unique(labels)) < 2:
        raise ValueError(f"a probe needs rows of two classes, found {len(np.unique(labels))}")
    if kind == "linear_probe":
        model = LogisticRegression(C=linear_c, class_weight="balanced", max_iter=5000)
    elif kind == "knn":
        model = KNeighborsClassifier(min(neighbours, len(labels)))
    elif kind == "svm":
        model = SVC(C=svm_c, class_weight="balanced")
    elif kind == "forest":
        # Trees do not ask for a scale.
        return make_pipeline(
            RandomForestClassifier(
                trees, class_weight="balanced", random_state=seed, n_jobs=threads
            )
        ).fit(vectors, labels)
    else:
        raise ValueError(f"Unknown probe {kind!r}. Must be one of: {', '.join(PROBES)}")
    # float64: a solver that stops on a tolerance may never reach it in float32.
    return make_pipeline(StandardScaler(), model).fit(vectors.astype(np.float64), labels)


@dataclass(frozen=True)
class PixelPCA:
    """Principal components of pixels; what is not observed is taken as the train rows' mean."""

    model: PCA
    mean: np.ndarray
    shape: tuple[int, ...]

    def encode(self, pixels: np.ndarray, observed: np.ndarray) -> np.ndarray:
        """Turn pixels `(n, c, H, W)` into float32 scores `(n, components)`."""
        filled = np.where(observed, pixels, self.mean).reshape(len(pixels), -1)
        scores: np.ndarray = self.model.transform(filled)
        return scores.astype(np.float32)

    def decode(self, scores: np.ndarray) -> np.ndarray:
        """Turn scores back into pixels `(n, c, H, W)`."""
        pixels: np.ndarray = self.model.inverse_transform(scores)
        return pixels.reshape(-1, *self.shape)


def fit_pca(pixels: np.ndarray, observed: np.ndarray, components: int) -> PixelPCA:
    """Fit as many components as asked for, or as the rows `(n, c, H, W)` allow.

    Of n rows, n - 1: the last component would not vary over them, and be anything beyond them.
    """
    counts = observed.sum(axis=0)
    mean = (np.where(observed, pixels, 0).sum(axis=0) / np.maximum(counts, 1)).astype(np.float32)
    filled = np.where(observed, pixels, mean).reshape(len(pixels), -1)
    model = PCA(
        min(components, max(1, len(filled) - 1), filled.shape[1]), svd_solver="covariance_eigh"
    )
    return PixelPCA(model.fit(filled), mean, pixels.shape[1:])


def has_classes(labels: np.ndarray) -> bool:
    """Tell whether labels `(n,)`, -1 where there is none, hold the two classes a probe needs."""
    return len(np.unique(labels[labels >= 0])) > 1


def project(vectors: np.ndarray, method: str, *, seed: int) -> np.ndarray:
    """Map vectors `(n, d)`, d > 1, to a plane, float32 `(n, 2)`, by `pca` or `tsne`.

    Vectors that are all alike, as of a collapsed encoder, share the origin. Raises ValueError for
    another method.
    """
    if method not in ("pca", "tsne"):
        raise ValueError(f"Unknown projection {method!r}. Must be one of: pca, tsne")
    if (vectors == vectors[:1]).all():
        return np.zeros((len(vectors), 2), dtype=np.float32)
    scaled = StandardScaler().fit_transform(vectors.astype(np.float64))
    if method == "pca":
        plane = PCA(2, svd_solver="full").fit_transform(scaled)
    else:
        perplexity = min(30.0, (len(vectors) - 1) / 3)
        plane = TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(scaled)
    return plane.astype(np.float32)
