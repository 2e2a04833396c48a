"""Clustering: the agreement of clusters of vectors with the classes."""

import numpy as np

from ztfrep.evaluation.bootstrap import Bootstrap, Scores

_MIN_CLUSTER_SIZE = 15


def clustering(
    vectors: np.ndarray, labels: np.ndarray, bootstrap: Bootstrap, *, seed: int
) -> Scores:
    """Compute NMI and ARI of k-means, with one cluster per class, and of HDBSCAN.

    Vectors `(n, d)` are standardised first. `labels` int `(n,)` has no unlabelled row.
    """
    # Slow to import.
    from sklearn.cluster import HDBSCAN, KMeans
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
    from sklearn.preprocessing import StandardScaler

    scaled = StandardScaler().fit_transform(vectors)
    n_classes = len(np.unique(labels))
    min_size = min(_MIN_CLUSTER_SIZE, max(2, len(scaled) // 5))
    clusters = {
        "kmeans": KMeans(n_classes, n_init=10, random_state=seed).fit_predict(scaled),
        "hdbscan": HDBSCAN(min_cluster_size=min_size, copy=True).fit_predict(scaled),
    }
    metrics = {"nmi": normalized_mutual_info_score, "ari": adjusted_rand_score}
    scores: Scores = {}
    for method, assigned in clusters.items():
        for name, metric in metrics.items():
            scores |= bootstrap.score(f"{method}_{name}", metric, labels, assigned)
    return scores
