import pytest

from tests.evaluation.blobs import blobs
from ztfrep.evaluation.bootstrap import Bootstrap
from ztfrep.evaluation.clustering import clustering


@pytest.mark.parametrize(("distance", "low", "high"), [(20, 0.99, 1.0), (0, -0.1, 0.2)])
def test_clusters_are_the_classes_where_these_are_separate(distance, low, high):
    vectors, labels = blobs(150, distance)
    bootstrap = Bootstrap.within_classes(labels, seed=0, repeats=20)
    scores = clustering(vectors, labels, bootstrap, seed=0)
    for name in ("kmeans_nmi", "kmeans_ari", "hdbscan_nmi", "hdbscan_ari"):
        assert low <= scores[name] <= high
