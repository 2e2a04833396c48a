"""The last epoch of a fit on disk, from which an interrupted run goes on."""

import io
import logging
import math
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ztfrep.data.files import replacing

Record = dict[str, float]

# A file has the model and its best epoch once, what an optimizer keeps about twice, and records.
_MAX_MODELS, _MAX_RECORD_BYTES = 8, 1 << 26


@dataclass
class Progress:
    """Where a fit stands: the history of its epochs and the best of them."""

    history: list[Record] = field(default_factory=list)
    best_epoch: int = 0
    best_state: dict[str, Tensor] = field(default_factory=dict)

    @property
    def best(self) -> Record:
        """The record of the best epoch."""
        return self.history[self.best_epoch]


def save_progress(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, progress: Progress
) -> None:
    """Write all that `load_progress` needs to go on after the last epoch of `progress`."""
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), **vars(progress)}
    buffer = io.BytesIO()
    torch.save(state, buffer)
    with replacing(path) as temporary:
        # Written in one piece: an error of torch's own writer hides that the disk is full.
        temporary.write_bytes(buffer.getbuffer())


def load_progress(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, epochs: int
) -> Progress:
    """Load a fit of at most `epochs` epochs into a model and its optimizer, both as yet new.

    Nothing is run to read the file. Without one the progress is empty; so it is for a broken file,
    which is renamed to `.broken` with a warning, and model and optimizer stay as they are.
    """
    if not path.is_file():
        return Progress()
    try:
        state = _read(path, model)
        _check(state, model, optimizer, epochs)
    except (OSError, MemoryError):
        # Not the file's fault: it may be read well another time.
        raise
    except Exception as error:  # Broken bytes make the readers raise almost anything.
        broken = path.with_name(f"{path.name}.broken")
        path.replace(broken)
        logging.warning(
            "%s: found a broken checkpoint (%s); set aside as %s, training starts anew",
            path, " ".join(str(error)[:80].split()) or type(error).__name__, broken.name,
        )  # fmt: skip
        return Progress()
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return Progress(state["history"], state["best_epoch"], state["best_state"])


def _read(path: Path, model: nn.Module) -> dict[str, Any]:
    size = sum(value.nbytes for value in model.state_dict().values())
    most = _MAX_MODELS * size + _MAX_RECORD_BYTES
    _require(path.stat().st_size <= most, f"more than {most:,} bytes")
    content = io.BytesIO(path.read_bytes())
    with zipfile.ZipFile(content) as archive:
        unpacked = sum(part.file_size for part in archive.infolist())
    _require(unpacked <= most, f"more than {most:,} bytes unpacked")
    content.seek(0)
    with warnings.catch_warnings(action="ignore"):
        state = torch.load(content, map_location="cpu", weights_only=True)
    keys = {"model", "optimizer", "history", "best_epoch", "best_state"}
    _require(isinstance(state, dict) and set(state) == keys, "other keys")
    return dict(state)


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise ValueError(otherwise)


def _check(
    state: Mapping[str, Any], model: nn.Module, optimizer: torch.optim.Optimizer, epochs: int
) -> None:
    """Raise an error unless `state` is what a fit of this model and optimizer saves."""
    expected = model.state_dict()
    for part in ("model", "best_state"):
        _check_tensors(state[part], expected, part)

    history, best = state["history"], state["best_epoch"]
    _require(isinstance(history, list) and 0 < len(history) <= epochs + 1, "another history")
    for epoch, record in enumerate(history):
        numbers = all(type(value) in (int, float) for value in record.values())
        _require(numbers and all(map(math.isfinite, record.values())), "a record of no numbers")
        _require(record["epoch"] == epoch, "epochs out of order")
        _require(set(record) == set(history[min(epoch, 1)]), "records of other losses")
    losses = [record["validation_loss"] for record in history]
    _require(type(best) is int and best == losses.index(min(losses)), "another best epoch")

    fresh, given = _after_a_step(optimizer), state["optimizer"]
    _require(set(given) == set(fresh), "another optimizer")
    groups = [[{**g, "lr": 0.0} for g in each["param_groups"]] for each in (given, fresh)]
    _require(groups[0] == groups[1], "another optimizer")
    _require(all(math.isfinite(g["lr"]) for g in given["param_groups"]), "no learning rate")
    if len(history) > 1 and fresh["state"]:
        _require(bool(given["state"]), "no state of the optimizer")
    # A parameter that no loss depends on has no state.
    for parameter, values in given["state"].items():
        _check_tensors(values, fresh["state"][parameter], "the optimizer's state")


def _check_tensors(values: Any, expected: Mapping[str, Any], what: str) -> None:
    """Compare by name, shape and dtype; numbers are finite where those expected are."""
    _require(isinstance(values, dict) and set(values) == set(expected), f"other keys in {what}")
    for name, fresh in expected.items():
        value = values[name]
        if not isinstance(fresh, Tensor):
            _require(type(value) is type(fresh), f"another {name} in {what}")
            continue
        _require(
            isinstance(value, Tensor)
            and (value.layout, value.dtype, value.shape)
            == (fresh.layout, fresh.dtype, fresh.shape),
            f"{name} of another shape or type in {what}",
        )
        finite = bool(value.isfinite().all()) or not bool(fresh.isfinite().all())
        _require(finite, f"{name} that is not finite in {what}")


def _after_a_step(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Return the state dict of such an optimizer after a step of parameters of the same shapes."""
    parameters = [p.detach().clone() for group in optimizer.param_groups for p in group["params"]]
    for parameter in parameters:
        parameter.requires_grad_().grad = torch.zeros_like(parameter)
    again = type(optimizer)(parameters, lr=1.0)  # type: ignore[call-arg]
    again.step()
    return again.state_dict()
