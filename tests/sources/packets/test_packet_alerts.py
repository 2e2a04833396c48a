"""Packets in memory: the same alerts, pixels, features and observations as in the tables."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.alert_packets import CANDID, alert, archive, observation, packet, random_stamps
from ztfrep.data.alert_table import AlertTable
from ztfrep.data.features import ALERCE_FEATURES, PHYSICAL
from ztfrep.data.splits import Splitting
from ztfrep.errors import InputError
from ztfrep.sources.packets.archives import make_readers
from ztfrep.sources.packets.folders import find_files
from ztfrep.sources.packets.labels import no_labels
from ztfrep.sources.packets.packet_alerts import read_packet_contents, read_packets
from ztfrep.sources.packets.packet_tables import write_packet_tables


def write_packets(folder, *alerts):
    folder.mkdir(exist_ok=True)
    for number, one in enumerate(alerts):
        (folder / f"{number}.avro").write_bytes(packet(one))
    return folder


def assert_equal_to_tables(read, path, folder):
    """The alerts and observations at a path are those of the two tables that are written of it."""
    tables = [folder / "stamps.parquet", folder / "series.parquet"]
    write_packet_tables(
        make_readers(find_files(path).packets),
        no_labels(),
        *tables,
        folder / "bad.csv",
        splitting=Splitting(0.1, 2, 1),
        max_bad_fraction=0.5,
        threads=1,
        source=str(path),
    )
    stamps, series = map(AlertTable, tables)
    expected = stamps.identity()
    assert len(read.alerts) == len(expected) == len(read.stamps) == len(read.features)
    row_of_candid = pd.Series(range(len(read.alerts)), read.alerts["candid"])
    rows = row_of_candid[expected["candid"]].to_numpy()
    for name in ("object_id", "candid", "mjd", "fid"):
        np.testing.assert_array_equal(
            read.alerts[name].to_numpy()[rows], expected[name].to_numpy(), err_msg=name
        )
    np.testing.assert_array_equal(read.features[rows], stamps.features())
    np.testing.assert_array_equal(read.stamps[rows], np.concatenate(list(stamps.stamps())))

    # The series table is ordered by split first.
    expected = series.identity()
    order = np.lexsort((expected["detection"], expected["object_id"]))
    expected, expected_features = expected.iloc[order], series.features()[order]
    observations = read.observations
    assert observations["object_id"].tolist() == expected["object_id"].tolist()
    assert observations["candid"].tolist() == expected["candid"].tolist()
    for name in ("mjd", "fid"):
        np.testing.assert_array_equal(
            observations[name].to_numpy(float), expected[name].to_numpy(float), err_msg=name
        )
    for name in ("magpsf", "sigmapsf", "diffmaglim"):
        column = ALERCE_FEATURES.index(name)
        np.testing.assert_array_equal(observations[name], expected_features[:, column])
    is_alert = (observations["alert"] >= 0).to_numpy()
    np.testing.assert_array_equal(is_alert, expected["has_stamps"])
    assert sorted(observations["alert"][is_alert]) == list(range(len(read.alerts)))
    candids = read.alerts["candid"].to_numpy()[observations["alert"][is_alert]]
    np.testing.assert_array_equal(candids, observations["candid"][is_alert].astype("int64"))


def test_alerts_have_their_pixels_features_and_order_of_reading(tmp_path):
    alerts = [
        alert("B", candid=CANDID + 9, jd=2459010.5, fid=2, magpsf=17.0),
        alert("A", candid=CANDID + 3, jd=2459020.5, sgscore1=-999.0),
        alert("A", candid=CANDID + 2, jd=2459015.5),
    ]
    read = read_packet_contents(write_packets(tmp_path, *alerts))
    assert read.alerts.columns.tolist() == ["object_id", "candid", "mjd", "fid"]
    assert read.alerts["object_id"].tolist() == ["B", "A", "A"]
    assert (read.alerts["candid"] - CANDID).tolist() == [9, 3, 2]
    assert read.alerts["candid"].dtype == np.int64
    assert read.alerts["mjd"].tolist() == [59010, 59020, 59015]
    assert read.alerts["fid"].tolist() == [2, 1, 1]
    assert (read.stamps.dtype, read.stamps.shape) == (np.float32, (3, 3, 63, 63))
    np.testing.assert_array_equal(read.stamps, [random_stamps(CANDID + n) for n in (9, 3, 2)])
    assert (read.features.dtype, read.features.shape) == (np.float64, (3, len(ALERCE_FEATURES)))
    assert read.features[0, ALERCE_FEATURES.index("magpsf")] == 17
    assert np.isnan(read.features[1, ALERCE_FEATURES.index("sgscore1")])
    assert len(read.unread) == 0
    assert read.unread.columns.tolist() == ["name", "reason", "detail"]


def test_observations_are_those_of_the_objects_in_time_order(tmp_path):
    prior = [
        observation(2459001.5, diffmaglim=19.0),
        observation(2459002.5, candid=CANDID + 5, magpsf=19.5, sigmapsf=0.25),
        # A detection that is an alert too, and an upper limit at the time of a detection.
        observation(2459010.5, candid=CANDID + 9),
        observation(2459002.5),
    ]
    alerts = [
        alert("B", candid=CANDID + 20, jd=2459000.5),
        alert("A", candid=CANDID + 10, jd=2459020.5, prior=prior),
        alert("A", candid=CANDID + 9, jd=2459010.5, prior=prior[:2]),
    ]
    observations = read_packet_contents(write_packets(tmp_path, *alerts)).observations
    assert observations.columns.tolist() == [
        *("object_id", "candid", "mjd", "fid"),
        *("magpsf", "sigmapsf", "diffmaglim", "alert"),
    ]
    assert observations["object_id"].tolist() == ["A", "A", "A", "A", "B"]
    assert observations["mjd"].tolist() == [59001, 59002, 59010, 59020, 59000]
    assert (observations["candid"] - CANDID).fillna(-1).tolist() == [-1, 5, 9, 10, 20]
    assert observations["candid"].dtype == pd.Int64Dtype()
    assert observations["alert"].tolist() == [-1, -1, 2, 1, 0]
    assert observations["alert"].dtype == np.int64
    np.testing.assert_array_equal(observations["magpsf"], [np.nan, 19.5, 1, 1, 1])
    np.testing.assert_array_equal(observations["sigmapsf"], [np.nan, 0.25, 1, 1, 1])
    assert observations["diffmaglim"].iloc[0] == 19


@pytest.mark.parametrize("threads", [1, 2])
def test_alerts_and_observations_are_equal_to_those_of_the_tables(tmp_path, threads):
    priors = [[observation(2458000.5 + i, fid=1 + i % 3) for i in range(n)] for n in range(9)]
    alerts = [
        alert(f"ZTF{n % 5}", candid=CANDID + 7 * n % 50, jd=2459000.5 + n % 4, prior=prior)
        for n, prior in enumerate(priors)
    ]
    # A repeated alert: the first is used.
    alerts.append(alert("ZTF0", candid=CANDID, magpsf=15.0))
    path = write_packets(tmp_path / "packets", *alerts)
    assert_equal_to_tables(read_packet_contents(path, threads=threads), path, tmp_path)


def test_the_alerts_of_packets_can_be_encoded_and_have_their_observations(tmp_path):
    prior = [observation(2459001.5)]
    path = write_packets(tmp_path, alert("B"), alert("A", candid=CANDID + 2, prior=prior))
    contents, alerts = read_packet_contents(path), read_packets(path)
    assert alerts.feature_unit == PHYSICAL
    pd.testing.assert_frame_equal(alerts.index(), contents.alerts)
    pd.testing.assert_frame_equal(alerts.observations(), contents.observations)
    (batch,) = alerts.batches(10)
    np.testing.assert_array_equal(batch.stamps, contents.stamps)
    np.testing.assert_array_equal(batch.metadata, contents.features)


def test_files_archives_and_folders_are_read_together(tmp_path):
    folder = write_packets(tmp_path / "folder", alert(candid=CANDID + 1))
    tar = archive(tmp_path / "a.tar.gz", {"1.avro": packet(alert(candid=CANDID + 2))})
    file = tmp_path / "3.avro"
    file.write_bytes(packet(alert(candid=CANDID + 3)))
    read = read_packet_contents([str(folder), tar, file])
    assert sorted(read.alerts["candid"] - CANDID) == [1, 2, 3]
    assert (read_packet_contents(str(file)).alerts["candid"] - CANDID).tolist() == [3]


def test_unread_packet_contents_and_files_are_listed_with_a_warning(tmp_path, caplog):
    folder = write_packets(tmp_path / "folder", alert(candid=CANDID + 1))
    (folder / "bad.avro").write_bytes(b"")
    (folder / "notes.txt").write_text("hello")
    files = {"readme": b"text", "2.avro": packet(alert(candid=CANDID + 2))[:-9]}
    archive(folder / "b.tar", files)
    read = read_packet_contents(folder)
    assert (read.alerts["candid"] - CANDID).tolist() == [1]
    assert read.unread[["name", "reason"]].to_numpy().tolist() == [
        ["b.tar:2.avro", "avro"],
        ["b.tar:readme", "ignored_other"],
        ["bad.avro", "avro"],
        ["notes.txt", "ignored_other"],
    ]
    assert "2 packets cannot be read (2 avro); the first is b.tar:2.avro: a container" in (
        caplog.text
    )
    caplog.clear()
    read_packet_contents(folder / "0.avro")
    assert not caplog.records


def test_a_path_that_does_not_exist_is_an_error(tmp_path):
    file = write_packets(tmp_path, alert()) / "0.avro"
    with pytest.raises(InputError, match=r"gone\.avro: found no such file or folder"):
        read_packet_contents([file, tmp_path / "gone.avro"])
    with pytest.raises(InputError, match="found no path"):
        read_packet_contents([])


def test_no_readable_alert_is_an_error(tmp_path):
    (tmp_path / "bad.avro").write_bytes(b"<html>")
    match = r"found no alert that can be read \(1 avro; the first is bad\.avro: no Avro container"
    with pytest.raises(InputError, match=match):
        read_packet_contents(tmp_path)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match="0 files, no alert packets"):
        read_packet_contents(empty)


def test_no_temporary_file_remains(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    read_packet_contents(write_packets(tmp_path / "packets", alert()))
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.skipif(
    "ZTFREP_REAL_DATA" not in os.environ, reason="ZTFREP_REAL_DATA names no folder of real alerts"
)
def test_a_real_archive_is_equal_to_its_tables(tmp_path):
    folder = Path(os.environ["ZTFREP_REAL_DATA"]) / "real-alerts"
    path = sorted(folder.glob("*.tar.gz"))[0]
    read = read_packet_contents(path)
    assert len(read.alerts) > 100
    assert_equal_to_tables(read, path, tmp_path)
