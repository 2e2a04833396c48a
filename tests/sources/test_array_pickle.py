import io
import pickle

import numpy as np
import pytest

from ztfrep.sources.simulation.array_pickle import ArrayPickle, LargeArray

IMAGES = np.random.default_rng(0).random((50, 30, 30), dtype=np.float32)
LABELS = np.arange(50)
FEATURES = np.random.default_rng(1).random((50, 3))


def content(images, features=FEATURES):
    return {
        "Train": {"images": images, "labels": LABELS, "features": features.astype(object)},
        # Names and dtypes of an earlier part are references.
        "Test": {"images": IMAGES[:25], "labels": LABELS[:4]},
    }


# The second one is too small for pickle to write it alone.
@pytest.mark.parametrize("values", [IMAGES, IMAGES[:, :3, :3]], ids=["large", "small"])
def test_rows_written_in_any_order_are_the_bytes_of_one_pickle(values):
    file, images = io.BytesIO(), LargeArray(values.shape, values.dtype)
    written, parts = ArrayPickle(file), content(images, 0 * FEATURES)
    written.write_content(parts)
    for start in (40, 0, 20, 10, 30):
        written.write_rows(images, start, values[start : start + 10])
    parts["Train"]["features"] = FEATURES.astype(object)
    written.finish()
    expected = content(np.ascontiguousarray(values))
    assert file.getvalue() == pickle.dumps(expected, protocol=4)


def test_rows_that_are_not_written_are_zeros():
    file, images = io.BytesIO(), LargeArray((30, 1200), np.int16)
    ArrayPickle(file).write_content([images, "end"])
    array, end = pickle.loads(file.getvalue())
    assert array.dtype == np.int16
    np.testing.assert_array_equal(array, np.zeros((30, 1200)))
    assert end == "end"


def test_rows_and_contents_that_do_not_fit_are_refused():
    images = LargeArray(IMAGES.shape, IMAGES.dtype)
    written = ArrayPickle(io.BytesIO())
    written.write_content(content(images))
    for start, rows in (
        (45, IMAGES[:6]),
        (-1, IMAGES[:1]),
        (0, IMAGES[:, :29]),
        (0, IMAGES.astype(np.float64)),
    ):
        with pytest.raises(ValueError, match="^rows "):
            written.write_rows(images, start, rows)
    with pytest.raises(ValueError, match="another length"):
        written.write_content({"more": LABELS, **content(images)})
