"""What vectors are good for beyond a probe: search, clusters, anomalies; and how sure one may be.

Arrays in, plain numbers out, each with a 95 % bootstrap interval over the rows that were scored.
"""

from collections.abc import Callable, Sequence

import numpy as np
from sklearn.cluster import HDBSCAN, KMeans
from sklearn.metrics import (
    adjusted_rand_score,
    normalized_mutual_info_score,
    pairwise_distances,
    roc_auc_score,
)
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

_REPEATS = 100
_BINS = 15
_BLOCK = 256
_NEIGHBOURS = 10
_SMALLEST_CLUSTER = 15

Scores = dict[str, float]


def with_interval(
    name: str,
    statistic: Callable[..., float],
    *arrays: np.ndarray,
    labels: np.ndarray,
    seed: int,
) -> Scores:
    """Give a statistic of arrays `(n, ...)`, and its interval under resampling within each class.

    `labels` `(n,)` are the classes; the names are `name`, `name_low` and `name_high`.
    """
    return _with_intervals(
        [name], lambda *few: [statistic(*few)], *arrays, labels=labels, seed=seed
    )


def _with_intervals(
    names: Sequence[str],
    statistics: Callable[..., Sequence[float]],
    *arrays: np.ndarray,
    labels: np.ndarray,
    seed: int,
) -> Scores:
    """Give several statistics as `with_interval` does, all of the same resampled rows."""
    generator = np.random.default_rng(seed)
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    samples = []
    for _ in range(_REPEATS):
        rows = np.concatenate([generator.choice(m, len(m)) for m in members])
        samples.append(statistics(*(array[rows] for array in arrays)))
    lows, highs = np.quantile(samples, [0.025, 0.975], axis=0)
    scores: Scores = {}
    for name, value, low, high in zip(names, statistics(*arrays), lows, highs, strict=True):
        scores |= {name: float(value), f"{name}_low": float(low), f"{name}_high": float(high)}
    return scores


def squared_error(
    pixels: np.ndarray, observed: np.ndarray, reconstructed: np.ndarray, *, seed: int
) -> Scores:
    """Mean squared error over the observed pixels `(n, c, H, W)`, its interval over the rows."""
    return _mean_over_pixels(*_squared_errors(pixels, observed, reconstructed), seed)


def squared_error_below(
    pixels: np.ndarray,
    observed: np.ndarray,
    reconstructed: np.ndarray,
    rival: np.ndarray,
    *,
    seed: int,
) -> Scores:
    """By how much the mean squared error is below a rival's on the same rows, and its interval."""
    off, counts = _squared_errors(pixels, observed, reconstructed)
    others, _ = _squared_errors(pixels, observed, rival)
    return _mean_over_pixels(others - off, counts, seed)


def _mean_over_pixels(sums: np.ndarray, counts: np.ndarray, seed: int) -> Scores:
    alike = np.zeros(len(counts), dtype=np.int64)
    return with_interval("mse", _ratio, sums, counts, labels=alike, seed=seed)


def _ratio(sums: np.ndarray, counts: np.ndarray) -> float:
    return float(sums.sum() / counts.sum())


def _squared_errors(
    pixels: np.ndarray, observed: np.ndarray, reconstructed: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Sum the squared errors of each row's observed pixels, and count these: `(n,)` each."""
    off = np.where(observed, reconstructed.astype(np.float64) - pixels, 0) ** 2
    return off.sum(axis=(1, 2, 3)), observed.sum(axis=(1, 2, 3))


def retrieval(
    train: np.ndarray,
    train_labels: np.ndarray,
    vectors: np.ndarray,
    labels: np.ndarray,
    *,
    seed: int,
) -> Scores:
    """Search the train rows for what is like each row: precision at 10, mean average precision.

    Nearest by Euclidean distance of vectors scaled as the train rows are. A train row is a hit if
    it has the query's label.
    """
    scaler = StandardScaler().fit(train)
    base, queries = scaler.transform(train), scaler.transform(vectors)
    nearest = NearestNeighbors(n_neighbors=min(_NEIGHBOURS, len(base))).fit(base)
    precision = (train_labels[nearest.kneighbors(queries)[1]] == labels[:, None]).mean(axis=1)
    average = np.concatenate(
        [
            _average_precision(pairwise_distances(queries[rows], base), hits)
            for rows in np.array_split(np.arange(len(queries)), -(-len(queries) // _BLOCK))
            for hits in [train_labels == labels[rows, None]]
        ]
    )
    return {
        **with_interval("precision_at_10", np.mean, precision, labels=labels, seed=seed),
        **with_interval("mean_average_precision", np.mean, average, labels=labels, seed=seed),
    }


def _average_precision(distances: np.ndarray, hits: np.ndarray) -> np.ndarray:
    """Average precision of each query `(q,)`: the mean of the precisions at its hits."""
    ranked = np.take_along_axis(hits, distances.argsort(axis=1, kind="stable"), axis=1)
    precision = ranked.cumsum(axis=1) / np.arange(1, ranked.shape[1] + 1)
    found: np.ndarray = (precision * ranked).sum(axis=1) / np.maximum(ranked.sum(axis=1), 1)
    return found


def clustering(vectors: np.ndarray, labels: np.ndarray, *, seed: int) -> Scores:
    """Compare clusters with classes: NMI and ARI of k-means (as many as classes) and of HDBSCAN."""
    scaled = StandardScaler().fit_transform(vectors)
    count = len(np.unique(labels))
    smallest = min(_SMALLEST_CLUSTER, max(2, len(scaled) // 5))
    found = {
        "kmeans": KMeans(count, n_init=10, random_state=seed).fit_predict(scaled),
        "hdbscan": HDBSCAN(min_cluster_size=smallest, copy=True).fit_predict(scaled),
    }
    measures = {"nmi": normalized_mutual_info_score, "ari": adjusted_rand_score}
    scores: Scores = {}
    for method, clusters in found.items():
        for name, measure in measures.items():
            scores |= with_interval(
                f"{method}_{name}", measure, labels, clusters, labels=labels, seed=seed
            )
    return scores


def anomaly_detection(
    train: np.ndarray,
    train_labels: np.ndarray,
    vectors: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    *,
    seed: int,
) -> Scores:
    """Find each class among the others by the distance to train rows of the others alone.

    AUROC of the mean distance to the ten nearest, a class held out in turn, and their mean.
    """
    held_out = [
        label
        for label in np.unique(labels)
        if (train_labels != label).any() and (labels != label).any()
    ]
    if not held_out:
        return {}
    far = np.stack([_how_far(train[train_labels != label], vectors) for label in held_out], axis=1)

    def mean_and_each(truth: np.ndarray, distances: np.ndarray) -> list[float]:
        columns = zip(held_out, distances.T, strict=True)
        each = [float(roc_auc_score(truth == label, column)) for label, column in columns]
        return [float(np.mean(each)), *each]

    names = ["auroc_mean", *(f"auroc_{classes[int(label)]}" for label in held_out)]
    return _with_intervals(names, mean_and_each, labels, far, labels=labels, seed=seed)


def _how_far(normal: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Mean distance of each vector to the ten nearest that are normal: float64 `(n,)`."""
    scaler = StandardScaler().fit(normal)
    nearest = NearestNeighbors(n_neighbors=min(_NEIGHBOURS, len(normal)))
    nearest.fit(scaler.transform(normal))
    distance: np.ndarray = nearest.kneighbors(scaler.transform(vectors))[0].mean(axis=1)
    return distance


def calibration(probabilities: np.ndarray, labels: np.ndarray, *, seed: int) -> Scores:
    """Expected calibration error (15 bins of confidence, Guo et al. 2017) and Brier score.

    `probabilities` `(n, k)` sum to 1 in each row; `labels` `(n,)` are all known. The Brier score is
    the squared distance to the label summed over the classes, 0 to 2.
    """
    parts = probabilities, labels
    return {
        **with_interval("ece", calibration_error, *parts, labels=labels, seed=seed),
        **with_interval("brier", _brier, *parts, labels=labels, seed=seed),
    }


def calibration_error(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean distance of confidence and accuracy over bins of confidence, weighted by their rows."""
    confidence = probabilities.max(axis=1)
    hit = probabilities.argmax(axis=1) == labels
    place = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    gaps = np.abs(np.bincount(place, confidence - hit, minlength=_BINS))
    return float(gaps.sum() / len(labels))


def _brier(probabilities: np.ndarray, labels: np.ndarray) -> float:
    truth = np.eye(probabilities.shape[1])[labels]
    return float(np.square(probabilities - truth).sum(axis=1).mean())
