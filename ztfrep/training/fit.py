"""Fitting a network: one epoch function for train and validation, early stop, resumption.

A data set is a tuple of tensors with one row per example, whole in memory; what an epoch draws from
it follows from the seed and the epoch alone, so that a resumed run repeats an uninterrupted one.
"""

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ztfrep.data.filetypes import quote
from ztfrep.errors import InputError
from ztfrep.training.resumption import Progress, Record, load_progress, save_progress

Dataset = tuple[Tensor, ...]
# Model and rows to named parts, each a mean and the number of things it is a mean of; the part
# "loss" is the one to descend.
Loss = Callable[[nn.Module, Dataset], dict[str, tuple[Tensor, Tensor]]]

# More rows than fit in a processor's cache cost it more time each.
_VALIDATION_BATCH = 128

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
}


@dataclass(frozen=True)
class Recipe:
    """How to descend; the last `final_epochs` epochs use `final_batch_size`."""

    optimizer: str
    learning_rate: float
    epochs: int
    batch_size: int
    final_batch_size: int
    final_epochs: int
    patience: int
    precision: str
    seed: int
    schedule: str = "constant"

    def rate_at(self, epoch: int) -> float:
        """Learning rate in an epoch, counted from 1: `constant`, or falling as a `cosine` to 0."""
        if self.schedule == "constant":
            return self.learning_rate
        done = (epoch - 1) / self.epochs
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * done))

    def batch_size_at(self, epoch: int) -> int:
        """Rows per batch in an epoch, counted from 1."""
        final = epoch > self.epochs - self.final_epochs
        return self.final_batch_size if final else self.batch_size


def choose_device() -> torch.device:
    """Return the device that `ZTFREP_DEVICE` names, else a GPU if there is one, else the CPU.

    Raises InputError unless it is `cpu`, `cuda`, or `cuda:N` of a GPU that is there.
    """
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    known = ["cpu", *(["cuda"] if gpus else []), *(f"cuda:{n}" for n in range(gpus))]
    name = os.environ.get("ZTFREP_DEVICE", "cuda" if gpus else "cpu")
    if name not in known:
        raise InputError(
            "the environment variable ZTFREP_DEVICE",
            found=quote(name),
            expected=" or ".join(known) + ("" if gpus else ", as torch sees no GPU"),
            remedy=f"set it to {known[-1]}, or unset it",
        )
    return torch.device(name)


def make_deterministic(threads: int) -> None:
    """Make torch give the same bits for the same seed and number of threads."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # As `use_deterministic_algorithms`, which imports torch's compiler too: two seconds of a stage.
    torch.set_deterministic_debug_mode("error")
    torch.set_num_threads(threads)


def fit(
    model: nn.Module,
    train: Dataset,
    train_rows: Tensor,
    validation: Dataset,
    loss: Loss,
    recipe: Recipe,
    *,
    checkpoint: Path | None = None,
    on_epoch: Callable[[Record], None] = lambda record: None,
) -> Progress:
    """Train until the validation loss stops falling; leave the best epoch's weights in `model`.

    `train_rows` are the rows of `train` that an epoch visits, in an order of its own. Epoch 0 is
    the model as given. With `checkpoint`, every finished epoch is kept there, and an earlier run's
    last epoch is taken up; the result is the same. Data sets and model share one device. Raises
    FloatingPointError, before anything is logged, for an epoch whose loss is not finite.
    """
    optimizer = OPTIMIZERS[recipe.optimizer](model.parameters(), lr=recipe.learning_rate)  # type: ignore[call-arg]
    progress = Progress()
    if checkpoint is not None:
        progress = load_progress(checkpoint, model, optimizer, recipe.epochs)
    for earlier in progress.history:
        on_epoch(earlier)
    everything = torch.arange(len(validation[0]), device=train_rows.device)

    for epoch in range(len(progress.history), recipe.epochs + 1):
        # stop? Here, because a run may be resumed after its last epoch.
        if epoch > progress.best_epoch + recipe.patience:
            break

        record: Record = {"epoch": epoch}

        # step: epoch 0 judges the weights as they came
        if epoch > 0:
            _seed_epoch(recipe.seed, epoch)
            order = train_rows[torch.randperm(len(train_rows)).to(train_rows.device)]
            size = recipe.batch_size_at(epoch)
            for group in optimizer.param_groups:
                group["lr"] = recipe.rate_at(epoch)
            means = run_epoch(model, train, order, size, loss, recipe.precision, optimizer)
            record |= {f"train_{name}": value for name, value in means.items()}

        # evaluate
        means = run_epoch(model, validation, everything, _VALIDATION_BATCH, loss, recipe.precision)
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
    """Visit the rows `order` of `data` in batches; learn from them if given an optimizer.

    Returns the means of the loss' parts, whatever the batches. Precision `bf16` is mixed.
    """
    learning = optimizer is not None
    model.train(learning)
    totals: dict[str, Tensor] = {}
    weights: dict[str, Tensor] = {}
    with torch.set_grad_enabled(learning):
        for rows in order.split(batch_size):
            batch = tuple(part[rows] for part in data)
            with torch.autocast(rows.device.type, torch.bfloat16, enabled=precision == "bf16"):
                parts = loss(model, batch)
            if optimizer is not None:
                optimizer.zero_grad(set_to_none=True)
                parts["loss"][0].backward()
                optimizer.step()
            # Summed on the device: reading a number here would make a GPU wait at every batch.
            for name, (mean, weight) in parts.items():
                totals[name] = totals.get(name, 0) + mean.detach().double() * weight
                weights[name] = weights.get(name, 0) + weight
    return {name: float(total / weights[name].clamp(min=1)) for name, total in totals.items()}


def _seed_epoch(seed: int, epoch: int) -> None:
    # Two seeds' streams must not meet at shifted epochs, as seed + epoch would.
    torch.manual_seed(seed * 100_003 + epoch)
