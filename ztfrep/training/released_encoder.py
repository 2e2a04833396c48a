"""The released encoder as the start of a training: whether it is used, frozen or tuned."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ztfrep.data.alert_table import AlertTable
from ztfrep.encoders.alert_batches import encode
from ztfrep.encoders.cards import AlertCard
from ztfrep.encoders.encoder import ALERT_FOLDER, RELEASED
from ztfrep.encoders.model_folder import (
    CARD,
    WEIGHTS,
    load_alert_network,
    read_model_reference,
)
from ztfrep.encoders.reference import Reference
from ztfrep.errors import InputError
from ztfrep.models.alert.base import AlertConfig, AlertInput, AlertNetwork
from ztfrep.models.alert.preprocessing import FeatureScaling
from ztfrep.models.released_start import ReleasedOptions, ReleasedStart
from ztfrep.training.fit import Dataset
from ztfrep.training.head_fit import fit_head, head_accuracy
from ztfrep.training.process_group import from_first
from ztfrep.training.resumption import Progress
from ztfrep.training.training_run import RunSettings, Select

# What the card has in place of a path, which would differ between machines.
NAME = "released"
_N_INPUTS = len(AlertInput._fields)
_ROWS_PER_BATCH = 512


@dataclass(frozen=True, eq=False)
class ReleasedEncoder:
    """The released autoencoder as a start: weights, feature scaling, calibration, and the file."""

    state: dict[str, Tensor]
    scaling: FeatureScaling
    reference: Reference | None
    path: Path


def find_released(
    start: ReleasedStart | None, alerts: AlertTable, architecture: str, config: AlertConfig
) -> ReleasedEncoder | None:
    """Return the released encoder if training starts from it; see `ReleasedStart`.

    Raises InputError if it is required and its weights are those of another network.
    """
    if start is None:
        return None
    if not start.required:
        identity = alerts.identity()
        train = (identity["split"] == "train").to_numpy()
        labelled = int((identity["label"].to_numpy()[train] >= 0).sum())
        # Whoever trains without the labels of these alerts wants an encoder of these alerts.
        if labelled >= start.options.below or not config.uses_labels:
            return None
    folder = RELEASED / ALERT_FOLDER
    network, card = load_alert_network(folder)
    found = _difference(network, card, architecture, config)
    if found is None:
        reference = read_model_reference(folder, card)
        return ReleasedEncoder(network.state_dict(), card.features, reference, folder / WEIGHTS)
    if start.required:
        raise InputError(
            "params.yaml: autoencoder.start",
            found=f"released with {found[0]}",
            expected=f"{found[1]}, as the released encoder has",
            remedy="set it to that, or autoencoder.start to nothing",
        )
    logging.info("training starts from nothing: %s, the released encoder has %s", *found)
    return None


def fit_released_head(
    network: AlertNetwork, train: Dataset, config: AlertConfig, options: ReleasedOptions
) -> None:
    """Fit the classifier head to the labelled train rows, if labels may be used."""
    if config.uses_labels:
        fit_head(network, _vectors(network, train), train[-1], options.head_c)


def tuning(
    settings: RunSettings, config: AlertConfig, train: Dataset, options: ReleasedOptions
) -> tuple[RunSettings, AlertConfig]:
    """Return the settings and parameters of the training; without epochs if it stays frozen.

    The encoder is tuned with labelled train rows of two classes that may be used. The weights of
    the last epoch are kept: the fitted head has the lowest validation loss, but not the highest
    accuracy.
    """
    labels = train[-1]
    tuned = options.training != "frozen" and config.uses_labels
    tuned = tuned and len(labels[labels >= 0].unique()) > 1
    epochs = min(settings.epochs, options.epochs) if tuned else 0
    changes = {"learning_rate": options.learning_rate}
    settings = replace(settings, epochs=epochs, keep_last=True)
    return settings, config.model_copy(update=changes)


def selector(
    network: AlertNetwork, train: Dataset, validation: Dataset, options: ReleasedOptions
) -> Select:
    """Return the function that decides between a frozen and a tuned encoder after training.

    Called before training, when the network is the frozen one. The function takes the progress of
    the training and returns that of the selected encoder, whose weights it loads, with the figures
    of the decision. A tuned encoder is selected if the balanced accuracy of its head on the
    validation rows is not below that of the fitted head of the frozen one.
    """
    frozen = {name: value.detach().clone() for name, value in network.state_dict().items()}

    def accuracy() -> float:
        return head_accuracy(network, _vectors(network, validation), validation[-1])

    before = accuracy()

    def select(progress: Progress) -> tuple[Progress, dict[str, float]]:
        figures = {"labelled_train_rows": float((train[-1] >= 0).sum())}
        after = accuracy() if progress.best_epoch else before
        if np.isfinite([before, after]).all():
            figures |= {"frozen_balanced_accuracy": before, "tuned_balanced_accuracy": after}
        tuned = progress.best_epoch > 0
        if options.training == "validation":
            tuned = tuned and after >= before
        # Rounding in another process must not decide otherwise there.
        tuned = from_first(tuned)
        figures["tuned"] = float(tuned)
        if not tuned:
            network.load_state_dict(frozen)
            progress = Progress(progress.history[:1], 0, frozen)
        return progress, figures

    return select


def _vectors(network: AlertNetwork, data: Dataset) -> Tensor:
    """Return the vectors of the rows of a data set, on its device."""
    alerts = AlertInput(*data[:_N_INPUTS])
    device = next(network.parameters()).device
    rows = torch.arange(len(data[-1]), device=data[-1].device).split(_ROWS_PER_BATCH)
    vectors = [encode(network, alerts.rows(part).to(device), "float32") for part in rows]
    return torch.from_numpy(np.concatenate(vectors)).to(data[-1].device)


def _difference(
    released: AlertNetwork, card: AlertCard, architecture: str, config: AlertConfig
) -> tuple[str, str] | None:
    """Return how the network of some parameters differs from the released one, and that one."""
    if architecture != card.architecture:
        return f"architecture {architecture}", f"architecture {card.architecture}"
    for key in ("latent_dim", "stamp_scaling", "masked_features"):
        own, theirs = getattr(config, key), getattr(card.config, key)
        if own != theirs:
            return f"{key} {_text(own)}", f"{key} {_text(theirs)}"
    with torch.device("meta"):
        other = card.model_copy(update={"config": config}).build().state_dict()
    for name, value in released.state_dict().items():
        if name not in other or other[name].shape != value.shape:
            return f"other parameters, which change {name}", f"those of {CARD}"
    return None


def _text(value: Any) -> str:
    return (", ".join(value) or "none") if isinstance(value, list) else str(value)
