"""Scores of vectors without a classifier: retrieval, clustering and anomaly detection."""

from collections.abc import Sequence

import numpy as np

from ztfrep.evaluation.anomaly_detection import anomaly_detection
from ztfrep.evaluation.bootstrap import SLOW_REPEATS, Bootstrap, Scores
from ztfrep.evaluation.clustering import clustering
from ztfrep.evaluation.retrieval import retrieval
from ztfrep.training.sampling import stratified_sample

# The time is quadratic in the number of rows.
_MAX_ROWS = 1000


def score_vectors(
    train: np.ndarray,
    train_labels: np.ndarray,
    vectors: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    *,
    seed: int,
) -> dict[str, Scores]:
    """Return the scores of at most 1,000 labelled rows by task.

    `vectors` `(n, d)` are scored, `train` is `(m, d)`. Rows labelled -1 are excluded. The labels of
    both must be of two classes or more.
    """
    labelled = train_labels >= 0
    scored = np.flatnonzero(labels >= 0)
    scored = scored[stratified_sample(labels[scored], _MAX_ROWS, seed)]
    train, train_labels = train[labelled].astype(np.float64), train_labels[labelled]
    vectors, labels = vectors[scored].astype(np.float64), labels[scored]
    bootstrap = Bootstrap.within_classes(labels, seed=seed, repeats=SLOW_REPEATS)
    return {
        "retrieval": retrieval(train, train_labels, vectors, labels, bootstrap),
        "clustering": clustering(vectors, labels, bootstrap, seed=seed),
        "anomaly_detection": anomaly_detection(
            train, train_labels, vectors, labels, classes, bootstrap
        ),
    }
