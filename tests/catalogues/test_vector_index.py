"""The index: nearly the rows of the exact search, the same bytes, and no other vectors' rows."""

import sys

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.catalogues.small_catalogues import write_small_catalogue
from ztfrep.catalogues import vector_index
from ztfrep.catalogues.catalogue import read_catalogue
from ztfrep.catalogues.similarity import nearest, similar
from ztfrep.catalogues.vector_index import VectorIndex, index_path, read_index, write_index
from ztfrep.errors import InputError

pytest.importorskip("faiss")


def clusters(n, seed, d=16):
    centres = np.random.default_rng(0).normal(size=(40, d))
    generator = np.random.default_rng(seed)
    noise = generator.normal(size=(n, d))
    return (centres[generator.integers(0, 40, n)] + 0.3 * noise).astype(np.float32)


def test_the_index_finds_nearly_all_rows_of_the_exact_search():
    vectors, queries = clusters(20_000, 1), clusters(200, 2)
    exact, found = nearest(vectors, queries, 10), VectorIndex.build(vectors).search(queries, 10)
    hits = [np.isin(a, b).mean() for a, b in zip(found.rows, exact.rows, strict=True)]
    assert np.mean(hits) >= 0.99
    same = found.rows == exact.rows
    np.testing.assert_allclose(found.distances[same], exact.distances[same], atol=1e-5)


def test_with_few_lists_the_index_is_exact_and_excludes_rows_too():
    vectors, queries = clusters(300, 1), clusters(3, 2)
    index = VectorIndex.build(vectors)
    excluded = [np.arange(50), np.array([], int), np.arange(295)]
    expected = nearest(vectors, queries, 10, excluded)
    found = index.search(queries, 10, excluded)
    np.testing.assert_array_equal(found.rows, expected.rows)
    np.testing.assert_array_equal(found.rows[2, 5:], -1)


def test_a_query_whose_lists_have_too_few_rows_is_searched_exactly(monkeypatch):
    monkeypatch.setattr(vector_index, "_LISTS_PER_SEARCH", 1)
    vectors, queries = clusters(1000, 1), clusters(5, 2)
    found = VectorIndex.build(vectors).search(queries, 900)
    np.testing.assert_array_equal(found.rows, nearest(vectors, queries, 900).rows)


def test_vectors_of_zeros_have_the_distance_one():
    vectors = np.vstack([np.zeros((3, 16), np.float32), clusters(100, 1)])
    index = VectorIndex.build(vectors)
    assert np.isfinite(index.centroids).all()
    assert (index.search(np.zeros((1, 16)), 5).distances == 1).all()


def test_the_same_rows_give_the_same_bytes_and_the_index_is_used(tmp_path):
    vectors = clusters(2000, 1)
    catalogue = write_small_catalogue(tmp_path / "v.parquet", vectors, object_id=["x"] * 2000)
    path = write_index(catalogue)
    assert path == tmp_path / "v.index" == index_path(tmp_path / "v.parquet")
    first = path.read_bytes()
    assert write_index(read_catalogue(catalogue.path)).read_bytes() == first
    queries = clusters(5, 2)
    by_index = similar(catalogue, queries, 5, index=read_index(catalogue))
    assert by_index["candid"].equals(similar(catalogue, queries, 5)["candid"])


@pytest.fixture
def indexed(tmp_path):
    catalogue = write_small_catalogue(tmp_path / "v.parquet", clusters(20, 1))
    write_index(catalogue)
    return catalogue


def refused(catalogue, found):
    with pytest.raises(InputError) as error:
        read_index(catalogue)
    assert found in str(error.value) and "\n" not in str(error.value)
    assert f"make it with: ztfrep index {catalogue.path}" in str(error.value)


def test_an_index_of_other_vectors_is_refused(indexed):
    refused(write_small_catalogue(indexed.path, clusters(20, 2)), "an index of other vectors")
    refused(write_small_catalogue(indexed.path, clusters(19, 1)), "an index of other vectors")


def test_an_index_that_is_missing_or_broken_is_refused(indexed):
    path = index_path(indexed.path)
    data = path.read_bytes()
    path.unlink()
    refused(indexed, "no such file")
    for content in (b"", b"no index", data[:-8], data[:40]):
        path.write_bytes(content)
        refused(indexed, "broken")
    save_file({"lists": np.zeros(20, np.int32)}, path)
    refused(indexed, "no index")


@pytest.mark.parametrize(
    "tensors",
    [
        {"centroids": np.ones((1, 15), np.float32), "lists": np.zeros(20, np.int32)},
        {"centroids": np.ones((1, 16), np.float64), "lists": np.zeros(20, np.int32)},
        {"centroids": np.full((1, 16), np.nan, np.float32), "lists": np.zeros(20, np.int32)},
        {"centroids": np.ones((1, 16), np.float32), "lists": np.ones(20, np.int32)},
        {"centroids": np.ones((1, 16), np.float32), "lists": np.full(20, -1, np.int32)},
        {"centroids": np.ones((1, 16), np.float32), "lists": np.zeros(19, np.int32)},
        {"centroids": np.ones((0, 16), np.float32), "lists": np.zeros(20, np.int32)},
        {"centroids": np.ones(16, np.float32), "lists": np.zeros(20, np.int32)},
    ],
)
def test_lists_that_do_not_fit_the_vectors_are_refused(indexed, tensors):
    path = index_path(indexed.path)
    identity = vector_index.read_metadata(path)
    save_file(tensors, path, identity)
    refused(indexed, "centroids and lists that do not fit")


def test_without_faiss_the_command_to_install_it_is_in_the_message(indexed, monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(InputError, match=r'pip install "ztfrep\[index\]"'):
        write_index(indexed)
