"""Steps of a training: equal to a loop without them, and such that a GPU can capture them."""

import logging
from functools import partial

import pytest
import torch
from torch import nn

from tests.models.networks import ALERT_ARCHITECTURES, alert_network, random_alerts
from tests.training.transfers import NoTransfers
from ztfrep.models.recipe import Recipe
from ztfrep.training.alert_training import alert_loss, make_dataset
from ztfrep.training.steps import (
    OPTIMIZERS,
    Steps,
    _unchanged,
    make_optimizer,
    set_learning_rate,
)

pytestmark = pytest.mark.usefixtures("restored_torch_settings")
CPU = torch.device("cpu")
RECIPE = Recipe(
    optimizer="adam", learning_rate=0.05, schedule="constant", epochs=None, batch_size=8, patience=9
)
every_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS)
on_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")


def network(dropout=0.3):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(dropout), nn.Linear(8, 1)
    )


def data(n=50):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, 4, generator=generator)
    return x, x.sum(1, keepdim=True)


def loss(model, batch):
    x, y = batch
    error = (model(x) - y).square().mean()
    above = y > 0
    # A term that is a mean over some of the rows.
    total = ((model(x) - y).abs() * above).sum() / above.sum().clamp(min=1)
    return {"loss": (error, torch.full((), len(x), device=x.device)), "above": (total, above.sum())}


def optimizer_of(model, name="adam", device=CPU):
    recipe = RECIPE.model_copy(update={"optimizer": name})
    return make_optimizer(recipe, model.parameters(), device)


def orders(n=50, epochs=3):
    """Return the rows of each epoch, which have a remainder after batches of 8."""
    generator = torch.Generator().manual_seed(1)
    return [torch.randperm(n, generator=generator) for _ in range(epochs)]


def loop(model, data, loss, order, batch_size, optimizer=None, precision="float32"):
    """Train or evaluate a model in a loop without `Steps`; return the means of the terms."""
    model.train(optimizer is not None)
    sums = {}
    for rows in order.split(batch_size):
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            terms = loss(model, tuple(part[rows] for part in data))
        if optimizer is not None:
            optimizer.zero_grad()
            terms["loss"][0].backward()
            optimizer.step()
        for name, (mean, count) in terms.items():
            total, rows_before = sums.get(name, (0.0, 0))
            sums[name] = total + mean.item() * count.item(), rows_before + count.item()
    return {name: total / max(count, 1) for name, (total, count) in sums.items()}


def state_of(model):
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def assert_same_bits(state, expected):
    assert state.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(state[name], value), name


def train(model, data, loss, order, *, steps=True, precision="float32", epochs=2, size=8):
    """Train with `Steps` or in a loop; return the means of each epoch, and the weights."""
    device = data[0].device
    optimizer = optimizer_of(model, device=device)
    torch.manual_seed(5)
    if steps:
        run = Steps(model, data, loss, precision, optimizer).run
    else:
        run = partial(loop, model, data, loss, optimizer=optimizer, precision=precision)
    means = [run(rows, batch_size=size) for rows in order[:epochs]]
    return means, state_of(model)


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_steps_train_the_same_bits_as_a_loop(precision):
    results = [
        train(network(), data(), loss, orders(), steps=steps, precision=precision)
        for steps in (True, False)
    ]
    (means, weights), (expected_means, expected_weights) = results
    assert_same_bits(weights, expected_weights)
    assert not torch.equal(weights["0.weight"], network().state_dict()["0.weight"])
    for epoch, expected in zip(means, expected_means, strict=True):
        assert epoch == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("architecture", ALERT_ARCHITECTURES)
def test_steps_train_networks_of_alerts_as_a_loop_that_computes_targets_in_every_batch(
    architecture,
):
    alerts, labels = random_alerts(30), torch.arange(30) % 5

    # The random noise among the targets is another one in every batch.
    fixed = {"denoising_weight": 0.0} if architecture == "invariant" else {}

    def prepared():
        model = alert_network(architecture, latent_dim=8, **fixed)
        model.fit_statistics(alerts)
        return model

    def loss_of_batch(model, batch):
        *parts, labels = batch
        return alert_loss(model, (*parts, *model.targets(type(alerts)(*parts)), labels))

    model, looped = prepared(), prepared()
    means, weights = train(model, make_dataset(model, alerts, labels), alert_loss, orders(30))
    expected_means, expected_weights = train(
        looped, (*alerts, labels), loss_of_batch, orders(30), steps=False
    )
    for epoch, expected in zip(means, expected_means, strict=True):
        assert epoch == pytest.approx(expected, rel=1e-4)
    for name, value in expected_weights.items():
        torch.testing.assert_close(weights[name], value, atol=1e-4, rtol=1e-3)


def test_evaluation_has_the_means_of_a_loop_and_changes_nothing():
    model = network()
    before, random_state = state_of(model), torch.get_rng_state()
    steps = Steps(model, data(), loss, "float32")
    (order,) = orders(epochs=1)
    expected = loop(model, data(), loss, order, 8)
    assert steps.run(order, 8) == pytest.approx(expected, rel=1e-12)
    # The sums of the first epoch are not those of the second.
    assert steps.run(order, 8) == pytest.approx(expected, rel=1e-12)
    assert_same_bits(state_of(model), before)
    assert torch.equal(torch.get_rng_state(), random_state)
    assert not model.training
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_term_without_values_is_0():
    x, y = data()
    steps = Steps(network(), (x, -y.abs()), loss, "float32")
    means = steps.run(torch.arange(50), 8)
    assert means["above"] == 0
    assert means["loss"] > 0


@every_optimizer
def test_an_optimizer_is_that_of_the_recipe_and_takes_its_steps(optimizer):
    states = {}
    for kind in ("fused", "usual"):
        # Without batch norm, after which a bias has a gradient of rounding errors.
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
        start = state_of(model)
        if kind == "fused":
            made = optimizer_of(model, optimizer)
            assert type(made) is OPTIMIZERS[optimizer]
            assert [group["lr"] for group in made.param_groups] == [RECIPE.learning_rate]
            assert made.defaults["fused"]
        else:
            made = OPTIMIZERS[optimizer](model.parameters(), lr=RECIPE.learning_rate)
        for order in orders():
            loop(model, data(), loss, order, 8, made)
        states[kind] = state_of(model)
    for name, value in states["usual"].items():
        torch.testing.assert_close(states["fused"][name], value, atol=1e-5, rtol=1e-4)
    assert not torch.equal(states["usual"]["0.weight"], start["0.weight"])


@every_optimizer
def test_a_learning_rate_is_that_of_the_next_step(optimizer):
    model = network()
    made = optimizer_of(model, optimizer)
    before = state_of(model)
    set_learning_rate(made, 0.0, CPU)
    loop(model, data(), loss, torch.arange(50), 8, made)
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before[name])
    set_learning_rate(made, 0.1, CPU)
    assert [group["lr"] for group in made.param_groups] == [0.1]
    loop(model, data(), loss, torch.arange(50), 8, made)
    assert not torch.equal(model.state_dict()["0.weight"], before["0.weight"])


@every_optimizer
@pytest.mark.parametrize("steps_before", [0, 2])
@pytest.mark.parametrize("fails", [False, True])
def test_what_a_capture_changes_is_restored_in_its_memory(optimizer, steps_before, fails):
    def trained():
        model = network()
        made = optimizer_of(model, optimizer)
        torch.manual_seed(7)
        steps = Steps(model, data(), loss, "float32", made)
        for _ in range(steps_before):
            steps.take(torch.arange(8))
        return model, made, steps

    expected, _, expected_steps = trained()
    model, made, steps = trained()
    places = [value.data_ptr() for value in model.state_dict().values()]
    try:
        with _unchanged(model, made, CPU):
            for _ in range(3):
                steps.take(torch.arange(8, 16))
            assert not torch.equal(model[0].weight, expected[0].weight)
            if fails:
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        assert fails
    assert_same_bits(state_of(model), state_of(expected))
    assert [value.data_ptr() for value in model.state_dict().values()] == places
    # Optimizer and random numbers are restored too: the next steps are the same.
    random_state = torch.get_rng_state()
    steps.take(torch.arange(20))
    torch.set_rng_state(random_state)
    expected_steps.take(torch.arange(20))
    assert_same_bits(state_of(model), state_of(expected))


def test_random_numbers_are_restored_after_a_capture():
    model = network()
    steps = Steps(model, data(), loss, "float32", optimizer_of(model))
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    with _unchanged(model, steps.optimizer, CPU):
        steps.take(torch.arange(8))
    assert torch.equal(torch.rand(3), expected)


def broken_backend(graph, inputs):
    raise RuntimeError("no compiler\non this machine")


def with_backend(monkeypatch, backend):
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))


def run_compiled(compiled, dropout=0.0):
    torch.compiler.reset()
    model = network(dropout)
    torch.manual_seed(3)
    steps = Steps(model, data(), loss, "float32", optimizer_of(model), compiled=compiled)
    return [steps.run(order, 25) for order in orders(epochs=2)], state_of(model)


def test_a_compiled_loss_trains_as_one_that_is_not(monkeypatch):
    expected, weights = run_compiled(False)
    # This backend needs no compiler.
    with_backend(monkeypatch, "aot_eager")
    means, compiled_weights = run_compiled(True)
    for epoch, wanted in zip(means, expected, strict=True):
        assert epoch == pytest.approx(wanted, rel=1e-5)
    for name, value in weights.items():
        torch.testing.assert_close(compiled_weights[name], value, atol=1e-5, rtol=1e-4)


def test_where_no_compiler_is_the_loss_is_computed_without_one_with_a_warning(monkeypatch, caplog):
    expected, weights = run_compiled(False, dropout=0.3)
    with_backend(monkeypatch, broken_backend)
    with caplog.at_level(logging.WARNING):
        means, eager_weights = run_compiled(True, dropout=0.3)
    assert means == expected
    assert_same_bits(eager_weights, weights)
    messages = [r.getMessage() for r in caplog.records if r.name == "root"]
    assert len(messages) == 1
    assert messages[0].startswith("torch.compile fails, training is slower: ")
    assert "no compiler" in messages[0]
    assert "\n" not in messages[0]


def test_an_error_of_the_loss_itself_is_not_hidden_by_compilation(monkeypatch):
    def wrong(model, batch):
        return {"loss": (model(batch[1]).mean(), batch[0].sum())}

    with_backend(monkeypatch, "eager")
    torch.compiler.reset()
    model = network()
    steps = Steps(model, data(), wrong, "float32", optimizer_of(model), compiled=True)
    with pytest.raises(RuntimeError, match="shapes|size"):
        steps.run(torch.arange(50), 25)


def gpu_data():
    return tuple(part.cuda() for part in data())


def gpu_network(dropout):
    return network(dropout).cuda()


def gpu_run(*, dropout=0.3, capture=None, epochs=3):
    device = torch.device("cuda", torch.cuda.current_device())
    model = gpu_network(dropout)
    optimizer = optimizer_of(model, device=device)
    steps = Steps(model, gpu_data(), loss, "float32", optimizer, capture=capture)
    torch.manual_seed(5)
    means = [steps.run(order.cuda(), 8) for order in orders(epochs=epochs)]
    if capture is not False:
        assert all(batch.graph is not None for batch in steps._batches.values())
    return means, state_of(model)


@on_a_gpu
def test_captured_steps_have_the_losses_of_steps_that_are_not_captured():
    (means, weights), (expected, expected_weights) = (
        gpu_run(dropout=0.0, capture=capture) for capture in (None, False)
    )
    for epoch, wanted in zip(means, expected, strict=True):
        assert epoch == pytest.approx(wanted, rel=1e-5)
    for name, value in expected_weights.items():
        torch.testing.assert_close(weights[name], value, atol=1e-5, rtol=1e-4)


@on_a_gpu
def test_captured_steps_with_dropout_have_the_same_bytes_twice_and_learn():
    (means, weights), (again, weights_again) = gpu_run(), gpu_run()
    assert means == again
    assert_same_bits(weights, weights_again)
    assert means[-1]["loss"] < means[0]["loss"]


@on_a_gpu
@every_optimizer
@pytest.mark.parametrize("steps_before", [0, 2])
def test_a_capture_changes_neither_weights_nor_optimizer_nor_random_numbers(
    optimizer, steps_before
):
    device = torch.device("cuda", torch.cuda.current_device())
    model = gpu_network(0.3)
    made = optimizer_of(model, optimizer, device)
    steps = Steps(model, gpu_data(), loss, "float32", made)
    for _ in range(steps_before):
        model.train()
        steps.take(torch.arange(8, device=device))
    before, random_state = state_of(model), torch.cuda.get_rng_state()
    states = [state_of_values(values) for values in made.state.values()]
    model.train()
    steps.prepare({8, 5})
    assert_same_bits(state_of(model), before)
    assert torch.equal(torch.cuda.get_rng_state(), random_state)
    after = [state_of_values(values) for values in made.state.values()]
    for values in after[: len(states)]:
        assert_same_bits(values, states.pop(0))
    if not steps_before:
        assert all(not value.any() for values in after for value in values.values())


def state_of_values(values):
    return {name: value.clone() for name, value in values.items()}


@on_a_gpu
@pytest.mark.parametrize("architecture", ALERT_ARCHITECTURES)
def test_steps_of_networks_of_alerts_can_be_captured(architecture, caplog):
    device = torch.device("cuda", torch.cuda.current_device())
    alerts, labels = random_alerts(30).to(device), (torch.arange(30) % 5).to(device)
    results = []
    for _ in range(2):
        model = alert_network(architecture, latent_dim=8).to(device)
        model.fit_statistics(alerts)
        dataset = make_dataset(model, alerts, labels)
        results.append(train(model, dataset, alert_loss, [o.to(device) for o in orders(30)]))
    assert results[0][0] == results[1][0]
    assert_same_bits(results[0][1], results[1][1])
    assert caplog.messages == []


def test_a_step_with_its_optimizer_transfers_no_number():
    model = network()
    steps = Steps(model, data(), loss, "float32", optimizer_of(model))
    steps.take(torch.arange(8))
    with NoTransfers():
        steps.take(torch.arange(8))
