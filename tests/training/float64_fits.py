"""Fits of small networks in float64, in this process or in those of torchrun.

In float32, other sums of the same numbers change a training within a few steps: a different number
of threads does as much.
"""

import sys
from pathlib import Path

import torch

from tests.models.networks import (
    alert_config,
    alert_network,
    object_config,
    object_network,
    random_alerts,
    random_objects,
)
from ztfrep.models.object.base import ObjectInput
from ztfrep.training.alert_training import alert_loss
from ztfrep.training.fit import fit
from ztfrep.training.process_group import joined_processes, process_index
from ztfrep.training.shared_rows import sharing_rows

# The last batch of an epoch has one row: fewer than there are processes.
ROWS, BATCH_SIZE = 21, 5
AUGMENTATION = {"noise": 0.5, "shift": 1}
ALERTS = {
    "invariant": ("invariant", AUGMENTATION),
    "published": ("published", {"final_epochs": 1, "final_batch_size": 8}),
}
OBJECTS = {
    "temporal gru": ("temporal", {"cell": "gru"}),
    # No loss depends on the forecast's weights.
    "temporal without forecast": ("temporal", {"cell": "lstm", "forecast_weight": 0.0}),
    "temporal attention": ("temporal", {"cell": "attention"}),
    "published lstm": ("published", {"cell": "lstm"}),
}


def double(parts):
    return tuple(part.double() if part.is_floating_point() else part for part in parts)


def object_loss(network, batch):
    *parts, labels = batch
    return network.loss(ObjectInput(*parts), labels, None)


def fit_network(name, epochs=3, checkpoint=None):
    """Return the records and the weights of a fit."""
    labels = torch.arange(ROWS) % 5
    labels[3] = -1
    changes = {"batch_size": BATCH_SIZE, "optimizer": "adam"}
    if name in ALERTS:
        architecture, others = ALERTS[name]
        changes |= others
        network = alert_network(architecture, latent_dim=8, **changes)
        inputs, loss = random_alerts(ROWS), alert_loss
        network.fit_statistics(inputs)
        network.double()
        inputs = type(inputs)(*double(inputs))
        data = (*inputs, *network.targets(inputs), labels)
        config = alert_config(architecture, latent_dim=8, **changes)
    else:
        architecture, others = OBJECTS[name]
        changes |= others | {"hidden": 8, "layers": 1}
        network = object_network(architecture, input_dim=6, classes=5, **changes).double()
        inputs, loss = random_objects(input_dim=6), object_loss
        data = double((*inputs.rows(torch.arange(ROWS) % len(inputs.lengths)), labels))
        config = object_config(architecture, **changes)
    with sharing_rows(network.row_wise()):
        progress = fit(
            network, data, torch.arange(ROWS), data, loss, config,
            epochs=epochs, seed=7, precision="float32", checkpoint=checkpoint,
        )  # fmt: skip
    return progress.history, network.state_dict()


@joined_processes()
def main(folder):
    torch.set_num_threads(1)
    results = {name: fit_network(name) for name in (*ALERTS, *OBJECTS)}
    # An interrupted run goes on in the same way, and only the first process has its checkpoint.
    checkpoint = folder / f"checkpoints-{process_index()}" / "fit.pt"
    fit_network("temporal gru", epochs=1, checkpoint=checkpoint)
    results["resumed"] = fit_network("temporal gru", epochs=3, checkpoint=checkpoint)
    torch.save(results, folder / f"{process_index()}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
