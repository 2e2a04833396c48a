"""Properties of every registered network of objects."""

import pytest
import torch

from tests.models.networks import (
    LENGTHS,
    OBJECT_VARIANTS,
    first_observations,
    object_network,
    random_objects,
)
from ztfrep.models.object import get_object_network

every_network = pytest.mark.parametrize(
    ("architecture", "changes"),
    OBJECT_VARIANTS,
    ids=lambda part: "-".join(part.values() if isinstance(part, dict) else [part]),
)


@every_network
def test_vectors_logits_and_forecasts_have_their_shapes(architecture, changes):
    network = object_network(architecture, input_dim=6, classes=4, hidden=8, **changes)
    objects = random_objects(input_dim=6)
    vectors = network.encode(objects)
    assert vectors.shape == (5, 8)
    assert network.classify(vectors).shape == (5, 4)
    forecast = network.forecast_magnitude(objects)
    assert forecast is None or forecast.shape == (5, 7)


@every_network
def test_neither_padding_nor_the_batch_changes_a_vector(architecture, changes):
    network, objects = object_network(architecture, **changes), random_objects()
    vectors = network.encode(objects)
    for row, length in enumerate(LENGTHS.tolist()):
        single = network.encode(first_observations(objects, row, length))
        torch.testing.assert_close(vectors[row], single[0], atol=1e-5, rtol=1e-4)
    order = torch.tensor([3, 0, 4, 2, 1])
    torch.testing.assert_close(
        network.encode(objects.rows(order)), vectors[order], atol=1e-5, rtol=1e-4
    )


@every_network
def test_the_vector_depends_on_the_last_observation_and_on_earlier_ones(architecture, changes):
    network, objects = object_network(architecture, **changes), random_objects()
    objects = objects._replace(vector_mask=torch.ones_like(objects.vector_mask))
    vectors, row = network.encode(objects), 1
    for step in (0, LENGTHS[row] - 1):
        changed = objects.vectors.clone()
        changed[row, step] += 1
        others = network.encode(objects._replace(vectors=changed))
        assert (others[row] - vectors[row]).abs().amax() > 1e-5
        rest = torch.arange(5) != row
        torch.testing.assert_close(others[rest], vectors[rest])


@every_network
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("class_weights", [None, torch.tensor([3.0, 1.0, 0.5])])
def test_the_loss_is_finite_without_labels(architecture, changes, training, class_weights):
    network = object_network(architecture, **changes).train(training)
    terms = network.loss(random_objects(), torch.full((5,), -1), class_weights)
    assert all(torch.isfinite(value) for value, _ in terms.values())
    assert terms["accuracy"] == (0, 0)
    terms["loss"][0].backward()
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


@every_network
def test_the_loss_is_finite_if_all_observations_are_masked(architecture, changes):
    network, objects = object_network(architecture, **changes), random_objects()
    nothing = objects._replace(
        vectors=torch.zeros_like(objects.vectors),
        vector_mask=torch.zeros_like(objects.vector_mask),
        times=torch.zeros_like(objects.times),
        photometry=torch.zeros_like(objects.photometry),
    )
    terms = network.train().loss(nothing, torch.arange(5) % 3, None)
    assert all(torch.isfinite(value) for value, _ in terms.values())


@every_network
def test_every_parameter_is_trained_by_the_loss(architecture, changes):
    if architecture == "temporal":
        # Of few alerts, all could lose their vectors.
        changes = changes | {"drop_alerts": 0.0}
    network = object_network(architecture, dropout=0.0, **changes).train()
    network.loss(random_objects(), torch.arange(5) % 3, None)["loss"][0].backward()
    untrained = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert untrained == []


@every_network
def test_accuracy_excludes_unlabelled_objects_and_class_weights_scale_the_loss(
    architecture, changes
):
    network, objects = object_network(architecture, **changes), random_objects()
    labels = torch.tensor([0, 2, -1, -1, -1])
    terms = network.loss(objects, labels, None)
    predicted = network.classify(network.encode(objects)).argmax(dim=1)
    assert terms["accuracy"][0] == (predicted == labels)[:2].float().mean()
    assert terms["accuracy"][1] == terms["loss"][1] == 2
    # If all class weights are 0, labels do not contribute.
    unlabelled = network.loss(objects, torch.full((5,), -1), None)
    weightless = network.loss(objects, labels, torch.zeros(3))
    torch.testing.assert_close(weightless["loss"][0], unlabelled["loss"][0])


def test_an_unknown_architecture_is_refused_by_name():
    with pytest.raises(
        ValueError, match="Unknown architecture 'rnn'. Must be one of: temporal, pu"
    ):
        get_object_network("rnn")
