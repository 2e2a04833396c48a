import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from sklearn.metrics.cluster import contingency_matrix

from tests.evaluation.blobs import blobs
from ztfrep.evaluation.bootstrap import Bootstrap
from ztfrep.evaluation.clustering import (
    adjusted_rand_index,
    clustering,
    normalised_mutual_information,
)


@pytest.mark.parametrize(("distance", "low", "high"), [(20, 0.99, 1.0), (0, -0.1, 0.2)])
def test_clusters_are_the_classes_where_these_are_separate(distance, low, high):
    vectors, labels = blobs(150, distance)
    bootstrap = Bootstrap.within_classes(labels, seed=0, repeats=20)
    scores = clustering(vectors, labels, bootstrap, seed=0)
    for name in ("kmeans_nmi", "kmeans_ari", "hdbscan_nmi", "hdbscan_ari"):
        assert low <= scores[name] <= high
        assert scores[f"{name}_low"] <= scores[name] + 0.05
        assert scores[name] - 0.05 <= scores[f"{name}_high"]


CLUSTERINGS = {
    "random": (np.arange(60) % 5, np.random.default_rng(0).integers(-1, 3, 60)),
    "the same": (np.arange(60) % 5, 4 - np.arange(60) % 5),
    "one cluster": (np.arange(60) % 5, np.zeros(60, int)),
    "one class and one cluster": (np.zeros(60, int), np.ones(60, int)),
    "a cluster per row": (np.arange(60) % 5, np.arange(60)),
    "a class and a cluster per row": (np.arange(60), np.arange(60)),
}


@pytest.mark.parametrize("name", CLUSTERINGS)
def test_agreements_are_those_of_scikit_learn(name):
    labels, clusters = CLUSTERINGS[name]
    # Two tables at once; the second has twice the rows.
    counts = contingency_matrix(labels, clusters)
    tables = np.stack([counts, 2 * counts])
    twice = labels.repeat(2), clusters.repeat(2)
    for ours, theirs in (
        (normalised_mutual_information, normalized_mutual_info_score),
        (adjusted_rand_index, adjusted_rand_score),
    ):
        expected = [theirs(labels, clusters), theirs(*twice)]
        np.testing.assert_allclose(ours(tables), expected, atol=1e-12)
