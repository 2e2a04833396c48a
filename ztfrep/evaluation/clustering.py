"""Clustering: the agreement of clusters of vectors with the classes."""

import numpy as np

from ztfrep.evaluation.bootstrap import Bootstrap, Scores, with_interval
from ztfrep.evaluation.classifier_scores import resampled_confusions
from ztfrep.evaluation.metrics import confusion

_MIN_CLUSTER_SIZE = 15


def clustering(
    vectors: np.ndarray, labels: np.ndarray, bootstrap: Bootstrap, *, seed: int
) -> Scores:
    """Compute NMI and ARI of k-means, with one cluster per class, and of HDBSCAN.

    Vectors `(n, d)` are standardised first. `labels` int `(n,)` has no unlabelled row.
    """
    # Slow to import.
    from sklearn.cluster import HDBSCAN, KMeans
    from sklearn.preprocessing import StandardScaler

    scaled = StandardScaler().fit_transform(vectors)
    n_classes = len(np.unique(labels))
    min_size = min(_MIN_CLUSTER_SIZE, max(2, len(scaled) // 5))
    clusters = {
        "kmeans": KMeans(n_classes, n_init=10, random_state=seed).fit_predict(scaled),
        "hdbscan": HDBSCAN(min_cluster_size=min_size, copy=True).fit_predict(scaled),
    }
    classes = np.unique(labels, return_inverse=True)[1]
    # As tables of one shape: classes and clusters without rows change no agreement.
    assigned = np.stack([np.unique(part, return_inverse=True)[1] for part in clusters.values()])
    size = int(max(classes.max(), assigned.max())) + 1
    samples = resampled_confusions(classes, assigned, size, bootstrap)
    scores: Scores = {}
    for column, method in enumerate(clusters):
        counts, drawn = confusion(classes, assigned[column], size), samples[:, column]
        scores |= with_interval(
            f"{method}_nmi",
            float(normalised_mutual_information(counts)),
            normalised_mutual_information(drawn),
        )
        scores |= with_interval(
            f"{method}_ari", float(adjusted_rand_index(counts)), adjusted_rand_index(drawn)
        )
    return scores


def normalised_mutual_information(counts: np.ndarray) -> np.ndarray:
    """Return the NMI of contingency tables `(..., classes, clusters)`: float64 `(...)`.

    The mutual information is divided by the mean of the two entropies (Vinh et al. 2010, JMLR,
    table 2); it is 1 if there is one class and one cluster. `normalized_mutual_info_score` of
    scikit-learn takes milliseconds a table to check its input, and there are hundreds of tables.
    """
    shares = counts / counts.sum(axis=(-2, -1), keepdims=True)
    classes, clusters = _entropy(shares.sum(axis=-1)), _entropy(shares.sum(axis=-2))
    information = classes + clusters - _entropy(shares.reshape(*shares.shape[:-2], -1))
    mean = (classes + clusters) / 2
    return np.where(mean > 0, np.maximum(information, 0) / np.where(mean > 0, mean, 1), 1.0)


def adjusted_rand_index(counts: np.ndarray) -> np.ndarray:
    """Return the ARI of contingency tables `(..., classes, clusters)`: float64 `(...)`.

    Equation 5 of Hubert & Arabie (1985); 1 if all rows, or no two, are in one class and one
    cluster.
    """
    together = _pairs(counts).sum(axis=(-2, -1))
    classes = _pairs(counts.sum(axis=-1)).sum(axis=-1)
    clusters = _pairs(counts.sum(axis=-2)).sum(axis=-1)
    expected = classes * clusters / np.maximum(_pairs(counts.sum(axis=(-2, -1))), 1)
    spread = (classes + clusters) / 2 - expected
    return np.where(spread > 0, (together - expected) / np.where(spread > 0, spread, 1), 1.0)


def _entropy(shares: np.ndarray) -> np.ndarray:
    """Return the entropy of distributions `(..., k)` in nats: `(...)`."""
    logarithms = np.log(np.where(shares > 0, shares, 1))
    entropy: np.ndarray = -(shares * logarithms).sum(axis=-1)
    return entropy


def _pairs(counts: np.ndarray) -> np.ndarray:
    return counts * (counts - 1.0) / 2
