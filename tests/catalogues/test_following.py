"""Archives that land in a folder: each is encoded once, whatever stops the run."""

import os
import time

import pytest

from tests.catalogues.conftest import archive_path, packets
from tests.model_folders import save
from ztfrep.catalogues import following
from ztfrep.catalogues.catalogue import read_catalogue
from ztfrep.catalogues.following import follow_folder
from ztfrep.encoders.encoder import load
from ztfrep.errors import InputError


class EndedError(Exception):
    """The end of the folder's events."""


@pytest.fixture
def follow(encoder, tmp_path):
    """Return a function that follows a folder while events happen, one at each wait."""
    (tmp_path / "in").mkdir()

    def run(*events, model=encoder, settled=0.0):
        pending = list(events)

        def wait(seconds):
            if not pending:
                raise EndedError
            pending.pop(0)()

        encoded = []
        with pytest.raises(EndedError):
            for archive, counts in follow_folder(
                model, tmp_path / "in", tmp_path / "out", settled=settled, wait=wait
            ):
                encoded.append((archive.name, counts.alerts, counts.duplicates))
        return encoded

    return run


def land(tmp_path, name, numbers, **extra):
    return lambda: archive_path(tmp_path / "in" / name, packets(numbers) | extra)


def test_each_archive_is_encoded_once_as_it_lands(follow, tmp_path):
    land(tmp_path, "a.tar.gz", range(3))()
    encoded = follow(land(tmp_path, "b.tar", range(3, 5)), lambda: None)
    assert encoded == [("a.tar.gz", 3, 0), ("b.tar", 2, 0)]
    # Another run reads neither again.
    assert follow(land(tmp_path, "sub/c.tgz", range(5, 6))) == [("c.tgz", 1, 0)]
    names = sorted(path.name for path in (tmp_path / "out").glob("*.parquet"))
    assert names == [
        f"{number:06d}-{name}{suffix}.parquet"
        for number, name in enumerate("abc")
        for suffix in (".objects", "")
    ]
    assert len(read_catalogue(tmp_path / "out")) == 6


def test_an_alert_of_an_earlier_archive_is_not_written_again(follow, tmp_path):
    encoded = follow(
        land(tmp_path, "a.tar", range(4)), land(tmp_path, "b.tar", range(2, 7)), lambda: None
    )
    assert encoded == [("a.tar", 4, 0), ("b.tar", 3, 2)]
    assert read_catalogue(tmp_path / "out").table["candid"].is_unique


def test_the_objects_of_an_archive_have_their_earlier_observations(follow, encoder, tmp_path):
    follow(land(tmp_path, "a.tar", range(5)), land(tmp_path, "b.tar", range(5, 10)), lambda: None)
    catalogue = read_catalogue(tmp_path / "out/000001-b.objects.parquet")
    assert catalogue.table["n_alerts"].tolist() == [2] * 5
    # They are those of both archives read at once.
    from ztfrep.catalogues.packet_encoding import encode_packets

    encode_packets(encoder, tmp_path / "in", tmp_path / "both.parquet")
    both = read_catalogue(tmp_path / "both.objects.parquet")
    assert abs(both.vectors() - catalogue.vectors()).max() < 1e-5


def test_an_archive_that_still_grows_waits(follow, tmp_path):
    path = tmp_path / "in/a.tar"
    old = time.time() - 3600

    def settle():
        os.utime(path, (old, old))

    # The time of its status is that of the change of its times.
    assert follow(land(tmp_path, "a.tar", range(2)), settle, lambda: None, settled=600) == []
    assert follow() == [("a.tar", 2, 0)]


def test_a_broken_archive_does_not_stop_the_run_and_is_read_again_once_it_changes(
    follow, tmp_path, caplog
):
    def broken():
        (tmp_path / "in/a.tar.gz").write_bytes(b"no archive")

    assert follow(broken, land(tmp_path, "b.tar", range(1)), lambda: None) == [("b.tar", 1, 0)]
    assert "no alert that can be read" in caplog.text
    assert follow(land(tmp_path, "a.tar.gz", range(1, 4)), lambda: None) == [("a.tar.gz", 3, 0)]


def test_an_archive_of_an_interrupted_run_is_finished_first(follow, tmp_path, monkeypatch):
    encode = following.encode_readers
    monkeypatch.setattr(
        following, "encode_readers", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt)
    )
    land(tmp_path, "a.tar", range(2))()
    with pytest.raises(KeyboardInterrupt):
        follow()
    monkeypatch.setattr(following, "encode_readers", encode)
    assert follow() == [("a.tar", 2, 0)]
    assert (tmp_path / "out/000000-a.parquet").exists()


def test_a_folder_of_catalogues_of_another_model_is_refused(follow, tmp_path):
    land(tmp_path, "a.tar", range(2))()
    follow()
    save(tmp_path / "other", "alert-invariant", latent_dim=8)
    with pytest.raises(InputError, match="catalogues of another model"):
        follow(model=load(tmp_path / "other"))


def test_a_folder_that_does_not_exist_is_one_line(encoder, tmp_path):
    with pytest.raises(InputError, match="no folder"):
        next(follow_folder(encoder, tmp_path / "absent", tmp_path / "out"))
    assert not (tmp_path / "out").exists()
