import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from ztfrep.data.features import ALERCE_FEATURES, is_published_zscore
from ztfrep.errors import InputError
from ztfrep.sources.pickles.published_pickles import read_series_pickle, read_stamps_pickle


def stamps(n=6):
    rng = np.random.default_rng(0)
    return {
        name: {
            "images": rng.random((n, 63, 63, 3)).astype(np.float32),
            "labels": np.arange(n) % 5,
            "features": rng.normal(size=(n, len(ALERCE_FEATURES))).astype(object),
        }
        for name in ("Train", "Validation", "Test")
    }


def series(n=4):
    rng = np.random.default_rng(0)
    return {
        "template": rng.random((n, 27, 27)),
        "science": rng.random((n, 3, 27, 27)),
        "difference": rng.random((n, 3, 27, 27)),
        "labels": np.array([0.0, 1.0, 2.0, 0.0]),
    }


def written(tmp_path, content):
    path = tmp_path / "data.pkl"
    path.write_bytes(pickle.dumps(content, protocol=4))
    return path


def test_the_first_data_set_is_read(tmp_path):
    content = stamps()
    content["Train"]["features"][0, :3] = [None, "null", float("inf")]
    data = read_stamps_pickle(written(tmp_path, content))
    for name, split in data.items():
        np.testing.assert_array_equal(split.images, content[name.capitalize()]["images"])
        assert split.labels.dtype == np.int64
        assert split.features.dtype == np.float64
    assert np.isnan(data["train"].features[0, :3]).all()
    assert data["train"].features[0, 3] == content["Train"]["features"][0, 3]


def test_features_stored_as_floats_are_read_as_those_stored_as_objects(tmp_path):
    content = stamps()
    content["Train"]["features"][0, 0] = np.nan
    floats = {name: dict(split) for name, split in content.items()}
    for split in floats.values():
        split["features"] = split["features"].astype(np.float64)
    objects, numbers = (read_stamps_pickle(written(tmp_path, c)) for c in (content, floats))
    for name in objects:
        np.testing.assert_array_equal(numbers[name].features, objects[name].features)


def test_the_second_data_set_is_read_in_either_precision(tmp_path):
    for dtype in (np.float32, np.float64):
        content = {k: v if k == "labels" else v.astype(dtype) for k, v in series().items()}
        data = read_series_pickle(written(tmp_path, content))
        assert data.science.dtype == dtype
        assert data.labels.tolist() == [0, 1, 2, 0]


def change(*keys):
    """A spoiler of a content: its last key gets what `to` makes of the old value."""

    def to(make):
        def spoil(content):
            *outer, last = keys
            for key in outer:
                content = content[key]
            content[last] = make(content[last])

        return spoil

    return to


def drop(*keys):
    def spoil(content):
        for key in keys[:-1]:
            content = content[key]
        del content[keys[-1]]

    return spoil


def put(row, value):
    def made(array):
        array = array.astype(object) if isinstance(value, str | bytes) else array.copy()
        array[row] = value
        return array

    return made


def huge(array):
    array = array.astype(object)
    array.flat[0] = 10**400
    return array


def huge_key(content):
    content.clear()
    content[10**5000] = 1


def small_key(content):
    content.clear()
    content[3] = 1


def long_keys(content):
    content.clear()
    content |= {chr(letter) * 10_000: 1 for letter in range(107, 122)}


def no_letters():
    """Code points beyond Unicode, which numpy keeps and Python refuses."""
    return np.full((6, 26), 0x7FFFFFFF, np.uint32).view("<U1")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        # Another file of the same survey.
        (drop("Validation"), "the content: found keys 'Train', 'Test'; expected key 'Validation'"),
        (drop("Test", "labels"), "['Test']: found keys 'images', 'features'"),
        (change("Train")(lambda _: 3), "['Train']: found a int; expected a dict"),
        # Channels first, one channel, too small to crop, no rows.
        (
            change("Train", "images")(lambda a: np.moveaxis(a, -1, 1)),
            "found shape (6, 3, 63, 63); expected an array of shape (n, H, W, 3)",
        ),
        (change("Train", "images")(lambda a: a[..., 0]), "found shape (6, 63, 63)"),
        # Larger than the stamps of an alert table, with one pixel in memory.
        (
            change("Train", "images")(
                lambda a: np.broadcast_to(a[:, :, :1], (*a.shape[:2], 1025, 3))
            ),
            "at most 1024",
        ),
        (change("Train", "images")(lambda a: a[:, :20]), "H and W at least 21"),
        (change("Test", "images")(lambda a: a[:0]), "found shape (0, 63, 63, 3)"),
        (change("Train", "images")(lambda a: (a * 255).astype(np.uint8)), "found dtype uint8"),
        (change("Train", "images")(lambda a: a.tolist()), "found a list"),
        # Integers that no float, and no message, can hold.
        (change("Train", "labels")(put(0, "1" * 99)), "['Train']['labels']: found 1.11111e+98 in"),
        (change("Train", "labels")(put(0, "1" * 400)), "that holds a text of 400 characters"),
        (change("Train", "labels")(huge), "['Train']['labels']: found dtype object"),
        (
            change("Train", "features")(huge),
            "found too large a number in row 0, column 0 (sgscore1)",
        ),
        (huge_key, "found an integer of 2077 bytes"),
        (small_key, "the content: found keys 'int'; expected key 'Train'"),
        (long_keys, "found keys 'kkkkkkkkkkkkkkkkkkkkk...', "),
        # Rows that disagree.
        (change("Test", "labels")(lambda a: a[:5]), "6 images, 5 labels, 6 features"),
        (change("Test", "features")(lambda a: a[:4]), "4 features"),
        # Labels that mean nothing.
        (change("Train", "labels")(put(2, 5)), "found 5 in row 2; expected whole numbers from 0"),
        (change("Train", "labels")(put(2, -1)), "found -1 in row 2"),
        (change("Train", "labels")(lambda a: a + 0.5), "found 0.5 in row 0"),
        (change("Train", "labels")(put(0, "AGN")), "['Train']['labels']: found dtype object"),
        (change("Train", "features")(lambda a: a[:, :23]), "found shape (6, 23)"),
        (
            change("Train", "features")(put((0, 0), "high")),
            "['features']: found 'high' in row 0, column 0",
        ),
        (
            change("Train", "features")(put((5, 25), b"x" * 99)),
            "xxx...' in row 5, column 25 (sharp",
        ),
        (change("Train", "features")(lambda _: no_letters()), "a text beyond Unicode"),
        # One byte each in the file, eight when they are converted.
        (change("Train", "labels")(lambda _: np.zeros(10**7, "i1")), "6 images, 10000000 labels"),
    ],
)
def test_a_wrong_part_of_the_first_data_set_is_named(tmp_path, spoil, message):
    content = stamps()
    spoil(content)
    path = written(tmp_path, content)
    with pytest.raises(InputError) as error:
        read_stamps_pickle(path)
    assert message in str(error.value)
    assert str(error.value).startswith(str(path))
    assert len(str(error.value)) < len(str(path)) + 300
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (drop("template"), "expected key 'template'"),
        # The template repeated for each detection.
        (change("template")(lambda a: a[:, None]), "['template']: found shape (4, 1, 27, 27)"),
        (change("difference")(lambda a: a[:, :2]), "expected an array of shape (n, 3, 27, 27)"),
        (change("science")(lambda a: a[..., :25]), "expected an array of shape (n, k, 27, 27)"),
        (change("labels")(lambda a: a + 1), "found 3 in row 2; expected whole numbers from 0 to 2"),
        (change("labels")(lambda a: a[:3]), "4 template, 4 science, 4 difference, 3 labels"),
        (change("labels")(lambda a: a * np.nan), "found nan in row 0"),
    ],
)
def test_a_wrong_part_of_the_second_data_set_is_named(tmp_path, spoil, message):
    content = series()
    spoil(content)
    with pytest.raises(InputError) as error:
        read_series_pickle(written(tmp_path, content))
    assert message in str(error.value)


REAL = os.environ.get("ZTFREP_REAL_DATA")


@pytest.mark.skipif(not REAL, reason="ZTFREP_REAL_DATA names no folder of real pickles")
def test_real_stamps_in_the_published_format_are_read():
    data = read_stamps_pickle(Path(REAL) / "real-pickles" / "td_ztf_stamp_17_06_20.pkl")
    assert [len(split.labels) for split in data.values()] == [1100, 99, 83]
    train = data["train"]
    assert np.bincount(train.labels).tolist() == [220] * 5
    assert not train.images.flags.owndata
    assert (train.images.min(axis=(1, 2)) == 0).all()
    # Their features were z-scored by their own statistics.
    assert not is_published_zscore(train.features)
