"""Anomaly detection: a class without train rows is detected by distance to the other classes."""

from collections.abc import Sequence

import numpy as np
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from ztfrep.evaluation.bootstrap import Bootstrap, Scores

_NEIGHBOURS = 10


def anomaly_detection(
    train: np.ndarray,
    train_labels: np.ndarray,
    vectors: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    bootstrap: Bootstrap,
) -> Scores:
    """Compute the AUROC of detecting each class in turn as an anomaly, and their mean.

    The anomaly score of vectors `(n, d)` is the mean Euclidean distance to the ten nearest train
    rows `(m, d)` of the other classes, after standardisation. The result is empty if no class can
    be excluded.
    """
    anomalous = [
        label
        for label in np.unique(labels)
        if (train_labels != label).any() and (labels != label).any()
    ]
    if not anomalous:
        return {}
    distances = np.stack(
        [_neighbour_distance(train[train_labels != label], vectors) for label in anomalous], axis=1
    )

    def compute_aurocs(truth: np.ndarray, distances: np.ndarray) -> list[float]:
        columns = zip(anomalous, distances.T, strict=True)
        aurocs = [float(roc_auc_score(truth == label, column)) for label, column in columns]
        return [float(np.mean(aurocs)), *aurocs]

    names = ["auroc_mean", *(f"auroc_{classes[int(label)]}" for label in anomalous)]
    return bootstrap.scores(names, compute_aurocs, labels, distances)


def _neighbour_distance(normal: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Return the mean distance of each vector to its ten nearest normal vectors: float64 `(n,)`."""
    scaler = StandardScaler().fit(normal)
    nearest = NearestNeighbors(n_neighbors=min(_NEIGHBOURS, len(normal)))
    nearest.fit(scaler.transform(normal))
    distance: np.ndarray = nearest.kneighbors(scaler.transform(vectors))[0].mean(axis=1)
    return distance
