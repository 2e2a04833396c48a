import numpy as np
import pytest

from ztfrep.data import curation
from ztfrep.data.alert_schema import SPLITS
from ztfrep.data.alert_table import AlertTable
from ztfrep.data.features import ALERCE_FEATURES
from ztfrep.errors import InputError
from ztfrep.sources.pickles.pickle_tables import series_science_digests, write_series, write_stamps
from ztfrep.sources.pickles.published_pickles import SeriesArrays, StampSplit

NOBODY = np.empty(0, dtype="V16")


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
    return {"Train": split(12, 0), "Validation": split(4, 1), "Test": split(5, 2)}


def convert(tmp_path, data, held_out=NOBODY):
    counts = write_stamps(tmp_path / "stamps.parquet", data, held_out, source="a.pkl")
    for name in SPLITS:
        count = counts[name]
        left = [v for k, v in count.items() if k.startswith(("dropped", "collapsed", "kept"))]
        assert count["read"] == sum(left)
    return AlertTable(tmp_path / "stamps.parquet"), counts


def test_every_row_arrives_with_its_channels_features_and_label(tmp_path):
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
    assert [counts[name]["kept"] for name in SPLITS] == [12, 4, 5]


def test_other_z_scores_stay_of_unknown_origin(tmp_path):
    data = splits()
    for part in data.values():
        part.features[:] *= 1.1
    table, _ = convert(tmp_path, data)
    assert table.info.feature_unit == "zscored-unknown"
    np.testing.assert_allclose(table.features()[0], data["Train"].features[0], rtol=1e-5)


def test_duplicates_collapse_and_are_counted(tmp_path):
    data = splits()
    train = data["Train"]
    for copy in (3, 7, 9):
        train.images[copy], train.labels[copy] = train.images[1], train.labels[1]
    table, counts = convert(tmp_path, data)
    copies = table.identity().query("split == 'train'").set_index("object_id")["n_copies"]
    assert copies["stamps:train:1"] == 4
    assert copies.sum() == 12
    assert counts["train"]["collapsed_duplicates"] == 3


def test_a_stamp_in_two_splits_stays_in_the_later_one(tmp_path):
    data = splits()
    data["Train"].images[[0, 5]] = data["Test"].images[2]
    data["Train"].labels[[0, 5]] = data["Test"].labels[2]
    data["Train"].images[4] = data["Validation"].images[0]
    data["Validation"].images[1] = data["Test"].images[0]
    table, counts = convert(tmp_path, data)
    assert counts["train"]["dropped_twin_in_later_split"] == 3
    assert counts["validation"]["dropped_twin_in_later_split"] == 1
    assert counts["test"]["kept"] == 5
    stamps = np.concatenate(list(table.stamps()))
    assert len(np.unique(curation.digests(stamps))) == len(stamps)


def test_a_stamp_with_two_labels_leaves(tmp_path):
    data = splits()
    data["Train"].images[3] = data["Train"].images[1]
    data["Train"].labels[[1, 3]] = [0, 2]
    table, counts = convert(tmp_path, data)
    assert counts["train"]["dropped_contradictory_label"] == 2
    assert "stamps:train:1" not in set(table.identity()["object_id"])


def test_constant_stamps_leave_and_missing_pixels_are_masked(tmp_path):
    data = splits()
    data["Test"].images[1, :, :, 2] = 0.25
    data["Test"].images[2, :5, :, 1] = np.nan
    data["Test"].images[3, 0, 0, 1] = -3.4e38
    table, counts = convert(tmp_path, data)
    assert counts["test"]["dropped_constant"] == 1
    assert counts["test"]["masked_pixels"] == 5 * 63 + 1
    stamps = np.concatenate(list(table.stamps()))[-4:]
    assert np.isnan(stamps).sum() == 5 * 63 + 1


def test_features_that_cannot_be_are_left_out_with_a_warning(tmp_path, caplog):
    data = splits()
    column = ALERCE_FEATURES.index("dec")
    mean, std = ALERCE_FEATURES.mean[column], ALERCE_FEATURES.std[column]
    for row, declination in ((0, 91.0), (1, -90.0), (2, 1e300)):
        data["Test"].features[row, column] = (declination - mean) / std
    table, _ = convert(tmp_path, data)
    np.testing.assert_allclose(table.features()[-5:-2, column], [np.nan, -90, np.nan])
    assert "test: 2 features that cannot be are left out" in caplog.text


def test_z_scores_beyond_a_float_are_left_out(tmp_path):
    data = splits()
    for part in data.values():
        part.features[:] *= 1.1
    data["Train"].features[0, 3] = 1e39
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
    assert counts["train"]["kept_alerts"] == 12


def test_a_constant_detection_leaves_and_its_object_stays(tmp_path):
    arrays = series()
    arrays.science[2, 1] = 0
    arrays.template[5] = 0.5
    parts = {"train": np.arange(4), "validation": np.array([4, 5]), "test": np.array([6, 7])}
    counts = write_series(tmp_path / "series.parquet", arrays, parts)
    assert counts["train"]["dropped_constant"] == 1
    assert counts["train"]["kept_objects"] == 4
    assert counts["validation"] | {"kept_objects": 1, "dropped_constant": 3} == counts["validation"]
    identity = AlertTable(tmp_path / "series.parquet").identity()
    assert identity.query("object_id == 'series:2'")["detection"].tolist() == [0, 2]


def test_an_alert_of_a_held_out_series_leaves_train_alone(tmp_path):
    data, arrays = splits(), series()
    # The same alert, cut to 27 pixels and scaled otherwise.
    for name, row in (("Train", 3), ("Test", 1)):
        cut = data[name].images[row, 18:45, 18:45, 0]
        arrays.science[6 if name == "Train" else 7, 2] = cut * 40 - 3
    held_out = series_science_digests(arrays, np.array([6, 7]))
    assert len(held_out) == 6
    _, counts = convert(tmp_path, data, held_out)
    assert counts["train"]["dropped_in_held_out_series"] == 1
    assert counts["test"]["kept"] == 5


def test_images_of_two_sizes_are_refused(tmp_path):
    data = splits()
    data["Test"] = split(5, 2, size=61)
    with pytest.raises(InputError, match=r"a\.pkl: found images of shapes"):
        convert(tmp_path, data)
    assert list(tmp_path.iterdir()) == []
