import io

import numpy as np
import pandas as pd
import pytest

from ztfrep.data.splits import SPLITS
from ztfrep.data.vector_files import read_vectors
from ztfrep.data.vector_writer import assign_vectors, open_vectors_for_writing
from ztfrep.errors import InputError


def rows(train=5, validation=2, test=3):
    split = ["train"] * train + ["validation"] * validation + ["test"] * test
    return pd.DataFrame({"split": split, "label": np.arange(len(split)) % 5 - 1})


def row_in_split(frame):
    return frame.groupby("split").cumcount().to_numpy()


@pytest.mark.parametrize(("shape", "dtype"), [((4,), "<f4"), ((3, 4), "<f8")])
def test_a_file_has_the_bytes_of_six_calls_of_numpy_save(tmp_path, shape, dtype):
    frame = rows(validation=0)
    vectors = np.random.default_rng(0).random((len(frame), *shape)).astype(dtype)
    path = tmp_path / "base.npy"
    with open_vectors_for_writing(path, frame, shape, dtype, "<i8") as splits:
        if len(shape) == 1:
            batches = (vectors[i : i + 3] for i in range(0, len(vectors), 3))
            assign_vectors(splits, batches, frame["split"].to_numpy(), row_in_split(frame))
        else:
            for split in SPLITS:
                splits[split].vectors[:] = vectors[frame["split"] == split]
    expected = io.BytesIO()
    for split in SPLITS:
        mask = (frame["split"] == split).to_numpy()
        np.save(expected, vectors[mask])
        np.save(expected, frame["label"].to_numpy()[mask])
    assert path.read_bytes() == expected.getvalue()
    for split, written in read_vectors(path).items():
        np.testing.assert_array_equal(written.vectors, vectors[frame["split"] == split])


def test_missing_steps_of_a_series_are_zero(tmp_path):
    objects = rows(train=2, validation=1, test=1)
    split = np.array(["train", "train", "train", "validation", "test"])
    row, step = np.array([0, 0, 1, 0, 0]), np.array([0, 1, 0, 0, 0])
    vectors = np.arange(1, 11, dtype=np.float32).reshape(5, 2)
    path = tmp_path / "series.npy"
    with open_vectors_for_writing(path, objects, (2, 2), "<f8", "<f8") as splits:
        assign_vectors(splits, [vectors[:3], vectors[3:]], split, row, step)
    train = read_vectors(path)["train"].vectors
    np.testing.assert_array_equal(train, [[[1, 2], [3, 4]], [[5, 6], [0, 0]]])


def test_a_failed_encoding_leaves_no_file(tmp_path):
    path = tmp_path / "base.npy"
    with pytest.raises(RuntimeError), open_vectors_for_writing(path, rows(), (2,), "<f4", "<i8"):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def saved(*arrays):
    buffer = io.BytesIO()
    for array in arrays:
        np.save(buffer, array)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        # An ordinary npy file.
        (saved(np.zeros((2, 3))), "found 1 arrays"),
        # Truncated within the last array.
        (saved(*[np.zeros((4, 1)), np.zeros(4)] * 3)[:-8], "test labels of shape .* 24 are left"),
        # Labels of another file.
        (saved(*[np.zeros((2, 3)), np.zeros(3)] * 3), "found 2 train rows with 3 labels"),
        # Objects would have to be unpickled.
        (saved(np.array([None], dtype=object)), "found train vectors that are Python objects"),
        (b"", "found 0 arrays"),
    ],
)
def test_a_file_that_does_not_have_six_arrays_is_refused(tmp_path, content, message):
    path = tmp_path / "base.npy"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_vectors(path)
