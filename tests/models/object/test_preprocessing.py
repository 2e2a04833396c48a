"""Objects for a recurrent network: every epoch in its place, times and magnitudes beside it."""

import numpy as np
import pandas as pd
import pytest

from stages import series_inputs
from ztfrep.data.vector_writer import assign_vectors as fill
from ztfrep.data.vector_writer import open_vectors_for_writing as writing_blocks


@pytest.fixture
def encoded(tmp_path, monkeypatch):
    """Two train objects, one of four epochs (two with vectors), and one test object."""
    names = pd.DataFrame({"split": ["train", "train", "test"], "label": [0, 1, -1]})
    vectors = np.arange(4 * 3, dtype=np.float64).reshape(4, 3) + 1
    split, row = np.array(["train", "train", "train", "test"]), np.array([0, 0, 1, 0])
    path = tmp_path / "series.npy"
    with writing_blocks(path, names, (2, 3), "<f8", "<f8") as blocks:
        fill(blocks, [vectors], split, row, np.array([0, 1, 0, 0]))
    epochs = pd.DataFrame(
        {
            "split": ["train"] * 5 + ["test"],
            "row": [0, 0, 0, 0, 1, 0],
            "detection": [0, 1, 2, 3, 0, 0],
            "step": [-1, 0, -1, 1, 0, 0],
            "mjd": [100.0, 101.0, 103.0, 110.0, np.nan, 50.0],
            "fid": [1, 2, 1, 3, None, 1],
            "magpsf": [np.nan, 19.0, 20.5, 17.5, np.nan, 19.0],
            "sigmapsf": [np.nan, 0.1, 0.2, 0.0, np.nan, 0.1],
            "diffmaglim": [20.0, 21.0, np.nan, 20.0, np.nan, 20.0],
        }
    )
    # Rows in another order: their places are told by their columns.
    epochs.sample(frac=1, random_state=0).to_parquet(tmp_path / "epochs.parquet")
    monkeypatch.setattr(series_inputs, "ENCODED_SERIES", path)
    monkeypatch.setattr(series_inputs, "EPOCHS", tmp_path / "epochs.parquet")
    return vectors


def test_epochs_stand_in_time_order_with_the_vectors_that_are_theirs(encoded):
    train = series_inputs.series_inputs(True, 10)["train"]
    assert train.lengths.tolist() == [4, 1]
    assert train.seen.tolist() == [[False, True, False, True], [True, False, False, False]]
    np.testing.assert_array_equal(train.vectors[0, [1, 3]], encoded[:2])
    np.testing.assert_array_equal(train.vectors[1, 0], encoded[2])
    assert (train.vectors.numpy()[~train.seen.numpy()] == 0).all()
    gaps, days, known = train.times[0].T.numpy()
    np.testing.assert_allclose(np.expm1(gaps), [0, 1, 2, 7], rtol=1e-6)
    np.testing.assert_allclose(np.expm1(days), [0, 1, 3, 10], rtol=1e-6)
    assert known.tolist() == [1, 1, 1, 1]
    # Without dates there are no times, and no NaN.
    assert (train.times[1] == 0).all()
    assert (train.photometry[1] == 0).all()


def test_magnitudes_and_filters_are_there_where_they_are_known(encoded):
    photometry = series_inputs.series_inputs(True, 10)["train"].photometry[0].numpy()
    np.testing.assert_allclose(photometry[:, 0], [0, 0, 1, -1])
    np.testing.assert_allclose(photometry[:, 1], [0, 0, 1, -1], atol=1e-6)
    np.testing.assert_allclose(photometry[:, 2], [0, 1, 0, 0])
    assert photometry[:, 3:6].tolist() == [[0, 0, 1], [1, 1, 1], [1, 1, 0], [1, 1, 1]]
    assert photometry[:, 6:].argmax(axis=1).tolist() == [0, 1, 0, 2]


def test_the_last_epochs_are_kept_and_their_days_counted_from_the_first(encoded):
    train = series_inputs.series_inputs(True, 2)["train"]
    assert train.lengths.tolist() == [2, 1]
    gaps, days, _ = train.times[0].T.numpy()
    np.testing.assert_allclose(np.expm1(days), [3, 10], rtol=1e-6)
    np.testing.assert_allclose(np.expm1(gaps), [2, 7], rtol=1e-6)


def test_a_network_of_vectors_alone_gets_the_epochs_that_have_one(encoded):
    train = series_inputs.series_inputs(False, 10)["train"]
    assert train.lengths.tolist() == [2, 1]
    np.testing.assert_array_equal(train.vectors[0], encoded[:2])
    assert train.seen.tolist() == [[True, True], [True, False]]


def test_an_empty_split_is_none(encoded):
    validation = series_inputs.series_inputs(True, 10)["validation"]
    assert [len(part) for part in validation] == [0] * 5
