"""The training loop: one epoch function for train and validation, early stopping, resumption.

A data set is a tuple of tensors in memory with one row per example. The random numbers of an epoch
depend only on the seed and the epoch, so that a resumed run repeats an uninterrupted one.
"""

import math
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from ztfrep.models.loss_terms import LossTerms
from ztfrep.models.recipe import Recipe
from ztfrep.training.resumption import Progress, Record, load_progress, save_progress

Dataset = tuple[Tensor, ...]
# A function that computes the loss terms of a network on a batch of rows.
Loss = Callable[[nn.Module, Dataset], LossTerms]

# Larger batches do not fit in the cache of a processor and take longer per row.
_VALIDATION_BATCH_SIZE = 128

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
}


def fit(
    model: nn.Module,
    train: Dataset,
    train_rows: Tensor,
    validation: Dataset,
    loss: Loss,
    recipe: Recipe,
    *,
    epochs: int,
    seed: int,
    precision: str,
    checkpoint: Path | None = None,
    on_epoch: Callable[[Record], None] = lambda record: None,
) -> Progress:
    """Train a model until its validation loss stops falling, and load the best epoch's weights.

    Epoch 0 evaluates the initial weights; epochs 1 to `epochs` train. An epoch visits the rows
    `train_rows` of `train`, shuffled. With `checkpoint`, the state after every epoch is saved to
    that file, and an interrupted run continues from its last epoch with the same result. Data sets
    and model must be on one device. `precision` is `float32` or `bf16` (mixed). `on_epoch` is
    called with the record of each epoch. Raises FloatingPointError if a loss is not finite, before
    the epoch is logged or saved.
    """
    optimizer = OPTIMIZERS[recipe.optimizer](model.parameters(), lr=recipe.learning_rate)  # type: ignore[call-arg]
    progress = Progress()
    if checkpoint is not None:
        progress = load_progress(checkpoint, model, optimizer, epochs)
    for record in progress.history:
        on_epoch(record)
    validation_rows = torch.arange(len(validation[0]), device=train_rows.device)

    for epoch in range(len(progress.history), epochs + 1):
        # Stop early. This is tested first, because a run may be resumed after its last epoch.
        if epoch > progress.best_epoch + recipe.patience:
            break

        record = {"epoch": epoch}

        # Train, except in epoch 0.
        if epoch > 0:
            _seed_epoch(seed, epoch)
            order = train_rows[torch.randperm(len(train_rows)).to(train_rows.device)]
            size = recipe.batch_size_at(epoch, epochs)
            for group in optimizer.param_groups:
                group["lr"] = recipe.learning_rate_at(epoch, epochs)
            means = run_epoch(model, train, order, size, loss, precision, optimizer)
            record |= {f"train_{name}": value for name, value in means.items()}

        # Evaluate.
        means = run_epoch(
            model, validation, validation_rows, _VALIDATION_BATCH_SIZE, loss, precision
        )
        record |= {f"validation_{name}": value for name, value in means.items()}

        diverged = [name for name, value in record.items() if not math.isfinite(value)]
        if diverged:
            raise FloatingPointError(f"{diverged[0]} {record[diverged[0]]} in epoch {epoch}")

        # Save and log.
        progress.history.append(record)
        if epoch == 0 or record["validation_loss"] < progress.best["validation_loss"]:
            progress.best_epoch = epoch
            progress.best_state = {k: v.detach().clone() for k, v in model.state_dict().items()}
        if checkpoint is not None:
            save_progress(checkpoint, model, optimizer, progress)
        on_epoch(record)

    model.load_state_dict(progress.best_state)
    return progress


def run_epoch(
    model: nn.Module,
    data: Dataset,
    order: Tensor,
    batch_size: int,
    loss: Loss,
    precision: str,
    optimizer: torch.optim.Optimizer | None = None,
) -> Record:
    """Compute the loss on the rows `order` of `data` in batches; minimise it with an optimizer.

    Returns the means of the loss terms over all rows, which do not depend on the batch size.
    """
    training = optimizer is not None
    model.train(training)
    totals: dict[str, Tensor] = {}
    weights: dict[str, Tensor] = {}
    with torch.set_grad_enabled(training):
        for rows in order.split(batch_size):
            batch = tuple(part[rows] for part in data)
            with torch.autocast(rows.device.type, torch.bfloat16, enabled=precision == "bf16"):
                terms = loss(model, batch)
            if optimizer is not None:
                optimizer.zero_grad(set_to_none=True)
                terms["loss"][0].backward()
                optimizer.step()
            # Sums stay on the device: reading a number would synchronise with a GPU in each batch.
            for name, (mean, weight) in terms.items():
                totals[name] = totals.get(name, 0) + mean.detach().double() * weight
                weights[name] = weights.get(name, 0) + weight
    return {name: float(total / weights[name].clamp(min=1)) for name, total in totals.items()}


def _seed_epoch(seed: int, epoch: int) -> None:
    # With seed + epoch, seed 1 in epoch 2 would draw the same numbers as seed 2 in epoch 1.
    torch.manual_seed(seed * 100_003 + epoch)
