"""No step of a training waits for the device or copies a number to it.

A CUDA graph cannot contain such operations. On the device "meta", tensors have no values, so that
reading one is an error; with `NoTransfers`, so is an operation with a tensor on the host.
"""

import pytest
import torch

from tests.models.networks import (
    ALERT_ARCHITECTURES,
    OBJECT_VARIANTS,
    alert_network,
    object_network,
    random_alerts,
    random_objects,
)
from tests.training.transfers import NoTransfers, TransferError
from ztfrep.models.object.base import ObjectInput
from ztfrep.training.alert_training import alert_loss, make_dataset
from ztfrep.training.steps import Steps, make_optimizer

AUGMENTATION = {
    "drop_stamps": 0.2, "drop_context": 0.2, "drop_features": 0.2,
    "noise": 0.3, "shift": 2, "rotation": 20.0,
}  # fmt: skip
VARIANTS = [
    *(
        pytest.param(name, changes, id=f"{name}-{'augmented' if changes else 'alone'}")
        for name in ALERT_ARCHITECTURES
        for changes in ({}, AUGMENTATION)
        if not changes or set(changes) <= set(type(alert_network(name).config).model_fields)
    ),
    *(
        pytest.param(name, changes, id="-".join(["objects", name, *changes.values()]))
        for name, changes in OBJECT_VARIANTS
    ),
]
every_network = pytest.mark.parametrize(("architecture", "changes"), VARIANTS)


def case(architecture, changes, weights):
    """Return a network, its data set and its loss, all with random numbers."""
    if (architecture, changes) in OBJECT_VARIANTS:
        network = object_network(architecture, hidden=8, **changes)

        def loss(model, batch):
            *parts, labels = batch
            return model.loss(ObjectInput(*parts), labels, weights)

        return network, (*random_objects(), torch.arange(5) % 3), loss
    network = alert_network(architecture, latent_dim=8, dropout=0.1, **changes)
    alerts = random_alerts(5)
    network.fit_statistics(alerts)
    return network, make_dataset(network, alerts, torch.arange(5) % 3), alert_loss


@every_network
@pytest.mark.parametrize("optimizer", [None, "adam", "adamw", "sgd"])
def test_a_step_reads_no_number_and_makes_no_tensor_of_one(architecture, changes, optimizer):
    network, data, loss = case(architecture, changes, torch.ones(3))
    if optimizer is not None:
        recipe = network.config.model_copy(update={"optimizer": optimizer})
        optimizer = make_optimizer(recipe, network.parameters(), torch.device("cpu"))
    steps = Steps(network, data, loss, "float32", optimizer)
    network.train(optimizer is not None)
    # The first step makes the state of the optimizer.
    steps.take(torch.arange(4))
    with NoTransfers("cpu"):
        steps.take(torch.arange(4))


@every_network
@pytest.mark.parametrize("training", [True, False])
def test_the_loss_and_its_gradient_are_computed_on_the_device_alone(
    architecture, changes, training
):
    network, data, loss = case(architecture, changes, torch.ones(3, device="meta"))
    network.to("meta").train(training)
    batch = tuple(part.to("meta") for part in data)
    with NoTransfers("meta"):
        loss(network, batch)["loss"][0].backward()


VALUES = torch.arange(4.0)
TRANSFERS = {
    "a number read": lambda: VALUES.sum().item(),
    "a condition": lambda: bool(VALUES.sum() > 1),
    "a mask as index": lambda: VALUES[VALUES > 1],
    "an assignment by a mask": lambda: VALUES.clone().__setitem__(VALUES > 1, VALUES[:2]),
    "positions": lambda: VALUES.nonzero(),
    "different values": lambda: VALUES.unique(),
    "counts as repeats": lambda: VALUES.repeat_interleave(torch.arange(4)),
    "a tensor of numbers": lambda: torch.tensor([1.0, 2.0]),
    "an assigned number": lambda: VALUES.clone().__setitem__(0, 1.0),
}


@pytest.mark.parametrize("transfer", TRANSFERS)
def test_a_transfer_is_found(transfer):
    with pytest.raises(TransferError), NoTransfers():
        TRANSFERS[transfer]()


def test_a_tensor_on_the_host_is_found():
    values = VALUES.to("meta")
    with pytest.raises(TransferError, match="on cpu"), NoTransfers("meta"):
        values * torch.ones(())
