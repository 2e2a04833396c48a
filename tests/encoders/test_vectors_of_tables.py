"""Files of vectors of whole tables: of single alerts, of series and of objects."""

import numpy as np
import pytest

from tests.alert_tables import CANDID, alert_rows, write_table
from tests.isolation import restored_torch_settings
from tests.model_folders import save
from ztfrep.data.alert_schema import SERIES_CLASSES
from ztfrep.data.alerts import PHOTOMETRY
from ztfrep.data.frames import read_frame
from ztfrep.data.row_index import read_row_index
from ztfrep.data.vector_files import read_vectors
from ztfrep.encoders.alert_batches import encode
from ztfrep.encoders.model_folder import load_alert_network, load_object_network
from ztfrep.encoders.vectors_of_tables import (
    encode_alert_table,
    encode_object_series,
    encode_series_table,
    read_object_inputs,
)
from ztfrep.errors import InputError
from ztfrep.models.object.observation_input import object_input

OPTIONS = {"batch_size": 2, "precision": "float32", "threads": 1}
OBJECT_OPTIONS = {"precision": "float32", "threads": 1}
SPLITS = ["train", "train", "train", "validation", "test", "test"]
# Rows of a series table: an object with an upper limit and two alerts, an object with an alert, and
# an object with an alert and an upper limit.
OBJECTS = ["A", "A", "A", "B", "C", "C"]
SERIES_SPLITS = ["train", "train", "train", "train", "test", "test"]
DETECTIONS = [0, 1, 2, 0, 0, 1]
ALERTS = [1, 2, 3, 4]


@pytest.fixture(autouse=True)
def torch_settings(monkeypatch):
    monkeypatch.setenv("ZTFREP_DEVICE", "cpu")
    with restored_torch_settings():
        yield


@pytest.fixture
def model(tmp_path):
    save(tmp_path / "alert-model", "alert-invariant")
    return tmp_path / "alert-model"


def series_rows():
    rows = alert_rows(6, object_id=OBJECTS, split=SERIES_SPLITS, detection=np.array(DETECTIONS))
    rows["label"] = np.array([0, 0, 0, 1, 2, 2])
    rows["stamps"][[0, 5]] = np.nan
    return rows


@pytest.fixture
def series(tmp_path):
    return write_table(tmp_path / "series.parquet", series_rows(), classes=SERIES_CLASSES)


@pytest.fixture
def encoded(tmp_path, model, series):
    """Encode the series table; return the paths of its vectors and of its observations."""
    output, observations = tmp_path / "vectors.npy", tmp_path / "observations.parquet"
    unused = tmp_path / "none.npy"
    encode_series_table(series.path, model, unused, output, observations, **OPTIONS)
    return output, observations


def vectors_of(model, rows, table, index):
    """Return the vectors of rows of a table, computed in one batch, and their orientations."""
    network, _ = load_alert_network(model)
    inputs = network.preprocess(rows["stamps"][index], table.features()[index], table.feature_unit)
    return encode(network, inputs, "float32"), network.orientation(inputs).numpy()


def assert_close(vectors, expected):
    np.testing.assert_allclose(vectors, expected, rtol=1e-4, atol=1e-5)


def test_every_alert_of_a_table_has_a_vector_by_split_in_its_order(tmp_path, model):
    rows = alert_rows(6, split=SPLITS)
    table = write_table(tmp_path / "stamps.parquet", rows)
    encode_alert_table(table.path, model, tmp_path / "base.npy", **OPTIONS)
    expected, orientations = vectors_of(model, rows, table, slice(None))
    index = read_row_index(tmp_path / "base.npy")
    assert index["candid"].tolist() == rows["candid"].tolist()
    assert index["orientation"].tolist() == orientations.tolist()
    assert index["row"].tolist() == [0, 1, 2, 0, 0, 1]
    for split, arrays in read_vectors(tmp_path / "base.npy").items():
        mask = np.array(SPLITS) == split
        assert_close(arrays.vectors, expected[mask])
        assert arrays.vectors.dtype == np.float32
        assert arrays.labels.tolist() == rows["label"][mask].tolist()


def test_a_series_has_the_vectors_of_its_alerts_in_time_order_and_zeros_after_them(
    model, series, encoded
):
    expected, orientations = vectors_of(model, series_rows(), series, ALERTS)
    splits, index = read_vectors(encoded[0]), read_row_index(encoded[0])
    train, test = splits["train"], splits["test"]
    assert train.vectors.shape == (2, 2, 6)
    assert_close(train.vectors[0], expected[:2])
    assert_close(train.vectors[1, 0], expected[2])
    assert (train.vectors[1, 1] == 0).all()
    assert_close(test.vectors[0, 0], expected[3])
    assert (test.vectors[0, 1] == 0).all()
    assert (train.labels.tolist(), test.labels.tolist()) == ([0, 1], [2])
    assert index["object_id"].tolist() == ["A", "B", "C"]
    assert index["length"].tolist() == [2, 1, 1]
    assert index.attrs["classes"] == list(SERIES_CLASSES)
    flat = [value for values in index["orientations"] for value in values]
    assert flat == orientations.tolist()


def test_every_observation_is_in_the_table_of_observations(series, encoded):
    table = read_frame(encoded[1])
    assert table["split"].tolist() == SERIES_SPLITS
    assert table["row"].tolist() == [0, 0, 0, 1, 0, 0]
    assert table["detection"].tolist() == DETECTIONS
    # The step of an observation is that of its vector.
    assert table["step"].tolist() == [-1, 0, 1, 0, 0, -1]
    rows = series_rows()
    np.testing.assert_array_equal(table["mjd"], rows["mjd"])
    np.testing.assert_array_equal(table["fid"], rows["fid"])
    for name in PHOTOMETRY:
        np.testing.assert_array_equal(table[name], rows[name].astype(np.float32))


@pytest.fixture
def two_tables(tmp_path, model):
    """Write a stamps table with its vectors, and a series table whose stamps are in it."""
    rows = series_rows()
    # In another order than in the series.
    order = [3, 1, 2, 4]
    stamps = {name: np.array(column)[order] for name, column in rows.items()}
    stamps |= {name: stamps[name].tolist() for name in ("object_id", "split")}
    table = write_table(tmp_path / "stamps.parquet", stamps)
    alert_vectors = tmp_path / "base.npy"
    encode_alert_table(table.path, model, alert_vectors, **OPTIONS)
    rows["has_stamps"] = np.isin(np.arange(6), ALERTS)
    del rows["stamps"]

    def write_series(**columns):
        return write_table(
            tmp_path / "by_candid.parquet", rows | columns,
            classes=SERIES_CLASSES, stamp_location="by_candid",
        )  # fmt: skip

    return alert_vectors, write_series


def test_a_series_whose_stamps_are_in_another_table_has_their_vectors(
    tmp_path, model, encoded, two_tables
):
    alert_vectors, write_series = two_tables
    output, observations = tmp_path / "other.npy", tmp_path / "other_observations.parquet"
    encode_series_table(write_series().path, model, alert_vectors, output, observations, **OPTIONS)
    for split, arrays in read_vectors(output).items():
        assert_close(arrays.vectors, read_vectors(encoded[0])[split].vectors)
    orientations = [
        [list(row) for row in read_row_index(path)["orientations"]] for path in (output, encoded[0])
    ]
    assert orientations[0] == orientations[1]
    assert read_frame(observations).equals(read_frame(encoded[1]))


@pytest.mark.parametrize(
    "columns",
    [
        {"candid": CANDID + np.array([0, 1, 2, 3, 99, 5])},
        {"split": ["train"] * 4 + ["validation"] * 2},
    ],
    ids=["of no such candid", "in another split"],
)
def test_a_series_of_an_alert_that_has_no_vector_is_refused(tmp_path, model, two_tables, columns):
    alert_vectors, write_series = two_tables
    with pytest.raises(InputError, match="candid"):
        encode_series_table(
            write_series(**columns).path, model, alert_vectors,
            tmp_path / "other.npy", tmp_path / "observations.parquet", **OPTIONS,
        )  # fmt: skip
    assert not (tmp_path / "other.npy").exists()


@pytest.mark.parametrize("name", ["object-temporal-gru", "object-published-gru"])
def test_every_object_has_a_vector_in_the_order_of_the_series(tmp_path, encoded, name):
    save(tmp_path / name, name)
    output = tmp_path / "objects.npy"
    encode_object_series(*encoded, tmp_path / name, output, **OBJECT_OPTIONS)
    network, card = load_object_network(tmp_path / name)
    table, series = read_frame(encoded[1]), read_vectors(encoded[0])
    for split, arrays in read_vectors(output).items():
        objects = object_input(
            table[table["split"] == split],
            series[split].vectors,
            max_observations=card.config.max_observations,
            all_observations=network.reads_all_observations,
        )
        if len(objects.lengths):
            assert_close(arrays.vectors, encode(network, objects, "float32"))
        assert arrays.vectors.shape == (len(objects.lengths), 8)
        assert arrays.labels.tolist() == series[split].labels.tolist()
    assert read_row_index(output).equals(read_row_index(encoded[0]))


def test_the_published_network_reads_no_upper_limits(tmp_path, encoded):
    lengths = {}
    for name in ("object-temporal-gru", "object-published-gru"):
        save(tmp_path / name, name)
        network, _ = load_object_network(tmp_path / name)
        inputs = read_object_inputs(*encoded, network)
        lengths[name] = {split: part.lengths.tolist() for split, part in inputs.items()}
    assert lengths["object-temporal-gru"] == {"train": [3, 1], "validation": [], "test": [2]}
    assert lengths["object-published-gru"] == {"train": [2, 1], "validation": [], "test": [1]}


def test_vectors_of_another_encoder_are_refused(tmp_path, series):
    save(tmp_path / "wide", "alert-invariant", latent_dim=8)
    save(tmp_path / "objects", "object-temporal-gru")
    output, observations = tmp_path / "vectors.npy", tmp_path / "observations.parquet"
    encode_series_table(
        series.path, tmp_path / "wide", tmp_path / "none.npy", output, observations, **OPTIONS
    )
    with pytest.raises(
        InputError, match="found vectors of 8 numbers; expected 6, as .* trained on"
    ):
        encode_object_series(
            output, observations, tmp_path / "objects", tmp_path / "objects.npy", **OBJECT_OPTIONS
        )
    assert not (tmp_path / "objects.npy").exists()


def test_encoding_a_table_again_writes_the_same_bytes(tmp_path, model):
    table = write_table(tmp_path / "stamps.parquet", alert_rows(6, split=SPLITS))
    for name in ("one.npy", "other.npy"):
        encode_alert_table(table.path, model, tmp_path / name, **OPTIONS)
    assert (tmp_path / "one.npy").read_bytes() == (tmp_path / "other.npy").read_bytes()
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "other.parquet").read_bytes()


def test_an_output_whose_row_index_would_overwrite_its_table_is_refused(model, series):
    before = series.path.read_bytes()
    with pytest.raises(ValueError, match="would overwrite"):
        encode_alert_table(series.path, model, series.path.with_suffix(".npy"), **OPTIONS)
    assert series.path.read_bytes() == before
