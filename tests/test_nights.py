"""Nights of packets as two tables: each alert once, each epoch once, all accounted for."""

import csv
import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.alert_packets import alert, epoch, image, packet, random_stamps
from ztfrep import features
from ztfrep.alerts import SPLITS, AlertTable
from ztfrep.errors import InputError
from ztfrep.sources.archives import find_files, readers
from ztfrep.sources.labels import no_labels, read_labels
from ztfrep.sources.nights import Splitting, write_nights
from ztfrep.sources.packets import Failure, Packet
from ztfrep.sources.spool import fill_spool


class Written:
    """The two tables of some packets, and what was counted."""

    def __init__(self, folder, *given, labels=None, **options):
        self.paths = [folder / "stamps.parquet", folder / "series.parquet"]
        self.counts = write_nights(
            [partial(list, items) for items in given],
            labels or no_labels(),
            *self.paths,
            folder / "bad.csv",
            **{
                "splitting": Splitting(0.1, 2, 1),
                "max_bad_fraction": 0.01,
                "threads": 1,
                "source": "here",
            }
            | options,
        )
        self.stamps, self.series = map(AlertTable, self.paths)


def packets(*alerts):
    return [Packet(f"{i}.avro", packet(a)) for i, a in enumerate(alerts)]


def labels(folder, text):
    path = folder / "labels.csv"
    path.write_text(text)
    return read_labels(path, "class")


def many(n):
    """One alert each of n objects."""
    return [alert(f"ZTF{i:04d}", candid=1000 + i, jd=2459000.5 + i) for i in range(n)]


def test_alerts_become_two_tables_of_one_schema(tmp_path):
    told = [epoch(2459001.5), epoch(2459002.5, candid=5, magpsf=19.5)]
    one = alert("A", candid=9, jd=2459010.5, magpsf=17.0, history=told)
    two = alert("A", candid=10, jd=2459020.5, fid=2)
    found = Written(tmp_path, packets(two, one))
    alerts = found.stamps.identity()
    assert alerts["candid"].tolist() == [9, 10]
    assert alerts["detection"].tolist() == [2, 3]
    assert alerts["has_stamps"].all()
    series = found.series.identity()
    assert series["mjd"].tolist() == [59001, 59002, 59010, 59020]
    assert series["candid"].fillna(-1).tolist() == [-1, 5, 9, 10]
    assert series["detection"].tolist() == [0, 1, 2, 3]
    assert series["has_stamps"].tolist() == [False, False, True, True]
    magnitude = found.series.features()[:, features.NAMES.index("magpsf")]
    np.testing.assert_array_equal(magnitude, [np.nan, 19.5, 17.0, 1.0])
    stamps = np.concatenate(list(found.stamps.stamps()))
    np.testing.assert_array_equal(stamps, [random_stamps(9), random_stamps(10)])
    with pytest.raises(ValueError, match="stamps stand in the alerts' table, by candid"):
        next(found.series.stamps())
    for table in (found.stamps, found.series):
        assert table.info.scaling == "counts"
        assert table.info.feature_unit == features.PHYSICAL


def test_every_epoch_is_there_once_however_often_packets_tell_of_it(tmp_path):
    limit, detection = epoch(2459001.5), epoch(2459002.5, candid=5)
    # The detection came as an alert as well; a limit was told where there was a detection.
    wrong = epoch(2459002.5)
    alerts = [
        alert("A", candid=5, jd=2459002.5, history=[limit, limit]),
        alert("A", candid=9, history=[limit, detection]),
        alert("A", candid=10, jd=2459020.5, history=[limit, wrong, epoch(2459003.5, candid=6)]),
        alert("A", candid=11, jd=2459021.5, history=[epoch(2459003.5, candid=6), epoch(2459003.5)]),
        # The same night of another object is another epoch.
        alert("B", candid=12, history=[limit]),
    ]
    found = Written(tmp_path, packets(*alerts))
    series = found.series.identity()
    of_a = series[series["object_id"] == "A"]
    assert of_a["candid"].fillna(-1).tolist() == [-1, 5, 6, 9, 10, 11]
    assert len(series) == 8
    assert found.counts["history"] == {
        "read": 10,
        "left_out_jd": 0,
        "left_out_candid": 0,
        "repeated": 7,
        "kept_detections": 1,
        "kept_upper_limits": 2,
    }


def test_an_alert_that_comes_twice_is_written_once_the_first_of_them(tmp_path):
    first, again = alert("A", candid=7, magpsf=18.0), alert("A", candid=7, magpsf=15.0)
    # The last of one batch, and the first of the next.
    found = Written(tmp_path, packets(*many(511), first, again, *many(600)[511:]))
    counts = found.counts["packets"]
    assert (counts["read"], counts["written"], counts["duplicates"]) == (602, 601, 1)
    alerts = found.stamps.identity()
    row = int(np.flatnonzero(alerts["candid"] == 7)[0])
    assert found.stamps.features()[row, features.NAMES.index("magpsf")] == 18.0


def test_every_packet_is_accounted_for_and_bad_ones_are_named(tmp_path):
    bad = packet(alert(candid=3, stamps=[b"no", b"gzip", b"here"]))
    given = [
        *packets(*many(300)),
        Packet("b.avro", bad),
        Failure("a.tar.gz", "archive", "cut\nshort"),
    ]
    found = Written(tmp_path, given)
    counts = found.counts["packets"]
    assert counts["read"] == counts["written"] + counts["duplicates"] + counts["bad"] == 302
    assert (counts["bad_gzip"], counts["bad_archive"], counts["bad"]) == (1, 1, 2)
    with (tmp_path / "bad.csv").open() as file:
        rows = list(csv.reader(file))
    assert sorted(row[:2] for row in rows[1:]) == [["a.tar.gz", "archive"], ["b.avro", "gzip"]]
    assert found.stamps.rows == 300


def test_a_file_of_an_alert_and_rubbish_is_one_entry(tmp_path):
    given = [*packets(*many(300)), Packet("b.avro", packet(alert(candid=3)) + b"rubbish")]
    counts = Written(tmp_path, given).counts["packets"]
    assert (counts["read"], counts["written"], counts["bad"]) == (301, 300, 1)


def test_too_many_bad_packets_stop_with_the_count_and_leave_the_list(tmp_path):
    given = [*packets(*many(50)), Packet("b.avro", b"")]
    with pytest.raises(InputError, match=r"1 of 51 packets.*1 avro.*at most 1.00%.*bad.csv"):
        Written(tmp_path, given)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.csv"]
    assert Written(tmp_path, given, max_bad_fraction=0.02).stamps.rows == 50


@pytest.mark.parametrize("given", [[], [Packet("a", b"")]])
def test_no_alert_at_all_is_refused_whatever_the_fraction(tmp_path, given):
    with pytest.raises(InputError, match="no alert that can be read"):
        Written(tmp_path, given, max_bad_fraction=1.0)


def test_labels_reach_their_alerts_and_their_objects(tmp_path):
    alerts = [
        *many(40),
        alert("ZTF0000", candid=1, jd=2459500.5),
        alert("ZTF0001", candid=2, jd=2459500.5),
    ]
    rows = [f"{1000 + i},{'SN' if i % 2 else 'bogus'}" for i in range(30)]
    text = "\n".join(["candid,class", *rows, "2,AGN", "77,SN", "1035,kilonova", "1036,"])
    found = Written(tmp_path, packets(*alerts), labels=labels(tmp_path, text))
    stamps = found.stamps.identity().set_index("candid")["label"]
    assert stamps[1000] == 4
    assert stamps[1001] == 1
    assert stamps[1] == -1  # its object has a label, it has none
    assert stamps[2] == 0
    assert (stamps[[1035, 1036, 1039]] == -1).all()
    series = found.series.identity().groupby("object_id")["label"].agg(["min", "max"])
    assert series.loc["ZTF0000"].tolist() == [4, 4]
    assert series.loc["ZTF0001"].tolist() == [-1, -1]  # two classes are none
    assert found.counts["labels"] == {
        "alerts": 31,
        "objects": 29,
        "contradictory_objects": 1,
        "contradictory_rows": 0,
        "of_alerts_not_here": 1,
        "other_classes": 1,
        "objects_too_rare_to_hold_out": 0,
    }


def test_labels_of_objects_reach_all_their_alerts(tmp_path):
    alerts = [*many(20), alert("ZTF0003", candid=1)]
    text = "\n".join(["object_id,class", *(f"ZTF{i:04d},VS" for i in range(10))])
    found = Written(tmp_path, packets(*alerts), labels=labels(tmp_path, text))
    assert found.stamps.identity().set_index("candid")["label"][[1, 1003, 1015]].tolist() == [
        2,
        2,
        -1,
    ]
    assert found.counts["labels"]["objects"] == 10


def test_an_object_stands_in_one_split_of_both_tables_and_classes_are_held_out_alike(tmp_path):
    alerts = many(120) + [
        alert(f"ZTF{i:04d}", candid=5000 + i, jd=2459900.5) for i in range(0, 120, 3)
    ]
    rows = [f"ZTF{i:04d},{('SN', 'VS')[i % 2]}" for i in range(60)]
    text = "\n".join(["object_id,class", *rows, "ZTF0100,AGN"])
    found = Written(tmp_path, packets(*alerts), labels=labels(tmp_path, text))
    stamps, series = found.stamps.identity(), found.series.identity()
    assert (stamps.groupby("object_id")["split"].nunique() == 1).all()
    of_objects = series.groupby("object_id")["split"].first()
    assert (stamps.set_index("object_id")["split"] == of_objects[stamps["object_id"]]).all()
    held = series.drop_duplicates("object_id").groupby(["label", "split"]).size()
    for label in (-1, 1, 2):
        assert held[label]["validation"] == held[label]["test"] == {-1: 6, 1: 3, 2: 3}[label]
    # A class of one object has nothing to hold out.
    assert held[0].to_dict() == {"train": 1}
    assert found.counts["labels"]["objects_too_rare_to_hold_out"] == 1
    assert stamps["split"].tolist() == sorted(stamps["split"], key=SPLITS.index)


def test_neither_processes_nor_batches_change_a_byte(tmp_path):
    # More rows than a row group has: a database hands them out by its threads.
    told = [[epoch(2458000.5 + i, fid=1 + i % 3) for i in range(40)] for _ in range(70)]
    alerts = [alert(f"ZTF{i:04d}", candid=1 + i, history=epochs) for i, epochs in enumerate(told)]
    # Told twice, and otherwise the second time: the first is kept, whoever read it.
    again = [alert(f"ZTF{i:04d}", candid=1 + i, magpsf=15.0) for i in range(70)]
    given = [[*packets(*alerts), Packet("b", b"")], packets(*again), [*packets(*many(3))]]
    tables = []
    for threads, batch in ((1, 512), (1, 7), (4, 11)):
        folder = tmp_path / f"{batch}"
        folder.mkdir()
        found = Written(folder, *given, threads=threads, batch=batch)
        assert found.counts["packets"]["duplicates"] == 70
        files = [*found.paths, folder / "bad.csv"]
        tables.append(([path.read_bytes() for path in files], found.counts))
    assert tables[0] == tables[1] == tables[2]


@pytest.mark.parametrize("name", ["it's [a] night*", "50% {x}"])
def test_a_folder_may_have_any_name(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    assert Written(folder, packets(*many(5))).stamps.rows == 5


def end():
    os._exit(9)


def test_a_process_that_is_killed_is_told(tmp_path):
    with pytest.raises(InputError, match=r"a process of ours that was killed.*lower threads"):
        fill_spool([end], tmp_path, 2)


def test_masks_and_missing_features_are_counted(tmp_path):
    cut = [image(p) for p in random_stamps(1, (63, 50))]
    found = Written(tmp_path, packets(alert(stamps=cut, xpos=3053.0, sgscore1=-999.0), *many(5)))
    assert found.counts["padded_stamps"] == 1
    # Every reason has its number, 0 too, so that runs can be compared.
    outside = 3 * 63 * 13
    masked = {"outside": outside, "nan": 0, "infinite": 0, "no_data": 0}
    assert found.counts["masked_pixels"] == masked
    missing = {"sentinel": 1, "absent": 0, "unreadable": 0, "out_of_range": 0}
    assert found.counts["missing_features"] == missing


def test_nothing_is_left_behind(tmp_path):
    Written(tmp_path, packets(*many(5)))
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "bad.csv",
        "series.parquet",
        "stamps.parquet",
    ]


@pytest.mark.skipif(
    "ZTFREP_REAL_DATA" not in os.environ, reason="ZTFREP_REAL_DATA names no folder of real alerts"
)
def test_the_real_archives_go_through_with_every_alert_accounted_for(tmp_path):
    folder = Path(os.environ["ZTFREP_REAL_DATA"]) / "real-alerts"
    weak = read_labels(folder / "index.csv", "weak_class")
    path = tmp_path / "stamps.parquet"
    files = readers(find_files(folder))
    told = write_nights(
        files,
        weak,
        path,
        tmp_path / "series.parquet",
        tmp_path / "bad.csv",
        splitting=Splitting(0.05, 40, 7),
        max_bad_fraction=0.01,
        threads=2,
        source=str(folder),
    )
    counts = told["packets"]
    assert (counts["read"], counts["written"], counts["bad"]) == (2175, 2175, 0)
    assert told["labels"]["alerts"] == 822
    assert told["padded_stamps"] == 26
    with (folder / "index.csv").open() as file:
        index = {line["candid"]: line for line in csv.DictReader(file)}
    alerts = AlertTable(path).identity()
    assert set(alerts["candid"].astype(str)) == set(index)
    for candid, object_id in zip(alerts["candid"], alerts["object_id"], strict=True):
        assert index[str(candid)]["object_id"] == object_id
    of_object = alerts.groupby("object_id").size()
    assert (of_object >= 2).sum() == 70
    assert of_object.max() == 21
