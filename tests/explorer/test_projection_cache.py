import logging

import numpy as np
import pytest

from ztfrep.catalogues.catalogue import read_catalogue
from ztfrep.explorer import projection_cache
from ztfrep.explorer.projection_cache import projections_path, read_or_project


@pytest.fixture
def computed(monkeypatch):
    """Return the list of the methods that are computed from here on."""
    methods = []
    original = projection_cache.project_vectors

    def project(vectors, method, *, seed):
        methods.append(method)
        return original(vectors, method, seed=seed)

    monkeypatch.setattr(projection_cache, "project_vectors", project)
    return methods


def test_a_second_start_reads_the_same_points(alerts, random_vectors, computed):
    first = read_or_project(alerts, random_vectors, ["umap", "pca"], seed=1)
    assert computed == ["umap", "pca"] and projections_path(alerts).is_file()
    second = read_or_project(alerts, random_vectors, ["umap", "pca"], seed=1)
    assert computed == ["umap", "pca"] and list(second) == ["umap", "pca"]
    for method in first:
        assert first[method].points.tobytes() == second[method].points.tobytes()
        assert first[method].note == second[method].note


def test_a_method_that_is_missing_is_added(alerts, random_vectors, computed):
    read_or_project(alerts, random_vectors, ["pca"], seed=1)
    read_or_project(alerts, random_vectors, ["tsne", "pca"], seed=1)
    assert computed == ["pca", "tsne"]
    assert list(read_or_project(alerts, random_vectors, ["pca", "tsne"], seed=1)) == ["pca", "tsne"]
    assert computed == ["pca", "tsne"]


def test_another_seed_and_other_vectors_are_computed(alerts, random_vectors, computed):
    read_or_project(alerts, random_vectors, ["pca", "umap"], seed=1)
    read_or_project(alerts, random_vectors, ["pca", "umap"], seed=2)
    # PCA has no seed.
    assert computed == ["pca", "umap", "umap"]
    changed = random_vectors.copy()
    changed[3, 2] += 1e-6
    read_or_project(alerts, changed, ["pca"], seed=2)
    assert computed[3:] == ["pca"]


def test_a_broken_file_is_made_again_with_a_warning(alerts, random_vectors, computed, caplog):
    read_or_project(alerts, random_vectors, ["pca"], seed=1)
    path = projections_path(alerts)
    content = path.read_bytes()
    for broken in (
        b"",
        b"text",
        content[: len(content) // 2],
        content[:40] + b"\0" * 40 + content[80:],
    ):
        path.write_bytes(broken)
        computed.clear()
        caplog.clear()
        read_or_project(alerts, random_vectors, ["pca"], seed=1)
        assert computed == ["pca"] and "made again" in caplog.text
        assert path.read_bytes() == content


def test_a_folder_without_permission_is_a_warning(
    alerts, random_vectors, computed, caplog, monkeypatch
):
    def refused(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(projection_cache, "replacing", refused)
    with caplog.at_level(logging.WARNING):
        found = read_or_project(alerts, random_vectors, ["pca"], seed=1)
    assert found["pca"].points.shape == (40, 2)
    assert caplog.messages == [
        f"{projections_path(alerts)}: projections are not stored: Permission denied"
    ]


def test_the_projections_of_a_folder_are_beside_it_and_no_catalogue(
    alerts, random_vectors, tmp_path, monkeypatch
):
    read_or_project(alerts, random_vectors, ["pca"], seed=1)
    assert projections_path(alerts) == tmp_path / "v.projections"
    assert len(read_catalogue(tmp_path)) == 40
    assert projections_path(tmp_path) == tmp_path.with_name(f"{tmp_path.name}.projections")
    monkeypatch.chdir(tmp_path)
    assert projections_path(tmp_path.relative_to(tmp_path)) == projections_path(tmp_path)


def test_the_stored_points_do_not_depend_on_the_order_of_bytes_in_memory(alerts, random_vectors):
    read_or_project(alerts, np.asfortranarray(random_vectors), ["pca"], seed=1)
    before = projections_path(alerts).read_bytes()
    read_or_project(alerts, random_vectors, ["pca"], seed=1)
    assert projections_path(alerts).read_bytes() == before
