"""The published recurrent network: its names, so that its checkpoints fit, and its loss."""

import torch
from torch import nn

from tests.models.networks import object_network, random_objects


def test_parameters_have_the_published_names_and_shapes():
    names = {n: tuple(p.shape) for n, p in object_network("published").named_parameters()}
    assert names["rnn.weight_ih_l0"] == (96, 128)
    assert names["rnn.weight_hh_l1"] == (96, 32)
    linear = {0: (64, 32), 3: (32, 64), 5: (16, 32), 7: (3, 16)}
    assert {n: s for n, s in names.items() if n.startswith("fc") and n.endswith("weight")} == {
        f"fc.{i}.weight": shape for i, shape in linear.items()
    }
    # A checkpoint has only these.
    assert set(object_network("published").state_dict()) == set(names)


def test_the_vector_depends_only_on_the_vectors_of_the_alerts():
    network, objects = object_network("published"), random_objects()
    changed = objects._replace(
        times=objects.times + 1,
        photometry=objects.photometry + 1,
        vector_mask=~objects.vector_mask,
    )
    assert torch.equal(network.encode(changed), network.encode(objects))


def test_the_loss_is_the_weighted_cross_entropy_over_the_labelled_objects():
    network, objects = object_network("published"), random_objects()
    labels = torch.tensor([0, 2, -1, -1, -1])
    logits = network.classify(network.encode(objects))
    losses = nn.functional.cross_entropy(logits[:2], labels[:2], reduction="none")
    torch.testing.assert_close(network.loss(objects, labels, None)["loss"][0], losses.mean())
    weighted = network.loss(objects, labels, torch.tensor([3.0, 1.0, 0.5]))["loss"][0]
    torch.testing.assert_close(weighted, (losses * torch.tensor([3.0, 0.5])).mean())


def test_nothing_is_forecast():
    assert object_network("published").forecast_magnitude(random_objects()) is None
