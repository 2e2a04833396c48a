"""Train the autoencoder of alerts."""

from functools import partial

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from stages import run
from stages.device import start
from stages.fitting import fit_and_save
from stages.inputs import alert_inputs, feature_scaling, gathered
from stages.paths import AUTOENCODER, METRICS, STAMPS
from ztfrep.data.alert_schema import CLASSES, ROW_GROUP
from ztfrep.data.alert_table import AlertTable
from ztfrep.encoders.cards import AutoencoderCard
from ztfrep.encoders.model_folder import CARD, WEIGHTS, read_card
from ztfrep.models.alert import losses as autoencoder
from ztfrep.models.alert.base import AlertInput
from ztfrep.models.alert.invariant import InvariantAutoencoder
from ztfrep.params import Autoencoder, Params, given_file
from ztfrep.training.augmentation import augmented
from ztfrep.training.fit import Dataset
from ztfrep.training.sampling import copies_for_balance


def main(params: Params) -> None:
    """Fit on Train, stop on Validation, keep the best epoch."""
    chosen = params.autoencoder
    sizes: dict[str, float] = {
        "latent_dim": chosen.latent_dim,
        "dropout": chosen.dropout,
        "classes": len(CLASSES),
    }
    if chosen.architecture == "invariant":
        sizes["detail"] = chosen.detail
    device = start(params)
    table = AlertTable(STAMPS)
    model = autoencoder.build(chosen.architecture, **sizes)
    names = table.identity()
    split = names["split"].to_numpy()
    scaling = feature_scaling(table, split == "train", chosen.left_out)
    weights = given_file("autoencoder.weights", chosen.weights)
    if weights is not None and weights.name == WEIGHTS and (weights.parent / CARD).is_file():
        # A network of ours keeps the scale that it knows.
        scaling = read_card(weights.parent, AutoencoderCard).features
    inputs = gathered(alert_inputs(table, chosen.rescale, scaling, ROW_GROUP))
    data: Dataset = (*inputs, torch.tensor(names["label"].to_numpy()))
    train = tuple(part[split == "train"] for part in data)
    model.prepare(AlertInput(*train[:-1]))
    fit_and_save(
        model.to(device, memory_format=torch.channels_last),  # type: ignore[call-overload]
        train,
        _rows_of_an_epoch(names[split == "train"], chosen.sampling),
        tuple(part[split == "validation"] for part in data),
        partial(_losses, chosen=chosen),
        params,
        "autoencoder",
        AutoencoderCard,
        {
            "classes": list(CLASSES),
            "sizes": sizes,
            "rescale": chosen.rescale,
            "features": scaling,
        },
        inputs=[STAMPS],
        directory=AUTOENCODER,
        live=METRICS / "autoencoder",
    )


def _rows_of_an_epoch(train: pd.DataFrame, sampling: str) -> Tensor:
    """Give the train rows that an epoch visits, some of them more than once."""
    if sampling == "copies":
        times = train["n_copies"].to_numpy()
    elif sampling == "balanced":
        times = copies_for_balance(train["label"].to_numpy())
    else:
        times = np.ones(len(train), dtype=np.int64)
    return torch.arange(len(train)).repeat_interleave(torch.tensor(times))


def _losses(
    model: nn.Module, batch: Dataset, chosen: Autoencoder
) -> dict[str, tuple[Tensor, Tensor]]:
    *parts, labels = batch
    alerts = given = AlertInput(*parts)
    if model.training:
        several = len(model.modalities) > 1  # type: ignore[arg-type]
        given = augmented(
            alerts,
            # A network of stamps alone has nothing else to go by.
            without_stamps=chosen.without_stamps if several else 0.0,
            without_wide=chosen.without_wide if several else 0.0,
            without_features=chosen.without_features if several else 0.0,
            noise=chosen.noise,
            shift=chosen.shift,
            rotation=chosen.rotation,
        )
    # Metadata that the network was not shown are to be told from the stamps; pixels are not.
    target = given._replace(features=alerts.features, known=alerts.known)
    shapes = None
    if isinstance(model, InvariantAutoencoder):
        # Of the stamps as they are; who was shown none of them need not know their shapes.
        values, known = model.shapes(alerts.views)
        shapes = values, known & given.observed.flatten(1).any(dim=1)[:, None]
    return autoencoder.losses(
        model(given),
        target,
        labels,
        shapes,
        kind=chosen.loss,
        reconstruction_weight=chosen.reconstruction_weight,
        classification_weight=chosen.classification_weight,
        features_weight=chosen.features_weight,
        shapes_weight=chosen.shapes_weight,
        contrastive_weight=chosen.contrastive_weight,
        label_smoothing=chosen.label_smoothing if model.training else 0.0,
    )


if __name__ == "__main__":
    run(main)
