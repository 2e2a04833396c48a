"""The checkpoint of a fit: saved after every epoch, so that an interrupted run continues."""

import inspect
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

# The maximum size of a checkpoint is this multiple of the size of the model's tensors, plus the
# bytes of the records. It has the tensors of the last and of the best epoch, and the state of the
# optimizer, which is about twice their size.
_MAX_MODEL_SIZES, _MAX_RECORD_BYTES = 8, 1 << 26


@dataclass
class Progress:
    """The progress of a fit: a record per epoch, and the weights of the best epoch.

    A record has `epoch` and the means of the loss terms, `validation_loss` among them. The best
    epoch is the first with the lowest `validation_loss`.
    """

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
    """Write the checkpoint that `load_progress` reads after the last epoch of `progress`."""
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), **vars(progress)}
    buffer = io.BytesIO()
    torch.save(state, buffer)
    with replacing(path) as temporary:
        # torch.save does not write to the file: its error would not say that the disk is full.
        temporary.write_bytes(buffer.getbuffer())


def load_progress(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, epochs: int
) -> Progress:
    """Load a checkpoint into a new model and its new optimizer, and return its progress.

    `epochs` is the maximum number of epochs. No code of the file is run. Without a file the
    progress is empty. A broken file is renamed to `.broken` with a warning, the progress is empty,
    and model and optimizer are not changed.
    """
    if not path.is_file():
        return Progress()
    try:
        state = _read(path, model)
        _check(state, model, optimizer, epochs)
    except (OSError, MemoryError):
        # The file may be whole, and readable at another time.
        raise
    except Exception as error:  # Reading broken bytes may raise almost any exception.
        broken = path.with_name(f"{path.name}.broken")
        path.replace(broken)
        logging.warning(
            "%s: found a broken checkpoint (%s); renamed to %s, training starts again",
            path, " ".join(str(error)[:80].split()) or type(error).__name__, broken.name,
        )  # fmt: skip
        return Progress()
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return Progress(state["history"], state["best_epoch"], state["best_state"])


def _read(path: Path, model: nn.Module) -> dict[str, Any]:
    size = sum(value.nbytes for value in model.state_dict().values())
    maximum = _MAX_MODEL_SIZES * size + _MAX_RECORD_BYTES
    _require(path.stat().st_size <= maximum, f"more than {maximum:,} bytes")
    content = io.BytesIO(path.read_bytes())
    with zipfile.ZipFile(content) as archive:
        unpacked = sum(entry.file_size for entry in archive.infolist())
    _require(unpacked <= maximum, f"more than {maximum:,} bytes unpacked")
    content.seek(0)
    with warnings.catch_warnings(action="ignore"):
        state = torch.load(content, map_location="cpu", weights_only=True)
    keys = {"model", "optimizer", "history", "best_epoch", "best_state"}
    _require(isinstance(state, dict) and set(state) == keys, "other keys")
    return dict(state)


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _check(
    state: Mapping[str, Any], model: nn.Module, optimizer: torch.optim.Optimizer, epochs: int
) -> None:
    """Raise an exception if `state` is not a checkpoint of this model and optimizer."""
    expected = model.state_dict()
    for part in ("model", "best_state"):
        _check_tensors(state[part], expected, part)

    history, best = state["history"], state["best_epoch"]
    _require(isinstance(history, list) and 0 < len(history) <= epochs + 1, "another history")
    for epoch, record in enumerate(history):
        numbers = all(type(value) in (int, float) for value in record.values())
        _require(
            numbers and all(map(math.isfinite, record.values())),
            "a record with values that are not finite numbers",
        )
        _require(record["epoch"] == epoch, "epochs out of order")
        _require(set(record) == set(history[min(epoch, 1)]), "records of other losses")
    losses = [record["validation_loss"] for record in history]
    _require(type(best) is int and best == losses.index(min(losses)), "another best epoch")

    optimizer_state, reference = state["optimizer"], _state_after_one_step(optimizer)
    _require(set(optimizer_state) == set(reference), "another optimizer")
    _require(
        _groups_without_rate(optimizer_state) == _groups_without_rate(reference),
        "another optimizer",
    )
    rates = [group["lr"] for group in optimizer_state["param_groups"]]
    _require(all(map(math.isfinite, rates)), "a learning rate that is not finite")
    if len(history) > 1 and reference["state"]:
        _require(bool(optimizer_state["state"]), "no state of the optimizer")
    # A parameter that no loss depends on has no state.
    for parameter, values in optimizer_state["state"].items():
        _check_tensors(values, reference["state"][parameter], "the optimizer's state")


def _check_tensors(values: Any, references: Mapping[str, Any], part: str) -> None:
    """Raise ValueError if names, shapes or dtypes differ from those of `references`.

    Also if a tensor is not finite while its reference is. `part` names the tensors in a message.
    """
    _require(isinstance(values, dict) and set(values) == set(references), f"other keys in {part}")
    for name, reference in references.items():
        value = values[name]
        if not isinstance(reference, Tensor):
            _require(type(value) is type(reference), f"another {name} in {part}")
            continue
        _require(
            isinstance(value, Tensor)
            and (value.layout, value.dtype, value.shape)
            == (reference.layout, reference.dtype, reference.shape),
            f"{name} of another shape or type in {part}",
        )
        finite = bool(value.isfinite().all()) or not bool(reference.isfinite().all())
        _require(finite, f"{name} that is not finite in {part}")


def _groups_without_rate(state: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the parameter groups of an optimizer's state dict without the learning rates."""
    return [{k: v for k, v in group.items() if k != "lr"} for group in state["param_groups"]]


def _state_after_one_step(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Return the state dict of an optimizer of the same class and shapes after one step."""
    parameters = [p.detach().clone() for group in optimizer.param_groups for p in group["params"]]
    for parameter in parameters:
        parameter.requires_grad_().grad = torch.zeros_like(parameter)
    # The defaults have options of a base class too, which the constructor does not accept.
    accepted = inspect.signature(type(optimizer)).parameters
    options = {name: value for name, value in optimizer.defaults.items() if name in accepted}
    reference = type(optimizer)(parameters, **options)
    reference.step()
    return reference.state_dict()
