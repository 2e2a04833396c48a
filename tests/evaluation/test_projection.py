import numpy as np
import pytest

from ztfrep.evaluation.projection import PROJECTIONS, project, project_sample


def vectors(n=60):
    return np.random.default_rng(0).normal(size=(n, 4)).astype(np.float32)


@pytest.mark.parametrize("method", PROJECTIONS)
def test_a_projection_is_a_plane_and_repeats_with_its_seed(method):
    plane = project(vectors(), method, seed=0)
    assert plane.shape == (60, 2)
    assert plane.dtype == np.float32
    np.testing.assert_array_equal(plane, project(vectors(), method, seed=0))


@pytest.mark.parametrize("method", PROJECTIONS)
@pytest.mark.parametrize("shape", [(20, 4), (1, 4)])
def test_constant_vectors_are_projected_to_one_point(method, shape):
    plane = project(np.ones(shape, dtype=np.float32), method, seed=0)
    np.testing.assert_array_equal(plane, np.zeros((shape[0], 2), dtype=np.float32))


def test_five_rows_can_be_projected_and_an_unknown_method_is_refused():
    assert project(vectors(5), "tsne", seed=0).shape == (5, 2)
    with pytest.raises(ValueError, match="Unknown projection 'umap'. Must be one of: pca, tsne"):
        project(vectors(), "umap", seed=0)


def test_a_sample_is_projected_with_its_labels_by_every_method():
    labels = np.arange(60) % 5 - 1
    projections = project_sample(vectors(), labels, 20, seed=0)
    assert [projection.method for projection in projections] == list(PROJECTIONS)
    for projection in projections:
        assert projection.points.shape == (20, 2)
        assert sorted(set(projection.labels)) == [-1, 0, 1, 2, 3]
