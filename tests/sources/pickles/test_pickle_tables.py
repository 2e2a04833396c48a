import numpy as np
import pytest

from ztfrep.data.alert_table import AlertTable
from ztfrep.data.duplicates import digests
from ztfrep.data.features import ALERCE_FEATURES
from ztfrep.data.splits import SPLITS
from ztfrep.errors import InputError
from ztfrep.sources.pickles.pickle_tables import series_science_digests, write_series, write_stamps
from ztfrep.sources.pickles.published_pickles import SeriesArrays, StampSplit

NO_DIGESTS = np.empty(0, dtype="V16")


def split(n, seed, size=63):
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(n, len(ALERCE_FEATURES)))
    metadata = ALERCE_FEATURES.invert_zscore(scores)
    metadata[:, ALERCE_FEATURES.index("isdiffpos")] = rng.integers(0, 2, n)
    for name in ("ndethist", "ncovhist"):
        metadata[:, ALERCE_FEATURES.index(name)] = rng.integers(1, 20, n)
    for name in ("ra", "dec", "ecl_lat", "ecl_long", "gal_lat", "gal_long"):
        metadata[:, ALERCE_FEATURES.index(name)] = rng.uniform(0, 90, n)
    return StampSplit(
        images=rng.random((n, size, size, 3)).astype(np.float32),
        labels=rng.integers(0, 5, n),
        features=ALERCE_FEATURES.zscore(metadata),
    )


def splits():
    return {"train": split(12, 0), "validation": split(4, 1), "test": split(5, 2)}


def convert(tmp_path, data, series_digests=NO_DIGESTS):
    counts = write_stamps(tmp_path / "stamps.parquet", data, series_digests, source="a.pkl")
    for name in SPLITS:
        count = counts[name]
        parts = [v for k, v in count.items() if k.startswith(("excluded", "collapsed", "written"))]
        assert count["read"] == sum(parts)
    return AlertTable(tmp_path / "stamps.parquet"), counts


def test_every_row_has_its_channels_features_and_label(tmp_path):
    data = splits()
    table, counts = convert(tmp_path, data)
    images = np.concatenate([part.images for part in data.values()])
    np.testing.assert_array_equal(np.concatenate(list(table.stamps())), np.moveaxis(images, -1, 1))
    identity = table.identity()
    assert identity["split"].tolist() == ["train"] * 12 + ["validation"] * 4 + ["test"] * 5
    assert identity["object_id"][13] == "stamps:validation:1"
    labels = np.concatenate([part.labels for part in data.values()])
    assert identity["label"].tolist() == labels.tolist()
    physical = ALERCE_FEATURES.invert_zscore(
        np.concatenate([part.features for part in data.values()])
    )
    np.testing.assert_allclose(table.features(), physical, rtol=1e-5, atol=1e-5)
    assert (table.info.feature_unit, table.info.scaling) == ("physical", "minmax")
    assert [counts[name]["written"] for name in SPLITS] == [12, 4, 5]


def test_other_z_scores_stay_of_unknown_origin(tmp_path):
    data = splits()
    for part in data.values():
        part.features[:] *= 1.1
    table, _ = convert(tmp_path, data)
    assert table.info.feature_unit == "zscored-unknown"
    np.testing.assert_allclose(table.features()[0], data["train"].features[0], rtol=1e-5)


def test_duplicates_collapse_and_are_counted(tmp_path):
    data = splits()
    train = data["train"]
    for copy in (3, 7, 9):
        train.images[copy], train.labels[copy] = train.images[1], train.labels[1]
    table, counts = convert(tmp_path, data)
    copies = table.identity().query("split == 'train'").set_index("object_id")["n_copies"]
    assert copies["stamps:train:1"] == 4
    assert copies.sum() == 12
    assert counts["train"]["collapsed_duplicates"] == 3


def test_a_stamp_in_two_splits_stays_in_the_later_one(tmp_path):
    data = splits()
    data["train"].images[[0, 5]] = data["test"].images[2]
    data["train"].labels[[0, 5]] = data["test"].labels[2]
    data["train"].images[4] = data["validation"].images[0]
    data["validation"].images[1] = data["test"].images[0]
    table, counts = convert(tmp_path, data)
    assert counts["train"]["excluded_in_later_split"] == 3
    assert counts["validation"]["excluded_in_later_split"] == 1
    assert counts["test"]["written"] == 5
    stamps = np.concatenate(list(table.stamps()))
    assert len(np.unique(digests(stamps))) == len(stamps)


def test_a_stamp_with_two_labels_is_excluded(tmp_path):
    data = splits()
    data["train"].images[3] = data["train"].images[1]
    data["train"].labels[[1, 3]] = [0, 2]
    table, counts = convert(tmp_path, data)
    assert counts["train"]["excluded_contradictory_label"] == 2
    assert "stamps:train:1" not in set(table.identity()["object_id"])


def test_constant_stamps_are_excluded_and_missing_pixels_masked(tmp_path):
    data = splits()
    data["test"].images[1, :, :, 2] = 0.25
    data["test"].images[2, :5, :, 1] = np.nan
    data["test"].images[3, 0, 0, 1] = -3.4e38
    table, counts = convert(tmp_path, data)
    assert counts["test"]["excluded_constant"] == 1
    assert counts["test"]["masked_pixels"] == 5 * 63 + 1
    stamps = np.concatenate(list(table.stamps()))[-4:]
    assert np.isnan(stamps).sum() == 5 * 63 + 1


def test_impossible_features_become_null_with_a_warning(tmp_path, caplog):
    data = splits()
    column = ALERCE_FEATURES.index("dec")
    mean, std = ALERCE_FEATURES.mean[column], ALERCE_FEATURES.std[column]
    for row, declination in ((0, 91.0), (1, -90.0), (2, 1e300)):
        data["test"].features[row, column] = (declination - mean) / std
    table, _ = convert(tmp_path, data)
    np.testing.assert_allclose(table.features()[-5:-2, column], [np.nan, -90, np.nan])
    assert "test: 2 impossible values of features become null" in caplog.text


def test_z_scores_beyond_float32_become_null(tmp_path):
    data = splits()
    for part in data.values():
        part.features[:] *= 1.1
    data["train"].features[0, 3] = 1e39
    table, _ = convert(tmp_path, data)
    assert table.info.feature_unit == "zscored-unknown"
    assert np.isnan(table.features()[0, 3])


def series(n=8, detections=3, seed=5, size=27):
    rng = np.random.default_rng(seed)
    return SeriesArrays(
        template=rng.random((n, size, size)),
        science=rng.random((n, detections, size, size)),
        difference=rng.random((n, detections, size, size)),
        labels=rng.integers(0, 3, n),
    )


def test_a_series_is_its_detections_in_order_science_first(tmp_path):
    arrays = series()
    parts = {"train": np.array([0, 2, 4, 6]), "validation": np.array([1, 3]), "test": [5, 7]}
    parts["test"] = np.array(parts["test"])
    counts = write_series(tmp_path / "series.parquet", arrays, parts)
    table = AlertTable(tmp_path / "series.parquet")
    identity = table.identity()
    order = [0, 2, 4, 6, 1, 3, 5, 7]
    assert identity["object_id"].tolist() == [f"series:{o}" for o in order for _ in range(3)]
    assert identity["detection"].tolist() == [0, 1, 2] * 8
    assert identity["label"].tolist() == np.repeat(arrays.labels[order], 3).tolist()
    stamps = np.concatenate(list(table.stamps()))
    np.testing.assert_array_equal(stamps[4, 0], arrays.science[2, 1].astype(np.float32))
    np.testing.assert_array_equal(stamps[4, 1], arrays.template[2].astype(np.float32))
    np.testing.assert_array_equal(stamps[4, 2], arrays.difference[2, 1].astype(np.float32))
    assert counts["train"]["written_alerts"] == 12


def test_a_constant_detection_is_excluded_but_not_its_object(tmp_path):
    arrays = series()
    arrays.science[2, 1] = 0
    arrays.template[5] = 0.5
    parts = {"train": np.arange(4), "validation": np.array([4, 5]), "test": np.array([6, 7])}
    counts = write_series(tmp_path / "series.parquet", arrays, parts)
    assert counts["train"]["excluded_constant"] == 1
    assert counts["train"]["written_objects"] == 4
    assert counts["validation"]["excluded_constant"] == 3
    assert counts["validation"]["written_objects"] == 1
    identity = AlertTable(tmp_path / "series.parquet").identity()
    assert identity.query("object_id == 'series:2'")["detection"].tolist() == [0, 2]


def test_a_detection_that_is_constant_as_float32_is_excluded(tmp_path):
    arrays = series()
    arrays.science[2, 1] = 1 + 1e-12 * arrays.science[2, 1]
    parts = {"train": np.arange(4), "validation": np.array([4, 5]), "test": np.array([6, 7])}
    counts = write_series(tmp_path / "series.parquet", arrays, parts)
    assert counts["train"]["excluded_constant"] == 1
    assert counts["train"]["masked_pixels"] == 0


def test_an_alert_of_a_test_series_is_excluded_from_train_alone(tmp_path):
    data, arrays = splits(), series()
    # The same alert, cut to 27 pixels and scaled otherwise.
    for name, row in (("train", 3), ("test", 1)):
        cut = data[name].images[row, 18:45, 18:45, 0]
        arrays.science[6 if name == "train" else 7, 2] = cut * 40 - 3
    series_digests = series_science_digests(arrays, np.array([6, 7]))
    assert len(series_digests) == 6
    _, counts = convert(tmp_path, data, series_digests)
    assert counts["train"]["excluded_in_test_series"] == 1
    assert counts["test"]["written"] == 5


def test_images_of_two_sizes_are_refused(tmp_path):
    data = splits()
    data["test"] = split(5, 2, size=61)
    with pytest.raises(InputError, match=r"a\.pkl: found images of shapes"):
        convert(tmp_path, data)
    assert list(tmp_path.iterdir()) == []
