import pickle

import numpy as np
import pytest

from ztfrep.data import duplicates
from ztfrep.data.features import ALERCE_FEATURES, is_published_zscore
from ztfrep.data.splits import split_objects
from ztfrep.errors import InputError
from ztfrep.sources.pickles.published_pickles import read_series_pickle, read_stamps_pickle
from ztfrep.sources.simulation import lightcurves, optics, scene, scene_sampler, sky, survey
from ztfrep.sources.simulation.exposures import expose
from ztfrep.sources.simulation.metadata import physical_features
from ztfrep.sources.simulation.survey import write_survey

SCALE = 0.002
SHARES = {
    "quasars": 0.25, "outbursts": 0.0, "hostless": 0.0, "nuclear": 0.0, "host": 17.5,
    "crossing": 0.0, "noise_peaks": 0.0,
    "clouded": 0.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A tiny survey; Validation and Test, which never shrink, are made small for the test alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(survey, "_TEST_PER_CLASS", 12)
        patch.setattr(survey, "series_counts", lambda scale: {0: 30, 1: 4, 2: 60})
        folders = [tmp_path_factory.mktemp(name) for name in ("first", "again", "other")]
        # Two chunks at once, or one after the other.
        patch.setattr(survey, "_CHUNK", 30)
        for folder, seed, threads in zip(folders, (7, 7, 8), (2, 1, 2), strict=True):
            write_survey(folder, scale=SCALE, seed=seed, progress=False, threads=threads)
    return folders


def test_only_the_same_seed_writes_the_same_bytes_with_any_number_of_threads(small):
    first, again, other = small
    for name in (survey.STAMPS, survey.SERIES):
        assert (first / name).read_bytes() == (again / name).read_bytes()
        assert (first / name).read_bytes() != (other / name).read_bytes()
    assert len(list(first.iterdir())) == 2


def test_the_first_data_set_has_the_published_format(small):
    content = pickle.loads((small[0] / survey.STAMPS).read_bytes())
    assert list(content) == ["Train", "Validation", "Test"]
    for split in content.values():
        assert list(split) == ["images", "labels", "features"]
        images = split["images"]
        assert images.dtype == np.float32
        assert images.shape[1:] == (63, 63, 3)
        # Scaled over the whole stamp: each channel touches both ends.
        np.testing.assert_array_equal(images.min(axis=(1, 2)), 0)
        np.testing.assert_array_equal(images.max(axis=(1, 2)), 1)
        assert split["labels"].dtype == np.int64
        assert split["features"].dtype == object
        assert type(split["features"][0, 0]) is float
    assert content["Validation"]["labels"].tolist() == np.repeat(range(5), 12).tolist()
    assert np.bincount(content["Test"]["labels"]).tolist() == [12] * 5
    assert (np.diff(content["Test"]["labels"]) < 0).any()


def test_train_is_balanced_by_duplication_and_leaks_nothing(small):
    splits = read_stamps_pickle(small[0] / survey.STAMPS)
    train = splits["train"]
    keys = duplicates.digests(train.images)
    first, copies, group = duplicates.group_equal(keys)
    counts = survey.train_counts(SCALE)
    assert np.bincount(train.labels[first]).tolist() == counts.tolist()
    assert np.bincount(train.labels).tolist() == [counts.max()] * 5
    assert not duplicates.is_contradictory(train.labels, group, len(first)).any()
    # Copies have the features of their original, and the rows of a class are not consecutive.
    np.testing.assert_array_equal(train.features, train.features[first][group])
    assert (np.diff(train.labels) != 0).sum() > len(train.labels) / 2
    for name in ("validation", "test"):
        assert not np.isin(duplicates.digests(splits[name].images), keys).any()


def test_features_invert_to_physical_values(small):
    splits = read_stamps_pickle(small[0] / survey.STAMPS)
    scores = np.concatenate([split.features for split in splits.values()])
    assert is_published_zscore(scores)
    value = dict(zip(ALERCE_FEATURES.names, ALERCE_FEATURES.invert_zscore(scores).T, strict=True))
    assert (value["dec"] > sky.SOUTHERN_LIMIT - 1e-6).all()
    assert (value["magpsf"] < value["diffmaglim"] + 1).all()
    assert ((value["rb"] >= 0) & (value["rb"] <= 1)).all()
    exact = value["ncovhist"] < 2000
    difference = value["ncovhist"] - value["ndethist"] - value["non_detections"]
    assert np.abs(difference[exact & (value["ndethist"] < 19.5)]).max() < 1e-6
    labels = np.concatenate([split.labels for split in splits.values()])
    assert np.median(np.abs(value["ecl_lat"][labels == scene.ASTEROID])) < 10
    stars, agn = labels == scene.VS, labels == scene.AGN
    assert np.median(np.abs(value["gal_lat"][stars])) < np.median(np.abs(value["gal_lat"][agn]))


def test_the_second_data_set_has_the_published_format(small):
    content = pickle.loads((small[0] / survey.SERIES).read_bytes())
    assert content["labels"].dtype == np.float64
    series = read_series_pickle(small[0] / survey.SERIES)
    assert series.template.shape == (94, 27, 27)
    assert series.science.shape == series.difference.shape == (94, 3, 27, 27)
    assert np.bincount(series.labels).tolist() == [30, 4, 60]


def test_the_counts_at_full_scale_are_the_published_ones():
    assert survey.train_counts(1.0).tolist() == [14_542, 1_396, 14_517, 9_599, 10_528]
    assert survey.series_counts(1.0) == {0: 26_190, 1: 1_502, 2: 49_454}


@pytest.mark.parametrize("scale", [0.001, 0.03, 0.2])
def test_series_have_the_published_proportions_and_enough_supernovae(scale):
    counts = survey.series_counts(scale)
    assert counts[1] >= 120
    assert counts[0] / counts[1] == pytest.approx(26_190 / 1_502, rel=0.01)
    labels = np.repeat(list(counts), list(counts.values()))
    parts = split_objects(labels, test_fraction=0.05, min_test_objects=40, seed=0)
    assert all(np.bincount(labels[part]).min() >= 39 for part in parts[1:])


@pytest.mark.parametrize("scale", [0, -1, 1.5, float("nan")])
def test_a_wrong_scale_is_refused_and_writes_nothing(tmp_path, scale):
    with pytest.raises(InputError, match=r"sources\.sample\.scale: found"):
        write_survey(tmp_path / "s", scale=scale, seed=0)
    assert not (tmp_path / "s").exists()


def drawn(label, n=200, exposures=1, seed=0):
    return scene_sampler.draw(np.full(n, label), exposures, np.random.default_rng(seed))


def test_moving_objects_are_not_in_the_template():
    scenes = drawn(scene.ASTEROID)
    scenes.star_flux[:] = 0
    scenes.galaxy["flux"][:] = 0
    science, template, difference, sign = expose(scenes, 27, np.random.default_rng(1))
    middle = np.s_[..., 11:16, 11:16]
    noise = template.std(axis=(1, 2))
    assert np.abs(template[middle].mean(axis=(1, 2)) / noise).max() < 1.5
    bright = scenes.change[:, 0] > 8 * optics.counts(scenes.limit[:, 0]) / 5
    assert (difference[:, 0][middle].sum(axis=(1, 2))[bright] > 0).all()
    assert (sign[bright] == 1).all()


def test_the_difference_of_a_source_that_faded_is_stored_with_the_opposite_sign():
    scenes = drawn(scene.VS, n=400)
    _, _, difference, sign = expose(scenes, 27, np.random.default_rng(1))
    centre = difference[:, 0, 12:15, 12:15].mean(axis=(1, 2))
    assert (centre >= 0).all()
    strong = np.abs(scenes.change[:, 0]) > 5 * optics.counts(scenes.limit[:, 0])
    assert (sign[strong, 0] == np.sign(scenes.change[strong, 0])).mean() > 0.95
    assert (scenes.change < 0).mean() > 0.2
    metadata = physical_features(scenes, sign[:, 0], np.random.default_rng(2))
    faded = metadata[:, ALERCE_FEATURES.index("isdiffpos")] == 1
    np.testing.assert_array_equal(faded, sign[:, 0] < 0)


def test_supernovae_are_offset_from_their_hosts_and_nuclei_are_not():
    supernova, nucleus = drawn(scene.SN), drawn(scene.AGN)

    def offset(scenes):
        galaxy = scenes.galaxy
        return np.hypot(galaxy["x"][:, 0] - scenes.x, galaxy["y"][:, 0] - scenes.y)

    assert (offset(nucleus) == 0).all()
    assert np.median(offset(supernova)) > 0.5
    assert (supernova.star_flux[:, 0] == 0).all()
    assert (nucleus.star_flux[:, 0] > 0).all()


def test_the_classes_have_the_fractions_of_the_composition():
    def drawn_with(label, **fractions):
        return scene_sampler.draw(
            np.full(400, label),
            1,
            np.random.default_rng(0),
            scene.Composition(**SHARES | fractions),
        )

    nucleus = drawn_with(scene.AGN, quasars=0.9)
    brighter_than_host = nucleus.star_flux[:, 0] > nucleus.galaxy["flux"][:, 0]
    seyferts = drawn_with(scene.AGN, quasars=0.1)
    assert brighter_than_host.mean() > 0.7
    assert (seyferts.star_flux[:, 0] > seyferts.galaxy["flux"][:, 0]).mean() < 0.4
    hidden = drawn_with(scene.VS, outbursts=0.5)
    faint = hidden.star_flux[:, 0] < optics.counts(21.4)
    assert faint.mean() == pytest.approx(0.5, abs=0.15)
    assert (hidden.change[hidden.star_flux[:, 0] < optics.counts(21.9)] > 0).all()
    assert (drawn_with(scene.VS).star_flux[:, 0] >= optics.counts(21.9)).all()
    without_host = drawn_with(scene.SN, hostless=0.5).galaxy["flux"][:, 0] < optics.counts(21.9)
    assert without_host.mean() == pytest.approx(0.5, abs=0.1)
    assert (drawn_with(scene.SN).galaxy["flux"][:, 0] > optics.counts(21.9)).all()
    passing = drawn_with(scene.ASTEROID, crossing=0.5)
    star, galaxy = passing.star_flux[:, 0] > 0, passing.galaxy["flux"][:, 0] > 0
    assert not (star & galaxy).any()
    assert (star | galaxy).mean() == pytest.approx(0.5, abs=0.1)
    assert star.sum() > galaxy.sum() > 20
    assert (drawn_with(scene.ASTEROID).star_flux[:, 0] == 0).all()
    clouded = drawn_with(scene.BOGUS, clouded=0.3).artefact == scene.CLOUDED
    assert clouded.mean() == pytest.approx(0.3, abs=0.1)
    assert not (drawn_with(scene.BOGUS).artefact == scene.CLOUDED).any()
    peaks = drawn_with(scene.BOGUS, noise_peaks=0.3).artefact == scene.NOISE_PEAK
    assert peaks.mean() == pytest.approx(0.3, abs=0.1)
    assert not (drawn_with(scene.BOGUS).artefact == scene.NOISE_PEAK).any()


def test_an_exposure_through_clouds_shows_bright_stars_alone_and_they_stay_in_the_difference():
    scenes = scene_sampler.draw(
        np.full(60, scene.BOGUS),
        1,
        np.random.default_rng(0),
        scene.Composition(**SHARES | {"clouded": 1.0}),
    )
    science, template, difference, _ = expose(scenes, 27, np.random.default_rng(1))
    noise = [np.median(np.abs(np.diff(image, axis=-1))) for image in (science, template)]
    assert noise[0] > 3 * noise[1]
    aperture = np.s_[..., 9:18, 9:18]
    ratio = difference[:, 0][aperture].sum(axis=(1, 2)) / scenes.change[:, 0]
    assert 0.5 < np.median(ratio) < 1.5


def test_every_detection_is_brighter_than_the_limit():
    for label in range(5):
        scenes = drawn(label, exposures=3)
        faint = np.abs(scenes.change) < 0.9 * optics.counts(scenes.limit)
        assert faint.mean() < 0.08


def test_light_is_conserved_and_centred():
    x, y = np.array([[0.3]]), np.array([[-0.2]])
    image = optics.render_point_sources(x, y, np.array([[1000.0]]), np.array([2.0]), 63)[0]
    position = np.arange(63) - 31
    assert image.sum() == pytest.approx(1000, rel=1e-3)
    assert (image.sum(axis=0) @ position) / image.sum() == pytest.approx(0.3, abs=1e-2)
    assert (image.sum(axis=1) @ position) / image.sum() == pytest.approx(-0.2, abs=1e-2)


def test_a_scene_has_the_same_light_among_others_with_more_sources():
    rng = np.random.default_rng(0)
    x, y = rng.uniform(-45, 45, (2, 200, 12))
    flux = np.where(rng.random((200, 12)) < 0.5, rng.uniform(1, 1e4, (200, 12)), 0)
    flux[3] = 0
    fwhm = rng.uniform(1.5, 4, 200)
    images = optics.render_point_sources(x, y, flux, fwhm, 27)
    for row in (0, 3, 70, 199):
        rows = slice(row, row + 1)
        alone = optics.render_point_sources(x[rows], y[rows], flux[rows], fwhm[rows], 27)
        np.testing.assert_array_equal(images[row], alone[0])
    assert not images[3].any()
    lit = sum(
        optics.render_point_sources(x[:, [i]], y[:, [i]], flux[:, [i]], fwhm, 27) for i in range(12)
    )
    np.testing.assert_allclose(images, lit, rtol=1e-5, atol=1e-5)


def test_points_at_one_place_are_a_source_of_their_light():
    at = np.full((1, 5), 1.3)
    points = optics.render_point_sources(at, at, np.full((1, 5), 200.0), np.array([2.0]), 27)
    source = optics.render_point_sources(
        at[:, :1], at[:, :1], np.array([[1000.0]]), np.array([2.0]), 27
    )
    np.testing.assert_allclose(points, source, rtol=1e-6)


def test_the_blur_of_an_image_without_light_is_none_and_of_others_their_own():
    rng = np.random.default_rng(0)
    image = rng.random((70, 39, 39), dtype=np.float32)
    image[5] = 0
    fwhm = rng.uniform(1.5, 4, 70)
    blurred = optics.blur(image, fwhm)
    assert not blurred[5].any()
    for row in (0, 6, 69):
        alone = optics.blur(image[row : row + 1], fwhm[row : row + 1])
        np.testing.assert_array_equal(blurred[row], alone[0])


@pytest.mark.parametrize("column", [40, 0, -4])
def test_a_blurred_pixel_is_equal_to_a_point_source(column):
    """The light of one outside the stamp, in the margin of 6, comes in too."""
    row, margin, centre = 20, 6, 31
    sky = np.zeros((1, 63 + 2 * margin, 63 + 2 * margin), np.float32)
    sky[0, row + margin, column + margin] = 1000
    fwhm = np.array([2.0])
    x, y = np.array([[column - centre]]), np.array([[row - centre]])
    source = optics.render_point_sources(x, y, np.array([[1000.0]]), fwhm, 63)
    assert optics.blur(sky, fwhm) == pytest.approx(source, rel=1e-5, abs=1e-4)


def moments(image):
    position = np.arange(image.shape[-1]) - (image.shape[-1] - 1) / 2
    total = image.sum()
    along, across = position**2 * image.sum(axis=0), position**2 * image.sum(axis=1)
    mixed = position[:, None] * position * image
    return along.sum() / total, across.sum() / total, mixed.sum() / total


def test_an_exposure_is_elongated_by_its_quadrupole():
    at = np.zeros((1, 1))
    image = optics.render_point_sources(at, at, np.array([[1000.0]]), np.array([2.5]), 63)
    elongated = optics.elongate(image, np.array([[0.1, -0.06]]))
    assert elongated.sum() == pytest.approx(image.sum(), rel=1e-6)
    change = np.array(moments(elongated[0])) - np.array(moments(image[0]))
    np.testing.assert_allclose(change, [0.1, -0.1, -0.06], atol=2e-3)


def test_correlated_noise_has_the_same_deviation_and_correlates_with_its_neighbours():
    noise = np.random.default_rng(0).normal(size=(20, 63, 63)).astype(np.float32)
    correlated = optics.correlate_noise(noise)
    assert correlated.std() == pytest.approx(1, abs=0.02)
    for axis in (1, 2):
        correlation = [(correlated * np.roll(correlated, lag, axis)).mean() for lag in (1, 2, 3)]
        np.testing.assert_allclose(correlation, [0.2, -0.12, -0.02], atol=0.02)


@pytest.mark.parametrize("index", [0.6, 1.0, 4.0])
def test_a_galaxy_holds_half_its_light_within_its_radius(index):
    galaxy = {name: np.array([[value]]) for name, value in
           {"x": 0.0, "y": 0.0, "flux": 1e4, "radius": 4.0, "index": index,
            "axis_ratio": 1.0, "angle": 0.3}.items()}  # fmt: skip
    image = optics.render_galaxies(**galaxy, size=151)[0]
    position = np.arange(163) - 81
    inside = np.hypot(position, position[:, None]) <= 4.0
    assert image[inside].sum() / 1e4 == pytest.approx(0.5, abs=0.05)
    blurred = optics.blur(image[None], np.array([2.0]))[0]
    assert blurred.sum() == pytest.approx(image.sum(), rel=0.06)


def test_counts_and_magnitudes_are_inverse():
    magnitudes = np.array([12.0, 18.5, 21.0])
    np.testing.assert_allclose(optics.magnitude(optics.counts(magnitudes)), magnitudes)
    assert optics.counts(optics.ZERO_POINT) == 1


@pytest.mark.parametrize(
    ("ra", "dec", "ecliptic", "galactic"),
    [
        # The vernal equinox; values of the systems' definitions.
        (0.0, 0.0, (0.0, 0.0), (-60.188553, 96.337272)),
        # The ecliptic's north pole.
        (270.0, 66.5607089, (90.0, None), (29.811438, 96.383961)),
        # The galactic north pole and centre (Sgr A* is 0.07 deg from the latter).
        (192.85948, 27.12825, (29.811438, 180.023174), (90.0, None)),
        (266.405100, -28.936175, (-5.536306, 266.839617), (0.0, 0.0)),
    ],
)
def test_coordinates_of_known_positions(ra, dec, ecliptic, galactic):
    for position, (latitude, longitude) in (
        (sky.ecliptic(np.array([ra]), np.array([dec])), ecliptic),
        (sky.galactic(np.array([ra]), np.array([dec])), galactic),
    ):
        assert position[0][0] == pytest.approx(latitude, abs=2e-3)
        if longitude is not None:
            away = (position[1][0] - longitude + 180) % 360 - 180
            assert away == pytest.approx(0, abs=2e-3)


def test_a_supernova_rises_and_falls_and_peaks_at_one():
    rng = np.random.default_rng(0)
    days = np.tile(np.arange(-40.0, 120.0, 1.0), (300, 1))
    flux = lightcurves.supernova(days, rng)
    np.testing.assert_allclose(flux.max(axis=1), 1, atol=0.02)
    top = flux.argmax(axis=1)
    assert ((top > 5) & (top < 120)).all()
    assert (flux >= 0).all()


def test_a_damped_random_walk_loses_its_correlation():
    rng = np.random.default_rng(0)
    tau, long_term = np.full(4000, 400.0), np.full(4000, 0.4)

    def deviation(gap):
        days = np.tile([0.0, gap], (4000, 1))
        walk = lightcurves.damped_random_walk(days, tau, long_term, rng)
        return np.std(walk[:, 1] - walk[:, 0])

    assert deviation(1.0) < 0.3 * deviation(100.0)
    assert deviation(5000.0) == pytest.approx(deviation(20000.0), rel=0.1)
    assert deviation(400.0) == pytest.approx(0.4 * np.sqrt(2 * (1 - np.exp(-1))), rel=0.1)


def test_red_giants_are_slow_and_other_variable_stars_are_not():
    rng = np.random.default_rng(0)
    days = np.tile([0.0, 1.0, 200.0], (2000, 1))
    is_giant = np.arange(2000) < 1000
    magnitudes, template = lightcurves.variable_star(days, is_giant, rng)
    night = np.abs(magnitudes[:, 1] - magnitudes[:, 0])
    assert np.median(night[is_giant]) < 0.05 * np.median(np.ptp(magnitudes[is_giant], axis=1))
    assert np.median(night[~is_giant]) > 3 * np.median(night[is_giant])
    # A template is a mean of exposures, whose phases a giant's period is too long to mix.
    spread = np.abs(template).mean(axis=1) / np.maximum(np.ptp(magnitudes, axis=1), 0.05)
    assert np.median(spread[is_giant]) > np.median(spread[~is_giant])


def test_the_template_of_a_nucleus_is_of_one_time_in_both_filters():
    curve = lightcurves.active_nucleus(np.zeros((500, 1)), np.random.default_rng(0))
    assert np.corrcoef(curve.template.T)[0, 1] > 0.95
    assert curve.template.std() > 0.1
