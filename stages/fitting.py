"""What training a network is around the fit: checkpoint, curves, files."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from dvclive import Live
from torch import Tensor, nn
from tqdm import tqdm

import ztfrep
from stages.paths import CACHE
from stages.reporting import write_metrics
from ztfrep.data.files import replacing_folder
from ztfrep.encoders.cards import Card
from ztfrep.encoders.model_folder import load_weights, save_model
from ztfrep.errors import InputError
from ztfrep.params import Params, given_file
from ztfrep.training.fit import Dataset, Loss, Recipe, Record, fit

Network = Literal["autoencoder", "recurrent"]


def fit_and_save(
    model: nn.Module,
    train: Dataset,
    train_rows: Tensor,
    validation: Dataset,
    loss: Loss,
    params: Params,
    network: Network,
    kind: type[Card],
    card: Mapping[str, Any],
    *,
    inputs: Sequence[Path],
    directory: Path,
    live: Path,
) -> None:
    """Fit a model, log its curves with DVCLive, write its files and validation metrics.

    `card` is what a card of that `kind` says beside how the training went.
    """
    chosen = getattr(params, network)
    weights = given_file(f"{network}.weights", chosen.weights)
    if weights is not None:
        load_weights(model, weights)
    recipe = Recipe(
        **{name: getattr(chosen, name) for name in _RECIPE},
        epochs=params.epochs(network),
        precision=params.precision,
        seed=params.seed,
    )
    device = next(model.parameters()).device
    checkpoint = _checkpoint(params, network, [*inputs, *([weights] if weights else [])])
    with (
        # A run that fails leaves the curves of the one before, and a killed one writes no others.
        replacing_folder(live / "plots") as plots,
        Live(str(plots.parent), save_dvc_exp=False, dvcyaml=None, report=None) as log,
        tqdm(total=recipe.epochs + 1, desc=network, unit=" epochs", disable=None) as bar,
    ):

        def on_epoch(record: Record) -> None:
            log.step = int(record["epoch"])
            for name, value in record.items():
                if name != "epoch":
                    log.log_metric(name.replace("_", "/", 1), value)
            log.sync()
            bar.set_postfix(validation_loss=f"{record['validation_loss']:.4f}", refresh=False)
            bar.update()

        try:
            progress = fit(
                model,
                tuple(part.to(device) for part in train),
                train_rows.to(device),
                tuple(part.to(device) for part in validation),
                loss,
                recipe,
                checkpoint=checkpoint,
                on_epoch=on_epoch,
            )
        except FloatingPointError as error:
            raise InputError(
                f"params.yaml: {network}",
                found=f"training that diverges ({error})",
                expected="a finite loss",
                remedy=f"lower {network}.learning_rate",
            ) from error
    # DVCLive leaves the last epoch's figures; the model that is kept is the best epoch's.
    best = {name: value for name, value in progress.best.items() if name != "epoch"}
    epochs = {"best_epoch": progress.best_epoch, "epochs": len(progress.history) - 1}
    write_metrics(live / "metrics.json", {**epochs, **best})
    save_model(
        directory,
        model,
        kind.model_validate(
            {
                "architecture": chosen.architecture,
                **card,
                **epochs,
                "best": best,
                "params": chosen,
                "seed": params.seed,
                "threads": params.threads,
                "precision": params.precision,
                "ztfrep": ztfrep.__version__,
                "torch": str(torch.__version__),
                "history": progress.history,
            }
        ),
    )
    checkpoint.unlink(missing_ok=True)


_RECIPE = (
    "optimizer",
    "learning_rate",
    "schedule",
    "batch_size",
    "final_batch_size",
    "final_epochs",
    "patience",
)


def _checkpoint(params: Params, network: Network, inputs: Sequence[Path]) -> Path:
    """Name the resume file by all that decides the outcome: parameters, code and input."""
    decisive = {
        "params": getattr(params, network).model_dump(),
        "run": [params.epochs(network), params.seed, params.threads, params.precision],
        "torch": torch.__version__,
    }
    digest = hashlib.sha256(json.dumps(decisive, sort_keys=True).encode())
    code = sorted(Path(ztfrep.__file__).parent.rglob("*.py")) + sorted(Path("stages").glob("*.py"))
    for path in [*code, *inputs]:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return CACHE / "checkpoints" / f"{network}-{digest.hexdigest()[:16]}.pt"
