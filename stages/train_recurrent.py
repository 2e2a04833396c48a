"""Train the recurrent network of objects."""

import logging
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from stages import run
from stages.fitting import fit_and_save, start
from stages.paths import ENCODED_SERIES, METRICS, RECURRENT
from ztfrep.encoding import names_path, read_blocks, read_names
from ztfrep.evaluation import balanced_subset
from ztfrep.models import recurrent
from ztfrep.params import Params
from ztfrep.training import Dataset


def main(params: Params) -> None:
    """Fit on the train series, stop on validation, keep the best epoch."""
    chosen = params.recurrent
    device = start(params)
    blocks, names = read_blocks(ENCODED_SERIES), read_names(ENCODED_SERIES)
    data: dict[str, Dataset] = {
        split: (
            torch.from_numpy(block.vectors.astype(np.float32)),
            torch.tensor(names.loc[names["split"] == split, "length"].to_numpy()),
            torch.from_numpy(block.labels.astype(np.int64)),
        )
        for split, block in blocks.items()
    }
    classes = names.attrs["classes"]
    labels = data["train"][2].numpy()
    if len(np.unique(labels[labels >= 0])) < 2:
        logging.warning("no two classes of labelled train series: the network stays as it is")
        params = params.model_copy(
            update={"recurrent": chosen.model_copy(update={"epochs": 0, "balance": "none"})}
        )
        chosen = params.recurrent
    rows = np.arange(len(labels))
    if chosen.balance == "undersample":
        # Stopped by the same proportions that it learns from, as the published run was.
        rows = balanced_subset(labels, params.seed)
        even = balanced_subset(data["validation"][2].numpy(), params.seed)
        data["validation"] = tuple(part[even] for part in data["validation"])
    sizes = {
        "cell": chosen.cell,
        "input_dim": blocks["train"].vectors.shape[2],
        "hidden": chosen.hidden,
        "layers": chosen.layers,
        "dropout": chosen.dropout,
        "classes": len(classes),
    }
    weights = (
        _class_weights(labels, len(classes)).to(device) if chosen.balance == "weights" else None
    )
    fit_and_save(
        recurrent.build(chosen.architecture, **sizes).to(device),
        data["train"],
        torch.from_numpy(rows),
        data["validation"],
        partial(_losses, class_weights=weights),
        params,
        "recurrent",
        card={"sizes": sizes},
        inputs=[ENCODED_SERIES, names_path(ENCODED_SERIES)],
        directory=RECURRENT,
        live=METRICS / "recurrent",
    )


def _class_weights(labels: np.ndarray, classes: int) -> Tensor:
    # A class' weights sum to the same over the train series, and their mean is one.
    counts = np.bincount(labels[labels >= 0], minlength=classes).clip(min=1)
    return torch.tensor(counts.sum() / (classes * counts), dtype=torch.float32)


def _losses(
    model: nn.Module, batch: Dataset, class_weights: Tensor | None
) -> dict[str, tuple[Tensor, Tensor]]:
    series, lengths, labels = batch
    return recurrent.losses(model(series, lengths), labels, class_weights)


if __name__ == "__main__":
    run(main)
