"""A broken checkpoint is renamed with a warning, and training starts again from the beginning."""

import copy
import io
import logging
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.isolation import restored_torch_settings
from ztfrep.encoders.devices import make_deterministic
from ztfrep.models.recipe import Recipe
from ztfrep.training.fit import fit
from ztfrep.training.resumption import load_progress
from ztfrep.training.steps import OPTIMIZERS, make_optimizer

RECIPE = Recipe(
    optimizer="adamw", learning_rate=0.05, schedule="cosine", epochs=None, batch_size=8, patience=10
)
EPOCHS = 4


@pytest.fixture(autouse=True, scope="module")
def deterministic():
    with restored_torch_settings():
        make_deterministic(1)
        yield


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))


def data(n, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 4, generator=generator)
    return x, x.sum(1, keepdim=True)


def loss(model, batch):
    x, y = batch
    return {"loss": ((model(x) - y).square().mean(), torch.tensor(len(x)))}


def run(recipe=RECIPE, *, epochs=EPOCHS, **options):
    model = network()
    progress = fit(
        model, data(32, 0), torch.arange(32), data(16, 1), loss, recipe,
        epochs=epochs, seed=3, precision="float32", **options,
    )  # fmt: skip
    return model.state_dict(), progress


def interrupted(checkpoint, recipe=RECIPE, after=2):
    """Leave the checkpoint of a run that was interrupted after an epoch."""

    def interrupt(record):
        if record["epoch"] == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(recipe, checkpoint=checkpoint, on_epoch=interrupt)
    return torch.load(checkpoint, weights_only=True)


@pytest.fixture(scope="module")
def good(tmp_path_factory, deterministic):
    """Return bytes and content of a checkpoint after epoch 2 of 4, and the uninterrupted result."""
    path = tmp_path_factory.mktemp("good") / "fit.pt"
    state = interrupted(path)
    return path.read_bytes(), state, run()


def torch_bytes(state):
    """Return the bytes that torch.save writes."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def zip_bomb():
    """Return a small zip archive that unpacks to more bytes than a checkpoint may have."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for number in range(2):
            archive.writestr(f"archive/data/{number}", bytes(1 << 26))
    return buffer.getvalue()


class Harmful:
    def __reduce__(self):
        return exec, ("open('executed', 'w')",)


BYTES = {
    "empty": lambda b: b"",
    "cut": lambda b: b[: len(b) // 2],
    "cut at the end": lambda b: b[:-1],
    "zeros": lambda b: bytes(len(b)),
    "zeros in the middle": lambda b: b[:2000] + bytes(500) + b[2500:],
    "text": lambda b: b"a text\n" * 100,
    "a page": lambda b: b"<!DOCTYPE html>",
    "another pickle": lambda b: pickle.dumps({"model": 1}),
    "a harmful pickle": lambda b: pickle.dumps(Harmful()),
    "a harmful checkpoint": lambda b: torch_bytes({"model": Harmful()}),
    "a list": lambda b: torch_bytes([1, 2]),
    "a tensor": lambda b: torch_bytes(torch.zeros(3)),
    "a bomb": lambda b: zip_bomb(),
}


def change(*path, value):
    """Return a function that sets the value at a path of keys, or applies `value` to it."""

    def apply(state):
        *inner, last = path
        for key in inner:
            state = state[key]
        state[last] = value(state[last]) if callable(value) else value

    return apply


def remove(*path):
    """Return a function that removes the last key of a path of keys."""

    def apply(state):
        *inner, last = path
        for key in inner:
            state = state[key]
        del state[last]

    return apply


NAN = float("nan")
CONTENTS = {
    "a key too few": remove("best_state"),
    "a key too many": change("extra", value=1),
    "no model": change("model", value=None),
    "a weight too few": remove("model", "0.weight"),
    "a weight too many": change("model", "9.weight", value=torch.zeros(1)),
    "another shape": change("model", "0.weight", value=torch.zeros(4, 8)),
    "a shape that broadcasts": change("model", "0.bias", value=torch.zeros(1)),
    "another dtype": change("best_state", "0.weight", value=lambda w: w.double()),
    "a list for a weight": change("best_state", "0.bias", value=[0.0] * 8),
    "a sparse weight": change("model", "0.weight", value=lambda w: w.to_sparse()),
    "NaN in the model": change("model", "0.weight", value=lambda w: w * NAN),
    "infinity in the best": change("best_state", "3.bias", value=lambda w: w * 0 + float("inf")),
    "no history": change("history", value=[]),
    "a history of numbers": change("history", value=[1.0, 2.0]),
    "a longer history": change("history", value=lambda h: [h[-1] | {"epoch": i} for i in range(9)]),
    "epochs out of order": change("history", value=lambda h: h[::-1]),
    "a loss that is no number": change("history", 1, "validation_loss", value=NAN),
    "a loss in words": change("history", 1, "validation_loss", value="0.5"),
    "a record without a loss": remove("history", 2, "validation_loss"),
    "another best epoch": change("best_epoch", value=0),
    "a best epoch beyond": change("best_epoch", value=7),
    "a best epoch in words": change("best_epoch", value="2"),
    "no optimizer": change("optimizer", value={}),
    "an optimizer without state": change("optimizer", "state", value={}),
    "a moment too few": remove("optimizer", "state", 0, "exp_avg"),
    "a moment of another shape": change("optimizer", "state", 0, "exp_avg", value=torch.zeros(3)),
    "NaN in a moment": change("optimizer", "state", 0, "exp_avg_sq", value=lambda v: v * NAN),
    "a step in words": change("optimizer", "state", 0, "step", value="2"),
    "a parameter too many": change("optimizer", "state", value=lambda s: s | {99: s[0]}),
    "another group": change("optimizer", "param_groups", 0, "weight_decay", value=0.5),
    "no group": change("optimizer", "param_groups", value=[]),
    "a learning rate of NaN": change("optimizer", "param_groups", 0, "lr", value=NAN),
}  # fmt: skip


def check_renamed(tmp_path, monkeypatch, caplog, content, expected):
    monkeypatch.chdir(tmp_path)
    checkpoint = tmp_path / "fit.pt"
    checkpoint.write_bytes(content)
    logged = []
    with caplog.at_level(logging.WARNING):
        weights, progress = run(checkpoint=checkpoint, on_epoch=logged.append)
    (message,) = caplog.messages
    assert str(checkpoint) in message
    assert "fit.pt.broken" in message
    assert "\n" not in message
    assert len(message) < 200 + len(str(checkpoint))
    assert (tmp_path / "fit.pt.broken").read_bytes() == content
    assert all(torch.equal(weights[name], value) for name, value in expected[0].items())
    assert logged == progress.history == expected[1].history
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("damage", BYTES)
def test_a_broken_file_is_renamed_with_a_warning_and_training_starts_again(
    tmp_path, monkeypatch, caplog, good, damage
):
    content, _, expected = good
    check_renamed(tmp_path, monkeypatch, caplog, BYTES[damage](content), expected)


@pytest.mark.parametrize("damage", CONTENTS)
def test_the_checkpoint_of_another_training_is_renamed_with_a_warning(
    tmp_path, monkeypatch, caplog, good, damage
):
    _, state, expected = good
    state = copy.deepcopy(state)
    CONTENTS[damage](state)
    check_renamed(tmp_path, monkeypatch, caplog, torch_bytes(state), expected)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("after", [0, 1, 4])
def test_a_whole_checkpoint_is_resumed_without_a_warning(tmp_path, caplog, optimizer, after):
    recipe = RECIPE.model_copy(update={"optimizer": optimizer})
    checkpoint = tmp_path / "fit.pt"
    interrupted(checkpoint, recipe, after)
    model = network()
    new_optimizer = make_optimizer(recipe, model.parameters(), torch.device("cpu"))
    progress = load_progress(checkpoint, model, new_optimizer, EPOCHS)
    assert len(progress.history) == after + 1
    weights, progress = run(recipe, checkpoint=checkpoint)
    expected, uninterrupted = run(recipe)
    assert all(torch.equal(weights[name], value) for name, value in expected.items())
    assert progress.history == uninterrupted.history
    assert not caplog.messages


def test_a_run_that_was_killed_after_its_last_epoch_does_not_train_again(tmp_path):
    # This rate makes the loss rise: the best epoch is 0 or 1, and patience ends the run.
    recipe = RECIPE.model_copy(update={"learning_rate": 30.0, "patience": 2})
    checkpoint = tmp_path / "fit.pt"
    _, uninterrupted = run(recipe, epochs=50, checkpoint=checkpoint)
    assert len(uninterrupted.history) < 50
    _, again = run(recipe, epochs=50, checkpoint=checkpoint)
    assert again.history == uninterrupted.history


def test_the_error_of_a_full_disk_names_the_checkpoint(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="writing failed: No space left on device") as caught:
        run(checkpoint=tmp_path / "fit.pt")
    assert caught.value.filename == str(tmp_path / "fit.pt")
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_that_cannot_be_read_is_not_renamed(tmp_path, monkeypatch, good):
    def failing(*_):
        raise OSError(5, "Input/output error", "fit.pt")

    checkpoint = tmp_path / "fit.pt"
    checkpoint.write_bytes(good[0])
    monkeypatch.setattr(Path, "read_bytes", failing)
    with pytest.raises(OSError, match="Input/output"):
        run(checkpoint=checkpoint)
    monkeypatch.undo()
    assert checkpoint.read_bytes() == good[0]
