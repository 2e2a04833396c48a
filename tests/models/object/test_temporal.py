"""The recurrent network that reads every observation and has a state after each."""

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from tests.models.networks import (
    LENGTHS,
    first_observations,
    object_config,
    object_network,
    random_objects,
)
from ztfrep.models.object.forecast_query import forecast_query
from ztfrep.models.object.observation_input import object_input

LABELS = torch.tensor([0, 1, 2, 0, 1])
every_cell = pytest.mark.parametrize("cell", ["gru", "lstm", "attention"])


@every_cell
def test_the_vector_after_an_observation_does_not_depend_on_later_ones(cell):
    network, objects = object_network("temporal", cell=cell), random_objects()
    vectors, forecast = network.encode_steps(objects), network.forecast_magnitude(objects)
    for row, length in enumerate(LENGTHS.tolist()):
        for steps in range(1, length + 1):
            earlier = first_observations(objects, row, steps)
            torch.testing.assert_close(
                network.encode(earlier)[0], vectors[row, steps - 1], atol=1e-5, rtol=1e-4
            )
            torch.testing.assert_close(
                network.forecast_magnitude(earlier)[0, -1],
                forecast[row, steps - 1], atol=1e-5, rtol=1e-4,
            )  # fmt: skip


@every_cell
def test_what_the_network_says_at_a_time_is_the_same_bytes_whatever_comes_later(cell):
    network = object_network("temporal", input_dim=6, cell=cell)
    before, after = 5, 8
    past = random_observations(before, seed=0)
    futures = [
        # Another future, a longer one, and one of other filters and without vectors.
        random_observations(after, seed=1),
        random_observations(after, seed=2, days=900.0),
        random_observations(after, seed=3).assign(fid=3, step=-1),
        random_observations(after, seed=4).assign(magpsf=np.nan),
    ]
    results = []
    for future in futures:
        later = future.assign(
            detection=future["detection"] + before,
            mjd=future["mjd"] + 100,
            step=np.where(future["step"] >= 0, future["step"] + before, -1),
        )
        vectors = np.random.default_rng(0).normal(size=(1, before + after, 6))
        vectors[:, before:] = np.random.default_rng(len(results)).normal(size=(1, after, 6))
        objects = object_input(
            pd.concat([past, later]), vectors, max_observations=32, all_observations=True
        )
        assert objects.lengths.tolist() == [before + after]
        encoded = network.encode_steps(objects)
        forecast = network.forecast_magnitude(objects)[:, :before]
        logits = network.classify(encoded)[:, :before]
        results.append([part.detach().numpy() for part in (encoded[:, :before], logits, forecast)])
        assert not np.array_equal(encoded[:, before], results[0][0][:, -1])
    for result in results[1:]:
        for part, expected in zip(result, results[0], strict=True):
            assert part.tobytes() == expected.tobytes()


def random_observations(n, seed, days=30.0):
    """Return a table of observations of one object; some have no vector or no magnitude."""
    rng = np.random.default_rng(seed)
    has_vector = rng.random(n) < 0.7
    return pd.DataFrame(
        {
            "row": 0,
            "detection": np.arange(n),
            "step": np.where(has_vector, np.arange(n), -1),
            "mjd": 59000 + np.sort(rng.uniform(0, days, n)),
            "fid": rng.integers(1, 3, n),
            "magpsf": np.where(has_vector | (rng.random(n) < 0.5), rng.uniform(17, 20, n), np.nan),
            "sigmapsf": 0.1,
            "diffmaglim": rng.uniform(19, 21, n),
        }
    )


def test_the_forecast_of_a_magnitude_does_not_read_it():
    network, objects = object_network("temporal"), random_objects()
    forecast = network.forecast_magnitude(objects)
    for step in range(1, 7):
        photometry = objects.photometry.clone()
        photometry[:, step, :6] += 1
        vectors = objects.vectors.clone()
        vectors[:, step] += 1
        changed = objects._replace(photometry=photometry, vectors=vectors)
        others = network.forecast_magnitude(changed)
        torch.testing.assert_close(others[:, : step + 1], forecast[:, : step + 1])
        # The filter and the time of the observation are read.
        photometry[:, step, 6:] = photometry[:, step, 6:].flip(-1)
        others = network.forecast_magnitude(objects._replace(photometry=photometry))
        assert (others[:, step] - forecast[:, step]).abs().max() > 1e-4


def test_the_vector_is_that_after_the_last_observation():
    network, objects = object_network("temporal"), random_objects()
    last = network.encode_steps(objects)[torch.arange(5), LENGTHS - 1]
    torch.testing.assert_close(network.encode(objects), last)


def test_logits_add_linear_maps_of_the_mean_and_the_last_vector_to_the_rest():
    network, objects = object_network("temporal"), random_objects()
    with torch.no_grad():
        network.fusion.weight.zero_()
        network.fusion.bias.zero_()
    vectors = (objects.vectors - network.vector_mean) / network.vector_std
    for row, length in enumerate(LENGTHS.tolist()):
        known = vectors[row, :length][objects.vector_mask[row, :length]]
        mean = known.mean(dim=0) if len(known) else torch.zeros(128)
        last = known[-1] if len(known) else torch.zeros(128)
        expected = network.mean_map.weight @ mean + network.last_map.weight @ last
        torch.testing.assert_close(network.encode(objects)[row], expected, atol=1e-5, rtol=1e-4)


def test_vectors_under_the_mask_do_not_matter():
    network, objects = object_network("temporal"), random_objects()
    mask = objects.vector_mask[..., None]
    filled = objects._replace(vectors=torch.where(mask, objects.vectors, 99.0))
    torch.testing.assert_close(network.encode(filled), network.encode(objects))


def test_the_vector_depends_on_vectors_times_photometry_and_the_mask():
    network, objects = object_network("temporal"), random_objects()
    vectors = network.encode(objects)
    for changed in (
        objects._replace(vectors=objects.vectors + 1),
        objects._replace(times=objects.times + 1),
        objects._replace(photometry=objects.photometry + 1),
        objects._replace(vector_mask=~objects.vector_mask),
    ):
        assert ((network.encode(changed) - vectors).abs().amax(dim=1) > 1e-3).all()


def test_statistics_are_those_of_the_vectors_in_the_mask():
    network, objects = object_network("temporal"), random_objects()
    vectors = objects.vectors[objects.vector_mask]
    torch.testing.assert_close(network.vector_mean, vectors.mean(dim=0))
    torch.testing.assert_close(network.vector_std, vectors.std(dim=0))


class ConstantHead(nn.Module):
    """A head whose output is always `outputs` `(n, steps, d)`."""

    def __init__(self, outputs):
        super().__init__()
        self.outputs = outputs

    def forward(self, _):
        return self.outputs


@pytest.mark.parametrize("padding", [0.0, 50.0])
@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_the_early_loss_is_the_mean_over_all_detections_without_padding(padding, weight):
    network = object_network("temporal", forecast_weight=0.0, early_weight=weight)
    objects = random_objects()
    objects.photometry[..., 3] = torch.rand(5, 7, generator=torch.Generator().manual_seed(1)) < 0.4
    detected = objects.vector_mask | (objects.photometry[..., 3] > 0)
    logits = torch.randn(5, 7, 3, generator=torch.Generator().manual_seed(0))
    last = logits[torch.arange(5), LENGTHS - 1]
    means = []
    for row, length in enumerate(LENGTHS.tolist()):
        own = logits[row, :length][detected[row, :length]]
        losses = nn.functional.cross_entropy(own, LABELS[row].expand(len(own)), reduction="sum")
        means.append(losses / max(len(own), 1))
    final = nn.functional.cross_entropy(last, LABELS)
    expected = (1 - weight) * final + weight * torch.stack(means).mean()
    observed = objects.observation_mask()
    network.classifier_head = ConstantHead(torch.where(observed[..., None], logits, padding))
    terms = network.loss(objects, LABELS, None)
    torch.testing.assert_close(terms["loss"][0], expected)
    assert terms["accuracy"][0] == (last.argmax(dim=1) == LABELS).float().mean()


def test_alerts_lose_their_vectors_in_training_only():
    objects = random_objects()
    for drop_alerts, changes in ((0.0, False), (0.9, True)):
        network = object_network("temporal", dropout=0.0, drop_alerts=drop_alerts)
        expected = network.loss(objects, LABELS, None)["loss"][0]
        torch.testing.assert_close(network.loss(objects, LABELS, None)["loss"][0], expected)
        trained = network.train().loss(objects, LABELS, None)["loss"][0]
        assert torch.isclose(trained, expected) != changes


def test_the_loss_is_the_weighted_mean_over_the_labelled_objects():
    network = object_network("temporal", forecast_weight=0.0)
    logits, labels = torch.randn(5, 3), torch.tensor([0, 2, -1, -1, -1])
    network.classifier_head = ConstantHead(logits[:, None].expand(5, 7, 3))
    losses = nn.functional.cross_entropy(logits[:2], labels[:2], reduction="none")
    objects = random_objects()
    torch.testing.assert_close(network.loss(objects, labels, None)["loss"][0], losses.mean())
    weighted = network.loss(objects, labels, torch.tensor([3.0, 1.0, 0.5]))["loss"][0]
    torch.testing.assert_close(weighted, (losses * torch.tensor([3.0, 0.5])).mean())


def perfect_forecast(network, objects):
    """Return the vector and the change of the magnitude at each step, and 99 for the first."""
    vectors = (objects.vectors - network.vector_mean) / network.vector_std
    change = objects.photometry[..., 0] - forecast_query(objects).last_magnitude
    forecast = torch.cat([vectors, change[..., None]], dim=2)
    is_compared = (torch.arange(7) > 0) & (torch.arange(7) < LENGTHS[:, None])
    forecast = torch.where(is_compared[..., None], forecast, 99.0)
    forecast[..., :-1] = torch.where(objects.vector_mask[..., None], forecast[..., :-1], 99.0)
    return forecast


def test_the_forecast_is_compared_where_the_vector_or_magnitude_is_known():
    network = object_network("temporal", input_dim=4, forecast_weight=1.0)
    objects = random_objects(input_dim=4)
    objects.photometry[..., 3] = 1
    forecast, unlabelled = perfect_forecast(network, objects), torch.full((5,), -1)
    network.forecast_head = ConstantHead(forecast)
    terms = network.loss(objects, unlabelled, None)
    assert terms["forecast"][0] == pytest.approx(0, abs=1e-6)
    network.forecast_head = ConstantHead(forecast + 1)
    terms = network.loss(objects, unlabelled, None)
    # The object of one observation has no second one. The others have an error of 1 in the
    # magnitude, and an error of 1 in the vector if a later observation has one.
    follows = [bool(objects.vector_mask[row, 1:n].any()) for row, n in enumerate(LENGTHS.tolist())]
    expected = torch.tensor((4 + sum(follows)) / 5.0)
    torch.testing.assert_close(terms["forecast"][0], expected)
    # Without labels the loss is that of the forecast.
    torch.testing.assert_close(terms["loss"][0], expected)


def test_masked_magnitudes_do_not_count_in_the_forecast():
    network, objects = object_network("temporal", input_dim=4), random_objects(input_dim=4)
    objects.photometry[..., 3] = 1
    objects.photometry[:, 2, 3] = 0
    forecast = perfect_forecast(network, objects)
    forecast[:, 2, -1] = 99.0
    network.forecast_head = ConstantHead(forecast)
    error = network.loss(objects, LABELS, None)["forecast"][0]
    assert error == pytest.approx(0, abs=1e-6)


def test_the_forecast_is_weighted_by_the_config():
    objects = random_objects()
    light, heavy = (
        object_network("temporal", forecast_weight=weight).loss(objects, LABELS, None)
        for weight in (0.5, 2.0)
    )
    difference = heavy["loss"][0] - light["loss"][0]
    torch.testing.assert_close(difference, 1.5 * light["forecast"][0])
    assert "forecast" not in object_network("temporal", forecast_weight=0.0).loss(
        objects, LABELS, None
    )


def test_the_hidden_size_of_attention_is_a_multiple_of_four():
    content = object_config("temporal").model_dump()
    config = type(object_config("temporal"))
    with pytest.raises(ValidationError, match="hidden 6 with cell attention; expected a multiple"):
        config.model_validate(content | {"cell": "attention", "hidden": 6})
    config.model_validate(content | {"cell": "attention", "hidden": 8})
    config.model_validate(content | {"cell": "gru", "hidden": 6})
