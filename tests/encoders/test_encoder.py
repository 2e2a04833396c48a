"""A trained encoder: alerts in, vectors, classes and reconstructions out."""

import numpy as np
import pytest
import torch

import ztfrep
from tests.alert_tables import alert_rows, write_table
from tests.isolation import restored_torch_settings
from tests.model_folders import ALERT_FOLDERS, OBJECT_FOLDERS, save
from ztfrep.data.alert_schema import CLASSES
from ztfrep.data.features import ALERCE_FEATURES
from ztfrep.data.vector_files import read_vectors
from ztfrep.encoders.encoder import load
from ztfrep.encoders.vectors_of_tables import (
    encode_alert_table,
    encode_object_series,
    encode_series_table,
)
from ztfrep.errors import InputError

every_network = pytest.mark.parametrize("name", ALERT_FOLDERS)
OBJECTS = ["A", "A", "A", "B", "C", "C"]


@pytest.fixture
def models(tmp_path):
    """Write a folder of networks of alerts and of objects."""

    def write(alerts="alert-invariant", objects="object-temporal-gru"):
        save(tmp_path / "models/autoencoder", alerts)
        save(tmp_path / "models/recurrent", objects)
        return tmp_path / "models"

    return write


@pytest.fixture
def rows():
    columns = alert_rows(6, object_id=OBJECTS, detection=np.array([0, 1, 2, 0, 0, 1]))
    # A table has its features as float32, but for the position.
    for name in ALERCE_FEATURES.names:
        if name not in ("ra", "dec"):
            columns[name] = columns[name].astype(np.float32)
    return columns


@pytest.fixture
def table(tmp_path, rows):
    return write_table(tmp_path / "alerts.parquet", rows)


def metadata(rows):
    return {name: rows[name] for name in ALERCE_FEATURES.names}


def assert_close(vectors, expected):
    np.testing.assert_allclose(vectors, expected, rtol=1e-4, atol=1e-5)


@every_network
def test_arrays_and_a_table_of_the_same_alerts_have_the_same_vectors(models, rows, table, name):
    encoder = load(models(name), device="cpu")
    vectors = encoder.encode(ztfrep.read_table(table.path))
    assert vectors.shape == (6, 6)
    assert vectors.dtype == np.float32
    np.testing.assert_array_equal(encoder.encode_stamps(rows["stamps"], metadata(rows)), vectors)


@every_network
def test_vectors_are_those_of_the_pipeline(tmp_path, models, table, name):
    folder = models(name)
    with restored_torch_settings():
        encode_alert_table(
            table.path, folder / "autoencoder", tmp_path / "base.npy",
            batch_size=128, precision="float32", threads=torch.get_num_threads(),
        )  # fmt: skip
    expected = read_vectors(tmp_path / "base.npy")["train"].vectors
    assert_close(load(folder, device="cpu").encode(table), expected)


@pytest.mark.parametrize("name", OBJECT_FOLDERS)
def test_vectors_of_objects_are_those_of_the_pipeline(tmp_path, models, rows, name):
    folder = models(objects=name)
    # An upper limit, which has no stamps.
    rows["stamps"][1] = np.nan
    table = write_table(tmp_path / "series.parquet", rows)
    options = {"precision": "float32", "threads": torch.get_num_threads()}
    vectors, observations = tmp_path / "vectors.npy", tmp_path / "observations.parquet"
    output = tmp_path / "objects.npy"
    with restored_torch_settings():
        encode_series_table(
            table.path, folder / "autoencoder", tmp_path / "none.npy", vectors, observations,
            batch_size=128, **options,
        )  # fmt: skip
        encode_object_series(vectors, observations, folder / "recurrent", output, **options)
    ids, encoded = load(folder, device="cpu").encode_objects(table)
    assert ids.tolist() == ["A", "B", "C"]
    assert_close(encoded, read_vectors(output)["train"].vectors)


def test_missing_metadata_is_unknown_to_the_network(models, rows):
    encoder = load(models(), device="cpu")
    without = encoder.encode_stamps(rows["stamps"])
    some = encoder.encode_stamps(rows["stamps"], {"magpsf": rows["magpsf"]})
    everything = encoder.encode_stamps(rows["stamps"], metadata(rows))
    missing = metadata(rows) | {name: np.full(6, np.nan) for name in ALERCE_FEATURES.names}
    np.testing.assert_array_equal(encoder.encode_stamps(rows["stamps"], missing), without)
    assert not np.allclose(some, without)
    assert not np.allclose(some, everything)


@every_network
def test_class_probabilities_sum_to_one_beside_the_names_of_the_alerts(models, rows, table, name):
    encoder = load(models(name), device="cpu")
    probabilities = encoder.classify(table)
    assert list(probabilities) == ["object_id", "candid", *CLASSES]
    assert probabilities["object_id"].tolist() == OBJECTS
    assert probabilities["candid"].tolist() == rows["candid"].tolist()
    values = probabilities[list(CLASSES)].to_numpy()
    np.testing.assert_allclose(values.sum(axis=1), 1, rtol=1e-5)
    with torch.inference_mode():
        logits = encoder.network.classify(torch.from_numpy(encoder.encode(table)))
    assert_close(values, (logits / encoder.reference.temperature).softmax(dim=1))


@every_network
def test_reconstructions_are_in_the_scale_and_orientation_of_the_scaled_stamps(models, table, name):
    encoder = load(models(name), device="cpu")
    pixels, mask = encoder.scaled_stamps(table)
    alerts = next(iter(table.batches(6)))
    inputs = encoder.network.preprocess(alerts.stamps, alerts.metadata, table.feature_unit)
    # Before its statistics are fitted a network may reconstruct the same for every stamp.
    encoder.network.fit_statistics(inputs)
    np.testing.assert_array_equal(pixels, inputs.pixels)
    np.testing.assert_array_equal(mask, inputs.pixel_mask)
    reconstructed = encoder.reconstruct(table)
    assert reconstructed.shape == pixels.shape == (6, 3, 21, 21)
    assert reconstructed.dtype == np.float32
    with torch.inference_mode():
        output = encoder.network(inputs)
        assert_close(reconstructed, output.reconstruction)
    if output.denoised is not None:
        assert_close(encoder.reconstruct(table, denoised=True), output.denoised)
    else:
        with pytest.raises(InputError, match="found no output of denoised stamps"):
            encoder.reconstruct(table, denoised=True)


def test_rows_without_stamps_have_no_vector(tmp_path, models, rows):
    rows["stamps"][1] = np.nan
    table = write_table(tmp_path / "t.parquet", rows)
    encoder = load(models(), device="cpu")
    assert len(encoder.encode(table)) == 5
    assert encoder.classify(table)["candid"].tolist() == np.delete(rows["candid"], 1).tolist()


def test_vectors_do_not_depend_on_the_batch_size(models, table):
    encoder = load(models(), device="cpu")
    vectors = encoder.encode(table)
    encoder.batch_size = 4
    assert_close(encoder.encode(table), vectors)


def test_alerts_without_any_stamps_are_refused(models):
    encoder = load(models(), device="cpu")
    with pytest.raises(ValueError, match="no alerts with stamps"):
        encoder.encode_stamps(np.empty((0, 3, 63, 63)))


def test_the_folder_of_an_autoencoder_alone_encodes_alerts_and_no_objects(models, table):
    folder = models()
    encoder = load(folder / "autoencoder", device="cpu")
    np.testing.assert_array_equal(encoder.encode(table), load(folder, device="cpu").encode(table))
    with pytest.raises(
        InputError, match="found a network of alerts alone; expected a network of objects"
    ):
        encoder.encode_objects(table)


def test_networks_that_were_not_trained_together_are_refused(tmp_path):
    save(tmp_path / "autoencoder", "alert-invariant", latent_dim=8)
    save(tmp_path / "recurrent", "object-temporal-gru")
    with pytest.raises(InputError, match="vectors of 6 numbers; expected vectors of 8"):
        load(tmp_path)


def test_a_device_that_there_is_not_is_refused(models):
    with pytest.raises(InputError, match="device: found 'abacus'"):
        load(models(), device="abacus")


def test_a_folder_without_models_says_how_to_make_one(tmp_path):
    with pytest.raises(InputError, match="train it with dvc repro"):
        load(tmp_path)
