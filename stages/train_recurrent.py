"""Train the recurrent network of objects."""

import logging
from functools import partial

import numpy as np
import torch
from torch import Tensor

from stages import run
from stages.device import start
from stages.fitting import fit_and_save
from stages.paths import ENCODED_SERIES, EPOCHS, METRICS, RECURRENT
from stages.series_inputs import series_inputs
from ztfrep.data.row_index import read_row_index as read_names
from ztfrep.data.row_index import row_index_path as names_path
from ztfrep.data.vector_files import read_vectors as read_blocks
from ztfrep.encoders.cards import RecurrentCard
from ztfrep.models.object import published_recurrent as recurrent
from ztfrep.models.object.base import SeriesInput
from ztfrep.models.object.temporal import TemporalRecurrent
from ztfrep.params import Params
from ztfrep.training.fit import Dataset
from ztfrep.training.sampling import balanced_subset, copies_for_balance


def main(params: Params) -> None:
    """Fit on the train series, stop on validation, keep the best epoch."""
    chosen = params.recurrent
    device = start(params)
    names, blocks = read_names(ENCODED_SERIES), read_blocks(ENCODED_SERIES)
    kind = recurrent.ARCHITECTURES[chosen.architecture]
    inputs = series_inputs(kind.all_epochs, chosen.most_epochs)
    data: dict[str, Dataset] = {
        split: (*inputs[split], torch.from_numpy(block.labels.astype(np.int64)))
        for split, block in blocks.items()
    }
    classes = names.attrs["classes"]
    labels = data["train"][-1].numpy()
    if len(np.unique(labels[labels >= 0])) < 2:
        logging.warning("no two classes of labelled train series: the network stays as it is")
        params = params.model_copy(
            update={"recurrent": chosen.model_copy(update={"epochs": 0, "balance": "none"})}
        )
        chosen = params.recurrent
    rows = np.arange(len(labels))
    if chosen.balance == "sampler":
        rows = rows.repeat(copies_for_balance(labels))
    if chosen.balance == "undersample":
        # Stopped by the same proportions that it learns from, as the published run was.
        rows = balanced_subset(labels, params.seed)
        even = balanced_subset(data["validation"][-1].numpy(), params.seed)
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
    model = recurrent.build(chosen.architecture, **sizes)
    model.prepare(inputs["train"])
    fit_and_save(
        model.to(device),
        data["train"],
        torch.from_numpy(rows),
        data["validation"],
        partial(_losses, class_weights=weights, next_weight=chosen.next_weight),
        params,
        "recurrent",
        RecurrentCard,
        {"classes": list(classes), "sizes": sizes, "most_epochs": chosen.most_epochs},
        inputs=[ENCODED_SERIES, names_path(ENCODED_SERIES), EPOCHS],
        directory=RECURRENT,
        live=METRICS / "recurrent",
    )


def _class_weights(labels: np.ndarray, classes: int) -> Tensor:
    # A class' weights sum to the same over the train series, and their mean is one.
    counts = np.bincount(labels[labels >= 0], minlength=classes).clip(min=1)
    return torch.tensor(counts.sum() / (classes * counts), dtype=torch.float32)


def _losses(
    model: recurrent.Recurrent,
    batch: Dataset,
    class_weights: Tensor | None,
    next_weight: float,
) -> dict[str, tuple[Tensor, Tensor]]:
    *parts, labels = batch
    series = SeriesInput(*parts)
    scaled = model.scaled(series.vectors) if isinstance(model, TemporalRecurrent) else None
    return recurrent.losses(model(series), series, labels, class_weights, scaled, next_weight)


if __name__ == "__main__":
    run(main)
