"""The training loop: the best epoch, patience, divergence and resumption."""

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from tests.isolation import restored_torch_settings
from ztfrep.encoders.devices import make_deterministic
from ztfrep.models.recipe import Recipe
from ztfrep.training.fit import fit
from ztfrep.training.steps import Steps

RECIPE = Recipe(
    optimizer="adam",
    learning_rate=0.05,
    schedule="constant",
    epochs=None,
    batch_size=8,
    patience=10,
)
EPOCHS = 6


@pytest.fixture(autouse=True)
def deterministic():
    with restored_torch_settings():
        make_deterministic(1)
        yield


def network():
    torch.manual_seed(0)
    # With dropout, a resumed run must draw the same random numbers as an uninterrupted one.
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 1))


def data(n=50, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 4, generator=generator)
    return x, x.sum(1, keepdim=True) + 0.1 * torch.randn(n, 1, generator=generator)


def loss(model, batch):
    x, y = batch
    error = (model(x) - y).square().mean()
    return {"loss": (error, torch.tensor(len(x)))}


def run(
    *, model=None, loss=loss, epochs=EPOCHS, seed=3, precision="float32", options=None, **changes
):
    """Fit a network by `RECIPE` with changes of its parameters."""
    model = model or network()
    progress = fit(
        model, data(), torch.arange(50), data(30, 1), loss, RECIPE.model_copy(update=changes),
        epochs=epochs, seed=seed, precision=precision, **options or {},
    )  # fmt: skip
    return model.state_dict(), progress


def equal(state, other):
    return all(torch.equal(value, other[name]) for name, value in state.items())


def test_an_operation_that_is_not_deterministic_is_refused():
    with pytest.raises(RuntimeError, match="deterministic"):
        torch.zeros(3).put_(torch.tensor([1, 1]), torch.ones(2))


def test_the_same_seed_has_the_same_bits_and_another_seed_others():
    (first, progress), (second, again) = run(), run()
    assert equal(first, second)
    assert progress.history == again.history
    assert not equal(first, run(seed=4)[0])


@pytest.mark.parametrize("interrupted_after", [0, 2, 5])
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path, interrupted_after):
    checkpoint = tmp_path / "fit.pt"

    def interrupt(record):
        if record["epoch"] == interrupted_after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(options={"checkpoint": checkpoint, "on_epoch": interrupt})
    logged = []
    weights, progress = run(options={"checkpoint": checkpoint, "on_epoch": logged.append})
    expected, uninterrupted = run()
    assert equal(weights, expected)
    # The resumed run logs all epochs.
    assert logged == progress.history == uninterrupted.history


def test_the_weights_of_the_best_epoch_are_left_in_the_network():
    # With this learning rate the loss rises in later epochs.
    model = network()
    _, progress = run(model=model, learning_rate=0.9, epochs=12)
    lowest = min(record["validation_loss"] for record in progress.history)
    assert progress.best["validation_loss"] == lowest
    assert progress.best_epoch < 12
    means = Steps(model, data(30, 1), loss, "float32").run(torch.arange(30), 30)
    assert means["loss"] == pytest.approx(lowest)


def test_patience_ends_a_run_that_no_longer_improves():
    def rising_loss(model, batch):
        value, weight = loss(model, batch)["loss"]
        rising_loss.calls += 1
        return {"loss": (value + rising_loss.calls, weight)}

    rising_loss.calls = 0
    _, progress = run(loss=rising_loss, learning_rate=1e-9, epochs=50, patience=3)
    assert [record["epoch"] for record in progress.history] == [0, 1, 2, 3]
    assert progress.best_epoch == 0


def test_without_epochs_the_weights_are_evaluated_and_not_changed():
    weights, progress = run(epochs=0)
    assert equal(weights, network().state_dict())
    assert [sorted(record) for record in progress.history] == [["epoch", "validation_loss"]]


def test_a_run_that_diverges_stops_before_the_epoch_is_logged_or_saved(tmp_path):
    logged, checkpoint = [], tmp_path / "fit.pt"
    with pytest.raises(FloatingPointError, match=r"train_loss (nan|inf) in epoch 1"):
        run(
            optimizer="sgd", learning_rate=1e30,
            options={"on_epoch": logged.append, "checkpoint": checkpoint},
        )  # fmt: skip
    assert [record["epoch"] for record in logged] == [0]
    assert torch.load(checkpoint, weights_only=True)["history"] == logged


def test_the_validation_loss_falls_in_training():
    _, progress = run(epochs=30)
    assert progress.best["validation_loss"] < 0.5 * progress.history[0]["validation_loss"]


def test_means_do_not_depend_on_the_batch_size():
    model = network()
    steps = Steps(model, data(), loss, "float32")
    means = [steps.run(torch.arange(50), size) for size in (7, 50)]
    assert means[0]["loss"] == pytest.approx(means[1]["loss"])


def test_evaluation_changes_no_weight():
    model = network()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    Steps(model, data(), loss, "float32").run(torch.arange(50), 8)
    assert equal(before, model.state_dict())
    assert not model.training


def test_an_epoch_visits_only_the_rows_of_its_order():
    visited = []

    def recording_loss(model, batch):
        visited.extend(batch[1][:, 0].tolist())
        return loss(model, batch)

    Steps(network(), data(), recording_loss, "float32").run(torch.tensor([4, 9, 9]), 2)
    assert visited == [data()[1][row, 0].item() for row in (4, 9, 9)]


def test_every_epoch_visits_each_train_row_in_another_order():
    visited = []

    def recording_loss(model, batch):
        if model.training:
            visited.extend(batch[1][:, 0].tolist())
        return loss(model, batch)

    run(loss=recording_loss, epochs=2)
    first, second = visited[:50], visited[50:]
    assert sorted(first) == sorted(second) == sorted(data()[1][:, 0].tolist())
    assert first != second


class TwoPhases(Recipe):
    """A recipe whose last two epochs have batches of 25 rows."""

    def batch_size_at(self, epoch, epochs):
        return 25 if epoch > epochs - 2 else self.batch_size


def test_an_epoch_has_the_batch_size_of_the_recipe():
    sizes = []

    def recording_loss(model, batch):
        if model.training:
            sizes.append(len(batch[0]))
        return loss(model, batch)

    recipe = TwoPhases(**RECIPE.model_dump() | {"batch_size": 50})
    fit(
        network(), data(), torch.arange(50), data(30, 1), recording_loss, recipe,
        epochs=4, seed=3, precision="float32",
    )  # fmt: skip
    assert sizes == [50, 50, 25, 25, 25, 25]


def test_the_cosine_schedule_falls_from_the_learning_rate_to_0():
    recipe = RECIPE.model_copy(update={"schedule": "cosine", "learning_rate": 0.8})
    rates = [recipe.learning_rate_at(epoch, 4) for epoch in range(1, 6)]
    assert rates == pytest.approx([0.8, 0.8 * 0.8535534, 0.4, 0.8 * 0.1464466, 0])
    assert [RECIPE.learning_rate_at(epoch, 4) for epoch in range(1, 5)] == [0.05] * 4


def test_the_schedule_and_the_optimizer_change_what_is_learnt():
    reference, _ = run()
    assert not equal(reference, run(schedule="cosine")[0])
    assert not equal(reference, run(optimizer="sgd")[0])


def test_mixed_precision_learns_too():
    _, progress = run(precision="bf16", epochs=20)
    assert progress.best["validation_loss"] < progress.history[0]["validation_loss"]


@pytest.mark.parametrize(
    "change",
    [{"optimizer": "lbfgs"}, {"learning_rate": 0}, {"batch_size": 0}, {"patience": 0}, {"rate": 1}],
    ids=repr,
)
def test_a_recipe_with_an_impossible_value_is_refused(change):
    with pytest.raises(ValidationError):
        Recipe.model_validate(RECIPE.model_dump() | change)
