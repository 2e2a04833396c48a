"""Registered networks with small random inputs, for tests."""

from functools import cache
from pathlib import Path
from typing import get_args

import torch

from ztfrep.data.alert_schema import CLASSES, SERIES_CLASSES
from ztfrep.models.alert import ARCHITECTURES, get_alert_network
from ztfrep.models.alert.base import N_FEATURES, AlertInput
from ztfrep.models.alert.preprocessing import FeatureScaling
from ztfrep.models.object import ARCHITECTURES as OBJECT_ARCHITECTURES
from ztfrep.models.object import get_object_network
from ztfrep.models.object.base import N_PHOTOMETRY, N_TIMES, ObjectInput
from ztfrep.params import read_params

PARAMS = read_params(Path(__file__).parents[2] / "params.yaml")
N_CLASSES, N_SERIES_CLASSES = len(CLASSES), len(SERIES_CLASSES)
# Numbers of observations of the random objects.
LENGTHS = torch.tensor([1, 7, 3, 5, 2])


def alert_config(architecture, **changes):
    """Return the parameters of an architecture in `params.yaml`, with changes."""
    return getattr(PARAMS.autoencoder, architecture).model_copy(update=changes)


def object_config(architecture, **changes):
    """Return the parameters of an architecture in `params.yaml`, with changes."""
    return getattr(PARAMS.recurrent, architecture).model_copy(update=changes)


def object_variants():
    """Yield the registered architectures of objects with each of their cells, if they have any."""
    for architecture in OBJECT_ARCHITECTURES:
        fields = get_object_network(architecture).Config.model_fields
        cells = get_args(fields["cell"].annotation) if "cell" in fields else [None]
        for cell in cells:
            yield architecture, {} if cell is None else {"cell": cell}


ALERT_ARCHITECTURES = tuple(ARCHITECTURES)
OBJECT_VARIANTS = tuple(object_variants())


def alert_network(architecture, *, classes=N_CLASSES, scaling=None, **changes):
    """Return an untrained network, always with the same weights."""
    # With this seed no channel of the published decoder's output is 0 for all alerts.
    torch.manual_seed(1)
    config = alert_config(architecture, **changes)
    return get_alert_network(architecture)(
        config, classes=classes, feature_scaling=scaling or FeatureScaling.none()
    )


def object_network(architecture, *, input_dim=128, classes=N_SERIES_CLASSES, **changes):
    """Return an untrained network in evaluation mode, with statistics of random objects."""
    torch.manual_seed(0)
    network = get_object_network(architecture)(
        object_config(architecture, **changes), input_dim=input_dim, classes=classes
    )
    network.fit_statistics(random_objects(input_dim=input_dim))
    return network.eval()


def compute_loss(network, alerts, labels, original=None):
    """Return the loss terms of alerts, which by default are not augmented, and of their labels."""
    original = alerts if original is None else original
    return network.loss(alerts, original, network.targets(original), labels)


@cache
def trained_alert_network(architecture, **changes):
    """Return a network with fitted statistics, after three training steps.

    It is shared, so tests must not change it.
    """
    network = alert_network(architecture, **{"dropout": 0.1} | changes)
    alerts, labels = random_alerts(40), torch.arange(40) % N_CLASSES
    network.fit_statistics(alerts)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.003)
    for _ in range(3):
        network.train()
        optimizer.zero_grad()
        compute_loss(network, alerts, labels)["loss"][0].backward()
        optimizer.step()
    return network.eval()


def random_alerts(n=6, seed=0):
    """Return n alerts with nine tenths of the features and all pixels."""
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.rand(n, 3, 21, 21, generator=generator)
    generator = torch.Generator().manual_seed(seed + 100)
    feature_mask = torch.rand(n, N_FEATURES, generator=generator) < 0.9
    crop_and_context = torch.randn(n, 8, 21, 21, generator=generator)
    crop_and_context[:, 6:] = 1
    return AlertInput(
        pixels,
        torch.ones(n, 3, 21, 21, dtype=torch.bool),
        crop_and_context,
        torch.randn(n, N_FEATURES, generator=generator) * feature_mask,
        feature_mask,
    )


def without_stamps(alerts):
    """Return alerts whose pixels are all masked."""
    return alerts._replace(
        pixels=torch.zeros_like(alerts.pixels),
        pixel_mask=torch.zeros_like(alerts.pixel_mask),
        crop_and_context=torch.zeros_like(alerts.crop_and_context),
    )


def without_features(alerts):
    """Return alerts whose features are all masked."""
    return alerts._replace(
        features=torch.zeros_like(alerts.features),
        feature_mask=torch.zeros_like(alerts.feature_mask),
    )


def random_objects(steps=7, input_dim=128, seed=0):
    """Return five objects of `LENGTHS` observations, a fifth of them without a vector.

    The padding has random values, on which no result may depend.
    """
    generator = torch.Generator().manual_seed(seed)
    n = len(LENGTHS)
    return ObjectInput(
        torch.randn(n, steps, input_dim, generator=generator),
        torch.rand(n, steps, generator=generator) < 0.8,
        torch.rand(n, steps, N_TIMES, generator=generator),
        torch.randn(n, steps, N_PHOTOMETRY, generator=generator),
        LENGTHS,
    )


def first_observations(objects, row, steps):
    """Return one object with only its first observations."""
    parts = [part[row : row + 1, :steps] for part in objects[:-1]]
    return ObjectInput(*parts, torch.tensor([steps]))
