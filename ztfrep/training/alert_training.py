"""Training of an autoencoder of alerts on a stamps table."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from ztfrep.data.alert_schema import CLASSES, ROW_GROUP
from ztfrep.data.alert_table import AlertTable
from ztfrep.encoders.alert_batches import concatenate, input_batches
from ztfrep.encoders.cards import AlertCard
from ztfrep.encoders.model_folder import is_model_file, read_card
from ztfrep.encoders.predictions import alert_outputs
from ztfrep.errors import InputError
from ztfrep.models.alert import get_alert_network
from ztfrep.models.alert.base import AlertConfig, AlertInput, AlertNetwork, Augmentation
from ztfrep.models.alert.preprocessing import FeatureScaling
from ztfrep.models.loss_terms import LossTerms
from ztfrep.models.released_start import ReleasedStart
from ztfrep.training.augmentation import augment
from ztfrep.training.fit import Dataset
from ztfrep.training.process_group import joined_processes
from ztfrep.training.released_encoder import (
    NAME,
    find_released,
    fit_released_head,
    selector,
    tuning,
)
from ztfrep.training.sampling import oversampling_counts
from ztfrep.training.training_run import RunSettings, train_and_save

_N_INPUTS = len(AlertInput._fields)
# Rows for which targets are computed at a time: more need much memory.
_TARGET_ROWS = 4096


@joined_processes()
def train_autoencoder(
    table: Path,
    architecture: str,
    config: AlertConfig,
    settings: RunSettings,
    *,
    model: Path,
    metrics: Path,
    released: ReleasedStart | None = None,
) -> None:
    """Train an autoencoder on the train split of a stamps table, and write its model folder.

    The saved weights are those of the epoch with the lowest loss on the validation split.
    `architecture` is a name in `ztfrep.models.alert.ARCHITECTURES`, and `config` its parameters.
    With `released` and no start weights, training may start from the released encoder, which is
    frozen without labelled train rows of two classes; see `ReleasedOptions`. Writes the folders
    `model` and `metrics`; see `train_and_save`. Raises InputError if the released encoder is
    required and is another network.
    """
    device = settings.start()
    alerts = AlertTable(table)
    network_class: Any = get_alert_network(architecture)
    index = alerts.identity()
    split = index["split"].to_numpy()
    start = find_released(released, alerts, architecture, config)
    scaling = (
        _feature_scaling(alerts, split == "train", config, settings.start_weights)
        if start is None
        else start.scaling
    )
    network: AlertNetwork = network_class(config, classes=len(CLASSES), feature_scaling=scaling)
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    inputs = concatenate(input_batches(network, alerts, ROW_GROUP))
    labels = torch.tensor(index["label"].to_numpy(), device=device)
    rows = {
        name: torch.tensor(np.flatnonzero(split == name), device=device)
        for name in ("train", "validation")
    }
    if start is None:
        network.fit_statistics(inputs.rows(rows["train"]))
    else:
        network.load_state_dict(start.state)
    data = {
        name: make_dataset(network, inputs.rows(part), labels[part]) for name, part in rows.items()
    }

    select, files = None, [table]
    if start is not None and released is not None:
        files.append(start.path)
        fit_released_head(network, data["train"], config, released.options)
        select = selector(network, data["train"], data["validation"], released.options)
        settings, config = tuning(settings, config, data["train"], released.options)

    def make_card(run: dict[str, Any]) -> AlertCard:
        origin = {} if start is None else {"start_weights": NAME}
        return AlertCard.for_architecture(architecture)(
            architecture=architecture, classes=list(CLASSES), features=scaling, **(run | origin)
        )

    train_and_save(
        network,
        data["train"],
        epoch_rows(index[split == "train"], config.sampling),
        data["validation"],
        alert_loss,
        lambda trained, parts: alert_outputs(trained, AlertInput(*parts[:_N_INPUTS])),  # type: ignore[arg-type]
        settings,
        make_card,
        name="autoencoder",
        recipe=config,
        inputs=files,
        model=model,
        metrics=metrics,
        select=select,
        calibration=None if start is None else start.reference,
        row_wise=network.row_wise(),
    )


def alert_loss(network: nn.Module, rows: Dataset) -> LossTerms:
    """Return the loss terms of a network of alerts on a batch of its input, targets and labels.

    In training the alerts are augmented first, by the parameters of the network.
    """
    alerts, targets, labels = AlertInput(*rows[:_N_INPUTS]), rows[_N_INPUTS:-1], rows[-1]
    augmentation: Augmentation = network.config.augmentation  # type: ignore[union-attr, assignment]
    augmented = alerts
    if network.training and augmentation != Augmentation():
        augmented = augment(alerts, augmentation)
    terms: LossTerms = network.loss(augmented, alerts, targets, labels)  # type: ignore[operator]
    return terms


def make_dataset(network: AlertNetwork, alerts: AlertInput, labels: Tensor) -> Dataset:
    """Return the input, the targets of the loss, and the labels of alerts."""
    chunks = torch.arange(len(labels), device=labels.device).split(_TARGET_ROWS)
    parts = [network.targets(alerts.rows(rows)) for rows in chunks]
    targets = (torch.cat(part) for part in zip(*parts, strict=True))
    return (*alerts, *targets, labels)


def epoch_rows(train: pd.DataFrame, sampling: str) -> Tensor:
    """Return the indices of the train rows in an epoch, with repetitions: int64 `(m,)`.

    `train` has `n_copies` and `label` of each row; for `sampling` see `AlertConfig`.
    """
    if sampling == "copies":
        counts = train["n_copies"].to_numpy()
    elif sampling == "balanced":
        counts = oversampling_counts(train["label"].to_numpy())
    else:
        counts = np.ones(len(train), dtype=np.int64)
    return torch.arange(len(train)).repeat_interleave(torch.tensor(counts))


def _feature_scaling(
    alerts: AlertTable, train: np.ndarray, config: AlertConfig, start_weights: Path | None
) -> FeatureScaling:
    if start_weights is not None and is_model_file(start_weights):
        # Weights of a model folder are used with the feature scaling that they were trained with.
        scaling = read_card(start_weights.parent, AlertCard).features
        if scaling.excluded != config.masked_features:
            raise InputError(
                start_weights,
                found=f"weights of a network that excludes {_join(scaling.excluded)}",
                expected=f"one that excludes {_join(config.masked_features)}, as params.yaml does",
                remedy="set excluded_features to those of the weights",
            )
        return scaling
    metadata = alerts.features()[train]
    return FeatureScaling.fit(metadata, alerts.feature_unit, config.masked_features)


def _join(names: Sequence[str]) -> str:
    return ", ".join(names) or "no feature"
