import pytest
import torch
from torch import nn

from ztfrep.training.fit import Recipe, fit, make_deterministic, run_epoch

RECIPE = Recipe(
    optimizer="adam", learning_rate=0.05, epochs=6, batch_size=8, final_batch_size=16,
    final_epochs=2, patience=10, precision="float32", seed=3,
)  # fmt: skip


@pytest.fixture(autouse=True)
def deterministic():
    threads = torch.get_num_threads()
    make_deterministic(1)
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)


def network():
    torch.manual_seed(0)
    # Dropout, so that a resumed run must draw what an uninterrupted one draws.
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 1))


def data(n=50, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 4, generator=generator)
    return x, x.sum(1, keepdim=True) + 0.1 * torch.randn(n, 1, generator=generator)


def loss(model, batch):
    x, y = batch
    error = (model(x) - y).square().mean()
    return {"loss": (error, torch.tensor(len(x)))}


def run(recipe=RECIPE, **options):
    model = network()
    progress = fit(model, data(), torch.arange(50), data(30, 1), loss, recipe, **options)
    return model.state_dict(), progress


def same(a, b):
    return all(torch.equal(a[name], b[name]) for name in a)


def test_what_cannot_be_repeated_bit_by_bit_is_refused():
    with pytest.raises(RuntimeError, match="deterministic"):
        torch.zeros(3).put_(torch.tensor([1, 1]), torch.ones(2))


def test_the_same_seed_gives_the_same_bits_and_another_seed_others():
    (first, history), (second, again) = run(), run()
    assert same(first, second)
    assert history.history == again.history
    assert not same(first, run(Recipe(**{**vars(RECIPE), "seed": 4}))[0])


@pytest.mark.parametrize("interrupted_after", [0, 2, 5])
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path, interrupted_after):
    checkpoint = tmp_path / "fit.pt"

    def interrupt(record):
        if record["epoch"] == interrupted_after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(checkpoint=checkpoint, on_epoch=interrupt)
    seen = []
    weights, progress = run(checkpoint=checkpoint, on_epoch=seen.append)
    expected, uninterrupted = run()
    assert same(weights, expected)
    # The curves of the resumed run are whole, too.
    assert seen == progress.history == uninterrupted.history


def test_the_best_epochs_weights_are_kept():
    # Far too fast a descent: later epochs are worse than earlier ones.
    model = network()
    recipe = Recipe(**{**vars(RECIPE), "learning_rate": 0.9, "epochs": 12})
    progress = fit(model, data(), torch.arange(50), data(30, 1), loss, recipe)
    lowest = min(record["validation_loss"] for record in progress.history)
    assert progress.best["validation_loss"] == lowest
    assert progress.best_epoch < 12
    judged = run_epoch(model, data(30, 1), torch.arange(30), 30, loss, "float32")
    assert judged["loss"] == pytest.approx(lowest)


def test_patience_ends_a_run_that_no_longer_improves():
    recipe = Recipe(**{**vars(RECIPE), "learning_rate": 1e-9, "epochs": 50, "patience": 3})
    model = network()

    def worse(model, batch):
        value, weight = loss(model, batch)["loss"]
        worse.calls += 1
        return {"loss": (value + worse.calls, weight)}

    worse.calls = 0
    progress = fit(model, data(), torch.arange(50), data(30, 1), worse, recipe)
    assert [record["epoch"] for record in progress.history] == [0, 1, 2, 3]
    assert progress.best_epoch == 0


def test_no_epoch_leaves_the_weights_and_judges_them():
    weights, progress = run(Recipe(**{**vars(RECIPE), "epochs": 0}))
    assert same(weights, network().state_dict())
    assert [sorted(record) for record in progress.history] == [["epoch", "validation_loss"]]


def test_a_run_that_diverges_stops_before_it_logs_what_is_no_number(tmp_path):
    recipe = Recipe(**{**vars(RECIPE), "optimizer": "sgd", "learning_rate": 1e30})
    logged, checkpoint = [], tmp_path / "fit.pt"
    with pytest.raises(FloatingPointError, match=r"train_loss (nan|inf) in epoch 1"):
        run(recipe, on_epoch=logged.append, checkpoint=checkpoint)
    assert [record["epoch"] for record in logged] == [0]
    assert torch.load(checkpoint, weights_only=True)["history"] == logged


def test_training_learns():
    _, progress = run(Recipe(**{**vars(RECIPE), "epochs": 30}))
    assert progress.best["validation_loss"] < 0.5 * progress.history[0]["validation_loss"]


def test_means_do_not_depend_on_the_batches():
    model = network()
    means = [run_epoch(model, data(), torch.arange(50), size, loss, "float32") for size in (7, 50)]
    assert means[0]["loss"] == pytest.approx(means[1]["loss"])


def test_validation_teaches_nothing():
    model = network()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    run_epoch(model, data(), torch.arange(50), 8, loss, "float32")
    assert same(before, model.state_dict())


def test_only_the_given_rows_are_visited():
    seen = []

    def spy(model, batch):
        seen.extend(batch[1][:, 0].tolist())
        return loss(model, batch)

    run_epoch(network(), data(), torch.tensor([4, 9, 9]), 2, spy, "float32")
    assert seen == [data()[1][row, 0].item() for row in (4, 9, 9)]


def test_the_last_epochs_may_have_another_batch_size():
    assert [RECIPE.batch_size_at(epoch) for epoch in range(1, 7)] == [8, 8, 8, 8, 16, 16]


def test_mixed_precision_learns_too():
    recipe = Recipe(**{**vars(RECIPE), "precision": "bf16", "epochs": 20})
    _, progress = run(recipe)
    assert progress.best["validation_loss"] < progress.history[0]["validation_loss"]
