"""Training of an autoencoder of alerts on a stamps table."""

import numpy as np
import pandas as pd
import pytest
import torch

from tests.alert_tables import alert_rows, write_table
from tests.models.networks import ALERT_ARCHITECTURES, alert_config, alert_network, random_alerts
from ztfrep.data.features import PHYSICAL
from ztfrep.encoders.model_folder import CARD, WEIGHTS, load_alert_network
from ztfrep.errors import InputError
from ztfrep.models.alert.morphology import N_MORPHOLOGY
from ztfrep.models.alert.preprocessing import FeatureScaling
from ztfrep.training import alert_training
from ztfrep.training.alert_training import (
    alert_loss,
    epoch_rows,
    make_dataset,
    train_autoencoder,
)
from ztfrep.training.training_run import RunSettings

pytestmark = pytest.mark.usefixtures("restored_torch_settings", "outside_a_repository")
SPLITS = ["train"] * 24 + ["validation"] * 6 + ["test"] * 6
every_architecture = pytest.mark.parametrize("architecture", ALERT_ARCHITECTURES)


@pytest.fixture
def table(tmp_path):
    rows = alert_rows(36, split=SPLITS)
    rows["label"][[3, 4]] = -1
    return write_table(tmp_path / "stamps.parquet", rows)


def train(table, folder, architecture="invariant", *, start_weights=None, seed=7, **changes):
    config = alert_config(architecture, **{"latent_dim": 8, "batch_size": 8} | changes)
    settings = RunSettings(
        epochs=1, seed=seed, threads=1, precision="float32",
        start_weights=start_weights, checkpoints=folder.parent / "checkpoints",
    )  # fmt: skip
    train_autoencoder(
        table.path, architecture, config, settings,
        model=folder, metrics=folder.parent / f"{folder.name}-metrics",
    )  # fmt: skip
    return load_alert_network(folder)


def bytes_of(folder):
    return [(folder / name).read_bytes() for name in (CARD, WEIGHTS)]


@every_architecture
def test_the_same_seed_trains_the_same_bytes_and_another_seed_others(tmp_path, table, architecture):
    _, card = train(table, tmp_path / "first", architecture)
    train(table, tmp_path / "same", architecture)
    train(table, tmp_path / "other", architecture, seed=8)
    assert bytes_of(tmp_path / "first") == bytes_of(tmp_path / "same")
    assert bytes_of(tmp_path / "first")[1] != bytes_of(tmp_path / "other")[1]
    assert card.architecture == architecture
    assert card.epochs == 1


@every_architecture
def test_the_features_are_scaled_by_the_train_split_alone(tmp_path, table, architecture):
    network, card = train(table, tmp_path / "model", architecture)
    metadata = table.features()[np.array(SPLITS) == "train"]
    expected = FeatureScaling.fit(metadata, PHYSICAL, card.config.masked_features)
    assert card.features == network.preprocessing.feature_scaling == expected


def test_statistics_of_the_network_are_those_of_the_train_split(tmp_path, table):
    network, card = train(table, tmp_path / "model", drop_stamps=0.0)
    alerts = next(iter(table.batches(36)))
    train_rows = np.array(SPLITS) == "train"
    inputs = card.build().preprocess(
        alerts.stamps[train_rows], alerts.metadata[train_rows], PHYSICAL
    )
    expected = card.build()
    expected.fit_statistics(inputs)
    for name in ("bin_edges", "mean_pixels", "morphology_mean", "morphology_std"):
        torch.testing.assert_close(network.state_dict()[name], expected.state_dict()[name])


def test_weights_of_a_model_folder_keep_the_scaling_that_they_were_trained_with(tmp_path, table):
    first, card = train(table, tmp_path / "first", excluded_features=["ra"])
    rows = alert_rows(36, seed=1, split=SPLITS)
    other_table = write_table(tmp_path / "other.parquet", rows)
    weights = tmp_path / "first" / WEIGHTS
    network, second = train(
        other_table, tmp_path / "second", start_weights=weights, learning_rate=1e-9,
        excluded_features=["ra"],
    )  # fmt: skip
    assert second.features == card.features
    assert second.start_weights == str(weights)
    # With this learning rate the start weights do not change.
    for name, parameter in first.named_parameters():
        torch.testing.assert_close(network.get_parameter(name), parameter, atol=1e-6, rtol=0)


def test_start_weights_that_exclude_other_features_are_refused(tmp_path, table):
    train(table, tmp_path / "first", excluded_features=["ra"])
    weights = tmp_path / "first" / WEIGHTS
    with pytest.raises(InputError, match="excludes ra; expected one that excludes no feature"):
        train(table, tmp_path / "second", start_weights=weights, excluded_features=[])
    assert not (tmp_path / "second").exists()


def test_published_weights_get_the_scaling_of_the_train_split(tmp_path, table):
    donor = alert_network("published", latent_dim=8)
    torch.save(donor.state_dict(), tmp_path / "checkpoint.pth")
    network, card = train(
        table, tmp_path / "model", "published",
        start_weights=tmp_path / "checkpoint.pth", learning_rate=1e-9,
    )  # fmt: skip
    metadata = table.features()[np.array(SPLITS) == "train"]
    assert card.features == FeatureScaling.fit(metadata, PHYSICAL)
    for name, parameter in donor.named_parameters():
        torch.testing.assert_close(network.get_parameter(name), parameter, atol=1e-6, rtol=0)


class Recorder(torch.nn.Module):
    """A network that records what its loss is computed of."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.received = None

    def loss(self, alerts, original, targets, labels):
        self.received = alerts, original, targets, labels
        return {}


def test_alerts_are_only_augmented_in_training_and_the_original_is_not_changed():
    recorder = Recorder(alert_config("invariant", noise=1.0, drop_features=0.9))
    labels, targets = torch.arange(20) % 5, (torch.rand(20, 3), torch.rand(20) > 0.5)
    alert_loss(recorder.train(), (*random_alerts(20), *targets, labels))
    alerts, original, received_targets, received_labels = recorder.received
    assert not torch.equal(alerts.crop_and_context, original.crop_and_context)
    assert not torch.equal(alerts.feature_mask, original.feature_mask)
    for part, expected in zip(original, random_alerts(20), strict=True):
        assert torch.equal(part, expected)
    assert torch.equal(received_labels, labels)
    for part, expected in zip(received_targets, targets, strict=True):
        assert part is expected
    alert_loss(recorder.eval(), (*random_alerts(20), labels))
    alerts, original, received_targets, _ = recorder.received
    assert received_targets == ()
    for part, expected in zip(alerts, original, strict=True):
        assert torch.equal(part, expected)


def test_without_augmentation_a_network_is_trained_on_the_original_alerts():
    recorder = Recorder(alert_config("published"))
    state = torch.get_rng_state()
    alert_loss(recorder.train(), (*random_alerts(20), torch.arange(20) % 5))
    alerts, original, *_ = recorder.received
    assert alerts is original
    # No random number is drawn, as in the published training.
    assert torch.equal(torch.get_rng_state(), state)


@every_architecture
def test_targets_are_computed_once_and_equal_those_of_each_batch(monkeypatch, architecture):
    # In several parts, as those of a large table are.
    monkeypatch.setattr(alert_training, "_TARGET_ROWS", 7)
    network = alert_network(architecture)
    alerts, labels = random_alerts(20), torch.arange(20) % 5
    network.fit_statistics(alerts)
    data = make_dataset(network, alerts, labels)
    parts, targets = data[: len(alerts)], data[len(alerts) : -1]
    for part, expected in zip(parts, alerts, strict=True):
        assert part is expected
    assert data[-1] is labels
    rows = torch.tensor([11, 2, 19, 7])
    of_batch = network.targets(alerts.rows(rows))
    # The last one of this architecture is random noise, which depends on the position of a row.
    last = -1 if architecture == "invariant" else None
    for target, expected in zip(targets[:last], of_batch[:last], strict=True):
        torch.testing.assert_close(target[rows], expected, atol=1e-5, rtol=0)
    # Weights have no effect on them.
    for parameter in network.parameters():
        parameter.data.add_(1)
    for target, expected in zip(of_batch, network.targets(alerts.rows(rows)), strict=True):
        assert torch.equal(target, expected)


def test_a_network_has_the_targets_of_terms_that_have_a_weight():
    alerts = random_alerts(4)
    assert alert_network("published").targets(alerts) == ()
    weights = {"morphology_weight": 0.0, "denoising_weight": 0.0}
    assert alert_network("invariant", **weights).targets(alerts) == ()
    for weight, number in (("morphology_weight", 3), ("denoising_weight", 2)):
        assert len(alert_network("invariant", **{weight: 0.0}).targets(alerts)) == number
    morphology, mask, *_ = alert_network("invariant").targets(alerts)
    assert morphology.shape == mask.shape == (4, N_MORPHOLOGY)
    assert mask.dtype == torch.bool


def test_an_epoch_repeats_rows_by_the_sampling():
    rows = pd.DataFrame({"n_copies": [1, 3, 1, 1, 2], "label": [0, 0, 0, 1, -1]})
    assert epoch_rows(rows, "distinct").tolist() == [0, 1, 2, 3, 4]
    assert epoch_rows(rows, "copies").tolist() == [0, 1, 1, 1, 2, 3, 4, 4]
    assert epoch_rows(rows, "balanced").tolist() == [0, 1, 2, 3, 3, 3, 4]
