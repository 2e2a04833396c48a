import numpy as np

from tests.evaluation.blobs import blobs
from ztfrep.evaluation import vector_scores

CLASSES = ("a", "b", "c")


def test_unlabelled_rows_do_not_count(monkeypatch):
    monkeypatch.setattr(vector_scores, "SLOW_REPEATS", 5)
    train, train_labels = blobs(90, 4)
    vectors, labels = blobs(45, 4, 1)
    scores = vector_scores.score_vectors(train, train_labels, vectors, labels, CLASSES, seed=0)
    assert set(scores) == {"retrieval", "clustering", "anomaly_detection"}
    extra = 50 + np.zeros((9, 3))
    with_unlabelled = vector_scores.score_vectors(
        np.concatenate([train, extra]),
        np.append(train_labels, [-1] * 9),
        np.concatenate([extra, vectors]),
        np.append([-1] * 9, labels),
        CLASSES,
        seed=0,
    )
    assert with_unlabelled == scores
