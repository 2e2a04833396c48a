"""Training that starts from the released encoder: when it does, frozen or tuned."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.alert_tables import alert_rows, write_table
from tests.models.networks import PARAMS, alert_config
from ztfrep.encoders.encoder import RELEASED
from ztfrep.encoders.model_folder import WEIGHTS, read_model_reference
from ztfrep.encoders.model_folder import load_alert_network as load_network
from ztfrep.errors import InputError
from ztfrep.models.released_start import ReleasedStart
from ztfrep.training import released_encoder
from ztfrep.training.alert_training import train_autoencoder
from ztfrep.training.resumption import Progress
from ztfrep.training.training_run import RunSettings

pytestmark = pytest.mark.usefixtures("restored_torch_settings", "outside_a_repository")
N = 40
SPLITS = ["train"] * 25 + ["validation"] * 10 + ["test"] * 5
OPTIONS = PARAMS.autoencoder.released.model_copy(update={"epochs": 2})
RELEASED_STATE = load_file(RELEASED / "autoencoder" / WEIGHTS)


def rows(labelled=True, shift=40.0):
    """Alerts whose mean brightness depends on the class, and whose labels may be unknown."""
    labels = np.arange(N) % 5
    content = alert_rows(N, split=SPLITS)
    content["stamps"] = content["stamps"].copy()
    content["stamps"][:, :, 15:25, 15:25] += shift * labels[:, None, None, None]
    content["label"] = labels if labelled else np.full(N, -1)
    return content


@pytest.fixture
def train(tmp_path):
    """Return a function that trains on a table, and returns network, card, metrics and weights."""
    runs = 0

    def run(table, *, required=False, architecture="invariant", epochs=60, config=None, **options):
        nonlocal runs
        runs += 1
        folder = tmp_path / f"run{runs}"
        train_autoencoder(
            table.path,
            architecture,
            alert_config(architecture, batch_size=8, **(config or {})),
            RunSettings(
                epochs=epochs, seed=3, threads=1, precision="float32", start_weights=None,
                checkpoints=folder / "checkpoints",
            ),
            model=folder / "model",
            metrics=folder / "metrics",
            released=ReleasedStart(OPTIONS.model_copy(update=options), required),
        )  # fmt: skip
        metrics = json.loads((folder / "metrics/metrics.json").read_text())
        network, card = load_network(folder / "model")
        return network, card, metrics, load_file(folder / "model" / WEIGHTS)

    return run


@pytest.fixture
def table(tmp_path):
    return write_table(tmp_path / "stamps.parquet", rows())


def changed(state):
    return {name for name, value in state.items() if not torch.equal(value, RELEASED_STATE[name])}


HEAD = {"classifier_head.2.weight", "classifier_head.2.bias"}


def test_without_labels_the_encoder_is_the_released_one(tmp_path, train):
    unlabelled = write_table(tmp_path / "unlabelled.parquet", rows(labelled=False))
    for training in ("validation", "tuned", "frozen"):
        _, card, metrics, state = train(unlabelled, training=training)
        assert changed(state) == set()
        assert (card.start_weights, card.epochs) == ("released", 0)
        assert (metrics["labelled_train_rows"], metrics["tuned"]) == (0, 0)


def test_without_labels_probabilities_are_calibrated_as_the_released_ones(tmp_path, train):
    unlabelled = write_table(tmp_path / "unlabelled.parquet", rows(labelled=False))
    _, card, _, _ = train(unlabelled)
    own = read_model_reference(tmp_path / "run1/model", card)
    released = read_model_reference(RELEASED / "autoencoder", card)
    assert own.temperature == released.temperature != 1
    assert np.array_equal(own.true_probabilities, released.true_probabilities)
    assert len(own.vectors) == 25


def test_a_frozen_encoder_has_another_head_and_nothing_else(table, train):
    _, card, metrics, state = train(table, training="frozen")
    assert changed(state) == HEAD
    assert card.selection["labelled_train_rows"] == metrics["labelled_train_rows"] == 25
    assert metrics["tuned"] == 0


def test_a_tuned_encoder_has_other_weights_and_the_released_scale_of_the_metadata(table, train):
    _, card, metrics, state = train(table, training="tuned")
    assert changed(state) > HEAD | {"stamp_encoder.0.weight"}
    assert metrics["tuned"] == 1
    assert card.epochs == 2
    assert card.config.learning_rate == OPTIONS.learning_rate
    _, released = load_network(RELEASED / "autoencoder")
    assert card.features == released.features


@pytest.mark.parametrize(
    ("option", "value"), [("learning_rate", 0.001), ("epochs", 1), ("head_c", 10.0)]
)
def test_another_value_of_an_option_trains_other_weights(table, train, option, value):
    *_, state = train(table, training="tuned")
    *_, other = train(table, training="tuned", **{option: value})
    assert any(not torch.equal(state[name], other[name]) for name in state)


def test_a_training_repeats_itself(table, train):
    *_, state = train(table)
    *_, other = train(table)
    assert all(torch.equal(state[name], other[name]) for name in state)


@pytest.mark.parametrize(
    ("below", "origin"), [(26, "released"), (25, "data/none"), (0, "data/none")]
)
def test_from_that_number_of_labels_on_training_starts_from_nothing(table, train, below, origin):
    assert train(table, epochs=0, below=below)[1].start_weights == origin


def test_whoever_trains_without_labels_starts_from_nothing(table, train):
    config = {"classification_weight": 0.0, "contrastive_weight": 0.0, "sampling": "distinct"}
    assert train(table, epochs=0, config=config)[1].start_weights == "data/none"
    *_, card, _, state = train(table, epochs=0, config=config, required=True)
    assert card.start_weights == "released"
    assert changed(state) == set()


@pytest.mark.parametrize(
    ("architecture", "config", "message"),
    [
        ("published", {}, "found released with architecture published; expected architecture inv"),
        ("invariant", {"latent_dim": 64}, "released with latent_dim 64; expected latent_dim 128"),
        (
            "invariant",
            {"stamp_scaling": "asinh"},
            "stamp_scaling asinh; expected stamp_scaling min",
        ),
        ("invariant", {"excluded_features": []}, "masked_features none; expected masked_features"),
        ("invariant", {"pca_fraction": 0.5}, "other parameters, which change "),
    ],
)
def test_another_network_starts_from_nothing_or_is_refused(
    table, train, architecture, config, message
):
    kind = {"architecture": architecture, "config": config, "epochs": 0}
    assert train(table, **kind)[1].start_weights == "data/none"
    with pytest.raises(InputError) as error:
        train(table, **kind, required=True)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_epochs_of_the_table_are_a_maximum(table, train):
    _, card, _, state = train(table, epochs=0, training="tuned")
    assert card.epochs == 0
    assert changed(state) == HEAD


def test_metadata_in_another_unit_is_ignored(tmp_path, train, caplog):
    content = rows()
    zscored = write_table(tmp_path / "zscored.parquet", content, unit="zscored-unknown")
    *_, state = train(zscored, training="frozen")
    assert "it is ignored" in caplog.text
    for name in ("magpsf", "sgscore1"):
        content[name] = content[name] + 1
    other = write_table(tmp_path / "other.parquet", content, unit="zscored-unknown")
    assert changed(state) == HEAD
    assert all(
        torch.equal(state[name], part) for name, part in train(other, training="frozen")[3].items()
    )


@pytest.mark.parametrize(("after", "tuned"), [(0.9, True), (0.5, False), (0.8, True)])
def test_the_encoder_with_the_better_head_on_validation_rows_is_selected(monkeypatch, after, tuned):
    """The tuned one if they are equal."""
    accuracies = iter([0.8, after])
    monkeypatch.setattr(released_encoder, "_vectors", lambda network, data: None)
    monkeypatch.setattr(released_encoder, "head_accuracy", lambda *_: next(accuracies))
    network = torch.nn.Linear(2, 2)
    frozen = {name: value.clone() for name, value in network.state_dict().items()}
    data = (torch.tensor([0, 1, -1]),)
    select = released_encoder.selector(network, data, data, OPTIONS)
    torch.nn.init.zeros_(network.weight)
    history = [{"epoch": 0, "validation_loss": 2.0}, {"epoch": 1, "validation_loss": 1.0}]
    progress, figures = select(Progress(history, 1, network.state_dict()))
    assert figures == {
        "labelled_train_rows": 2, "frozen_balanced_accuracy": 0.8,
        "tuned_balanced_accuracy": after, "tuned": tuned,
    }  # fmt: skip
    assert torch.equal(network.weight, frozen["weight"]) != tuned
    assert (len(progress.history), progress.best_epoch) == ((2, 1) if tuned else (1, 0))


def test_the_released_encoder_with_a_reference_of_its_own_rows_is_written(table, train, tmp_path):
    _, card, _, _ = train(table)
    assert len(read_model_reference(tmp_path / "run1/model", card).vectors) == 25
