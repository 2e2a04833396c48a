import sys

import numpy as np
import pytest

from ztfrep.errors import InputError
from ztfrep.explorer.map_projections import (
    MAX_TSNE_ROWS,
    PROJECTIONS,
    project_vectors,
    projection_methods,
)


@pytest.fixture(scope="module")
def blobs():
    """Return 150 vectors around three orthogonal directions, and their groups."""
    group = np.arange(150) % 3
    noise = np.random.default_rng(0).normal(size=(150, 8))
    return (10 * np.eye(8)[group] + noise).astype(np.float32), group


@pytest.mark.parametrize("method", PROJECTIONS)
def test_the_same_seed_has_the_same_bytes_and_fills_the_square(method, blobs):
    vectors, _ = blobs
    first, second = (project_vectors(vectors, method, seed=3) for _ in range(2))
    assert first.points.tobytes() == second.points.tobytes()
    assert first.points.dtype == np.float32 and first.points.shape == (150, 2)
    # One axis is filled; the other has the same unit.
    extent = first.points.max(axis=0) - first.points.min(axis=0)
    assert extent.max() == pytest.approx(2) and np.abs(first.points).max() == pytest.approx(1)


def test_another_seed_has_other_points(blobs):
    first, second = (project_vectors(blobs[0], "umap", seed=seed).points for seed in (1, 2))
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("method", PROJECTIONS)
def test_groups_of_vectors_are_groups_of_points(method, blobs):
    vectors, group = blobs
    points = project_vectors(vectors, method, seed=0).points
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    assert (group[distances.argmin(axis=1)] == group).mean() > 0.95


@pytest.mark.parametrize("method", ["umap", "tsne"])
def test_the_length_of_vectors_does_not_matter(method, blobs):
    vectors, group = blobs
    longer = vectors * (2.0 ** (np.arange(150) % 5))[:, None].astype(np.float32)
    assert np.array_equal(
        project_vectors(vectors, method, seed=0).points,
        project_vectors(longer, method, seed=0).points,
    )


@pytest.mark.parametrize("method", PROJECTIONS)
@pytest.mark.parametrize("n", [1, 2, 3, 11])
def test_a_few_vectors_have_finite_points(method, n):
    vectors = np.random.default_rng(n).normal(size=(n, 4)).astype(np.float32)
    points = project_vectors(vectors, method, seed=0).points
    assert points.shape == (n, 2) and np.isfinite(points).all()
    assert len(np.unique(points, axis=0)) == n


@pytest.mark.parametrize("method", PROJECTIONS)
@pytest.mark.parametrize("value", [0.0, 0.1])
def test_equal_vectors_are_one_point_in_the_middle(method, value):
    points = project_vectors(np.full((60, 5), value, np.float32), method, seed=0).points
    assert not points.any()


@pytest.mark.parametrize("method", PROJECTIONS)
def test_copies_of_vectors_and_zeros_have_finite_points(method, blobs):
    vectors = np.concatenate([np.repeat(blobs[0][:12], 20, axis=0), np.zeros((30, 8), np.float32)])
    points = project_vectors(vectors, method, seed=0).points
    assert np.isfinite(points).all() and np.abs(points).max() <= 1


def test_pca_has_the_variance_of_its_axes():
    # Two numbers of four vary, and independently: after scaling each has half of the variance.
    random = np.random.default_rng(0)
    vectors = np.zeros((1000, 4), np.float32)
    vectors[:, 1:3] = random.normal(size=(1000, 2)) * (1, 1000) + (5, 0)
    points, note = project_vectors(vectors, "pca", seed=0)
    assert note == "100 % of the variance"
    # The axes are rotated by some angle: distances are those of the scaled numbers.
    scaled = (vectors[:, 1:3] - vectors[:, 1:3].mean(axis=0)) / vectors[:, 1:3].std(axis=0)
    ratio = np.linalg.norm(points[1:] - points[0], axis=1)
    ratio /= np.linalg.norm(scaled[1:] - scaled[0], axis=1)
    assert np.allclose(ratio, ratio[0], rtol=1e-3)


def test_pca_does_not_depend_on_the_order_of_the_numbers(blobs):
    vectors, _ = blobs
    points = project_vectors(vectors, "pca", seed=0).points
    for seed in range(6):
        order = np.random.default_rng(seed).permutation(vectors.shape[1])
        assert np.allclose(
            project_vectors(vectors[:, order], "pca", seed=0).points, points, atol=1e-5
        )


def test_vectors_of_one_number_have_points():
    points, note = project_vectors(np.arange(20, dtype=np.float32)[:, None], "pca", seed=0)
    assert np.allclose(points[:, 0], np.linspace(-1, 1, 20)) and not points[:, 1].any()


def test_methods_are_those_asked_for_or_those_for_the_number_of_rows():
    assert projection_methods(["pca", "umap", "pca"], 10) == ("pca", "umap")
    assert projection_methods([], 10) == PROJECTIONS
    assert projection_methods([], MAX_TSNE_ROWS + 1) == ("umap", "pca")
    assert projection_methods(["tsne"], MAX_TSNE_ROWS + 1) == ("tsne",)
    with pytest.raises(InputError, match="found 'mds'; expected one of umap, pca, tsne"):
        projection_methods(["mds"], 10)


def test_umap_without_its_package_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(InputError, match=r'pip install "ztfrep\[explore\]"') as error:
        project_vectors(np.ones((2, 2), np.float32), "umap", seed=0)
    assert "\n" not in str(error.value)
    assert project_vectors(np.ones((2, 2), np.float32), "pca", seed=0).points.shape == (2, 2)
