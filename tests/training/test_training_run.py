"""The files of a training run that ends, fails or is interrupted."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from tests.models.networks import alert_config
from ztfrep.data.alert_schema import CLASSES
from ztfrep.data.features import ALERCE_FEATURES
from ztfrep.encoders.cards import AlertCard
from ztfrep.encoders.model_folder import WEIGHTS, load_weights, read_card
from ztfrep.encoders.predictions import NetworkOutputs
from ztfrep.errors import InputError
from ztfrep.models.alert.preprocessing import FeatureScaling
from ztfrep.training.training_run import RunSettings, train_and_save

N_FEATURES = len(ALERCE_FEATURES)
CONFIG = alert_config("invariant", batch_size=8, schedule="constant")
SCALING = FeatureScaling(
    unit="physical",
    mean=[0.0] * N_FEATURES,
    std=[1.0] * N_FEATURES,
    excluded=CONFIG.masked_features,
)


def make_card(run):
    return AlertCard.for_architecture("invariant")(
        architecture="invariant", classes=list(CLASSES), features=SCALING, **run
    )


@pytest.fixture
def train(tmp_path, outside_a_repository):
    """Return a function that trains a linear layer for two epochs and counts calls of the loss.

    With `fail_at`, that call of the loss raises `error`.
    """
    source = tmp_path / "input"
    source.write_bytes(b"input")

    def run(fail_at=None, config=CONFIG, error=None, **settings):
        torch.manual_seed(0)
        data = torch.randn(16, 3), torch.randn(16, 1), torch.arange(16) % len(CLASSES)
        calls = 0

        def loss(model, batch):
            nonlocal calls
            calls += 1
            if calls == fail_at:
                raise error or OSError(28, "No space left on device")
            x, y, _ = batch
            return {"loss": ((model(x) - y).square().mean(), torch.tensor(len(x)))}

        def outputs(model, parts):
            vectors = model(parts[0]).detach().numpy()
            return NetworkOutputs(vectors, np.repeat(vectors, len(CLASSES), axis=1), None)

        settings = {
            "epochs": 2, "seed": 7, "threads": 1, "precision": "float32",
            "start_weights": None, "checkpoints": tmp_path / "checkpoints",
        } | settings  # fmt: skip
        train_and_save(
            nn.Linear(3, 1), data, torch.arange(16), data, loss, outputs,
            RunSettings(**settings), make_card,
            name="autoencoder", recipe=config, inputs=[source],
            model=tmp_path / "model", metrics=tmp_path / "metrics",
        )  # fmt: skip
        return calls

    return run


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_run_writes_its_curves_and_the_metrics_of_its_best_epoch(train, tmp_path):
    # With so large a learning rate the last epoch is not the best one.
    train(config=CONFIG.model_copy(update={"learning_rate": 10.0}))
    assert set(contents(tmp_path / "metrics")) == {
        "metrics.json",
        "plots/metrics/train/loss.tsv",
        "plots/metrics/validation/loss.tsv",
    }
    rows = (tmp_path / "metrics/plots/metrics/validation/loss.tsv").read_text().splitlines()
    assert rows[0].split("\t") == ["step", "loss"]
    assert [row.split("\t")[0] for row in rows[1:]] == ["0", "1", "2"]
    metrics = json.loads((tmp_path / "metrics/metrics.json").read_text())
    losses = [float(row.split("\t")[1]) for row in rows[1:]]
    assert metrics["validation_loss"] == pytest.approx(min(losses), rel=1e-4)
    assert (metrics["best_epoch"], metrics["epochs"]) == (losses.index(min(losses)), 2)
    assert metrics["best_epoch"] < 2
    assert not list((tmp_path / "checkpoints").iterdir())


def test_the_card_has_the_settings_of_the_run(train, tmp_path):
    train()
    card = read_card(tmp_path / "model", AlertCard)
    assert card.config == CONFIG
    assert (card.seed, card.threads, card.precision, card.epochs) == (7, 1, "float32", 2)
    assert card.start_weights == "data/none"
    assert [record["epoch"] for record in card.history] == [0, 1, 2]
    assert card.torch == str(torch.__version__)


def test_training_starts_from_the_weights_of_a_file(train, tmp_path):
    train()
    weights = tmp_path / "other.safetensors"
    weights.write_bytes((tmp_path / "model" / WEIGHTS).read_bytes())
    train(epochs=0, start_weights=weights)
    network, expected = nn.Linear(3, 1), nn.Linear(3, 1)
    load_weights(network, tmp_path / "model" / WEIGHTS)
    load_weights(expected, weights)
    assert torch.equal(network.weight, expected.weight)
    assert read_card(tmp_path / "model", AlertCard).start_weights == str(weights)


def test_a_run_that_fails_does_not_change_the_files_of_an_earlier_run(train, tmp_path):
    train()
    before = contents(tmp_path / "metrics"), contents(tmp_path / "model")
    # The loss fails in the second epoch, when the first has been logged.
    with pytest.raises(OSError, match="No space left") as caught:
        train(fail_at=5)
    assert caught.value.filename == str(tmp_path / "metrics/plots")
    assert (contents(tmp_path / "metrics"), contents(tmp_path / "model")) == before
    assert not list((tmp_path / "metrics").glob(".*"))


def test_the_next_run_continues_from_the_checkpoint_with_the_same_files(train, tmp_path):
    calls = train()
    before = contents(tmp_path / "metrics"), contents(tmp_path / "model")
    with pytest.raises(KeyboardInterrupt):
        train(fail_at=5, error=KeyboardInterrupt())
    assert len(list((tmp_path / "checkpoints").iterdir())) == 1
    assert train() < calls
    assert (contents(tmp_path / "metrics"), contents(tmp_path / "model")) == before
    assert not list((tmp_path / "checkpoints").iterdir())


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 8},
        {"threads": 2},
        {"precision": "bf16"},
        {"epochs": 3},
        {"config": CONFIG.model_copy(update={"dropout": 0.5})},
        "input",
    ],
    ids=lambda change: change if isinstance(change, str) else next(iter(change)),
)
def test_a_checkpoint_of_other_settings_or_inputs_is_not_continued(train, tmp_path, change):
    with pytest.raises(KeyboardInterrupt):
        train(fail_at=5, error=KeyboardInterrupt())
    (checkpoint,) = (tmp_path / "checkpoints").iterdir()
    if change == "input":
        (tmp_path / "input").write_bytes(b"other input")
        change = {}
    train(**change)
    # The checkpoint remains for a run with its settings and inputs.
    assert checkpoint.is_file()


def test_a_training_that_diverges_is_an_error_that_names_the_learning_rate(train, tmp_path):
    diverging = CONFIG.model_copy(update={"optimizer": "sgd", "learning_rate": 1e30})
    with pytest.raises(InputError, match="lower the learning_rate of autoencoder") as error:
        train(config=diverging)
    assert "found training that diverges (train_loss " in str(error.value)
    assert not (tmp_path / "model").exists()
