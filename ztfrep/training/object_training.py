"""Training of a recurrent network of objects on their encoded series."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ztfrep.data.row_index import read_row_index, row_index_path
from ztfrep.data.vector_files import read_vectors
from ztfrep.encoders.cards import ObjectCard
from ztfrep.encoders.predictions import object_outputs
from ztfrep.encoders.vectors_of_tables import read_object_inputs
from ztfrep.models.loss_terms import LossTerms
from ztfrep.models.object import get_object_network
from ztfrep.models.object.base import ObjectConfig, ObjectInput, ObjectNetwork
from ztfrep.training.fit import Dataset
from ztfrep.training.process_group import joined_processes
from ztfrep.training.sampling import oversampling_counts, undersample
from ztfrep.training.training_run import RunSettings, train_and_save


@joined_processes()
def train_recurrent(
    series: Path,
    observations: Path,
    architecture: str,
    config: ObjectConfig,
    settings: RunSettings,
    *,
    model: Path,
    metrics: Path,
) -> None:
    """Train a recurrent network on the train split of encoded series, and write its model folder.

    The saved weights are those of the epoch with the lowest loss on the validation split. `series`
    is a file of vectors `(objects, steps, d)` with its row index, `observations` the table of their
    observations; see `encode_series_table`. `architecture` is a name in
    `ztfrep.models.object.ARCHITECTURES`, and `config` its parameters. If the labelled train series
    are not of two classes or more, the initial weights are saved. Writes the folders `model` and
    `metrics`; see `train_and_save`.
    """
    device = settings.start()
    vectors, classes = read_vectors(series), read_row_index(series).attrs["classes"]
    labels = {split: part.labels.astype(np.int64) for split, part in vectors.items()}
    if len(np.unique(labels["train"][labels["train"] >= 0])) < 2:
        logging.warning(
            "fewer than two classes of labelled train series: the network is not trained"
        )
        settings = replace(settings, epochs=0)
        config = config.model_copy(update={"class_balance": "none"})
    rows = {split: np.arange(len(part)) for split, part in labels.items()}
    if config.class_balance == "oversample":
        rows["train"] = rows["train"].repeat(oversampling_counts(labels["train"]))
    if config.class_balance == "undersample":
        # Validation has the class proportions of training, as in the published run.
        for split in ("train", "validation"):
            rows[split] = undersample(labels[split], settings.seed)
    input_dim = vectors["train"].vectors.shape[2]
    network_class: Any = get_object_network(architecture)
    network: ObjectNetwork = network_class(config, input_dim=input_dim, classes=len(classes))
    inputs = read_object_inputs(series, observations, network)
    network.fit_statistics(inputs["train"])
    data: dict[str, Dataset] = {
        split: (*objects, torch.from_numpy(labels[split])) for split, objects in inputs.items()
    }
    weights = None
    if config.class_balance == "weights":
        weights = class_weights(labels["train"], len(classes)).to(device)

    def loss(model: nn.Module, batch: Dataset) -> LossTerms:
        *parts, labels = batch
        terms: LossTerms = model.loss(ObjectInput(*parts), labels, weights)  # type: ignore[operator]
        return terms

    def make_card(run: dict[str, Any]) -> ObjectCard:
        return ObjectCard.for_architecture(architecture)(
            architecture=architecture, classes=list(classes), input_dim=input_dim, **run
        )

    train_and_save(
        network.to(device),
        data["train"],
        torch.from_numpy(rows["train"]),
        tuple(part[rows["validation"]] for part in data["validation"]),
        loss,
        lambda trained, parts: object_outputs(trained, ObjectInput(*parts)),  # type: ignore[arg-type]
        settings,
        make_card,
        name="recurrent",
        recipe=config,
        inputs=[series, row_index_path(series), observations],
        model=model,
        metrics=metrics,
        row_wise=network.row_wise(),
    )


def class_weights(labels: np.ndarray, classes: int) -> Tensor:
    """Return weights, float32 `(classes,)`, that have the same sum over the rows of each class."""
    counts = np.bincount(labels[labels >= 0], minlength=classes).clip(min=1)
    return torch.tensor(counts.sum() / (classes * counts), dtype=torch.float32)
