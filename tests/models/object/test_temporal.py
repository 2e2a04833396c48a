"""The recurrent network that reads every observation and has a state after each."""

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

LABELS = torch.tensor([0, 1, 2, 0, 1])
every_cell = pytest.mark.parametrize("cell", ["gru", "lstm", "attention"])


@every_cell
def test_the_state_after_an_observation_does_not_depend_on_later_ones(cell):
    network, objects = object_network("temporal", cell=cell), random_objects()
    states, forecast = network._states(objects), network.forecast_magnitude(objects)
    for row, length in enumerate(LENGTHS.tolist()):
        for steps in range(1, length + 1):
            earlier = first_observations(objects, row, steps)
            torch.testing.assert_close(
                network.encode(earlier)[0], states[row, steps - 1], atol=1e-5, rtol=1e-4
            )
            torch.testing.assert_close(
                network.forecast_magnitude(earlier)[0, -1],
                forecast[row, steps - 1], atol=1e-5, rtol=1e-4,
            )  # fmt: skip


def test_the_vector_is_the_state_after_the_last_observation():
    network, objects = object_network("temporal"), random_objects()
    last = network._states(objects)[torch.arange(5), LENGTHS - 1]
    torch.testing.assert_close(network.encode(objects), last)


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
def test_half_of_the_loss_is_the_mean_over_all_observations_without_padding(padding):
    network = object_network("temporal", forecast_weight=0.0)
    logits = torch.randn(5, 7, 3, generator=torch.Generator().manual_seed(0))
    last = logits[torch.arange(5), LENGTHS - 1]
    means = [
        nn.functional.cross_entropy(logits[row, :length], LABELS[row].expand(length))
        for row, length in enumerate(LENGTHS.tolist())
    ]
    final = nn.functional.cross_entropy(last, LABELS)
    expected = 0.5 * final + 0.5 * torch.stack(means).mean()
    observed = random_objects().observation_mask()
    network.classifier_head = ConstantHead(torch.where(observed[..., None], logits, padding))
    terms = network.loss(random_objects(), LABELS, None)
    torch.testing.assert_close(terms["loss"][0], expected)
    assert terms["accuracy"][0] == (last.argmax(dim=1) == LABELS).float().mean()


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
    """Return the next vector and magnitude at each step, and 99 where there are none."""
    vectors = (objects.vectors - network.vector_mean) / network.vector_std
    truth = torch.cat([vectors, objects.photometry[..., :1]], dim=2)
    forecast = torch.cat([truth[:, 1:], torch.full_like(truth[:, :1], 99.0)], dim=1)
    following = torch.arange(1, 8) < LENGTHS[:, None]
    forecast = torch.where(following[..., None], forecast, 99.0)
    has_vector = torch.cat([objects.vector_mask[:, 1:], objects.vector_mask[:, :1]], dim=1)
    forecast[..., :-1] = torch.where(has_vector[..., None], forecast[..., :-1], 99.0)
    return forecast


def test_the_forecast_is_compared_where_the_next_vector_or_magnitude_is_known():
    network = object_network("temporal", input_dim=4, forecast_weight=1.0)
    objects = random_objects(input_dim=4)
    objects.photometry[..., 3] = 1
    forecast, unlabelled = perfect_forecast(network, objects), torch.full((5,), -1)
    network.forecast_head = ConstantHead(forecast)
    terms = network.loss(objects, unlabelled, None)
    assert terms["forecast"][0] == pytest.approx(0, abs=1e-10)
    network.forecast_head = ConstantHead(forecast + 1)
    terms = network.loss(objects, unlabelled, None)
    # The object of one observation has no next one. The others have an error of 1 in the magnitude,
    # and an error of 1 in the vector if a later observation has one.
    follows = [bool(objects.vector_mask[row, 1:n].any()) for row, n in enumerate(LENGTHS.tolist())]
    expected = torch.tensor((4 + sum(follows)) / 5.0)
    torch.testing.assert_close(terms["forecast"][0], expected)
    # Without labels the loss is that of the forecast.
    torch.testing.assert_close(terms["loss"][0], expected)


def test_masked_magnitudes_do_not_count_in_the_forecast():
    network, objects = object_network("temporal", input_dim=4), random_objects(input_dim=4)
    objects.photometry[..., 3] = 1
    forecast = perfect_forecast(network, objects)
    objects.photometry[:, 2, 3] = 0
    forecast[:, 1, -1] = 99.0
    network.forecast_head = ConstantHead(forecast)
    error = network.loss(objects, LABELS, None)["forecast"][0]
    assert error == pytest.approx(0, abs=1e-10)


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
