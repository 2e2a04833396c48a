"""Scores of vectors without a classifier: retrieval, clustering and anomaly detection."""

from collections.abc import Sequence

import numpy as np

from ztfrep.evaluation.anomaly_detection import anomaly_detection
from ztfrep.evaluation.bootstrap import SLOW_REPEATS, Bootstrap, Scores
from ztfrep.evaluation.clustering import clustering
from ztfrep.evaluation.retrieval import retrieval
from ztfrep.training.sampling import stratified_sample

# Every row is compared with every other.
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
    """Return the scores of at most 1,000 labelled rows, by task.

    Train vectors `(m, d)` and scored vectors `(n, d)`; rows labelled -1 are left out. Both must
    have rows of two classes.
    """
    known = np.flatnonzero(train_labels >= 0)
    scored = np.flatnonzero(labels >= 0)
    scored = scored[stratified_sample(labels[scored], _MAX_ROWS, seed)]
    base, base_labels = train[known].astype(np.float64), train_labels[known]
    queries, truth = vectors[scored].astype(np.float64), labels[scored]
    bootstrap = Bootstrap.within_classes(truth, seed=seed, repeats=SLOW_REPEATS)
    return {
        "retrieval": retrieval(base, base_labels, queries, truth, bootstrap),
        "clustering": clustering(queries, truth, bootstrap, seed=seed),
        "anomaly_detection": anomaly_detection(
            base, base_labels, queries, truth, classes, bootstrap
        ),
    }
