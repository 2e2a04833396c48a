"""A training from start weights to a model folder: checkpoint, curves, card, metrics."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import ztfrep
from ztfrep.data.metrics_files import write_metrics
from ztfrep.encoders.cards import ModelCard
from ztfrep.encoders.devices import choose_device, make_deterministic
from ztfrep.encoders.model_folder import load_weights, save_model
from ztfrep.errors import InputError
from ztfrep.fields import NO_FILE
from ztfrep.models.recipe import Recipe
from ztfrep.training.curves import logged_curves
from ztfrep.training.fit import Dataset, Loss, fit

_PACKAGE = Path(ztfrep.__file__).parent


@dataclass(frozen=True)
class RunSettings:
    """How a network is trained beside its own parameters.

    Attributes
    ----------
    epochs : int
        Training passes at most.
    seed, threads : int
        The same seed and threads give the same bytes on one machine.
    precision : str
        `float32`, or `bf16` (mixed).
    start_weights : path or None
        A file of weights to start from.
    checkpoints : path
        The folder of the files that an interrupted training continues from.
    """

    epochs: int
    seed: int
    threads: int
    precision: str
    start_weights: Path | None
    checkpoints: Path

    def start(self) -> torch.device:
        """Seed torch, make it deterministic, and return the device to train on."""
        make_deterministic(self.threads)
        torch.manual_seed(self.seed)
        return choose_device()


def train_and_save(
    network: nn.Module,
    train: Dataset,
    train_rows: Tensor,
    validation: Dataset,
    loss: Loss,
    settings: RunSettings,
    make_card: Callable[[dict[str, Any]], ModelCard],
    *,
    name: str,
    recipe: Recipe,
    inputs: Sequence[Path],
    model: Path,
    metrics: Path,
) -> None:
    """Train a network; write its curves, its metrics, and its weights with their card.

    `make_card` returns the card, of what is said here of the run. `inputs` are the files that the
    data sets were read from: a checkpoint is used for the same inputs, parameters and code alone.
    `model` is the folder of weights and card; `metrics` that of the curves and of `metrics.json`,
    which has the best epoch's validation metrics. Raises InputError for training that diverges.
    """
    if settings.start_weights is not None:
        load_weights(network, settings.start_weights)
        inputs = [*inputs, settings.start_weights]
    checkpoint = _checkpoint(name, recipe, settings, inputs)
    device = next(network.parameters()).device
    try:
        with logged_curves(metrics, name, settings.epochs) as log:
            progress = fit(
                network,
                tuple(part.to(device) for part in train),
                train_rows.to(device),
                tuple(part.to(device) for part in validation),
                loss,
                recipe,
                epochs=settings.epochs,
                seed=settings.seed,
                precision=settings.precision,
                checkpoint=checkpoint,
                on_epoch=log,
            )
    except FloatingPointError as error:
        raise InputError(
            f"params.yaml: {name}",
            found=f"training that diverges ({error})",
            expected="a finite loss",
            remedy=f"lower the learning_rate of {name}",
        ) from error
    # The curves end with the last epoch; the weights are those of the best one.
    best = {metric: value for metric, value in progress.best.items() if metric != "epoch"}
    epochs = {"best_epoch": progress.best_epoch, "epochs": len(progress.history) - 1}
    write_metrics(metrics / "metrics.json", {**epochs, **best})
    card = make_card(
        {
            **epochs,
            "config": recipe,
            "start_weights": str(settings.start_weights or NO_FILE),
            "best": best,
            "seed": settings.seed,
            "threads": settings.threads,
            "precision": settings.precision,
            "ztfrep": ztfrep.__version__,
            "torch": str(torch.__version__),
            "history": progress.history,
        }
    )
    save_model(model, network, card)
    checkpoint.unlink(missing_ok=True)


def _checkpoint(name: str, recipe: Recipe, settings: RunSettings, inputs: Sequence[Path]) -> Path:
    """Return a path that depends on all that decides the outcome: parameters, code and inputs."""
    decisive = {
        "config": recipe.model_dump(),
        "run": [settings.epochs, settings.seed, settings.threads, settings.precision],
        "torch": torch.__version__,
    }
    digest = hashlib.sha256(json.dumps(decisive, sort_keys=True).encode())
    for path in [*sorted(_PACKAGE.rglob("*.py")), *inputs]:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return settings.checkpoints / f"{name}-{digest.hexdigest()[:16]}.pt"
