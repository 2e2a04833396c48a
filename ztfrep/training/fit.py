"""The training loop: one epoch function for train and validation, early stopping, resumption.

A data set is a tuple of tensors in memory with one row per example. The random numbers of an epoch
depend only on the seed and the epoch, so that a resumed run repeats an uninterrupted one.
"""

import math
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from ztfrep.models.recipe import Recipe
from ztfrep.training.process_group import from_first, is_first, n_processes
from ztfrep.training.resumption import Progress, Record, load_progress, save_progress
from ztfrep.training.shared_rows import averaging_gradients
from ztfrep.training.steps import Dataset, Loss, Steps, make_optimizer, set_learning_rate

# Larger batches do not fit in the cache of a processor and take longer per row.
_VALIDATION_BATCH_SIZE = 128
# Rows from which on a compiled step saves more time on a GPU than compiling takes: some 5
# microseconds a row against one or two minutes.
_COMPILED_ROWS = 20_000_000


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
    compiled: bool | None = None,
    keep_last: bool = False,
) -> Progress:
    """Train a model until its validation loss stops falling, and load the best epoch's weights.

    With `keep_last` all epochs are run, and the weights are those of the last one.

    Epoch 0 evaluates the initial weights; epochs 1 to `epochs` train. An epoch visits the rows
    `train_rows` of `train`, shuffled. With `checkpoint`, the state after every epoch is saved to
    that file, and an interrupted run continues from its last epoch with the same result. Data sets
    and model must be on one device. `precision` is `float32` or `bf16` (mixed). `on_epoch` is
    called with the record of each epoch. `compiled` is whether the loss is compiled by
    `torch.compile`; by default it is on a GPU in long trainings. Raises FloatingPointError if a
    loss is not finite, before the epoch is logged or saved.

    With several processes, every one takes the same steps and has the same weights; the first one
    alone reads and writes the checkpoint.
    """
    device = train_rows.device
    optimizer = make_optimizer(recipe, model.parameters(), device)
    progress = Progress()
    if checkpoint is not None and is_first():
        progress = load_progress(checkpoint, model, optimizer, epochs)
    if n_processes() > 1:
        progress, state = from_first((progress, optimizer.state_dict()))
        optimizer.load_state_dict(state)
    for record in progress.history:
        on_epoch(record)
    validation_rows = torch.arange(len(validation[0]), device=device)
    # Steps that wait for other processes are neither compiled nor captured.
    capture = None if n_processes() == 1 else False
    if compiled is None:
        long = epochs * len(train_rows) >= _COMPILED_ROWS
        compiled = device.type == "cuda" and long and n_processes() == 1
    step_loss = averaging_gradients(model, loss)
    training = Steps(
        model, train, step_loss, precision, optimizer, capture=capture, compiled=compiled
    )
    evaluation = Steps(model, validation, loss, precision, capture=capture)

    for epoch in range(len(progress.history), epochs + 1):
        # Stop early. This is tested first, because a run may be resumed after its last epoch.
        if epoch > progress.best_epoch + recipe.patience:
            break

        record = {"epoch": epoch}

        # Train, except in epoch 0.
        if epoch > 0:
            _seed_epoch(seed, epoch)
            order = train_rows[torch.randperm(len(train_rows)).to(device)]
            set_learning_rate(optimizer, recipe.learning_rate_at(epoch, epochs), device)
            means = training.run(order, recipe.batch_size_at(epoch, epochs))
            record |= {f"train_{name}": value for name, value in means.items()}

        # Evaluate.
        means = evaluation.run(validation_rows, _VALIDATION_BATCH_SIZE)
        record |= {f"validation_{name}": value for name, value in means.items()}
        # Rounding on another machine must not decide otherwise there.
        record = from_first(record)

        diverged = [name for name, value in record.items() if not math.isfinite(value)]
        if diverged:
            raise FloatingPointError(f"{diverged[0]} {record[diverged[0]]} in epoch {epoch}")

        # Save and log.
        progress.history.append(record)
        first = keep_last or epoch == 0
        if first or record["validation_loss"] < progress.best["validation_loss"]:
            progress.best_epoch = epoch
            progress.best_state = {k: v.detach().clone() for k, v in model.state_dict().items()}
        if checkpoint is not None and is_first():
            save_progress(checkpoint, model, optimizer, progress)
        on_epoch(record)

    model.load_state_dict(progress.best_state)
    return progress


def _seed_epoch(seed: int, epoch: int) -> None:
    # With seed + epoch, seed 1 in epoch 2 would draw the same numbers as seed 2 in epoch 1.
    torch.manual_seed(seed * 100_003 + epoch)
