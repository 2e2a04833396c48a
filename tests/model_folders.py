"""Small model folders of every registered network, and changes of their cards."""

import json

import numpy as np
import pandas as pd
import torch

from tests.models.networks import (
    ALERT_ARCHITECTURES,
    OBJECT_VARIANTS,
    alert_config,
    object_config,
)
from ztfrep.data.alert_schema import CLASSES
from ztfrep.data.features import ALERCE_FEATURES, PHYSICAL
from ztfrep.encoders.alert_batches import encode
from ztfrep.encoders.cards import AlertCard, ObjectCard
from ztfrep.encoders.model_folder import (
    CARD,
    load_alert_network,
    load_object_network,
    save_model,
)
from ztfrep.encoders.reference import ANOMALY_TERMS, N_QUANTILES, Reference
from ztfrep.models.alert.preprocessing import FeatureScaling
from ztfrep.models.object.observation_input import object_input

N_FEATURES = len(ALERCE_FEATURES)
HISTORY = [
    {"epoch": 0, "validation_loss": 2.5, "validation_accuracy": 0.2},
    {"epoch": 1, "train_loss": 2.0, "validation_loss": 1.25, "validation_accuracy": 0.4},
    {"epoch": 2, "train_loss": 1.0, "validation_loss": 1.5, "validation_accuracy": 0.5},
]
RUN = {
    "classes": list(CLASSES),
    "epochs": 2,
    "best_epoch": 1,
    "best": {name: value for name, value in HISTORY[1].items() if name != "epoch"},
    "seed": 7,
    "threads": 2,
    "precision": "float32",
    "ztfrep": "1.0",
    "torch": "2.13.0+cpu",
    "history": HISTORY,
}
# Changes of the parameters of an architecture that make its network small.
SMALL_CONFIG = {"invariant": {"pca_fraction": 0.5}}
# Architectures of alerts, and of objects with their cells, by the names of their folders.
ALERT_FOLDERS = {f"alert-{name}": name for name in ALERT_ARCHITECTURES}
OBJECT_FOLDERS = {
    "-".join(["object", architecture, *changes.values()]): (architecture, changes)
    for architecture, changes in OBJECT_VARIANTS
}
FOLDERS = (*ALERT_FOLDERS, *OBJECT_FOLDERS)


def save(folder, name, *, start_weights=None, scaling=None, **changes):
    """Write an untrained network and its card; `changes` are those of its parameters."""
    card = make_card(name, start_weights=start_weights, scaling=scaling, **changes)
    torch.manual_seed(1)
    save_model(folder, card.build(), card, make_reference(card.vector_length, len(card.classes)))


def make_reference(length, classes, rows=60, **changes):
    """Return a reference of random vectors, with the temperature 2."""
    generator = np.random.default_rng(5)
    quantiles = np.linspace(0, 4, N_QUANTILES, dtype=np.float32)
    values = {
        "vectors": generator.normal(size=(rows, length)).astype(np.float32),
        "labels": np.arange(rows) % classes,
        "quantiles": dict.fromkeys(ANOMALY_TERMS, quantiles),
        "temperature": 2.0,
        "true_probabilities": generator.uniform(0.2, 1, rows).astype(np.float32),
        "true_labels": np.arange(rows) % classes,
    }
    return Reference(**values | changes)


def make_card(name, *, start_weights=None, scaling=None, **changes):
    """Return the card of a small network; `changes` are those of its parameters."""
    run = RUN if start_weights is None else RUN | {"start_weights": start_weights}
    if name in ALERT_FOLDERS:
        architecture = ALERT_FOLDERS[name]
        sizes = {"latent_dim": 6, "dropout": 0.25, **SMALL_CONFIG.get(architecture, {})}
        config = alert_config(architecture, **sizes | changes)
        scaling = scaling or FeatureScaling(
            unit=PHYSICAL,
            mean=[0.5 + column for column in range(N_FEATURES)],
            std=[1.5] * N_FEATURES,
            excluded=config.masked_features,
        )
        return AlertCard.for_architecture(architecture)(
            architecture=architecture, config=config, features=scaling, **run
        )
    architecture, cell = OBJECT_FOLDERS[name]
    sizes = {"hidden": 8, "layers": 2, "dropout": 0.25, **cell}
    config = object_config(architecture, **sizes | changes)
    return ObjectCard.for_architecture(architecture)(
        architecture=architecture, config=config, input_dim=6, **run
    )


def load(folder, name):
    """Load a folder as the stages do; `name` is that of the expected kind of network."""
    return (load_alert_network if name in ALERT_FOLDERS else load_object_network)(folder)


def vectors(network, card):
    """Return the vectors of constant raw inputs, preprocessed by the network."""
    if isinstance(card, AlertCard):
        stamps, metadata = raw_alerts()
        return encode(network, network.preprocess(stamps, metadata, PHYSICAL), "float32")
    observations, series = raw_objects(card.input_dim)
    objects = object_input(
        observations,
        series,
        max_observations=card.config.max_observations,
        all_observations=network.reads_all_observations,
    )
    return encode(network, objects, "float32")


def raw_alerts(n=2):
    """Return stamps in counts `(n, 3, 63, 63)` and physical metadata."""
    generator = np.random.default_rng(3)
    stamps = generator.normal(100, 10, (n, 3, 63, 63)).astype(np.float32)
    return stamps, generator.uniform(1, 20, (n, N_FEATURES))


def raw_objects(input_dim):
    """Return the observations of two objects, five and one, and their vectors."""
    generator = np.random.default_rng(3)
    observations = pd.DataFrame(
        {
            "row": [0, 0, 0, 0, 0, 1],
            "detection": [0, 1, 2, 3, 4, 0],
            "step": [0, 1, -1, 2, 3, 0],
            "mjd": [1.0, 2.0, 4.0, 8.0, 16.0, 3.0],
            "fid": [1, 2, 1, 2, 1, 2],
            "magpsf": generator.uniform(18, 20, 6),
            "sigmapsf": generator.uniform(0.1, 0.2, 6),
            "diffmaglim": generator.uniform(20, 21, 6),
        }
    )
    return observations, generator.normal(size=(2, 4, input_dim))


def content(folder):
    """Return the content of the card of a folder."""
    return json.loads((folder / CARD).read_text())


def altered(card, key, value):
    """Return a copy of a card's content with a new value at a dotted key; `...` removes the key."""
    copy = json.loads(json.dumps(card))
    *parents, last = key.split(".")
    part = copy
    for name in parents:
        part = part[int(name) if isinstance(part, list) else name]
    last = int(last) if isinstance(part, list) else last
    if value is ...:
        del part[last]
    else:
        part[last] = value
    return copy
