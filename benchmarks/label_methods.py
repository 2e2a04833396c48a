"""Methods that learn classes of alerts from few labels: encoders, frozen or tuned, and a forest."""

import copy
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from benchmarks.alert_scores import forest, forest_features, linear_probe
from benchmarks.halves import Part, rows_of
from ztfrep.data.alert_schema import CLASSES
from ztfrep.data.alert_table import AlertTable
from ztfrep.encoders.alert_batches import concatenate, encode, input_batches
from ztfrep.models.alert.base import AlertInput, AlertNetwork
from ztfrep.models.alert.preprocessing import FeatureScaling
from ztfrep.training.alert_training import alert_loss, epoch_rows, make_dataset
from ztfrep.training.fit import fit
from ztfrep.training.head_fit import fit_head

AS_IT_IS = "released, head as it is"
PROBE = "released, frozen: probe"
HEAD = "released, frozen: head"
TUNED, TUNED_HEAD = "released, tuned: probe", "released, tuned: head"
SCRATCH, SCRATCH_HEAD = "from nothing: probe", "from nothing: head"
FOREST = "forest on the metadata"
_BATCH = 128
_VALIDATION_ROWS = 32

Predicted = dict[str, np.ndarray]


class Rows(NamedTuple):
    """Labelled alerts: labels, objects, raw rows of the table, and what the methods read."""

    labels: np.ndarray
    objects: np.ndarray
    inputs: AlertInput
    vectors: torch.Tensor
    features: np.ndarray


class Recipes(NamedTuple):
    """How networks are trained: parameters, epochs and rate if tuned, epochs from nothing."""

    config: Any
    c: float
    tuned_epochs: int
    tuned_rate: float
    scratch_epochs: int


def draw(labels: np.ndarray, objects: np.ndarray, count: int | None, seed: int) -> np.ndarray:
    """Return rows, int `(m,)`: one of each of `count` objects of each class; with None all rows.

    A class of fewer objects has all of them.
    """
    if count is None:
        return np.arange(len(labels))
    generator, drawn = np.random.default_rng(seed), []
    for label in np.unique(labels):
        rows = generator.permutation(np.flatnonzero(labels == label))
        _, first = np.unique(objects[rows], return_index=True)
        drawn.append(rows[np.sort(first)[:count]])
    return np.sort(np.concatenate(drawn))


def read_rows(network: AlertNetwork, table: AlertTable, part: Part) -> Rows:
    """Read the labelled alerts of a part, and compute what the methods read."""
    index = table.index()
    labels, objects = index["label"].to_numpy().astype(np.int64), index["object_id"].to_numpy(str)
    rows = rows_of(part, objects, labels)
    inputs = concatenate(input_batches(network, table, _BATCH)).rows(rows)
    features = forest_features(table)[rows]
    return Rows(labels[rows], objects[rows], inputs, _vectors(network, inputs), features)


def predict(
    network: AlertNetwork,
    a: Rows,
    drawn: np.ndarray,
    scored: Rows,
    test: np.ndarray,
    seed: int,
    recipes: Recipes,
    *,
    from_nothing: bool,
) -> Predicted:
    """Return the classes of test rows by method, each fitted to the drawn rows of half A."""
    labels = torch.from_numpy(a.labels[drawn])
    train, tested = a.inputs.rows(drawn), scored.inputs.rows(test)

    def by(trained: AlertNetwork, probe: str, head: str) -> Predicted:
        fitted, vectors = _vectors(trained, train), _vectors(trained, tested)
        model = linear_probe().fit(fitted.double().numpy(), a.labels[drawn])
        return {
            probe: model.predict(vectors.double().numpy()),
            head: head_logits(trained, vectors).argmax(1),
        }

    frozen = copy.deepcopy(network)
    fit_head(frozen, a.vectors[drawn], labels, recipes.c)
    predicted = by(frozen, PROBE, HEAD)
    predicted[FOREST] = (
        forest(seed).fit(a.features[drawn], a.labels[drawn]).predict(scored.features[test])
    )
    if recipes.tuned_epochs:
        # The head is fitted first: otherwise its first steps change vectors that are good.
        tuned = copy.deepcopy(frozen)
        config = recipes.config.model_copy(update={"learning_rate": recipes.tuned_rate})
        _train(tuned, train, labels, config, recipes.tuned_epochs, seed)
        predicted |= by(tuned, TUNED, TUNED_HEAD)
    if recipes.scratch_epochs and from_nothing:
        torch.manual_seed(seed)
        new: Any = type(network)
        scaling: FeatureScaling = network.preprocessing.feature_scaling
        scratch = new(recipes.config, classes=len(CLASSES), feature_scaling=scaling)
        scratch.fit_statistics(train)
        _train(scratch, train, labels, recipes.config, recipes.scratch_epochs, seed)
        predicted |= by(scratch, SCRATCH, SCRATCH_HEAD)
    return predicted


def _train(
    network: AlertNetwork,
    train: AlertInput,
    labels: torch.Tensor,
    config: Any,
    epochs: int,
    seed: int,
) -> None:
    """Train a network on alerts, and load the weights of the last epoch."""
    data = make_dataset(network, train, labels)
    last: dict[str, torch.Tensor] = {}

    def keep(record: dict[str, float]) -> None:
        if record["epoch"] == epochs:
            last.update({name: part.clone() for name, part in network.state_dict().items()})

    fit(
        network,
        data,
        epoch_rows(pd.DataFrame({"n_copies": 1, "label": labels.numpy()}), config.sampling),
        # Stopping is not wanted, so few rows are enough.
        tuple(part[:_VALIDATION_ROWS] for part in data),
        alert_loss,
        config.model_copy(update={"patience": epochs}),
        epochs=epochs,
        seed=seed,
        precision="float32",
        on_epoch=keep,
    )
    network.load_state_dict(last)


def _vectors(network: AlertNetwork, inputs: AlertInput) -> torch.Tensor:
    starts = range(0, len(inputs.pixels), _BATCH)
    batches = (inputs.rows(slice(start, start + _BATCH)) for start in starts)
    return torch.from_numpy(np.concatenate([encode(network, b, "float32") for b in batches]))


def head_logits(network: AlertNetwork, vectors: torch.Tensor) -> np.ndarray:
    """Return the logits `(n, classes)` of a network's head for vectors `(n, d)`."""
    with torch.inference_mode():
        logits: np.ndarray = network.eval().classify(vectors).numpy()
    return logits
