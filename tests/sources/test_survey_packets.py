"""The simulated survey as packets: what our reader, fastavro and astropy read is what was drawn."""

import csv
import gzip
import io
import math
import tarfile
from collections import Counter, defaultdict

import fastavro
import numpy as np
import pytest
from astropy.io import fits
from fastavro.validation import validate

import ztfrep
from ztfrep.data.alert_schema import CLASSES
from ztfrep.data.features import ALERCE_FEATURES
from ztfrep.data.splits import SPLITS, Splitting
from ztfrep.errors import InputError
from ztfrep.sources import get_source
from ztfrep.sources.base import TablePaths
from ztfrep.sources.conversion import convert
from ztfrep.sources.packets.cutouts import cutout_slices
from ztfrep.sources.packets.label_reader import read_labels
from ztfrep.sources.simulation import (
    colours,
    measurements,
    night_archives,
    optics,
    packet_stamps,
    scene_sampler,
    survey_objects,
)
from ztfrep.sources.simulation.night_archives import write_night_archives
from ztfrep.sources.simulation.packet_schema import FLOAT32_FIELDS, PRIOR_FIELDS, SCHEMA
from ztfrep.sources.simulation.packet_stamps import render_stamps, to_fits
from ztfrep.sources.simulation.schedule import FIRST_NIGHT, NIGHTS, draw_schedule, fields_of

SEED, SCALE, OBJECTS = 5, 0.0001, 7
CHANNELS = ("Science", "Template", "Difference")


def make_small(patch):
    """Draw a tiny survey, in which every artefact at one place of the sky recurs."""
    patch.setattr(survey_objects, "_MIN_OBJECTS", OBJECTS)
    patch.setattr(survey_objects, "_RECURRING", 1.0)


@pytest.fixture(scope="module")
def nights(tmp_path_factory):
    """A tiny survey: seven objects of each class."""
    folder = tmp_path_factory.mktemp("survey") / "nights"
    with pytest.MonkeyPatch.context() as patch:
        make_small(patch)
        return write_night_archives(folder, scale=SCALE, seed=SEED, progress=False)


@pytest.fixture(scope="module")
def packets(nights):
    """All packets as fastavro reads them, by the date of their archive."""
    packets = []
    for archive in nights.archives:
        with tarfile.open(archive) as tar:
            for member in tar:
                (record,) = fastavro.reader(io.BytesIO(tar.extractfile(member).read()))
                assert member.name == f"{record['candid']}.avro"
                packets.append((archive.name, record))
    return packets


@pytest.fixture(scope="module")
def labels(nights):
    with nights.labels.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def drawn():
    """The same survey, drawn again: objects, schedule, measurements, in the order of packets."""
    with pytest.MonkeyPatch.context() as patch:
        make_small(patch)
        schedule = draw_schedule(np.random.default_rng([SEED, 4]))
        objects = survey_objects.draw_objects(schedule, scale=SCALE, seed=SEED, progress=False)
    return objects, schedule, measurements.draw_measurements(objects, schedule, seed=SEED)


def images(record):
    """The stamps of a packet as astropy reads them."""
    pixels = []
    for channel in CHANNELS:
        with fits.open(
            io.BytesIO(gzip.decompress(record[f"cutout{channel}"]["stampData"]))
        ) as file:
            pixels.append(file[0].data.astype(np.float32))
    return np.stack(pixels)


def by_object(packets):
    objects = defaultdict(list)
    for _, record in packets:
        objects[record["objectId"]].append(record)
    return {
        name: sorted(records, key=lambda r: r["candidate"]["jd"])
        for name, records in objects.items()
    }


def order_of_packets(objects, measured):
    order = np.lexsort((measured.columns["jd"], measured.columns["nid"]))
    return order[objects.observations.has_packet[measured.observation[order]]]


def same(first, second):
    """True for values that are equal as the packet stores them."""
    return first == second or (first is not None and np.float32(first) == np.float32(second))


def test_every_packet_is_valid_by_its_schema(packets):
    schema = fastavro.parse_schema(SCHEMA)
    for _, record in packets[::4]:
        assert validate(record, schema, strict=True, raise_errors=True)
        assert record["schemavsn"] == "4.02"
    fields = {field["name"]: field["type"] for field in SCHEMA["fields"]}
    assert len(fields["candidate"]["fields"]) == 103


def test_every_class_has_its_objects_and_one_to_thirty_detections(packets, labels):
    assert len(packets) == len(labels)
    classes = {row["object_id"]: row["class"] for row in labels}
    assert Counter(classes.values()) == dict.fromkeys(CLASSES, OBJECTS)
    detections = Counter(record["objectId"] for _, record in packets)
    assert set(detections) == set(classes)
    for name, number in detections.items():
        assert 1 <= number <= (1 if classes[name] == "asteroid" else 30)
    assert max(detections.values()) > 10


def test_the_labels_are_those_of_the_packets(packets, labels, nights):
    assert [(int(row["candid"]), row["object_id"]) for row in labels] == [
        (record["candid"], record["objectId"]) for _, record in packets
    ]
    table = read_labels(nights.labels, "class")
    assert table.alerts["candid"].to_pylist() == sorted(int(row["candid"]) for row in labels)
    assert len(table.alerts) == len(labels)


def test_identifiers_are_those_of_the_survey(packets):
    candids = [record["candid"] for _, record in packets]
    assert len(set(candids)) == len(candids)
    for archive, record in packets:
        candid, candidate = record["candid"], record["candidate"]
        assert len(str(candid)) == 19
        assert candidate["candid"] == candid
        sign = 10_000 if candidate["isdiffpos"] == "f" else 15_000
        assert candid == candidate["pid"] * 1_000_000 + sign + candidate["tblid"]
        assert candidate["nid"] == math.floor(candidate["jd"] - 2_457_754.5)
        assert str(candidate["pid"]).startswith(str(candidate["nid"]))
        date = np.datetime64("2017-01-01") + candidate["nid"]
        assert archive == f"ztf_public_{str(date).replace('-', '')}.tar.gz"
        assert record["objectId"][:5] in ("ZTF18", "ZTF20")
        assert len(record["objectId"]) == 12
    archives = [archive for archive, _ in packets]
    assert archives == sorted(archives)


def test_packets_hold_what_was_drawn(packets, drawn):
    objects, schedule, measured = drawn
    table = objects.observations
    order = order_of_packets(objects, measured)
    assert len(order) == len(packets)
    stored = [name for name in measured.columns if name in packets[0][1]["candidate"]]
    assert len(stored) > 80
    for (_, record), row in zip(packets, order, strict=True):
        for name in set(stored) - {"objectidps1", "objectidps2", "objectidps3"}:
            value = measured.columns[name][row]
            expected = np.float32(value) if name in FLOAT32_FIELDS else value
            assert record["candidate"][name] == expected, name
        at = measured.observation[row]
        flux = 10 ** (-0.4 * (record["candidate"]["magpsf"] - 26.2))
        assert flux == pytest.approx(abs(table.measured[at]), rel=1e-4)
        # Five times the noise is the limit.
        assert flux > 10 ** (-0.4 * (schedule.limit[table.exposure[at]] - 26.2))


def test_stamps_are_those_that_were_drawn(packets, drawn):
    objects, schedule, measured = drawn
    order = order_of_packets(objects, measured)[: night_archives._BATCH]
    stamps = render_stamps(
        objects, schedule, measured.observation[order], measured.pixel[order],
        seed=SEED, rng=np.random.default_rng([SEED, 9, 0]),
    )  # fmt: skip
    for (_, record), image, sign in zip(packets, stamps.images, stamps.sign, strict=False):
        np.testing.assert_array_equal(images(record), image)
        assert record["candidate"]["isdiffpos"] == ("f" if sign < 0 else "t")


def test_our_reader_reads_the_same(packets, nights):
    alerts = ztfrep.read_packets(nights.archives)
    assert len(alerts.identity) == len(packets)
    for row, (_, record) in enumerate(packets):
        candidate, pixels = record["candidate"], images(record)
        assert alerts.identity["candid"].iloc[row] == record["candid"]
        assert alerts.identity["object_id"].iloc[row] == record["objectId"]
        assert alerts.identity["mjd"].iloc[row] == candidate["jd"] - 2_400_000.5
        assert alerts.identity["fid"].iloc[row] == candidate["fid"]
        for name in ("magpsf", "sigmapsf", "diffmaglim", "sgscore3", "distnr", "rb"):
            value = alerts.metadata[row, ALERCE_FEATURES.index(name)]
            stored = candidate[name]
            assert math.isnan(value) if stored == -999 else value == stored, name
        # An odd stamp is padded so that its alert stays in the centre.
        usable = np.isfinite(pixels) & (pixels > -1e30)
        stamps = alerts.stamps[row]
        assert np.isfinite(stamps).sum() == usable.sum()
        np.testing.assert_array_equal(np.sort(stamps[np.isfinite(stamps)]), np.sort(pixels[usable]))
    observations = alerts.observations()
    prior = {
        (record["objectId"], prior["jd"])
        for _, record in packets
        for prior in record["prv_candidates"] or ()
    }
    own = {(record["objectId"], record["candidate"]["jd"]) for _, record in packets}
    assert len(observations) == len(prior | own)


def test_observations_before_an_alert_are_those_of_the_packets_before_it(packets, drawn):
    objects, schedule, _ = drawn
    compared = set(PRIOR_FIELDS) - {"ssdistnr", "ssmagnr", "ssnamenr"}
    detections = limits = without_packet = 0
    for records in by_object(packets).values():
        earlier = {}
        for index, record in enumerate(records):
            jd, prior = record["candidate"]["jd"], record["prv_candidates"] or []
            dates = [observation["jd"] for observation in prior]
            assert dates == sorted(set(dates))
            assert all(jd - 30 <= date < jd for date in dates)
            before = [r["candidate"] for r in records[:index] if r["candidate"]["jd"] >= jd - 30]
            detected = [observation for observation in prior if observation["candid"] is not None]
            # Those before an object's first packet are the same in all of its packets.
            old = [o for o in detected if o["jd"] < records[0]["candidate"]["jd"]]
            for observation in old:
                assert observation == earlier.setdefault(observation["candid"], observation)
            without_packet += len(old)
            assert record["candidate"]["ndethist"] > len(detected)
            detected = detected[len(old) :]
            assert [o["candid"] for o in detected] == [c["candid"] for c in before]
            for observation, candidate in zip(detected, before, strict=True):
                for name in compared:
                    assert same(observation[name], candidate[name]), name
            for observation in prior:
                if observation["candid"] is None:
                    assert observation["magpsf"] is None
                    assert observation["isdiffpos"] is None
                    assert observation["diffmaglim"] > 15
            detections += len(detected)
            limits += len(prior) - len(detected) - len(old)
            if index:
                last = records[index - 1]["candidate"]
                assert record["candidate"]["ndethist"] == last["ndethist"] + 1
                assert record["candidate"]["ncovhist"] > last["ncovhist"]
                for name in ("sgscore1", "distpsnr1", "jdstarthist", "neargaia", "field", "rcid"):
                    assert record["candidate"][name] == last[name]
    assert detections > 100
    assert limits > 100
    assert without_packet > 100


def test_an_alert_has_all_exposures_of_its_field_before_it(packets, drawn):
    """The public dates of a field, not of an object: all of them are there."""
    objects, schedule, measured = drawn
    for records in by_object(packets).values():
        first, last = (records[index]["candidate"] for index in (0, -1))
        field = first["field"] - 245
        dates = schedule.jd[schedule.start[field] : schedule.start[field + 1]]
        for record in records:
            jd = record["candidate"]["jd"]
            expected = dates[(dates >= jd - 30) & (dates < jd)]
            seen = [prior["jd"] for prior in record["prv_candidates"] or ()]
            # The history of an object begins 30 days before it appears.
            np.testing.assert_array_equal(seen, expected[len(expected) - len(seen) :])
        assert first["field"] == last["field"]


def test_packets_have_the_traps_of_real_ones(packets, labels):
    shapes = [images(record).shape for _, record in packets]
    odd = [shape for shape in shapes if shape != (3, 63, 63)]
    assert odd
    assert all(min(shape[1:]) >= 41 and max(shape[1:]) == 63 for shape in odd)
    pixels = [images(record) for _, record in packets]
    masked = [np.isnan(image).any() for image in pixels]
    assert 0.02 < np.mean(masked) < 0.3
    # All three stamps lack the same pixels, and the centre is never among them.
    for image in pixels:
        missing = ~np.isfinite(image) | (image < -1e30)
        assert (missing == missing[0]).all()
    for name in ("sgscore3", "distpsnr3", "neargaiabright"):
        assert any(record["candidate"][name] == -999 for _, record in packets), name
    classes = {int(row["candid"]): row["class"] for row in labels}
    for _, record in packets:
        known = record["candidate"]["ssdistnr"] != -999
        assert not known or classes[record["candid"]] == "asteroid"
    assert {record["candidate"]["fid"] for _, record in packets} == {1, 2}
    assert {record["candidate"]["isdiffpos"] for _, record in packets} == {"t", "f"}
    assert any(record["prv_candidates"] is None for _, record in packets)


def test_bright_stars_have_squares_without_data_and_alerts_are_not_in_them():
    scenes = scene_sampler.draw(np.full(40, 3), 1, np.random.default_rng(0))
    scenes.star_flux[:] = 0
    scenes.star_flux[:20, 0] = optics.counts(12.0)
    scenes.star_x[:, 0], scenes.star_y[:, 0] = 15.0, -12.0
    scenes.star_x[:2, 0], scenes.star_y[:2, 0] = 1.0, 0.0
    stamps = np.zeros((40, 3, 63, 63), np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packet_stamps, "_STRIPS", 0.0)
        patch.setattr(packet_stamps, "_LOWEST_IN_TEMPLATE", 0.0)
        packet_stamps._mask(stamps, scenes, np.random.default_rng(0))
    missing = np.isnan(stamps)
    assert (missing == missing[:, :1]).all()
    assert not missing[:2].any()
    assert not missing[20:].any()
    rows, columns = np.nonzero(missing[5, 0])
    assert (columns.mean(), rows.mean()) == pytest.approx((31 + 15, 31 - 12), abs=0.6)
    assert 7 <= np.ptp(rows) + 1 == np.ptp(columns) + 1 <= 26
    assert len(rows) == (np.ptp(rows) + 1) ** 2


def test_the_stamps_of_an_object_in_one_filter_have_the_same_template(packets):
    compared = 0
    for records in by_object(packets).values():
        templates = {}
        for record in records:
            template = images(record)[1]
            if template.shape != (63, 63) or not (template > -1e30).all():
                continue
            first = templates.setdefault(record["candidate"]["fid"], template)
            np.testing.assert_allclose(template, first, rtol=1e-4, atol=1e-2)
            compared += template is not first
        if len(templates) == 2:
            assert np.abs(templates[1] - templates[2]).max() > 1
    assert compared > 30


@pytest.fixture
def smallest(monkeypatch):
    monkeypatch.setattr(survey_objects, "_MIN_OBJECTS", 1)


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_only_the_same_seed_writes_the_same_bytes(tmp_path, smallest):
    for name, seed in (("first", 1), ("again", 1), ("other", 2)):
        write_night_archives(tmp_path / name, scale=SCALE, seed=seed, progress=False)
    first, again, other = (contents(tmp_path / name) for name in ("first", "again", "other"))
    assert first == again
    assert first["labels.csv"] != other["labels.csv"]
    assert not set(first.values()) & set(other.values())


@pytest.fixture(scope="module")
def large():
    """Objects and observations of a larger survey, without its packets."""
    schedule = draw_schedule(np.random.default_rng([3, 4]))
    objects = survey_objects.draw_objects(schedule, scale=0.1, seed=3, progress=False)
    return objects, schedule


def test_the_classes_have_the_proportions_of_real_alerts(large):
    objects, _ = large
    table = objects.observations
    alerts = np.bincount(objects.scenes.label[table.object[table.has_packet]])
    real = np.array([139, 326, 156, 165])
    np.testing.assert_allclose(alerts[1:] / alerts[1:].sum(), real / real.sum(), atol=0.05)
    agn, stars = (survey_objects.object_counts(1.0)[label] for label in (0, 2))
    assert agn / stars == pytest.approx(26_190 / 49_454, abs=0.01)
    assert set(survey_objects.object_counts(0.001).values()) == {60}


def test_the_month_before_an_alert_is_that_of_real_ones(large):
    """Medians and shares of real alerts: `benchmarks/results/light_curves.json`."""
    objects, schedule = large
    table, label = objects.observations, objects.scenes.label
    jd = schedule.jd[table.exposure]
    alert = np.flatnonzero(table.has_packet)
    key = table.object * 1e5 + (jd - jd.min())
    start = np.searchsorted(key, np.maximum(key[alert] - 30, table.object[alert] * 1e5))
    count = np.concatenate([[0], np.cumsum(table.detected)])
    detections = count[alert] - count[start]
    limits = alert - start - detections
    of_class = label[table.object[alert]]
    for number, (seen, missed) in enumerate(((9, 4), (14, 7), (9, 6), (0, 14), (0, 14))):
        own = of_class == number
        assert np.median(detections[own]) == pytest.approx(seen, abs=5)
        assert np.median(limits[own]) == pytest.approx(missed, abs=5)
    earlier = [(detections[of_class == number] > 0).mean() for number in range(5)]
    np.testing.assert_allclose(earlier, [0.97, 0.98, 0.98, 0.01, 0.18], atol=0.07)


def test_faint_errors_are_larger_and_those_of_artefacts_the_largest(drawn):
    objects, _, measured = drawn
    label = objects.scenes.label[objects.observations.object[measured.observation]]
    magnitude, error = measured.columns["magpsf"], measured.columns["sigmapsf"]
    is_bogus = label == 4
    median = [
        np.median(error[~is_bogus & (magnitude >= low) & (magnitude < low + 1)])
        for low in (16, 17, 18, 19)
    ]
    # Of real detections.
    np.testing.assert_allclose(median, [0.047, 0.066, 0.1, 0.15], rtol=0.2)
    faint = is_bogus & (magnitude > 17.5)
    assert np.median(error[faint]) == pytest.approx(0.19, abs=0.03)


@pytest.mark.parametrize("scale", [0, -1, 1.5, float("nan")])
def test_a_wrong_scale_is_refused_and_writes_nothing(tmp_path, scale):
    with pytest.raises(InputError, match=r"sources\.survey\.scale: found"):
        write_night_archives(tmp_path / "s", scale=scale, seed=0)
    assert not (tmp_path / "s").exists()


def test_a_folder_in_use_is_refused_and_stays_as_it_is(tmp_path, smallest):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    (tmp_path / "file").write_text("a file")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    before = sorted(tmp_path.rglob("*"))
    for name in ("mine", "file", "link"):
        with pytest.raises(InputError, match="expected a folder that is new or empty") as error:
            write_night_archives(tmp_path / name, scale=SCALE, seed=0, progress=False)
        assert "\n" not in str(error.value)
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "years of work"


def test_an_empty_folder_is_used(tmp_path, smallest):
    (tmp_path / "new").mkdir()
    written = write_night_archives(tmp_path / "new", scale=SCALE, seed=0, progress=False)
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(
        ["labels.csv", *(path.name for path in written.archives)]
    )


def test_an_interrupted_write_leaves_nothing(tmp_path, smallest, monkeypatch):
    encode, calls = night_archives.encode_packet, []

    def interrupted(record):
        calls.append(record)
        if len(calls) > 3:
            raise KeyboardInterrupt
        return encode(record)

    monkeypatch.setattr(night_archives, "encode_packet", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_night_archives(tmp_path / "nights", scale=SCALE, seed=0, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_an_image_is_the_same_bytes_at_any_time(monkeypatch):
    image = np.arange(63 * 50, dtype=np.float32).reshape(50, 63)
    first = to_fits(image)
    monkeypatch.setattr("time.time", lambda: 0.0)
    assert to_fits(image) == first
    with fits.open(io.BytesIO(gzip.decompress(first))) as file:
        file.verify("exception")
        np.testing.assert_array_equal(file[0].data, image)


@pytest.mark.parametrize("x", [11, 31, 32, 1000, 3041, 3042, 3062])
@pytest.mark.parametrize("y", [11, 31, 32, 1000, 3049, 3050, 3070])
def test_a_stamp_is_cut_where_the_readout_ends(x, y):
    image = np.arange(3 * 63 * 63, dtype=np.float32).reshape(3, 63, 63)
    cut = packet_stamps._cut(image, x, y)
    inside = [
        sum(1 <= centre + offset <= size for offset in range(-31, 32))
        for centre, size in ((y, 3080), (x, 3072))
    ]
    assert cut.shape == (3, *inside)
    # Our reader puts the alert back into the centre.
    np.testing.assert_array_equal(image[:, *cutout_slices(cut.shape[1:], x, y)], cut)


def test_the_exposures_have_the_cadence_of_the_survey():
    schedule = draw_schedule(np.random.default_rng(0))
    assert (schedule.start[:-1] < schedule.start[1:]).all()
    same_field = np.diff(schedule.field) == 0
    gaps = np.diff(schedule.jd)[same_field]
    assert (gaps > 0).all()
    same_filter = (np.diff(schedule.fid) == 0)[same_field]
    # Of the observations before real alerts: 46 % of the gaps are within a night, 29 % of these in
    # one filter; half of the limits are below 20.2, and 5 % below 18.7.
    assert (gaps < 0.4).mean() == pytest.approx(0.46, abs=0.03)
    assert same_filter[gaps < 0.4].mean() == pytest.approx(0.29, abs=0.03)
    assert np.median(schedule.limit) == pytest.approx(20.2, abs=0.15)
    assert np.quantile(schedule.limit, 0.05) == pytest.approx(18.7, abs=0.2)
    # Clouds close whole nights, the moon makes limits bright, and the sun hides a field for months.
    open_nights = np.unique(np.floor(schedule.jd - 2_457_754.5))
    assert 0.6 < len(open_nights) / NIGHTS < 0.85
    assert open_nights.min() >= FIRST_NIGHT
    full = np.abs((schedule.jd - 2_458_872.4) / 29.530589 % 1 - 0.5) < 0.1
    assert schedule.limit[full].mean() < schedule.limit[~full].mean() - 0.3
    equator, *_ = fields_of(np.array([100.0]), np.array([0.0]))
    own = schedule.jd[schedule.start[equator[0]] : schedule.start[equator[0] + 1]]
    assert np.diff(own).max() > 60


def test_every_position_is_in_a_field():
    rng = np.random.default_rng(0)
    ra, dec = rng.uniform(0, 360, 5000), rng.uniform(-30, 90, 5000)
    field, x, y = fields_of(ra, dec)
    number = len(draw_schedule(rng).start) - 1
    assert field.min() >= 0
    assert field.max() < number
    for place in (x, y):
        assert ((place >= 0) & (place < 1)).all()


def test_a_supernova_reddens_with_its_age():
    labels = np.full(50, 1)
    light = colours.draw_colours(labels, np.random.default_rng(0))
    fid = np.tile([1, 2], (50, 1))

    def colour(phase):
        flux = light.visits(labels, np.zeros((50, 2)), fid, np.full(50, phase)).light
        return -2.5 * np.log10(flux[:, 0] / flux[:, 1])

    np.testing.assert_allclose(colour(0.0), light.source, atol=0.05)
    assert (colour(50.0) - colour(10.0)).min() > 0.7


def test_the_survey_is_a_source_with_every_class_in_every_split(tmp_path, monkeypatch):
    monkeypatch.setattr(survey_objects, "_MIN_OBJECTS", 4)
    source = get_source("survey")
    config = source.Config(scale=SCALE, seed=7)
    manifest = {"source": "survey", **source.fetch(config, tmp_path / "raw", tmp_path)}
    tables = TablePaths(tmp_path / "stamps", tmp_path / "series", tmp_path / "failures")
    splitting = Splitting(test_fraction=0.05, min_test_objects=1, seed=7)
    counts = convert(manifest, config, tables, splitting=splitting, threads=1)
    assert counts["packets"]["bad"] == counts["packets"]["duplicates"] == 0
    for split in SPLITS:
        for name in CLASSES:
            assert counts["stamps"][split][f"written_{name}"] > 0, (split, name)
            assert counts["series"][split][f"objects_{name}"] > 0, (split, name)


def test_the_survey_fetched_again_replaces_itself(tmp_path, smallest):
    source = get_source("survey")
    for seed in (1, 2):
        manifest = source.fetch(source.Config(scale=SCALE, seed=seed), tmp_path, tmp_path)
    names = {path.name for path in (tmp_path / "packets").iterdir()}
    assert len(names) == len(manifest["packets"]) + 1
