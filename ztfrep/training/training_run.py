"""A training run: from start weights to a model folder with its card, metrics and curves."""

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
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
from ztfrep.encoders.predictions import NetworkOutputs, concatenate_outputs
from ztfrep.encoders.reference import MAX_REFERENCE_ROWS, Reference
from ztfrep.errors import InputError
from ztfrep.fields import NO_FILE
from ztfrep.models.recipe import Recipe
from ztfrep.training.curves import logged_curves
from ztfrep.training.fit import Dataset, Loss, fit
from ztfrep.training.process_group import check_equal, is_first, own_device
from ztfrep.training.resumption import Progress, Record
from ztfrep.training.sampling import stratified_sample
from ztfrep.training.shared_rows import sharing_rows

_PACKAGE = Path(ztfrep.__file__).parent
_ROWS_PER_BATCH = 512

Outputs = Callable[[nn.Module, Dataset], NetworkOutputs]
# A function that is called after training: it may load other weights into the network, and returns
# their progress and the figures of its decision.
Select = Callable[[Progress], tuple[Progress, dict[str, float]]]


@dataclass(frozen=True)
class RunSettings:
    """Settings of a training run that are not parameters of the network.

    Attributes
    ----------
    epochs : int
        Maximum number of epochs.
    seed, threads : int
        On one machine, the weights are the same bytes for the same seed and threads.
    precision : str
        `float32`, or `bf16` (mixed).
    start_weights : path or None
        A file of weights to start from.
    checkpoints : path
        The folder of checkpoints, from which an interrupted run continues.
    keep_last : bool
        Whether the weights are those of the last epoch, instead of those with the lowest loss on
        the validation split.
    """

    epochs: int
    seed: int
    threads: int
    precision: str
    start_weights: Path | None
    checkpoints: Path
    keep_last: bool = False

    def start(self) -> torch.device:
        """Seed torch, make it deterministic, and return the device to train on."""
        make_deterministic(self.threads)
        torch.manual_seed(self.seed)
        return own_device(choose_device())


def train_and_save(
    network: nn.Module,
    train: Dataset,
    train_rows: Tensor,
    validation: Dataset,
    loss: Loss,
    outputs: Outputs,
    settings: RunSettings,
    make_card: Callable[[dict[str, Any]], ModelCard],
    *,
    name: str,
    recipe: Recipe,
    inputs: Sequence[Path],
    model: Path,
    metrics: Path,
    row_wise: Sequence[nn.Module] = (),
    select: Select | None = None,
    calibration: Reference | None = None,
) -> None:
    """Train a network, and write its weights, card, reference, metrics and curves.

    With several processes the first one alone writes; see `joined_processes`.

    Parameters
    ----------
    network, train, train_rows, validation, loss, recipe
        See `fit`. Data sets may be on another device than the network. Their last part is the
        labels, -1 where unlabelled.
    outputs : function
        Returns the outputs of the network for the other parts of some rows.
    settings : RunSettings
    make_card : function
        Returns the card of the network for a dict of the fields that this function computes.
    name : str
        Name of the network in `params.yaml`.
    inputs : paths
        The files from which the data sets were read. A checkpoint is only used with the same
        inputs, parameters and code.
    model : path
        The folder of weights, card and reference.
    metrics : path
        The folder of the curves and of `metrics.json`, which has the metrics of the best epoch.
    row_wise : modules
        Modules of the network whose rows several processes share; see `sharing_rows`.
    select : function, optional
        Selects the weights that are saved, after training; its figures are in the card and the
        metrics.
    calibration : Reference, optional
        Calibrates the probabilities if no validation row is labelled.

    Raises
    ------
    InputError
        If training diverges, or if the start weights cannot be loaded.
    """
    if settings.start_weights is not None:
        load_weights(network, settings.start_weights)
        inputs = [*inputs, settings.start_weights]
    checkpoint = _checkpoint(name, recipe, settings, inputs)
    check_equal(checkpoint.name, "inputs, parameters or code")
    device = next(network.parameters()).device
    try:
        with _curves(metrics, name, settings.epochs) as log, sharing_rows(row_wise):
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
                keep_last=settings.keep_last,
            )
    except FloatingPointError as error:
        raise InputError(
            f"params.yaml: {name}",
            found=f"training that diverges ({error})",
            expected="a finite loss",
            remedy=f"lower the learning_rate of {name}",
        ) from error
    figures: dict[str, float] = {}
    if select is not None:
        progress, figures = select(progress)
    if not is_first():
        return
    best = {metric: value for metric, value in progress.best.items() if metric != "epoch"}
    epochs = {"best_epoch": progress.best_epoch, "epochs": len(progress.history) - 1}
    write_metrics(metrics / "metrics.json", {**epochs, **best, **figures})
    card = make_card(
        {
            **epochs,
            "config": recipe,
            "start_weights": str(settings.start_weights or NO_FILE),
            "best": best,
            "selection": figures,
            "seed": settings.seed,
            "threads": settings.threads,
            "precision": settings.precision,
            "ztfrep": ztfrep.__version__,
            "torch": str(torch.__version__),
            "history": progress.history,
        }
    )
    reference = _fit_reference(network, outputs, train, validation, settings, calibration)
    save_model(model, network, card, reference)
    checkpoint.unlink(missing_ok=True)


def _curves(
    metrics: Path, name: str, epochs: int
) -> AbstractContextManager[Callable[[Record], None]]:
    """Return the context of `logged_curves`, or of a function that does nothing."""
    return logged_curves(metrics, name, epochs) if is_first() else nullcontext(lambda record: None)


def _fit_reference(
    network: nn.Module,
    outputs: Outputs,
    train: Dataset,
    validation: Dataset,
    settings: RunSettings,
    calibration: Reference | None,
) -> Reference:
    """Return the reference of a trained network: of a sample of train rows, and validation."""
    device = next(network.parameters()).device

    def compute(data: Dataset, rows: Tensor) -> NetworkOutputs:
        batches = rows.split(_ROWS_PER_BATCH)
        return concatenate_outputs(
            outputs(network, tuple(part[batch].to(device) for part in data[:-1]))
            for batch in batches
        )

    labels, validation_labels = train[-1].cpu().numpy(), validation[-1].cpu().numpy()
    sample = stratified_sample(labels, MAX_REFERENCE_ROWS, settings.seed)
    fitted = compute(train, torch.from_numpy(sample))
    scored = compute(validation, torch.arange(len(validation_labels)))
    return Reference.fit(
        fitted.vectors,
        labels[sample],
        scored.vectors,
        scored.logits,
        validation_labels,
        scored.reconstruction_error,
        calibration,
    )


def _checkpoint(name: str, recipe: Recipe, settings: RunSettings, inputs: Sequence[Path]) -> Path:
    """Return a path with a digest of parameters, settings, code and inputs."""
    content = {
        "config": recipe.model_dump(),
        "run": [
            settings.epochs,
            settings.seed,
            settings.threads,
            settings.precision,
            settings.keep_last,
        ],
        "torch": torch.__version__,
    }
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
    for path in [*sorted(_PACKAGE.rglob("*.py")), *inputs]:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return settings.checkpoints / f"{name}-{digest.hexdigest()[:16]}.pt"
