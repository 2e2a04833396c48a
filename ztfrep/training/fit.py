"""Fitting a network: one epoch function for train and validation, early stop, resumption.

A data set is a tuple of tensors with one row per example, whole in memory; what an epoch draws from
it follows from the seed and the epoch alone, so that a resumed run repeats an uninterrupted one.
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
# The terms of a network's loss on a batch of rows.
Loss = Callable[[nn.Module, Dataset], LossTerms]

# More rows than fit in a processor's cache cost it more time each.
_VALIDATION_BATCH = 128

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
    """Train until the validation loss stops falling; leave the best epoch's weights in `model`.

    `train_rows` are the rows of `train` that an epoch visits, shuffled. Epoch 0 evaluates the model
    as it is. With `checkpoint`, the state after every epoch is saved there, and an interrupted run
    continues from its last epoch with the same result. Data sets and model are on one device.
    `precision` is `float32` or `bf16` (mixed). Raises FloatingPointError, before anything is
    logged, for an epoch whose loss is not finite.
    """
    optimizer = OPTIMIZERS[recipe.optimizer](model.parameters(), lr=recipe.learning_rate)  # type: ignore[call-arg]
    progress = Progress()
    if checkpoint is not None:
        progress = load_progress(checkpoint, model, optimizer, epochs)
    for earlier in progress.history:
        on_epoch(earlier)
    everything = torch.arange(len(validation[0]), device=train_rows.device)

    for epoch in range(len(progress.history), epochs + 1):
        # stop? Here, because a run may be resumed after its last epoch.
        if epoch > progress.best_epoch + recipe.patience:
            break

        record: Record = {"epoch": epoch}

        # step: epoch 0 evaluates the weights as they are
        if epoch > 0:
            _seed_epoch(seed, epoch)
            order = train_rows[torch.randperm(len(train_rows)).to(train_rows.device)]
            size = recipe.batch_size_at(epoch, epochs)
            for group in optimizer.param_groups:
                group["lr"] = recipe.learning_rate_at(epoch, epochs)
            means = run_epoch(model, train, order, size, loss, precision, optimizer)
            record |= {f"train_{name}": value for name, value in means.items()}

        # evaluate
        means = run_epoch(model, validation, everything, _VALIDATION_BATCH, loss, precision)
        record |= {f"validation_{name}": value for name, value in means.items()}

        diverged = [name for name, value in record.items() if not math.isfinite(value)]
        if diverged:
            raise FloatingPointError(f"{diverged[0]} {record[diverged[0]]} in epoch {epoch}")

        # log and save
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
    """Visit the rows `order` of `data` in batches; minimise the loss if there is an optimizer.

    Returns the means of the loss terms over all rows, whatever the batch size.
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
            # Summed on the device: reading a number here would make a GPU wait at every batch.
            for name, (mean, weight) in terms.items():
                totals[name] = totals.get(name, 0) + mean.detach().double() * weight
                weights[name] = weights.get(name, 0) + weight
    return {name: float(total / weights[name].clamp(min=1)) for name, total in totals.items()}


def _seed_epoch(seed: int, epoch: int) -> None:
    # Two seeds' streams must not meet at shifted epochs, as seed + epoch would.
    torch.manual_seed(seed * 100_003 + epoch)
