"""Packets encoded into catalogues: each alert once, counted, resumed after an interruption."""

import io
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import ztfrep
from tests.alert_packets import CANDID, alert, packet
from tests.catalogues.conftest import archive_path, object_name, packets
from tests.model_folders import save
from ztfrep.catalogues import catalogue_store
from ztfrep.catalogues.catalogue import objects_path, read_catalogue
from ztfrep.catalogues.encoding import encode_paths
from ztfrep.catalogues.packet_decoding import decode_group
from ztfrep.catalogues.packet_encoding import encode_packets, encode_pipe
from ztfrep.data.stamp_previews import make_previews
from ztfrep.encoders.encoder import load
from ztfrep.errors import InputError
from ztfrep.parallel.process_pool import LostProcessError
from ztfrep.sources.packets import batch_store


def encoded(encoder, paths, out, **options):
    counts = encode_packets(encoder, paths, out, **options)
    assert counts.read == counts.alerts + counts.duplicates + counts.bad
    return counts, read_catalogue(out)


def test_a_catalogue_has_the_predictions_for_each_alert(encoder, night, tmp_path):
    path = night()
    counts, catalogue = encoded(encoder, path, tmp_path / "v.parquet")
    alerts = ztfrep.read_packets(path)
    predictions = encoder.predict(alerts)
    assert (counts.read, counts.alerts, counts.objects, counts.bad) == (12, 12, 5, 0)
    assert catalogue.table["candid"].tolist() == alerts.identity["candid"].tolist()
    assert catalogue.table["candid"].iloc[0] == CANDID
    assert catalogue.table["object_id"].tolist() == alerts.identity["object_id"].tolist()
    np.testing.assert_allclose(catalogue.table["mjd"], alerts.identity["mjd"])
    np.testing.assert_allclose(catalogue.vectors(), predictions.vectors, atol=1e-6)
    columns = catalogue.info.probability_columns
    np.testing.assert_allclose(catalogue.table[columns], predictions.probabilities, atol=1e-6)
    np.testing.assert_allclose(catalogue.table["anomaly_score"], predictions.anomaly_score, 1e-4)
    for name, values in predictions.anomaly_terms.items():
        np.testing.assert_allclose(catalogue.table[name], values, rtol=1e-4)
    assert catalogue.info.model == encoder.checksum


def test_a_catalogue_of_objects_has_their_vectors_and_light_curves(encoder, night, tmp_path):
    path = night()
    encoded(encoder, path, tmp_path / "v.parquet")
    catalogue = read_catalogue(objects_path(tmp_path / "v.parquet"))
    ids, vectors = encoder.encode_objects(ztfrep.read_packets(path))
    assert catalogue.table["object_id"].tolist() == ids.tolist()
    np.testing.assert_allclose(catalogue.vectors(), vectors, atol=1e-5)
    # Alerts 0, 5 and 10 are of the first object.
    first = catalogue.table.iloc[0]
    assert (first["n_alerts"], first["n_observations"]) == (3, 9)
    curve = catalogue.light_curves([0])[0]
    assert curve["mjd"].is_monotonic_increasing
    assert curve["magpsf"].notna().sum() == 6
    assert (curve["magpsf"].isna() == curve["sigmapsf"].isna()).all()
    assert first["mjd"] == curve["mjd"].iloc[-1]


def test_objects_do_not_depend_on_the_size_of_the_batches(encoder, night, tmp_path, monkeypatch):
    path = night()
    encoded(encoder, path, tmp_path / "a.parquet")
    monkeypatch.setattr(catalogue_store, "_OBSERVATIONS_PER_FRAME", 4)
    encoded(encoder, path, tmp_path / "b.parquet")
    one, other = (read_catalogue(tmp_path / f"{name}.objects.parquet") for name in "ab")
    pd.testing.assert_frame_equal(one.table, other.table, atol=1e-5)
    np.testing.assert_allclose(one.vectors(), other.vectors(), atol=1e-5)


def test_a_repeated_alert_is_written_once_and_counted(encoder, night, tmp_path):
    first, second = night("a.tar.gz", range(4)), night("b.tar.gz", range(2, 9))
    counts, catalogue = encoded(encoder, [first, second], tmp_path / "v.parquet")
    assert (counts.read, counts.alerts, counts.duplicates) == (11, 9, 2)
    assert catalogue.table["candid"].is_unique


def test_a_packet_that_cannot_be_read_is_counted_and_named(encoder, night, tmp_path, caplog):
    path = night(extra={"broken.avro": packets([20])["20.avro"][:-100], "notes.txt": b"text"})
    counts, _ = encoded(encoder, path, tmp_path / "v.parquet")
    assert (counts.read, counts.alerts, counts.bad) == (13, 12, 1)
    listed = pd.read_csv(tmp_path / "v.unread.csv")
    assert set(listed["name"]) == {"night.tar.gz:broken.avro", "night.tar.gz:notes.txt"}
    assert tmp_path / "v.unread.csv" in counts.files
    assert f"1 packets cannot be read (1 avro); see {tmp_path / 'v.unread.csv'}" in caplog.text


def test_a_good_run_removes_the_list_of_an_earlier_one(encoder, night, tmp_path):
    bad = night("bad.tar.gz", extra={"broken.avro": b"Obj\x01"})
    encoded(encoder, bad, tmp_path / "v.parquet")
    encoded(encoder, night(), tmp_path / "v.parquet")
    assert not (tmp_path / "v.unread.csv").exists()


def test_files_without_an_alert_are_one_line_and_leave_nothing(encoder, tmp_path):
    path = archive_path(tmp_path / "night.tar", {"broken.avro": b"Obj\x01"})
    with pytest.raises(InputError, match="no alert that can be read .*1 avro"):
        encode_packets(encoder, path, tmp_path / "out/v.parquet")
    assert not [p for p in (tmp_path / "out").rglob("*") if p.name != "v.unread.csv"]


@pytest.mark.parametrize("name", ["absent.tar.gz", "folder"])
def test_a_path_without_packets_is_one_line(encoder, tmp_path, name):
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="expected"):
        encode_packets(encoder, tmp_path / name, tmp_path / "v.parquet")
    assert not list(tmp_path.glob("v.*"))


class Killed(BaseException):
    """A signal that ends the process."""


@pytest.fixture
def interrupted(encoder, tmp_path, monkeypatch):
    """Return a function that encodes in batches of two and stops after some batches."""
    monkeypatch.setattr(batch_store.split_items, "__defaults__", (2,))
    encode = catalogue_store.CatalogueStore._encode
    batches = []

    def run(paths, out, after=None, model=encoder):
        batches.clear()

        def count(self, number, batch):
            if len(batches) == after:
                raise Killed
            batches.append(number)
            encode(self, number, batch)

        monkeypatch.setattr(catalogue_store.CatalogueStore, "_encode", count)
        if after is None:
            return encode_packets(model, paths, out, processes=1), len(batches)
        with pytest.raises(Killed):
            encode_packets(model, paths, out, processes=1)
        return None, len(batches)

    return run


def test_an_interrupted_run_goes_on_and_writes_the_same_bytes(interrupted, night, tmp_path):
    path = night()
    counts, batches = interrupted(path, tmp_path / "whole.parquet")
    # The last has the counts of the archive.
    assert batches == 7
    interrupted(path, tmp_path / "v.parquet", after=4)
    assert not (tmp_path / "v.parquet").exists()
    resumed, batches = interrupted(path, tmp_path / "v.parquet")
    assert batches == 3
    assert (resumed.read, resumed.alerts) == (counts.read, counts.alerts)
    for suffix in (".parquet", ".objects.parquet"):
        whole, other = (tmp_path / f"{name}{suffix}" for name in ("whole", "v"))
        assert whole.read_bytes() == other.read_bytes()
    assert not (tmp_path / "v.parquet.partial").exists()


def test_a_run_of_other_files_or_of_another_model_begins_anew(interrupted, night, tmp_path):
    path, out = night(), tmp_path / "v.parquet"
    interrupted(path, out, after=4)
    night(numbers=range(10))
    _, batches = interrupted(path, out, after=3)
    assert batches == 3
    save(tmp_path / "other", "alert-invariant", latent_dim=8)
    _, batches = interrupted(path, out, model=load(tmp_path / "other"))
    assert batches == 6
    assert not objects_path(out).exists()


def test_two_runs_of_one_output_at_once_are_refused(encoder, night, tmp_path, monkeypatch):
    path, out = night(), tmp_path / "v.parquet"

    def encode_again(self, number, batch):
        with pytest.raises(InputError, match="another run that writes to it"):
            encode_packets(encoder, path, out)
        raise Killed

    monkeypatch.setattr(catalogue_store.CatalogueStore, "_encode", encode_again)
    with pytest.raises(Killed):
        encode_packets(encoder, path, out)


def test_catalogues_do_not_depend_on_the_processes(encoder, night, tmp_path, monkeypatch):
    monkeypatch.setattr(batch_store.split_items, "__defaults__", (2,))
    # A repeated alert, and a packet that cannot be read.
    paths = [night("a.tar.gz", range(7), {"broken.avro": b"Obj"}), night("b.tar", range(5, 12))]
    for processes in (1, 2):
        out = tmp_path / f"{processes}.parquet"
        counts, _ = encoded(encoder, paths, out, processes=processes)
        assert (counts.read, counts.alerts, counts.duplicates, counts.bad) == (15, 12, 2, 1)
    for suffix in (".parquet", ".objects.parquet", ".unread.csv"):
        one, two = (tmp_path / f"{processes}{suffix}" for processes in (1, 2))
        assert one.read_bytes() == two.read_bytes()


def test_a_killed_process_costs_only_what_was_not_encoded(
    encoder, night, tmp_path, monkeypatch, interrupted
):
    path, out = night(), tmp_path / "v.parquet"
    interrupted(path, tmp_path / "whole.parquet")
    decode = catalogue_store.decode_group
    monkeypatch.setattr(catalogue_store, "decode_group", end_in_third_group)
    # A process that ends is no error of the packets: the next run goes on.
    with pytest.raises(LostProcessError, match="killed"):
        encode_packets(encoder, path, out, processes=2)
    assert (tmp_path / "v.parquet.partial").exists()
    monkeypatch.setattr(catalogue_store, "decode_group", decode)
    interrupted(path, out)
    assert out.read_bytes() == (tmp_path / "whole.parquet").read_bytes()


def end_in_third_group(folder, reader, group, items, *, previews):
    if group == 3:
        os._exit(9)
    return decode_group(folder, reader, group, items, previews=previews)


def test_packets_of_a_pipe_are_those_of_an_archive(encoder, night, tmp_path):
    path = night()
    _, expected = encoded(encoder, path, tmp_path / "v.parquet")
    files = packets(range(12))
    for name, data in (("archive", path.read_bytes()), ("packets", b"".join(files.values()))):
        out = tmp_path / f"{name}.parquet"
        counts = encode_pipe(encoder, io.BytesIO(data), out)
        assert (counts.read, counts.alerts, counts.bad) == (12, 12, 0)
        pd.testing.assert_frame_equal(read_catalogue(out).table, expected.table)


def test_a_stamp_with_the_first_bytes_of_a_container_is_no_packet_of_its_own(encoder, tmp_path):
    data = packet(alert(stamps=[b"Obj\x01 no schema", b"", b""])) + packets([3])["3.avro"]
    counts = encode_pipe(encoder, io.BytesIO(data), tmp_path / "v.parquet")
    assert (counts.read, counts.alerts, counts.bad) == (2, 1, 1)


@pytest.mark.parametrize("data", [b"", b"no packets", b"Obj\x01", b"\x1f\x8b"])
def test_a_pipe_without_packets_is_one_line(encoder, tmp_path, data):
    with pytest.raises(InputError, match="no alert that can be read"):
        encode_pipe(encoder, io.BytesIO(data), tmp_path / "v.parquet")
    assert not (tmp_path / "v.parquet").exists()


def test_previews_show_the_stamps(encoder, night, tmp_path):
    path = night(numbers=range(3))
    _, catalogue = encoded(encoder, path, tmp_path / "v.parquet")
    expected = make_previews(ztfrep.read_packets(path).stamps)
    np.testing.assert_array_equal(catalogue.previews([2, 0]), expected[[2, 0]])
    _, without = encoded(encoder, path, tmp_path / "w.parquet", previews=False)
    assert without.previews([0]) is None
    pd.testing.assert_frame_equal(without.table, catalogue.table)


def test_an_alert_table_has_the_catalogue_of_its_packets(encoder, tmp_path):
    from tests.alert_tables import alert_rows, write_table

    rows = alert_rows(4, object_id=["A", "A", "B", "C"], detection=np.array([0, 1, 0, 0]))
    table = write_table(tmp_path / "table.parquet", rows)
    counts = encode_paths(encoder, table.path, tmp_path / "v.parquet")
    catalogue = read_catalogue(tmp_path / "v.parquet")
    assert (counts.alerts, counts.objects) == (4, 3)
    np.testing.assert_allclose(catalogue.vectors(), encoder.encode(table), atol=1e-6)
    assert catalogue.table["candid"].tolist() == rows["candid"].tolist()
    objects = read_catalogue(tmp_path / "v.objects.parquet")
    ids, vectors = encoder.encode_objects(table)
    assert objects.table["object_id"].tolist() == ids.tolist()
    np.testing.assert_allclose(objects.vectors(), vectors, atol=1e-5)


def test_memory_does_not_grow_with_the_number_of_packets(models, tmp_path):
    """A run of 24 batches needs hardly more memory than one of two."""
    files = {}
    for number in range(240):
        files |= {f"{number}-{name}": data for name, data in packets([number]).items()}
    small = archive_path(tmp_path / "small.tar", dict(list(files.items())[:20]))
    large = archive_path(tmp_path / "large.tar", files)
    program = (
        "import resource, sys; from ztfrep.catalogues.encoding import encode_paths; "
        "from ztfrep.encoders.encoder import load; "
        "from ztfrep.sources.packets import batch_store; "
        "batch_store.split_items.__defaults__ = (10,); "
        "encode_paths(load(sys.argv[1]), sys.argv[2], sys.argv[3]); "
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    peaks = []
    for path in (small, large):
        arguments = [str(models), str(path), str(tmp_path / f"{path.stem}.parquet")]
        completed = subprocess.run(
            [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True
        )
        peaks.append(int(completed.stdout))
    # The pixels of the 220 more alerts alone have 10 MB, in kB.
    assert peaks[1] < peaks[0] + 30_000


def test_object_ids_of_the_packets_are_distinct():
    assert len({object_name(number) for number in range(60)}) == 60
