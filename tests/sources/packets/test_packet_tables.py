"""Packets as two tables: each alert and each observation once, everything counted."""

import csv
import os
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.alert_packets import CANDID, alert, image, observation, packet, random_stamps
from ztfrep.data.alert_schema import CLASSES
from ztfrep.data.alert_table import AlertTable
from ztfrep.data.features import ALERCE_FEATURES, PHYSICAL
from ztfrep.data.splits import SPLITS, Splitting
from ztfrep.errors import InputError
from ztfrep.parallel.process_pool import open_processes
from ztfrep.parallel.workers import ThisProcess
from ztfrep.sources.packets.archives import make_readers
from ztfrep.sources.packets.batch_store import TABLE_INFO, fill_batch_store
from ztfrep.sources.packets.entries import IGNORED_FILE_KINDS, IGNORED_MEMBER_KINDS, IgnoredEntry
from ztfrep.sources.packets.folders import find_files
from ztfrep.sources.packets.label_reader import read_labels
from ztfrep.sources.packets.labels import no_labels
from ztfrep.sources.packets.packet_reader import Failure, Packet
from ztfrep.sources.packets.packet_tables import write_packet_tables


class Tables:
    """The two tables of some packets, and what was counted."""

    def __init__(self, folder, *items, labels=None, **options):
        self.paths = [folder / "stamps.parquet", folder / "series.parquet"]
        self.counts = write_packet_tables(
            [partial(list, part) for part in items],
            labels or no_labels(),
            *self.paths,
            folder / "bad.csv",
            **{
                "splitting": Splitting(0.1, 2, 1),
                "max_bad_fraction": 0.01,
                "threads": 1,
                "source": "a folder",
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


def make_alerts(n):
    """One alert each of n objects."""
    return [alert(f"ZTF{i:04d}", candid=CANDID + 1000 + i, jd=2459000.5 + i) for i in range(n)]


def labels_by_last_digits(table):
    """The labels of a table's alerts."""
    frame = table.identity()
    return frame.set_index(frame["candid"] - CANDID)["label"]


def test_alerts_are_written_to_two_tables_of_one_schema(tmp_path):
    prior = [observation(2459001.5), observation(2459002.5, candid=CANDID + 5, magpsf=19.5)]
    earlier = alert("A", candid=CANDID + 9, jd=2459010.5, magpsf=17.0, prior=prior)
    later = alert("A", candid=CANDID + 10, jd=2459020.5, fid=2)
    tables = Tables(tmp_path, packets(later, earlier))
    alerts = tables.stamps.identity()
    assert alerts["candid"].tolist() == [CANDID + 9, CANDID + 10]
    assert alerts["detection"].tolist() == [2, 3]
    assert alerts["has_stamps"].all()
    series = tables.series.identity()
    assert series["mjd"].tolist() == [59001, 59002, 59010, 59020]
    assert (series["candid"] - CANDID).fillna(-1).tolist() == [-1, 5, 9, 10]
    assert series["detection"].tolist() == [0, 1, 2, 3]
    assert series["has_stamps"].tolist() == [False, False, True, True]
    magnitude = tables.series.features()[:, ALERCE_FEATURES.index("magpsf")]
    np.testing.assert_array_equal(magnitude, [np.nan, 19.5, 17.0, 1.0])
    stamps = np.concatenate(list(tables.stamps.stamps()))
    np.testing.assert_array_equal(stamps, [random_stamps(CANDID + n) for n in (9, 10)])
    with pytest.raises(InputError, match="whose stamps are in the stamps table"):
        next(tables.series.stamps())
    for table in (tables.stamps, tables.series):
        assert table.info.scaling == "counts"
        assert table.info.feature_unit == PHYSICAL


def test_invalid_values_are_null_and_invalid_observations_are_excluded(tmp_path):
    """A count below zero is null, an observation without a valid date is excluded."""
    past = [observation(9e99, candid=CANDID + 3), observation(-1.0, candid=CANDID + 4)]
    odd = alert("A", candid=CANDID + 1, ndethist=-3, magpsf=-999.0, prior=past)
    tables = Tables(tmp_path, packets(odd, alert("B", candid=CANDID + 2)))
    series = tables.series.identity()
    assert (series["candid"] - CANDID).tolist() == [1, 2]
    assert tables.counts["prior_observations"]["excluded_jd"] == 2
    values = tables.stamps.features()
    for name in ("ndethist", "non_detections", "magpsf"):
        assert np.isnan(values[0, ALERCE_FEATURES.index(name)])


def test_every_table_of_the_batch_store_has_integer_candids(tmp_path):
    fill_batch_store(
        [partial(list, packets(alert(prior=[observation(), observation(candid=CANDID)])))],
        tmp_path,
        ThisProcess(),
    )
    written = {path.name.split("-")[0]: pq.read_schema(path) for path in tmp_path.glob("*.parquet")}
    assert {name for name, schema in written.items() if "candid" in schema.names} == {
        "alerts",
        "detections",
    }
    for schema in [*written.values(), TABLE_INFO.schema()]:
        if "candid" in schema.names:
            assert schema.field("candid").type == pa.int64()
    of_alerts = labels(tmp_path, f"candid,class\n{CANDID},SN\n").alerts
    assert of_alerts["candid"].type == pa.int64()


@settings(max_examples=10, deadline=None)
@given(st.sets(st.integers(2**62 - 600, 2**62 + 600), min_size=3, max_size=8))
def test_ids_near_2_to_the_62_are_the_same_in_both_tables_and_in_frames(tmp_path_factory, candids):
    stamps = [image(pixels) for pixels in random_stamps(1)]
    alerts = [
        alert(f"ZTF{i}", candid=c, stamps=stamps, prior=[observation()])
        for i, c in enumerate(candids)
    ]
    tables = Tables(tmp_path_factory.mktemp("packets"), packets(*alerts))
    for table in (tables.stamps, tables.series):
        frame = table.identity()
        assert set(frame["candid"].dropna().tolist()) == candids
        assert {f"ZTF{i}": c for i, c in enumerate(candids)} == {
            row.object_id: row.candid for row in frame[frame["has_stamps"]].itertuples()
        }


def test_every_observation_is_written_once(tmp_path):
    limit, detection = observation(2459001.5), observation(2459002.5, candid=CANDID + 5)
    # The detection is an alert too; there is an upper limit at the time of a detection.
    wrong = observation(2459002.5)
    alerts = [
        alert("A", candid=CANDID + 5, jd=2459002.5, prior=[limit, limit]),
        alert("A", candid=CANDID + 9, prior=[limit, detection]),
        alert(
            "A",
            candid=CANDID + 10,
            jd=2459020.5,
            prior=[limit, wrong, observation(2459003.5, candid=CANDID + 6)],
        ),
        alert(
            "A",
            candid=CANDID + 11,
            jd=2459021.5,
            prior=[observation(2459003.5, candid=CANDID + 6), observation(2459003.5)],
        ),
        # The same date of another object is another observation.
        alert("B", candid=CANDID + 12, prior=[limit]),
    ]
    tables = Tables(tmp_path, packets(*alerts))
    series = tables.series.identity()
    series_of_a = series[series["object_id"] == "A"]
    assert (series_of_a["candid"] - CANDID).fillna(-1).tolist() == [-1, 5, 6, 9, 10, 11]
    assert len(series) == 8
    assert tables.counts["prior_observations"] == {
        "read": 10,
        "excluded_jd": 0,
        "excluded_candid": 0,
        "repeated": 7,
        "prior_detections": 1,
        "upper_limits": 2,
    }


def test_of_a_repeated_alert_the_first_is_written(tmp_path):
    first, again = (
        alert("A", candid=CANDID + 7, magpsf=18.0),
        alert("A", candid=CANDID + 7, magpsf=15.0),
    )
    # The last of one batch, and the first of the next.
    tables = Tables(tmp_path, packets(*make_alerts(511), first, again, *make_alerts(600)[511:]))
    counts = tables.counts["packets"]
    assert (counts["read"], counts["written"], counts["duplicates"]) == (602, 601, 1)
    alerts = tables.stamps.identity()
    row = int(np.flatnonzero(alerts["candid"] == CANDID + 7)[0])
    assert tables.stamps.features()[row, ALERCE_FEATURES.index("magpsf")] == 18.0


def test_every_packet_is_counted_and_bad_ones_are_listed(tmp_path):
    bad = packet(alert(candid=CANDID + 3, stamps=[b"no", b"gzip", b"at all"]))
    items = [
        *packets(*make_alerts(300)),
        Packet("b.avro", bad),
        Failure("a.tar.gz", "archive", "cut\nshort"),
    ]
    tables = Tables(tmp_path, items, broken_archives="keep")
    counts = tables.counts["packets"]
    assert counts["read"] == counts["written"] + counts["duplicates"] + counts["bad"] == 302
    assert (counts["bad_gzip"], counts["bad_archive"], counts["bad"]) == (1, 1, 2)
    with (tmp_path / "bad.csv").open() as file:
        rows = list(csv.reader(file))
    assert sorted(row[:2] for row in rows[1:]) == [["a.tar.gz", "archive"], ["b.avro", "gzip"]]
    assert tables.stamps.rows == 300


def test_a_broken_archive_is_an_error_unless_broken_archives_is_keep(tmp_path, caplog):
    items = [
        *packets(*make_alerts(300)),
        Failure("b.tar", "archive", "cut"),
        Failure("a.tar", "archive", "x"),
    ]
    match = (
        r"2 broken archives, the first is a\.tar: x; .*bad\.csv.*sources\.alerts\.broken_archives"
    )
    with pytest.raises(InputError, match=match):
        Tables(tmp_path, items)
    assert [path.name for path in tmp_path.iterdir()] == ["bad.csv"]
    tables = Tables(tmp_path, items, broken_archives="keep")
    assert tables.counts["packets"]["bad_archive"] == 2
    assert "the first is a.tar: x" in caplog.text
    # They are bad packets too.
    with pytest.raises(InputError, match=r"2 of 302 packets.*2 archive"):
        Tables(tmp_path, items, broken_archives="keep", max_bad_fraction=0.001)
    with pytest.raises(InputError, match=r"no alert that can be read.*a\.tar: x"):
        Tables(tmp_path, items[300:], broken_archives="keep", max_bad_fraction=1.0)


def test_ignored_entries_are_listed_and_counted_apart_from_bad_packets(tmp_path, caplog):
    items = [
        *packets(*make_alerts(60)),
        *(IgnoredEntry(f"n.tar:{i}.txt", "other", "text") for i in range(50)),
        IgnoredEntry("n.tar:in.tar", "nested", "too deep"),
        Counter({"files": 2, "members.seen": 61, "members.read": 10}),
    ]
    files = [
        IgnoredEntry("x.7z", "format", "a 7z archive"),
        IgnoredEntry("notes.txt", "other", "text"),
    ]
    tables = Tables(tmp_path, items, ignored=files, max_bad_fraction=0.0)
    assert tables.counts["files"] == {
        **{"seen": 4, "read": 2, "ignored": 2},
        **{f"ignored_{kind}": int(kind in ("format", "other")) for kind in IGNORED_FILE_KINDS},
    }
    assert tables.counts["members"] == {
        **{"seen": 61, "read": 10, "ignored": 51},
        **{f"ignored_{kind}": 0 for kind in IGNORED_MEMBER_KINDS},
        **{"ignored_other": 50, "ignored_nested": 1},
    }
    assert tables.counts["packets"]["bad"] == 0
    with (tmp_path / "bad.csv").open() as file:
        rows = list(csv.reader(file))
    assert len(rows) == 1 + 51 + 2
    assert ["n.tar:in.tar", "ignored_nested", "too deep"] in rows
    assert rows[-2:] == [
        ["notes.txt", "ignored_other", "text"],
        ["x.7z", "ignored_format", "a 7z archive"],
    ]
    assert "53 files and members of archives are ignored" in caplog.text


@pytest.mark.parametrize("name", ["caf\udce9.avro", "\ud800", "a\x1b[31m\nb", "x" * 100_000])
def test_any_name_can_be_listed(tmp_path, name):
    items = [
        *packets(*make_alerts(5)),
        Failure(name, "avro", name),
        IgnoredEntry(name, "other", name),
    ]
    Tables(tmp_path, items, max_bad_fraction=0.5)
    with (tmp_path / "bad.csv").open(encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert len(rows) == 3
    assert all(cell.isprintable() and len(cell) <= 1000 for row in rows for cell in row)


def test_a_file_of_an_alert_and_garbage_is_counted_once(tmp_path):
    items = [
        *packets(*make_alerts(300)),
        Packet("b.avro", packet(alert(candid=CANDID + 3)) + b"garbage"),
    ]
    counts = Tables(tmp_path, items).counts["packets"]
    assert (counts["read"], counts["written"], counts["bad"]) == (301, 300, 1)


def test_too_many_bad_packets_are_an_error_and_the_list_is_written(tmp_path):
    items = [*packets(*make_alerts(50)), Packet("b.avro", b"")]
    with pytest.raises(InputError, match=r"1 of 51 packets.*1 avro.*at most 1.00%.*bad.csv"):
        Tables(tmp_path, items)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.csv"]
    assert Tables(tmp_path, items, max_bad_fraction=0.02).stamps.rows == 50


@pytest.mark.parametrize("items", [[], [Packet("a", b"")]])
def test_no_readable_alert_is_an_error_whatever_the_fraction(tmp_path, items):
    with pytest.raises(InputError, match="no alert that can be read"):
        Tables(tmp_path, items, max_bad_fraction=1.0)


def test_labels_of_alerts_are_written_for_alerts_and_objects(tmp_path):
    alerts = [
        *make_alerts(40),
        alert("ZTF0000", candid=CANDID + 1, jd=2459500.5),
        alert("ZTF0001", candid=CANDID + 2, jd=2459500.5),
    ]
    rows = [f"{CANDID + 1000 + i},{'SN' if i % 2 else 'bogus'}" for i in range(30)]
    others = [(2, "QSO"), (77, "SN"), (1035, "kilonova"), (1036, "")]
    text = "\n".join(["candid,class", *rows, *(f"{CANDID + n},{name}" for n, name in others)])
    tables = Tables(tmp_path, packets(*alerts), labels=labels(tmp_path, text))
    stamps = labels_by_last_digits(tables.stamps)
    assert stamps[1000] == 4
    assert stamps[1001] == 1
    assert stamps[1] == -1  # its object has a label, it has none
    assert stamps[2] == 0
    assert (stamps[[1035, 1036, 1039]] == -1).all()
    series = tables.series.identity().groupby("object_id")["label"].agg(["min", "max"])
    assert series.loc["ZTF0000"].tolist() == [4, 4]
    assert series.loc["ZTF0001"].tolist() == [-1, -1]  # two classes are none
    assert tables.counts["labels"] == {
        "rows": 34,
        "rows_malformed": 0,
        "rows_without_class": 1,
        "rows_without_id": 0,
        "rows_with_bad_id": 0,
        "rows_labelled": 32,
        "mapped_classes": 1,
        "excluded_classes": 1,
        "other_classes": 0,
        "comment_lines": 0,
        "normalised_ids": 0,
        "contradictory_ids": 0,
        "rows_matched": 31,
        "rows_unmatched": 1,
        "alerts_contradicting_their_object": 0,
        "mapped_classes_by_name": {"AGN": {"QSO": 1}},
        "excluded_classes_by_name": {"kilonova": 1},
        "other_classes_by_name": {},
        "alerts": 31,
        "objects": 29,
        "contradictory_objects": 1,
        "objects_of_too_rare_classes": 0,
    }
    by_class = [f"objects_{name}" for name in CLASSES]
    series = [tables.counts["series"][split] for split in SPLITS]
    # An object whose alerts contradict each other counts for no class.
    assert [sum(each[name] for each in series) for name in by_class] == [0, 14, 0, 0, 15]


def test_without_labels_all_counts_of_labels_are_zero(tmp_path):
    first = Tables(
        tmp_path, packets(*make_alerts(5)), labels=labels(tmp_path, "oid,class\nZTF0001,SN")
    )
    second = Tables(tmp_path, packets(*make_alerts(5)))
    assert first.counts["labels"].keys() == second.counts["labels"].keys()
    counts = second.counts["labels"]
    for kind in ("mapped", "excluded", "other"):
        assert counts.pop(f"{kind}_classes_by_name") == {}
    assert set(counts.values()) == {0}


def test_the_label_of_an_object_is_that_of_all_its_alerts(tmp_path):
    alerts = [*make_alerts(20), alert("ZTF0003", candid=CANDID + 1)]
    text = "\n".join(["object_id,class", *(f"ZTF{i:04d},VS" for i in range(10))])
    tables = Tables(tmp_path, packets(*alerts), labels=labels(tmp_path, text))
    assert labels_by_last_digits(tables.stamps)[[1, 1003, 1015]].tolist() == [2, 2, -1]
    assert tables.counts["labels"]["objects"] == 10


def test_the_label_of_an_alert_has_priority_over_that_of_its_object(tmp_path, caplog):
    alerts = [
        *make_alerts(20),
        alert("ZTF0003", candid=CANDID + 1, jd=2459500.5),
        alert("ZTF0003", candid=CANDID + 2, jd=2459501.5),
    ]
    text = f"""candid,object_id,class
,ZTF0003,SN
{CANDID + 1},ZTF0003,bogus
{CANDID + 2},ZTF0003,SN
{CANDID + 2},ZTF0003,AGN
{CANDID + 1004},,VS
,ZTF0004,VS
"""
    tables = Tables(tmp_path, packets(*alerts), labels=labels(tmp_path, text))
    # The second alert has two rows that contradict each other.
    assert labels_by_last_digits(tables.stamps)[[1003, 1, 2, 1004]].tolist() == [1, 4, -1, 2]
    series = tables.series.identity().set_index("object_id")["label"]
    assert set(series["ZTF0003"]) == {1}
    counts = tables.counts["labels"]
    assert counts["alerts_contradicting_their_object"] == 1
    assert (counts["rows_matched"], counts["contradictory_objects"]) == (6, 0)
    assert "1 alerts have another label than their object; their own is used" in caplog.text


def test_labels_that_match_no_alert_are_an_error_before_a_table_is_written(tmp_path):
    text = f"candid,class\n{CANDID + 1},SN\n{CANDID + 3},VS\n"
    with pytest.raises(InputError) as caught:
        Tables(tmp_path, packets(*make_alerts(20)), labels=labels(tmp_path, text))
    message = str(caught.value)
    assert message.startswith(str(tmp_path / "labels.csv"))
    assert "none of 2 rows with a class" in message
    assert f"line 2: candid '{CANDID + 1}', where the alerts have candid '{CANDID + 1000}'" in (
        message
    )
    assert not (tmp_path / "stamps.parquet").exists()


def test_a_warning_is_logged_if_fewer_than_half_of_the_labels_match(tmp_path, caplog):
    text = "\n".join(["oid,class", "Z1,SN", "ZTF0001,SN", "ZTF0002,SN", "Z2,SN", "Z3,SN"])
    tables = Tables(tmp_path, packets(*make_alerts(20)), labels=labels(tmp_path, text))
    assert tables.counts["labels"]["rows_unmatched"] == 3
    assert "only 2 of 5 rows with a class" in caplog.text
    assert "line 2: object_id 'Z1', where the alerts have object_id 'ZTF0000'" in caplog.text
    caplog.clear()
    text = "\n".join(["oid,class", "Z1,SN", "ZTF0001,SN", "ZTF0002,SN", "Z2,SN"])
    Tables(tmp_path, packets(*make_alerts(20)), labels=labels(tmp_path, text))
    assert not caplog.records


def exposures(n):
    """Candids as ZTF's, one of each exposure: a time, a quadrant, and a number within it."""
    return [CANDID + 1_000_000 * i + 15_003 + i % 7 for i in range(n)]


@pytest.mark.parametrize("exact", [0, 6, 24])
def test_candids_rounded_to_floats_are_an_error_or_a_warning(tmp_path, caplog, exact):
    candids = exposures(40)
    stamps = [image(pixels) for pixels in random_stamps(1)]
    alerts = [alert(f"ZTF{i}", candid=c, stamps=stamps) for i, c in enumerate(candids)]
    rows = [c if i < exact else int(float(c)) for i, c in enumerate(candids)]
    text = "\n".join(["candid,class", *(f"{c},SN" for c in rows)])
    table = labels(tmp_path, text)
    caplog.clear()
    rounded = "these candids were rounded by a spreadsheet or a float64 column"
    if not exact:
        with pytest.raises(InputError, match=rf"none of 40 rows.*{rounded}.*as text"):
            Tables(tmp_path, packets(*alerts), labels=table)
        return
    tables = Tables(tmp_path, packets(*alerts), labels=table)
    assert tables.counts["labels"]["rows_matched"] == exact
    # In the last case most rows match, and 16 others are not enough to recognise rounding.
    assert (rounded in caplog.text) == (exact == 6)


def test_rounded_candids_that_match_other_alerts_are_an_error(tmp_path):
    candids = exposures(40)
    stamps = [image(pixels) for pixels in random_stamps(1)]
    # Three alerts have the very candids that others are rounded to.
    alerts = [
        alert(f"ZTF{i}", candid=c, stamps=stamps)
        for i, c in enumerate([*candids, *{int(float(c)) for c in candids[:3]}])
    ]
    text = "\n".join(["candid,class", *(f"{int(float(c))},SN" for c in candids)])
    # Each label would be that of another alert.
    with pytest.raises(InputError, match=r"only \d+ of 40 rows.*rounded"):
        Tables(tmp_path, packets(*alerts), labels=labels(tmp_path, text.replace(",SN", ",VS")))


def test_an_object_is_in_one_split_of_both_tables_and_splits_are_stratified(tmp_path):
    alerts = make_alerts(120) + [
        alert(f"ZTF{i:04d}", candid=CANDID + 5000 + i, jd=2459900.5) for i in range(0, 120, 3)
    ]
    rows = [f"ZTF{i:04d},{('SN', 'VS')[i % 2]}" for i in range(60)]
    text = "\n".join(["object_id,class", *rows, "ZTF0100,AGN"])
    tables = Tables(tmp_path, packets(*alerts), labels=labels(tmp_path, text))
    stamps, series = tables.stamps.identity(), tables.series.identity()
    assert (stamps.groupby("object_id")["split"].nunique() == 1).all()
    of_objects = series.groupby("object_id")["split"].first()
    assert (stamps.set_index("object_id")["split"] == of_objects[stamps["object_id"]]).all()
    counts = series.drop_duplicates("object_id").groupby(["label", "split"]).size()
    for label in (-1, 1, 2):
        assert counts[label]["validation"] == counts[label]["test"] == {-1: 6, 1: 3, 2: 3}[label]
    # A class of one object is not split.
    assert counts[0].to_dict() == {"train": 1}
    assert tables.counts["labels"]["objects_of_too_rare_classes"] == 1
    assert stamps["split"].tolist() == sorted(stamps["split"], key=SPLITS.index)


def test_processes_and_batch_size_do_not_change_the_bytes(tmp_path):
    # More rows than a row group: the batches of a database depend on its threads.
    series = [[observation(2458000.5 + i, fid=1 + i % 3) for i in range(40)] for _ in range(70)]
    alerts = [
        alert(f"ZTF{i:04d}", candid=CANDID + i, prior=prior) for i, prior in enumerate(series)
    ]
    # A repeated alert with other values: the first is used, whichever process read it.
    again = [alert(f"ZTF{i:04d}", candid=CANDID + i, magpsf=15.0) for i in range(70)]
    # Unread entries are at random positions, so that they are in different batches.
    unread = [IgnoredEntry(f"i{i}", "other", "x") for i in range(9)]
    unread += [Packet(f"b{i}", b"") for i in range(9)]
    unread += [Failure(f"f{i}", "gzip", "") for i in range(9)]
    scattered = [*packets(*alerts), *unread, Counter({"files": 1, "members.seen": 3})]
    scattered = [scattered[i] for i in np.random.default_rng(1).permutation(len(scattered))]
    parts = [scattered, packets(*again), [*packets(*make_alerts(3)), Counter({"files": 2})]]
    results = []
    for threads, batch in ((1, 512), (1, 7), (4, 11)):
        folder = tmp_path / f"{batch}"
        folder.mkdir()
        tables = Tables(
            folder, *parts, threads=threads, max_batch_packets=batch, max_bad_fraction=0.2
        )
        assert tables.counts["files"]["seen"] == 3
        assert tables.counts["members"]["ignored"] == 9
        assert tables.counts["packets"]["duplicates"] == 70
        files = [*tables.paths, folder / "bad.csv"]
        results.append(([path.read_bytes() for path in files], tables.counts))
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("name", ["it's [a] folder*", "50% {x}"])
def test_a_folder_may_have_any_name(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    assert Tables(folder, packets(*make_alerts(5))).stamps.rows == 5


def end():
    os._exit(9)


def test_a_killed_process_is_an_error(tmp_path):
    with (
        pytest.raises(InputError, match=r"a worker process that was killed.*lower threads"),
        open_processes(2, "reading packets") as workers,
    ):
        fill_batch_store([end], tmp_path, workers)


def test_masks_and_missing_features_are_counted(tmp_path):
    cut = [image(p) for p in random_stamps(1, (63, 50))]
    tables = Tables(
        tmp_path, packets(alert(stamps=cut, xpos=3053.0, sgscore1=-999.0), *make_alerts(5))
    )
    assert tables.counts["padded_stamps"] == 1
    # Every reason has its number, 0 too, so that runs can be compared.
    outside = 3 * 63 * 13
    masked = {"outside": outside, "nan": 0, "infinite": 0, "no_data": 0}
    assert tables.counts["masked_pixels"] == masked
    missing = {"sentinel": 1, "absent": 0, "unreadable": 0, "out_of_range": 0}
    assert tables.counts["missing_features"] == missing


def test_no_temporary_file_remains(tmp_path):
    Tables(tmp_path, packets(*make_alerts(5)))
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "bad.csv",
        "series.parquet",
        "stamps.parquet",
    ]


@pytest.mark.skipif(
    "ZTFREP_REAL_DATA" not in os.environ, reason="ZTFREP_REAL_DATA names no folder of real alerts"
)
def test_every_alert_of_the_real_archives_is_written(tmp_path):
    folder = Path(os.environ["ZTFREP_REAL_DATA"]) / "real-alerts"
    weak = read_labels(folder / "index.csv", "weak_class")
    path = tmp_path / "stamps.parquet"
    files = make_readers(find_files(folder).packets)
    counts = write_packet_tables(
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
    packet_counts = counts["packets"]
    assert (packet_counts["read"], packet_counts["written"], packet_counts["bad"]) == (
        2175,
        2175,
        0,
    )
    assert counts["labels"]["alerts"] == 822
    assert counts["padded_stamps"] == 26
    with (folder / "index.csv").open() as file:
        index = {line["candid"]: line for line in csv.DictReader(file)}
    alerts = AlertTable(path).identity()
    assert set(alerts["candid"].astype(str)) == set(index)
    for candid, object_id in zip(alerts["candid"], alerts["object_id"], strict=True):
        assert index[str(candid)]["object_id"] == object_id
    of_object = alerts.groupby("object_id").size()
    assert (of_object >= 2).sum() == 70
    assert of_object.max() == 21
