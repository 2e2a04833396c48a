"""Train the autoencoder of alerts."""

from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from stages import run
from stages.fitting import fit_and_save, start
from stages.paths import AUTOENCODER, METRICS, STAMPS
from ztfrep import features
from ztfrep.alerts import CHANNELS, CLASSES, AlertTable
from ztfrep.models import autoencoder
from ztfrep.params import Autoencoder, Params
from ztfrep.stamps import CROP, prepare
from ztfrep.training import Dataset


def main(params: Params) -> None:
    """Fit on Train, stop on Validation, keep the best epoch."""
    chosen = params.autoencoder
    sizes = {
        "latent_dim": chosen.latent_dim,
        "dropout": chosen.dropout,
        "classes": len(CLASSES),
    }
    device = start(params)
    table = AlertTable(STAMPS)
    model = autoencoder.build(chosen.architecture, **sizes)
    names = table.identity()
    data = _network_input(table, chosen.rescale, names["label"].to_numpy())
    split = names["split"].to_numpy()
    train = tuple(part[split == "train"] for part in data)
    copies = torch.tensor(names["n_copies"].to_numpy()[split == "train"])
    rows = torch.arange(len(train[0]))
    fit_and_save(
        model.to(device, memory_format=torch.channels_last),  # type: ignore[call-overload]
        train,
        rows.repeat_interleave(copies) if chosen.sampling == "copies" else rows,
        tuple(part[split == "validation"] for part in data),
        partial(_losses, chosen=chosen),
        params,
        "autoencoder",
        card={
            "sizes": sizes,
            "rescale": chosen.rescale,
            "crop": CROP,
            "channels": CHANNELS,
            "features": _feature_scaling(table, split == "train"),
        },
        inputs=[STAMPS],
        directory=AUTOENCODER,
        live=METRICS / "autoencoder",
    )


def _network_input(table: AlertTable, rescale: str, labels: np.ndarray) -> Dataset:
    parts = [prepare(stamps, rescale) for stamps in table.stamps()]
    pixels, observed = (torch.from_numpy(np.concatenate(part)) for part in zip(*parts, strict=True))
    pixels = pixels.contiguous(memory_format=torch.channels_last)
    return pixels, observed, torch.tensor(labels)


def _feature_scaling(table: AlertTable, train: np.ndarray) -> dict[str, Any]:
    """Describe the features' unit and their statistics over the train rows."""
    mean, std = features.statistics(table.clipped_features()[train])
    return {"unit": table.info.feature_unit, "mean": mean.tolist(), "std": std.tolist()}


def _losses(
    model: nn.Module, batch: Dataset, chosen: Autoencoder
) -> dict[str, tuple[Tensor, Tensor]]:
    pixels, observed, labels = batch
    return autoencoder.losses(
        model(pixels),
        pixels,
        observed,
        labels,
        kind=chosen.loss,
        reconstruction_weight=chosen.reconstruction_weight,
        classification_weight=chosen.classification_weight,
    )


if __name__ == "__main__":
    run(main)
