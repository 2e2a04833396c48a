"""Alert packets to rows: the features, the series before them, and what is wrong with a packet."""

import io
import os
from pathlib import Path

import astropy.units as u
import fastavro
import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from tests.alert_packets import alert, epoch, image, packet, random_stamps
from ztfrep import features
from ztfrep.sources.containers import open_container
from ztfrep.sources.nights import REASONS
from ztfrep.sources.packets import Packet, read_packets

INDEX = {name: place for place, name in enumerate(features.NAMES)}


def read(*alerts, **options):
    return read_packets([Packet(f"{i}", packet(a, **options)) for i, a in enumerate(alerts)])


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


def test_features_follow_from_the_others_as_alerce_computes_them():
    batch = read(alert(ra=266.4, dec=-28.9, ndethist=4, ncovhist=100, fwhm=55.0))
    assert feature(batch, "non_detections") == 96
    assert feature(batch, "fwhm") == 55  # clipped where it is scaled, not here
    sky = SkyCoord(np.float32(266.4) * u.deg, np.float32(-28.9) * u.deg)
    assert feature(batch, "gal_lat") == pytest.approx(sky.galactic.b.deg, abs=1e-4)
    assert feature(batch, "gal_long") == pytest.approx(sky.galactic.l.deg, abs=1e-4)
    ecliptic = sky.barycentrictrueecliptic
    assert feature(batch, "ecl_lat") == pytest.approx(ecliptic.lat.deg, abs=1e-4)
    assert feature(batch, "ecl_long") == pytest.approx(ecliptic.lon.deg, abs=1e-4)


@pytest.mark.parametrize(
    ("stored", "value"), [("t", 0), ("1", 0), ("f", 1), ("0", 1), ("true", None), ("", None)]
)
def test_the_sign_is_one_for_a_faded_source(stored, value):
    sign = feature(read(alert(isdiffpos=stored)), "isdiffpos")
    assert sign == value if value is not None else np.isnan(sign)


def test_what_is_missing_is_nan_and_counted_by_reason():
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


def test_history_is_detections_and_upper_limits():
    told = [
        epoch(2459001.5, magpsf=None),
        epoch(2459002.5, candid=5, magpsf=19.5, isdiffpos="f", ra=10.0, dec=0.0),
    ]
    batch = read(alert(history=()), alert(candid=2, history=told), alert(candid=3, history=None))
    assert batch.history.owner.tolist() == [1, 1]
    assert batch.history.candid.tolist() == [-1, 5]
    assert batch.history.mjd.tolist() == [59001, 59002]
    magnitudes = batch.history.metadata[:, INDEX["magpsf"]]
    np.testing.assert_array_equal(magnitudes, [np.nan, 19.5])
    assert batch.history.metadata[1, INDEX["isdiffpos"]] == 1
    assert np.isfinite(batch.history.metadata[1, INDEX["gal_lat"]])
    assert np.isnan(batch.history.metadata[:, INDEX["sgscore1"]]).all()


def test_packets_of_different_schemas_are_read_side_by_side():
    extra = [{"name": "pid", "type": "long"}, {"name": "note", "type": ["null", "string"]}]
    one = Packet("a", packet(alert(candid=1)))
    other = Packet("b", packet(alert(candid=2, pid=9, note="hi"), extra=extra))
    batch = read_packets([one, other, one])
    assert batch.alerts.candid.tolist() == [1, 2, 1]
    assert batch.failures == []


def test_a_file_of_several_alerts_gives_them_all():
    several = [alert(candid=n) for n in range(1, 8)]
    batch = read_packets([Packet("a", packet(*several))])
    assert batch.alerts.candid.tolist() == list(range(1, 8))
    np.testing.assert_array_equal(batch.stamps[6], random_stamps(7))


def test_a_cut_stamp_is_padded_about_its_alert_with_a_mask():
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


def with_bytes_behind(data):
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
        (with_bytes_behind(packet(alert())), "avro"),  # more than its schema tells of
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
def test_a_bad_packet_costs_itself_alone_and_is_named(data, reason):
    before, after = (Packet(name, packet(alert(candid=n))) for name, n in (("a", 1), ("c", 3)))
    batch = read_packets([before, Packet("b", data), after])
    assert batch.alerts.candid.tolist() == [1, 3]
    np.testing.assert_array_equal(batch.stamps, [random_stamps(1), random_stamps(3)])
    assert [(failure.name, failure.reason) for failure in batch.failures] == [("b", reason)]
    assert reason in REASONS


def test_no_packets_are_an_empty_batch():
    assert read_packets([]).stamps.shape == (0, 3, 63, 63)
    assert read_packets([Packet("a", b"")]).alerts.metadata.shape == (0, 26)


@pytest.mark.skipif(
    "ZTFREP_REAL_DATA" not in os.environ, reason="ZTFREP_REAL_DATA names no folder of real alerts"
)
def test_real_packets_are_what_fastavro_and_astropy_read():
    import gzip
    import warnings

    from astropy.io import fits

    from ztfrep.sources.archives import read_files
    from ztfrep.sources.folders import find_files

    files = find_files(Path(os.environ["ZTFREP_REAL_DATA"]) / "real-alerts").packets
    chosen = [item for item in read_files(files) if isinstance(item, Packet)][::20]
    batch = read_packets(chosen)
    assert batch.failures == []
    row = 0
    for place, one in enumerate(chosen):
        expected = next(fastavro.reader(io.BytesIO(one.data)))
        candidate = expected["candidate"]
        assert batch.alerts.candid[place] == expected["candid"]
        for name in ("magpsf", "ra", "distnr", "ndethist", "chinr", "sgscore3"):
            value = candidate[name]
            missing = value is None or value == -999
            found = feature(batch, name, place)
            assert np.isnan(found) if missing else found == value
        for epoch_ in expected["prv_candidates"] or []:
            assert batch.history.candid[row] == (epoch_["candid"] or -1)
            assert batch.history.owner[row] == place
            row += 1
        packed = expected["cutoutDifference"]["stampData"]
        raw = io.BytesIO(gzip.decompress(packed))
        with (
            warnings.catch_warnings(action="ignore"),
            fits.open(raw, ignore_missing_simple=True) as units,
        ):
            image_ = np.array(units[0].data)
        if image_.shape == (63, 63):
            usable = np.abs(image_) < 1e30
            np.testing.assert_array_equal(batch.stamps[place, 2][usable], image_[usable])
    assert row == len(batch.history.mjd)
