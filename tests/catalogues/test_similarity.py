"""Exact search and the index: the nearest rows by cosine distance."""

import numpy as np
import pytest

from tests.catalogues.small_catalogues import CANDID, write_small_catalogue
from ztfrep.catalogues import similarity
from ztfrep.catalogues.similarity import nearest, similar, unit_vectors


def draw(n, d=8, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def all_distances(vectors, queries):
    vectors, queries = vectors.astype(np.float64), queries.astype(np.float64)
    cosine = (queries @ vectors.T) / np.outer(
        np.linalg.norm(queries, axis=1), np.linalg.norm(vectors, axis=1)
    )
    return 1 - cosine


def test_exact_search_finds_the_rows_of_smallest_cosine_distance_in_any_blocks(monkeypatch):
    vectors, queries = draw(500), draw(20, seed=1)
    expected = all_distances(vectors, queries)
    order = expected.argsort(axis=1)[:, :7]
    for rows, queries_at_a_time in ((16_384, 256), (33, 7), (3, 1)):
        monkeypatch.setattr(similarity, "_ROWS_PER_BLOCK", rows)
        monkeypatch.setattr(similarity, "_QUERIES_PER_BLOCK", queries_at_a_time)
        found = nearest(vectors, queries, 7)
        np.testing.assert_array_equal(found.rows, order)
        np.testing.assert_allclose(
            found.distances, np.take_along_axis(expected, order, axis=1), atol=1e-6
        )


def test_distances_do_not_depend_on_the_length_of_vectors():
    vectors, queries = draw(50), draw(3, seed=1)
    scales = 10.0 ** np.linspace(-37, 37, 50, dtype=np.float32)[:, None]
    scaled = nearest((vectors * scales).astype(np.float32), queries, 50)
    np.testing.assert_allclose(scaled.distances, nearest(vectors, queries, 50).distances, atol=1e-5)


def test_a_vector_of_zeros_has_the_distance_one_to_all():
    vectors = np.vstack([np.zeros(8, np.float32), draw(5)])
    assert (nearest(vectors, np.zeros((1, 8)), 6).distances == 1).all()
    found = nearest(vectors, vectors[1:2], 6)
    assert np.isfinite(found.distances).all() and found.distances[0, 0] == pytest.approx(
        0, abs=1e-6
    )
    np.testing.assert_array_equal(unit_vectors(np.zeros((2, 3))), 0)


def test_excluded_rows_are_not_found_and_k_may_be_larger_than_the_rows():
    vectors = draw(6)
    excluded = [np.array([0, 3]), np.array([], int)]
    found = nearest(vectors, vectors[:2], 100, excluded)
    assert found.rows.shape == (2, 6)
    assert set(found.rows[0]) == {1, 2, 4, 5, -1} and np.isinf(found.distances[0, 4:]).all()
    assert set(found.rows[1]) == set(range(6))


def test_equal_rows_are_in_the_order_of_the_catalogue():
    assert nearest(np.ones((5, 3)), np.ones((1, 3)), 5).rows.tolist() == [[0, 1, 2, 3, 4]]


def test_a_result_identifies_the_rows_and_links_to_ztf_objects(tmp_path):
    ids = ["ZTF20aaaaaaa", "other", "ZTF20aaaaaaa/../x"]
    catalogue = write_small_catalogue(tmp_path / "v.parquet", np.eye(3), object_id=ids)
    result = similar(catalogue, np.array([1.0, 0.5, 0.1]), 3)
    assert result["rank"].tolist() == [1, 2, 3] and result.index.tolist() == [0, 1, 2]
    assert result["candid"].tolist() == [CANDID, CANDID + 1, CANDID + 2]
    assert result["predicted_class"].tolist() == ["bogus", "SN", "bogus"]
    assert result["probability"].tolist() == pytest.approx([0.55, 0.5, 0.55])
    assert result["link"].tolist() == ["https://alerce.online/object/ZTF20aaaaaaa", "", ""]
    assert result["distance"].is_monotonic_increasing


def test_among_no_vectors_nothing_is_found():
    assert nearest(np.empty((0, 8)), draw(2), 3).rows.shape == (2, 0)


def test_several_queries_are_numbered(tmp_path):
    catalogue = write_small_catalogue(tmp_path / "v.parquet", draw(4))
    result = similar(catalogue, draw(2, seed=1), 3)
    assert result["query"].tolist() == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize(
    ("queries", "k"),
    [(np.ones(7), 1), (np.ones((1, 1, 8)), 1), (np.full(8, np.nan), 1), (np.ones(8), 0)],
)
def test_queries_of_another_shape_or_not_finite_are_refused(tmp_path, queries, k):
    catalogue = write_small_catalogue(tmp_path / "v.parquet", draw(4))
    with pytest.raises(ValueError, match="expected"):
        similar(catalogue, queries, k)
