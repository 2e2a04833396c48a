import io

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from ztfrep.data import vector_writer as encoding
from ztfrep.errors import InputError


def names(train=5, validation=2, test=3):
    split = ["train"] * train + ["validation"] * validation + ["test"] * test
    return pd.DataFrame({"split": split, "label": np.arange(len(split)) % 5 - 1})


def row_in_split(frame):
    return frame.groupby("split").cumcount().to_numpy()


@pytest.mark.parametrize(("shape", "dtype"), [((4,), "<f4"), ((3, 4), "<f8")])
def test_a_file_is_what_six_saves_write(tmp_path, shape, dtype):
    frame = names(validation=0)
    vectors = np.random.default_rng(0).random((len(frame), *shape)).astype(dtype)
    path = tmp_path / "base.npy"
    with encoding.writing_blocks(path, frame, shape, dtype, "<i8") as blocks:
        if len(shape) == 1:
            batches = (vectors[i : i + 3] for i in range(0, len(vectors), 3))
            encoding.fill(blocks, batches, frame["split"].to_numpy(), row_in_split(frame))
        else:
            for split in encoding.SPLITS:
                blocks[split].vectors[:] = vectors[frame["split"] == split]
    expected = io.BytesIO()
    for split in encoding.SPLITS:
        chosen = (frame["split"] == split).to_numpy()
        np.save(expected, vectors[chosen])
        np.save(expected, frame["label"].to_numpy()[chosen])
    assert path.read_bytes() == expected.getvalue()
    for split, block in encoding.read_blocks(path).items():
        np.testing.assert_array_equal(block.vectors, vectors[frame["split"] == split])


def test_steps_that_a_series_lacks_are_zero(tmp_path):
    objects = names(train=2, validation=1, test=1)
    split = np.array(["train", "train", "train", "validation", "test"])
    row, step = np.array([0, 0, 1, 0, 0]), np.array([0, 1, 0, 0, 0])
    vectors = np.arange(1, 11, dtype=np.float32).reshape(5, 2)
    path = tmp_path / "series.npy"
    with encoding.writing_blocks(path, objects, (2, 2), "<f8", "<f8") as blocks:
        encoding.fill(blocks, [vectors[:3], vectors[3:]], split, row, step)
    train = encoding.read_blocks(path)["train"].vectors
    np.testing.assert_array_equal(train, [[[1, 2], [3, 4]], [[5, 6], [0, 0]]])


def test_a_failed_encoding_leaves_nothing(tmp_path):
    path = tmp_path / "base.npy"
    with pytest.raises(RuntimeError), encoding.writing_blocks(path, names(), (2,), "<f4", "<i8"):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_the_table_beside_a_file_names_its_rows(tmp_path):
    encoding.write_names(tmp_path / "base.npy", names())
    assert (tmp_path / "base.parquet").is_file()
    pd.testing.assert_frame_equal(
        encoding.read_names(tmp_path / "base.npy"), names(), check_dtype=False
    )


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
        # Cut off within the last block.
        (saved(*[np.zeros((4, 1)), np.zeros(4)] * 3)[:-8], "test labels of shape .* 24 are left"),
        # Labels of another file.
        (saved(*[np.zeros((2, 3)), np.zeros(3)] * 3), "found 2 train rows with 3 labels"),
        # Objects would have to be unpickled.
        (saved(np.array([None], dtype=object)), "found train vectors that are Python objects"),
        (b"", "found 0 arrays"),
    ],
)
def test_a_file_that_does_not_hold_six_blocks_is_refused(tmp_path, content, message):
    path = tmp_path / "base.npy"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        encoding.read_blocks(path)


class Linear(nn.Linear):
    def encode(self, x):
        return self(x)


def test_encoding_does_not_depend_on_the_batch_and_refuses_nan():
    model, x = Linear(3, 2), torch.randn(10, 3)
    device = torch.device("cpu")
    whole = encoding.encode(model, [x], device, "float32")
    parts = [encoding.encode(model, [part], device, "float32") for part in x.split(4)]
    np.testing.assert_allclose(whole, np.concatenate(parts), rtol=1e-6)
    assert whole.dtype == np.float32
    with pytest.raises(ValueError, match="not finite"):
        encoding.encode(model, [x * torch.nan], device, "float32")
