import pytest

from tests.catalogues.small_catalogues import write_small_catalogue
from tests.explorer.conftest import value_of
from ztfrep.errors import InputError
from ztfrep.explorer import map_folder
from ztfrep.explorer.catalogue_map import make_map
from ztfrep.explorer.map_folder import write_folder


@pytest.fixture
def files(with_objects):
    return make_map(with_objects, projections=["pca"], rows_per_file=16)


def content(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_folder_has_the_files_that_a_server_has(files, tmp_path):
    size = write_folder(files, tmp_path / "map")
    written = content(tmp_path / "map")
    assert set(written) == {
        "index.html", "explorer.js", "explorer.css", "LICENSES.txt", *files.names_of_columns(),
        *(f"data/details-{place}.js" for place in range(3)),
        *(f"stamps/{place}.png" for place in range(3)),
    }  # fmt: skip
    for name, found in written.items():
        assert found == files.read(name).content, name
    assert size == sum(map(len, written.values()))


def test_rows_of_several_blocks_are_in_their_files(files, tmp_path, monkeypatch):
    monkeypatch.setattr(map_folder, "_FILES_PER_BLOCK", 1)
    write_folder(files, tmp_path / "map")
    ids = [
        row["object_id"]
        for place in range(3)
        for row in value_of((tmp_path / f"map/data/details-{place}.js").read_bytes())[1]
    ]
    assert ids == files.catalogue.table["object_id"].tolist()


def test_the_same_map_has_the_same_bytes_and_replaces_itself(files, tmp_path):
    write_folder(files, tmp_path / "map")
    before = content(tmp_path / "map")
    (tmp_path / "map/data/details-9.js").write_text("of a larger map")
    write_folder(files, tmp_path / "map")
    assert content(tmp_path / "map") == before


def test_a_map_without_stamps_has_no_folder_of_them(tmp_path, random_vectors):
    write_small_catalogue(tmp_path / "v.parquet", random_vectors)
    write_folder(make_map(tmp_path / "v.parquet", projections=["pca"]), tmp_path / "map")
    assert not (tmp_path / "map/stamps").exists()


def test_a_folder_of_other_files_is_refused_and_stays(files, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("years of work")
    (tmp_path / "file").write_text("text")
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    write_folder(files, tmp_path / "map")
    (tmp_path / "map/notes.txt").write_text("mine")
    write_folder(files, tmp_path / "other map")
    (tmp_path / "link to a map").symlink_to(tmp_path / "other map")
    (tmp_path / "empty").mkdir()
    (tmp_path / "data only").mkdir()
    (tmp_path / "data only/data").mkdir()
    before = content(tmp_path)
    for name in ("mine", "file", "link", "link to a map", "map", "data only"):
        with pytest.raises(InputError, match="expected a new or empty folder") as error:
            write_folder(files, tmp_path / name)
        assert "\n" not in str(error.value)
    assert content(tmp_path) == before
    write_folder(files, tmp_path / "empty")
    assert (tmp_path / "empty/index.html").is_file()


def test_an_interrupted_folder_leaves_the_one_before(files, tmp_path, monkeypatch):
    write_folder(files, tmp_path / "map")
    before = content(tmp_path / "map")

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(type(files.stamps), "image", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_folder(files, tmp_path / "map")
    with pytest.raises(KeyboardInterrupt):
        write_folder(files, tmp_path / "new")
    assert content(tmp_path / "map") == before and not (tmp_path / "new").exists()
    assert not list(tmp_path.glob(".*.tmp"))
