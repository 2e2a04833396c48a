import numpy as np

from tests.evaluation.blobs import blobs
from ztfrep.evaluation.vector_scores import score_vectors

CLASSES = ("a", "b", "c")


def test_unlabelled_rows_do_not_count():
    train, train_labels = blobs(90, 4)
    vectors, labels = blobs(45, 4, 1)
    scores = score_vectors(train, train_labels, vectors, labels, CLASSES, seed=0)
    assert set(scores) == {"retrieval", "clustering", "anomaly_detection"}
    extra = 50 + np.zeros((9, 3))
    with_unlabelled = score_vectors(
        np.concatenate([train, extra]),
        np.append(train_labels, [-1] * 9),
        np.concatenate([extra, vectors]),
        np.append([-1] * 9, labels),
        CLASSES,
        seed=0,
    )
    assert with_unlabelled == scores
