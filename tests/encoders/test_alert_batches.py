"""Batches of alerts: the input of a network, and the vectors that it computes."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn

from tests.alert_tables import alert_rows, write_table
from tests.isolation import restored_torch_settings
from tests.models.networks import ALERT_ARCHITECTURES, alert_network, random_alerts
from ztfrep.data.alerts import Alerts
from ztfrep.data.features import ALERCE_FEATURES, PHYSICAL, ZSCORED_UNKNOWN
from ztfrep.encoders.alert_batches import (
    concatenate,
    encode,
    encode_batches,
    input_batches,
    map_batches,
)
from ztfrep.models.alert.base import N_FEATURES, AlertInput
from ztfrep.models.alert.preprocessing import FeatureScaling


@pytest.fixture(autouse=True)
def restored_threads():
    with restored_torch_settings():
        yield


every_architecture = pytest.mark.parametrize("architecture", ALERT_ARCHITECTURES)


def small_network(architecture="invariant", *, metadata=None, **changes):
    """Return a network of vectors of length 6, in evaluation mode; fit its feature scaling."""
    scaling = None if metadata is None else FeatureScaling.fit(metadata, PHYSICAL)
    return alert_network(architecture, scaling=scaling, latent_dim=6, **changes).eval()


def alerts_in_memory(n):
    """Return alerts with random stamps and metadata, each with its own."""
    rows = alert_rows(n)
    names = ALERCE_FEATURES.names
    return Alerts.from_arrays(rows["stamps"], {name: rows[name] for name in names})


def assert_equal(inputs, expected):
    for part, expected_part in zip(inputs, expected, strict=True):
        assert torch.equal(part, expected_part)


@every_architecture
def test_the_input_does_not_depend_on_the_rows_of_a_batch(tmp_path, architecture):
    table = write_table(tmp_path / "t.parquet", alert_rows(7))
    network = small_network(architecture, metadata=table.features())
    whole = concatenate(input_batches(network, table, 100))
    for rows in (1, 3):
        batches = list(input_batches(network, table, rows))
        assert [len(batch.pixels) for batch in batches] == [rows] * (7 // rows) + [7 % rows] * (
            7 % rows > 0
        )
        assert_equal(concatenate(batches), whole)


@every_architecture
def test_a_table_and_alerts_in_memory_make_the_same_input(tmp_path, architecture):
    rows = alert_rows(5)
    rows["stamps"][2, :, :4] = np.nan
    table = write_table(tmp_path / "t.parquet", rows)
    network = small_network(architecture, metadata=table.features())
    columns = {name: rows[name] for name in network.preprocessing.feature_scaling.names}
    # A table has its features as float32.
    columns = {name: column.astype(np.float32) for name, column in columns.items()}
    columns |= {name: rows[name] for name in ("ra", "dec")}
    alerts = Alerts.from_arrays(rows["stamps"], columns)
    assert_equal(*(concatenate(input_batches(network, source, 2)) for source in (table, alerts)))


def test_rows_without_stamps_are_excluded(tmp_path):
    rows = alert_rows(5)
    rows["stamps"][1] = np.nan
    table = write_table(tmp_path / "t.parquet", rows)
    network = small_network(metadata=table.features())
    inputs = concatenate(input_batches(network, table, 2))
    expected = network.preprocess(
        rows["stamps"][[0, 2, 3, 4]], table.features()[[0, 2, 3, 4]], PHYSICAL
    )
    assert_equal(inputs, expected)


def test_metadata_of_another_unit_is_ignored_with_one_warning(tmp_path, caplog):
    network = small_network(metadata=np.ones((3, N_FEATURES)))
    table = write_table(tmp_path / "t.parquet", alert_rows(5), unit=ZSCORED_UNKNOWN)
    with caplog.at_level(logging.WARNING):
        alerts = concatenate(input_batches(network, table, 2))
    assert not alerts.feature_mask.any()
    assert caplog.messages == [
        "the metadata is in unit zscored-unknown and the network was trained on unit physical: "
        "it is ignored"
    ]


@pytest.mark.parametrize("case", ["no metadata", "not requested", "not read by the network"])
def test_there_is_no_warning_if_metadata_is_not_needed(tmp_path, caplog, case):
    architecture = "published" if case == "not read by the network" else "invariant"
    network = small_network(architecture, metadata=np.ones((3, N_FEATURES)))
    columns = alert_rows(5)
    if case == "no metadata":
        for name in network.preprocessing.feature_scaling.names:
            del columns[name]
    table = write_table(tmp_path / "t.parquet", columns, unit=ZSCORED_UNKNOWN)
    with caplog.at_level(logging.WARNING):
        batches = input_batches(network, table, 2, with_metadata=case != "not requested")
        assert not concatenate(batches).feature_mask.any()
    assert caplog.messages == []


def test_without_metadata_only_the_stamps_are_read(tmp_path):
    table = write_table(tmp_path / "t.parquet", alert_rows(5))
    network = small_network(metadata=table.features())
    with_metadata = concatenate(input_batches(network, table, 2))
    stamps_only = concatenate(input_batches(network, table, 2, with_metadata=False))
    assert with_metadata.feature_mask.any()
    assert not stamps_only.feature_mask.any()
    assert torch.equal(stamps_only.pixels, with_metadata.pixels)


def test_concatenated_images_are_in_the_format_of_convolutions():
    whole = concatenate([random_alerts(3), random_alerts(2, seed=1)])
    assert len(whole.pixels) == len(whole.features) == 5
    for part in (whole.pixels, whole.crop_and_context):
        assert part.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(whole.pixels[3:], random_alerts(2, seed=1).pixels)


@every_architecture
def test_vectors_do_not_depend_on_the_batches_and_come_with_orientations(architecture):
    source = alerts_in_memory(10)
    network = small_network(architecture, metadata=source.metadata)
    alerts = concatenate(input_batches(network, source, 10))
    whole = encode(network, alerts, "float32")
    assert whole.shape == (10, 6)
    assert whole.dtype == np.float32
    encoded = list(encode_batches(network, source, 4, "float32"))
    assert [len(batch.vectors) for batch in encoded] == [4, 4, 2]
    vectors = np.concatenate([batch.vectors for batch in encoded])
    np.testing.assert_allclose(vectors, whole, rtol=1e-5, atol=1e-6)
    orientations = np.concatenate([batch.orientations for batch in encoded])
    np.testing.assert_array_equal(orientations, network.orientation(alerts))


@every_architecture
def test_vectors_have_the_same_bytes_for_any_number_of_threads(architecture):
    source = alerts_in_memory(20)
    network = small_network(architecture, metadata=source.metadata)
    encoded = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        batches = list(encode_batches(network, source, 3, "float32"))
        encoded.append([np.concatenate(parts).tobytes() for parts in zip(*batches, strict=True)])
    assert encoded[0] == encoded[1] == encoded[2]


def test_results_are_in_the_order_of_the_batches_whichever_is_ready_first():
    source, network = alerts_in_memory(12), small_network()
    torch.set_num_threads(3)
    first = threading.Event()

    def means(batch):
        mean = batch.pixels.mean().item()
        if mean == expected[0]:
            # The first batch is ready after the second.
            assert first.wait(60)
        elif mean == expected[1]:
            first.set()
        return mean

    expected = [batch.pixels.mean().item() for batch in input_batches(network, source, 2)]
    assert len(set(expected)) == 6
    assert list(map_batches(network, source, 2, means)) == expected


def test_each_batch_is_computed_without_gradients_by_one_thread():
    source, network = alerts_in_memory(6), small_network()
    torch.set_num_threads(2)

    def state(batch):
        here = threading.current_thread() is threading.main_thread()
        return torch.get_num_threads(), torch.is_inference_mode_enabled(), here

    assert list(map_batches(network, source, 2, state)) == [(1, True, False)] * 3
    assert torch.get_num_threads() == 2
    # Threads that start later have as many as before.
    with ThreadPoolExecutor(1) as executor:
        assert executor.submit(torch.get_num_threads).result() == 2


def test_metadata_can_be_masked_in_all_batches():
    source = alerts_in_memory(6)
    network = small_network(metadata=source.metadata)

    def known(batch):
        return bool(batch.feature_mask.any())

    assert list(map_batches(network, source, 3, known)) == [True, True]
    assert list(map_batches(network, source, 3, known, with_metadata=False)) == [False, False]


class Recorder:
    """A source of alerts that counts the batches that were read."""

    def __init__(self, alerts):
        self.alerts, self.feature_unit, self.read = alerts, alerts.feature_unit, 0

    def batches(self, rows):
        for batch in self.alerts.batches(rows):
            self.read += 1
            yield batch


def test_only_some_batches_are_read_before_their_results_are_used():
    source, network = Recorder(alerts_in_memory(30)), small_network()
    torch.set_num_threads(2)
    for used, _ in enumerate(map_batches(network, source, 1, len)):
        # Two are computed, one waits, and one result is the one used.
        assert source.read <= used + 4
    assert source.read == 30


@pytest.mark.parametrize("stop", ["an error", "no more use"])
def test_threads_are_restored_if_the_batches_end_early(stop):
    source, network = Recorder(alerts_in_memory(30)), small_network()
    torch.set_num_threads(2)
    before = threading.active_count()

    def compute(batch):
        if stop == "an error":
            raise ValueError("not finite")
        return len(batch.pixels)

    results = map_batches(network, source, 1, compute)
    if stop == "an error":
        with pytest.raises(ValueError, match="not finite"):
            list(results)
    else:
        assert next(results) == 1
        results.close()
    assert source.read < 30
    assert torch.get_num_threads() == 2
    assert threading.active_count() == before


def test_encoding_has_no_dropout():
    network, alerts = small_network(dropout=0.5).train(), random_alerts(4)
    first, second = (encode(network, alerts, "float32") for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert not network.training


def test_mixed_precision_changes_vectors_little():
    network, alerts = small_network(), random_alerts(10)
    exact, mixed = (encode(network, alerts, precision) for precision in ("float32", "bf16"))
    assert mixed.dtype == np.float32
    assert 0 < np.abs(mixed - exact).max() < 0.1


class Linear(nn.Linear):
    """A network whose vectors are a linear function of the pixels."""

    def encode(self, alerts):
        return self(alerts.pixels)


def test_vectors_that_are_not_finite_are_refused():
    network = Linear(3, 2)
    alerts = AlertInput(*[torch.full((4, 3), torch.nan)] * 5)
    with pytest.raises(ValueError, match="vectors that are not finite"):
        encode(network, alerts, "float32")
