"""Packets to alerts and observations: features, prior observations, and reasons of failures."""

import gzip
import io
import os
import re
from pathlib import Path

import astropy.units as u
import fastavro
import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from tests.alert_packets import (
    CANDID,
    alert,
    container,
    encode,
    image,
    observation,
    packet,
    random_stamps,
    schema,
)
from ztfrep.data.features import ALERCE_FEATURES
from ztfrep.sources.packets.containers import open_container
from ztfrep.sources.packets.observations import MISSING_REASONS
from ztfrep.sources.packets.packet_counts import FAILURE_REASONS
from ztfrep.sources.packets.packet_reader import Packet, decode_batches, decode_packets

INDEX = {name: column for column, name in enumerate(ALERCE_FEATURES.names)}


def read(*alerts, **options):
    return decode_packets([Packet(f"{i}", packet(a, **options)) for i, a in enumerate(alerts)])


def feature(batch, name, row=0):
    return batch.alerts.metadata[row, INDEX[name]]


def test_an_alert_becomes_a_row():
    batch = read(alert("ZTF18aaaaaaa", candid=77, jd=2459000.75, fid=2, magpsf=18.5))
    assert batch.object_id == ["ZTF18aaaaaaa"]
    assert batch.alerts.candid.tolist() == [77]
    assert batch.alerts.mjd.tolist() == [59000.25]
    assert batch.alerts.fid.tolist() == [2]
    assert feature(batch, "magpsf") == 18.5
    np.testing.assert_array_equal(batch.stamps[0], random_stamps(77))
    assert batch.failures == []


def test_derived_features_are_those_of_alerce():
    batch = read(alert(ra=266.4, dec=-28.9, ndethist=4, ncovhist=100, fwhm=55.0))
    assert feature(batch, "non_detections") == 96
    assert feature(batch, "fwhm") == 55  # clipped only when it is scaled
    sky = SkyCoord(np.float32(266.4) * u.deg, np.float32(-28.9) * u.deg)
    assert feature(batch, "gal_lat") == pytest.approx(sky.galactic.b.deg, abs=1e-4)
    assert feature(batch, "gal_long") == pytest.approx(sky.galactic.l.deg, abs=1e-4)
    ecliptic = sky.barycentrictrueecliptic
    assert feature(batch, "ecl_lat") == pytest.approx(ecliptic.lat.deg, abs=1e-4)
    assert feature(batch, "ecl_long") == pytest.approx(ecliptic.lon.deg, abs=1e-4)


FIXED = {"type": "fixed", "name": "sign", "size": 1}


@pytest.mark.parametrize("where", ["candidate", "prv_candidates"])
@pytest.mark.parametrize(
    ("kind", "positive", "negative", "unknown"),
    [
        (
            "string",
            ["t", "1", "T", "true", "True", "TRUE", " t ", "+1", "1.0"],
            ["f", "0", "F", "false", "False", "-1", "-1.0", "0.0 "],
            ["maybe", "2", "trueish", "no idea at all"],
        ),
        ("bytes", [b"t", b"1", b"true"], [b"f", b"0", b"false"], [b"\1", b"x"]),
        (FIXED, [b"t", b"1"], [b"f", b"0"], [b"\0"]),
        ("boolean", [True], [False], []),
        ("int", [1], [-1, 0], [2, ord("t"), ord("f"), ord("1")]),
        ("long", [1], [-1, 0], [2**62]),
        ("float", [1.0], [-1.0, 0.0], [0.5, float("inf")]),
        ("double", [1.0], [-1.0, 0.0], [-2.0]),
        # The number of a symbol has no meaning.
        ({"type": "enum", "name": "sign", "symbols": ["t", "f"]}, [], [], ["t", "f"]),
    ],
)
def test_isdiffpos_is_one_for_a_faded_source(kind, positive, negative, unknown, where):
    cases = [(value, 0) for value in positive] + [(value, 1) for value in negative]
    for value, expected in [*cases, *((value, np.nan) for value in unknown)]:
        if where == "candidate":
            batch = read(alert(isdiffpos=value), types={f"{where}.isdiffpos": kind})
            counted = batch.counts["features.unreadable"]
            assert counted == np.isnan(expected), value
            assert batch.counts["features.absent"] == 0
        else:
            prior = [observation(candid=5, isdiffpos=value)]
            batch = read(alert(prior=prior), types={f"{where}.isdiffpos": kind})
        observations = batch.alerts if where == "candidate" else batch.prior_observations
        stored = observations.metadata[0, INDEX["isdiffpos"]]
        np.testing.assert_array_equal(stored, expected, err_msg=repr(value))


@pytest.mark.parametrize("nothing", [None, "", " "])
def test_a_null_isdiffpos_is_absent(nothing):
    batch = read(alert(isdiffpos=nothing))
    assert np.isnan(feature(batch, "isdiffpos"))
    assert (batch.counts["features.absent"], batch.counts["features.unreadable"]) == (1, 0)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("string", "5"),
        ("bytes", b"5"),
        ("boolean", True),
        ({"type": "enum", "name": "e", "symbols": ["a"]}, "a"),
    ],
)
def test_a_feature_of_another_type_is_missing_and_counted(kind, value):
    batch = read(alert(rb=value), types={"candidate.rb": kind})
    assert np.isnan(feature(batch, "rb"))
    counted = {reason: batch.counts[f"features.{reason}"] for reason in MISSING_REASONS}
    assert counted == {"sentinel": 0, "absent": 0, "unreadable": 1, "out_of_range": 0}
    prior = [observation(candid=5, rb=value)]
    batch = read(alert(prior=prior), types={"prv_candidates.rb": kind})
    assert np.isnan(batch.prior_observations.metadata[0, INDEX["rb"]])


def number_types(value):
    return [
        ("string", str(int(value)), "a string"),
        ("bytes", b"7", "a string of bytes"),
        ({"type": "fixed", "name": "x", "size": 3}, b"abc", "a string of bytes of fixed length"),
        ("boolean", True, "a boolean"),
        ({"type": "enum", "name": "e", "symbols": ["a"]}, "a", "an enum"),
        ({"type": "array", "items": "long"}, [5], "an array"),
    ]


IDS = [*number_types(CANDID), ("double", float(CANDID), "a double"), ("float", 1e18, "a float")]


@pytest.mark.parametrize(("kind", "value", "words"), IDS)
@pytest.mark.parametrize("path", ["candid", "candidate.candid", "prv_candidates.candid"])
def test_a_candid_of_another_type_is_refused(path, kind, value, words):
    record = alert(prior=[observation(candid=CANDID - 1)])
    if path == "candid":
        record["candid"] = value
    elif path == "candidate.candid":
        record["candidate"]["candid"] = value
    else:
        record["prv_candidates"][0]["candid"] = value
    batch = read(record, types={path: kind})
    assert batch.object_id == []
    ((_, reason, detail),) = batch.failures
    assert (reason, detail) == ("fields", f"{path} is {words}, not a 64-bit integer")


@pytest.mark.parametrize(("kind", "value", "words"), number_types(2459000))
@pytest.mark.parametrize("field", ["jd", "fid"])
def test_a_date_or_a_filter_of_another_type_is_refused(field, kind, value, words):
    batch = read(alert(**{field: value}), types={f"candidate.{field}": kind})
    (failure,) = batch.failures
    assert failure.detail == f"candidate.{field} is {words}, not a number"
    prior = [observation(**{field: value})]
    batch = read(alert(prior=prior), types={f"prv_candidates.{field}": kind})
    assert batch.failures[0].detail == f"prv_candidates.{field} is {words}, not a number"


def test_an_object_id_is_a_string_or_bytes():
    for kind, value in (
        ("bytes", b"ZTF20a"),
        ({"type": "fixed", "name": "x", "size": 6}, b"ZTF20a"),
    ):
        assert read(alert(value), types={"objectId": kind}).object_id == ["ZTF20a"]
    (failure,) = read(alert(7), types={"objectId": "long"}).failures
    assert failure.detail == "objectId is an integer, not a string"


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"candid": 0}, "candid is 0"),
        ({"candid": -5}, "candid is -5"),
        ({"again": CANDID + 1}, f"candid is {CANDID}, and candidate.candid is {CANDID + 1}"),
        ({"again": 0}, f"candid is {CANDID}, and candidate.candid is 0"),
        ({"jd": 58849.5}, "candidate.jd is 58849.5, a modified Julian date, not a Julian date"),
        ({"jd": 0.0}, "candidate.jd is 0, no Julian date of ZTF's years"),
        ({"jd": 2_450_000.5}, "candidate.jd is 2450000.5, no Julian date of ZTF's years"),
        ({"jd": 2_500_001.0}, "candidate.jd is 2500001, no Julian date of ZTF's years"),
        ({"jd": -2_459_000.5}, "candidate.jd is -2459000.5, no Julian date of ZTF's years"),
        ({"jd": float("inf")}, "candidate.jd is inf, no Julian date of ZTF's years"),
        ({"jd": float("nan")}, "no candidate.jd"),
        ({"jd": 1.6e9}, "candidate.jd is 1600000000, no Julian date of ZTF's years"),
    ],
)
def test_an_alert_without_identity_or_date_is_refused(change, detail):
    record = alert(candid=CANDID)
    record["candid"] = change.get("candid", CANDID)
    record["candidate"]["candid"] = change.get("again", record["candid"])
    record["candidate"]["jd"] = change.get("jd", 2459010.5)
    (failure,) = read(record).failures
    assert failure == ("0", "fields", detail)


def test_an_alert_whose_candidate_has_no_candid_is_read():
    record = alert(candid=CANDID)
    record["candidate"]["candid"] = None
    assert read(record).alerts.candid.tolist() == [CANDID]


def test_observations_without_a_date_or_a_candid_are_excluded_and_counted():
    prior = [
        observation(58999.5),  # a modified Julian date
        observation(float("nan")),
        observation(2459001.5),
        observation(2459002.5, candid=0),  # a detection, by its magnitude
        observation(2459003.5, candid=CANDID),
        observation(2459004.5, candid=-1, magpsf=None),  # an upper limit with an invented id
        observation(3e6, candid=-1),
    ]
    batch = read(alert(prior=prior), alert(candid=2, prior=prior[2:3]))
    assert batch.prior_observations.candid.tolist() == [-1, CANDID, -1, -1]
    assert batch.prior_observations.mjd.tolist() == [59001, 59003, 59004, 59001]
    assert batch.prior_observations.alert.tolist() == [0, 0, 0, 1]
    assert (batch.counts["observations.jd"], batch.counts["observations.candid"]) == (3, 1)


def test_missing_features_are_nan_and_counted_by_reason():
    batch = read(
        alert(sgscore1=-999.0, distnr=None, magnr=float("inf"), rb=float("nan")),
        alert(candid=2, ra=400.0, dec=-91.0),
    )
    for name in ("sgscore1", "distnr", "magnr", "rb"):
        assert np.isnan(feature(batch, name))
    for name in ("ra", "dec", "ecl_lat", "gal_long"):
        assert np.isnan(feature(batch, name, row=1))
    assert batch.counts["features.sentinel"] == 1
    assert batch.counts["features.absent"] == 2
    assert batch.counts["features.out_of_range"] == 3


def test_magnitudes_that_no_image_has_are_missing():
    limits = [observation(2459000.5 + day, diffmaglim=m) for day, m in enumerate((-1010.0, 57.8))]
    batch = read(alert(magpsf=-5.0, prior=[*limits, observation(2459008.5, diffmaglim=20.5)]))
    assert np.isnan(feature(batch, "magpsf"))
    column = ALERCE_FEATURES.index("diffmaglim")
    np.testing.assert_array_equal(
        batch.prior_observations.metadata[:, column], np.array([np.nan, np.nan, 20.5])
    )


def test_prior_observations_are_detections_and_upper_limits():
    prior = [
        observation(2459001.5, magpsf=None),
        observation(2459002.5, candid=5, magpsf=19.5, isdiffpos="f", ra=10.0, dec=0.0),
    ]
    batch = read(alert(prior=()), alert(candid=2, prior=prior), alert(candid=3, prior=None))
    assert batch.prior_observations.alert.tolist() == [1, 1]
    assert batch.prior_observations.candid.tolist() == [-1, 5]
    assert batch.prior_observations.mjd.tolist() == [59001, 59002]
    magnitudes = batch.prior_observations.metadata[:, INDEX["magpsf"]]
    np.testing.assert_array_equal(magnitudes, [np.nan, 19.5])
    assert batch.prior_observations.metadata[1, INDEX["isdiffpos"]] == 1
    assert np.isfinite(batch.prior_observations.metadata[1, INDEX["gal_lat"]])
    assert np.isnan(batch.prior_observations.metadata[:, INDEX["sgscore1"]]).all()


def test_packets_of_different_schemas_are_read_in_one_batch():
    extra = [{"name": "pid", "type": "long"}, {"name": "note", "type": ["null", "string"]}]
    ztf = Packet("a", packet(alert(candid=1)))
    extended = Packet("b", packet(alert(candid=2, pid=9, note="hi"), extra=extra))
    batch = decode_packets([ztf, extended, ztf])
    assert batch.alerts.candid.tolist() == [1, 2, 1]
    assert batch.failures == []


def test_all_alerts_of_a_file_are_read():
    several = [alert(candid=n) for n in range(1, 8)]
    batch = decode_packets([Packet("a", packet(*several))])
    assert batch.alerts.candid.tolist() == list(range(1, 8))
    np.testing.assert_array_equal(batch.stamps[6], random_stamps(7))


def encode_records(*alerts):
    return b"".join(encode(schema(), one) for one in alerts)


def test_a_damaged_file_of_several_alerts_is_one_failure():
    several = [alert(candid=CANDID + n) for n in range(3)]
    good = container(schema(), (2, encode_records(*several[:2])), (1, encode_records(several[2])))
    short = container(schema(), (2, encode_records(*several[:2])), (2, encode_records(several[2])))
    for bad in (
        packet(*several) + b"garbage",
        packet(*several)[:-5],
        good + good,
        short,
        container(schema(), (1, encode_records(several[0])), (1, b"garbage")),
    ):
        before, after = (Packet(n, packet(alert(n, candid=CANDID + 9))) for n in "ac")
        batch = decode_packets([before, Packet("b", bad), after])
        assert batch.object_id == ["a", "c"]
        assert [failure[:2] for failure in batch.failures] == [("b", "avro")]
    assert decode_packets([Packet("b", good)]).alerts.candid.tolist() == [
        CANDID + n for n in range(3)
    ]


def test_an_unusable_alert_costs_no_other_alert_of_its_file():
    several = [alert(candid=CANDID + n, prior=[observation(2459000.5 + n)]) for n in range(3)]
    several[1]["cutoutScience"] = None
    batch = decode_packets([Packet("b", packet(*several))])
    assert batch.alerts.candid.tolist() == [CANDID, CANDID + 2]
    assert batch.prior_observations.mjd.tolist() == [59000, 59002]
    assert [failure.reason for failure in batch.failures] == ["no_stamp"]


@pytest.mark.parametrize("limit", ["_MAX_ALERTS", "_MAX_OBSERVATIONS"])
def test_the_size_of_batches_is_limited(monkeypatch, limit):
    monkeypatch.setattr(f"ztfrep.sources.packets.packet_reader.{limit}", 6)
    record = alert(candid=CANDID, prior=[observation(2459001.5)])
    files = [Packet("a", container(schema(), (7, encode_records(record) * 7), deflated=True))] * 3
    batches = list(decode_batches(files))
    assert [len(batch.object_id) for batch in batches] == [7] * 3
    assert [len(batch.prior_observations.mjd) for batch in batches] == [7] * 3
    for batch in batches:
        np.testing.assert_array_equal(batch.stamps, [random_stamps(CANDID)] * 7)
    together = list(decode_batches([Packet("a", packet(alert()))] * 3))
    assert [len(batch.object_id) for batch in together] == [3]
    assert [len(batch.object_id) for batch in decode_batches([])] == [0]


def test_any_exception_is_the_failure_of_its_packet_except_a_memory_error(monkeypatch):
    from ztfrep.sources.packets import packet_reader

    def broken(data, previous):
        if data == b"broken":
            raise OverflowError("a bug")
        return open_container(data, previous)

    monkeypatch.setattr(packet_reader, "open_container", broken)
    batch = decode_packets([Packet("a", b"broken"), Packet("b", packet(alert()))])
    assert batch.failures == [("a", "error", "OverflowError")]
    assert len(batch.object_id) == 1

    def without_memory(data, previous):
        raise MemoryError

    monkeypatch.setattr(packet_reader, "open_container", without_memory)
    with pytest.raises(MemoryError):
        decode_packets([Packet("a", b"")])


def record(name, *fields, namespace=""):
    return {"type": "record", "name": name, "namespace": namespace, "fields": list(fields)}


LONG = {"name": "diaSourceId", "type": "long"}
DIA = {"name": "diaSource", "type": record("diaSource", {"name": "ra", "type": "double"})}


@pytest.mark.parametrize(
    ("kind", "detail"),
    [
        (record("alert", LONG, namespace="lsst.v9_0"), r"another survey \(LSST, schema 9.0\)"),
        (record("alert", LONG, namespace="lsst.v11_1"), r"another survey \(LSST, schema 11.1\)"),
        (record("Alert", LONG, namespace="lsst.v7"), r"another survey \(LSST, schema 7\)"),
        (record("packet", DIA), r"another survey \(LSST\)"),
        (record("alert", LONG, namespace="atlas"), r"another survey \(ATLAS\)"),
        (record("alert", LONG, namespace="decam"), r"another survey \(DECam\)"),
        (record("visit", LONG | {"name": "x"}), "'visit' without objectId and candidate"),
        (schema() | {"namespace": "winter"}, r"another survey \(WINTER\)"),
        ("long", "without objectId and candidate"),
    ],
)
def test_packets_of_other_surveys_are_refused_with_their_survey(kind, detail):
    batch = decode_packets([Packet("a", container(kind, (1, b"\0\0")))])
    (failure,) = batch.failures
    assert failure.reason == "survey"
    assert re.search(detail, failure.detail)
    assert "only ZTF's alerts are read" in failure.detail


def test_a_packet_with_additional_fields_of_a_broker_is_read():
    extra = [{"name": "anomaly_score", "type": ["null", "double"]}]
    kind = schema(extra) | {"name": "topLevelRecord", "namespace": "fink"}
    record = alert(candid=CANDID, anomaly_score=0.5)
    batch = decode_packets([Packet("a", container(kind, (1, encode(kind, record))))])
    assert batch.alerts.candid.tolist() == [CANDID]


def test_a_packet_in_wire_form_is_refused_with_advice():
    data = b"\0\0\0\0\7" + encode_records(alert())
    (failure,) = decode_packets([Packet("a", data)]).failures
    assert failure.reason == "wire"
    assert "the stream's form (schema number 7), without its schema; save" in failure.detail


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        (b"", "an empty file"),
        (gzip.compress(b"x", mtime=0), "a gzip file"),
        (b'{"objectId": "ZTF"}', "JSON text"),
        (b"<html><title>404 Not Found</title>", "an HTML page titled '404 Not Found'"),
        (b"version https://git-lfs.github.com/spec/v1", "a Git LFS pointer"),
        (b"SIMPLE  =", "a FITS image"),
        (bytes(100), "zeros"),
        (b"\0\5\26\7\0\2\0\0Mac OS X", "an AppleDouble file"),
        (packet(alert()).replace(b"null", b"lzma", 1), "codec 'lzma', where null and deflate"),
        (b"Obj\1", "header is damaged or cut short"),
    ],
)
def test_a_file_of_another_format_is_described(data, detail):
    (failure,) = decode_packets([Packet("a", data)]).failures
    assert failure.reason == "avro"
    assert detail in failure.detail


def test_a_smaller_stamp_is_padded_with_masked_pixels():
    pixels = random_stamps(4, (63, 50))
    batch = read(alert(stamps=[image(p) for p in pixels], xpos=3053.0))
    np.testing.assert_array_equal(batch.stamps[0, :, :, :50], pixels)
    assert np.isnan(batch.stamps[0, :, :, 50:]).all()
    assert batch.counts["alerts.padded"] == 1
    assert batch.counts["pixels.outside"] == 3 * 63 * 13


def test_pixels_without_data_are_masked_and_counted_by_reason():
    pixels = random_stamps(4)
    pixels[0, 0, :2] = np.nan
    pixels[1, 5, :3] = -3.4e38
    pixels[2, 7, 7] = np.inf
    batch = read(alert(stamps=[image(p) for p in pixels]))
    assert np.isnan(batch.stamps).sum() == 6
    counted = {k: n for k, n in batch.counts.items() if k.startswith("pixels")}
    assert counted == {"pixels.nan": 2, "pixels.no_data": 3, "pixels.infinite": 1}


good = image(random_stamps(1)[0])


def with_bytes_after_record(data):
    """The same packet, with three bytes in its block that no record claims."""
    sync = data[-16:]
    header = data[: data.index(sync) + 16]
    file = io.BytesIO()
    (_, block), *_ = open_container(data)[1]
    for number in (1, len(block) + 3):
        fastavro.schemaless_writer(file, "long", number)
    return header + file.getvalue() + block + b"xyz" + sync


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "avro"),
        (b"<html>" * 50, "avro"),
        (packet(alert())[:-30], "avro"),  # cut short
        (packet(), "avro"),  # a file without a record
        (with_bytes_after_record(packet(alert())), "avro"),  # more bytes than its schema has
        (packet(alert(object_id="")), "fields"),
        (packet(alert(object_id="x" * 100)), "fields"),
        (packet(alert(candid=-4)), "fields"),
        (packet(alert(jd=float("nan"))), "fields"),
        (packet(alert(stamps=[good, None, good])), "no_stamp"),
        (packet(alert(stamps=[good, b"", good])), "no_stamp"),
        (packet(alert(stamps=[image(np.full((63, 63), np.nan))] * 3)), "no_stamp"),
        (packet(alert(stamps=[good, good[:-9], good])), "gzip"),
        (packet(alert(stamps=[good, good, image(random_stamps(1)[0][:60])])), "shape"),
        (packet(alert(stamps=[image(random_stamps(1, (70, 70))[0])] * 3)), "shape"),
    ],
)
def test_a_bad_packet_costs_no_other_packet_and_has_a_reason(data, reason):
    before, after = (Packet(name, packet(alert(candid=n))) for name, n in (("a", 1), ("c", 3)))
    batch = decode_packets([before, Packet("b", data), after])
    assert batch.alerts.candid.tolist() == [1, 3]
    np.testing.assert_array_equal(batch.stamps, [random_stamps(1), random_stamps(3)])
    assert [(failure.name, failure.reason) for failure in batch.failures] == [("b", reason)]
    assert reason in FAILURE_REASONS


def test_no_packets_are_an_empty_batch():
    assert decode_packets([]).stamps.shape == (0, 3, 63, 63)
    assert decode_packets([Packet("a", b"")]).alerts.metadata.shape == (0, 26)


@pytest.mark.skipif(
    "ZTFREP_REAL_DATA" not in os.environ, reason="ZTFREP_REAL_DATA names no folder of real alerts"
)
def test_real_packets_are_equal_to_those_of_fastavro_and_astropy():
    import warnings

    from astropy.io import fits

    from ztfrep.sources.packets.archives import read_files
    from ztfrep.sources.packets.folders import find_files

    files = find_files(Path(os.environ["ZTFREP_REAL_DATA"]) / "real-alerts").packets
    packets = [item for item in read_files(files) if isinstance(item, Packet)][::20]
    batch = decode_packets(packets)
    assert batch.failures == []
    n_prior = 0
    for row, one in enumerate(packets):
        expected = next(fastavro.reader(io.BytesIO(one.data)))
        candidate = expected["candidate"]
        assert batch.alerts.candid[row] == expected["candid"]
        for name in ("magpsf", "ra", "distnr", "ndethist", "chinr", "sgscore3"):
            value = candidate[name]
            missing = value is None or value == -999
            stored = feature(batch, name, row)
            assert np.isnan(stored) if missing else stored == value
        for prior in expected["prv_candidates"] or []:
            assert batch.prior_observations.candid[n_prior] == (prior["candid"] or -1)
            assert batch.prior_observations.alert[n_prior] == row
            n_prior += 1
        packed = expected["cutoutDifference"]["stampData"]
        raw = io.BytesIO(gzip.decompress(packed))
        with (
            warnings.catch_warnings(action="ignore"),
            fits.open(raw, ignore_missing_simple=True) as units,
        ):
            image_ = np.array(units[0].data)
        if image_.shape == (63, 63):
            usable = np.abs(image_) < 1e30
            np.testing.assert_array_equal(batch.stamps[row, 2][usable], image_[usable])
    assert n_prior == len(batch.prior_observations.mjd)
