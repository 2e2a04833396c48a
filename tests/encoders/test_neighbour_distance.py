import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from ztfrep.encoders.neighbour_distance import neighbour_distance


@pytest.mark.parametrize("others", [1, 3, 10, 2000])
def test_distances_are_those_of_scikit_learn(others):
    generator = np.random.default_rng(0)
    near, vectors = generator.normal(size=(others, 128)), generator.normal(size=(1500, 128))
    exact = NearestNeighbors(n_neighbors=min(10, others)).fit(near).kneighbors(vectors)[0]
    np.testing.assert_allclose(neighbour_distance(near, vectors), exact.mean(axis=1), rtol=1e-12)


def test_a_vector_far_away_is_far_and_equal_vectors_are_near():
    near = np.tile(np.linspace(0, 1, 8), (20, 1)).astype(np.float32)
    vectors = np.stack([near[0], near[0] + 1000])
    distance = neighbour_distance(near, vectors)
    assert distance[0] < 1e-6
    assert distance[1] == pytest.approx(1000 * np.sqrt(8), rel=1e-6)


def test_no_vectors_have_no_distance():
    assert neighbour_distance(np.ones((3, 8)), np.empty((0, 8))).shape == (0,)
