"""Models on disk: safetensors and a readable JSON beside them; nothing is run to read them."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ztfrep.errors import InputError
from ztfrep.files import replacing, write_json

Model = TypeVar("Model", bound=nn.Module)

WEIGHTS = "weights.safetensors"
CARD = "model.json"


def save_model(directory: str | Path, model: nn.Module, card: dict[str, Any]) -> None:
    """Write a model's weights and its card (architecture, sizes, how it was trained)."""
    directory = Path(directory)
    state = {name: value.cpu().contiguous() for name, value in model.state_dict().items()}
    with replacing(directory / WEIGHTS) as temporary:
        save_file(state, temporary)
    write_json(directory / CARD, card)


def load_model(directory: str | Path, build: Callable[..., Model]) -> tuple[Model, dict[str, Any]]:
    """Load a saved model and its card; `build` makes an architecture by name and sizes."""
    card = read_card(directory)
    model = build(card["architecture"], **card["sizes"])
    load_weights(model, Path(directory) / WEIGHTS)
    return model.eval(), card


def read_card(directory: str | Path) -> dict[str, Any]:
    """Read the card of a saved model."""
    path = Path(directory) / CARD
    try:
        card: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        remedy = "train it with dvc repro"
        raise InputError(path, found=str(error), expected="a model", remedy=remedy) from error
    return card


def load_weights(model: nn.Module, path: str | Path) -> None:
    """Load a file of weights into a model, every parameter by name and shape.

    Reads `.safetensors`, and the state dicts that `torch.save` writes, without running what they
    hold. Raises InputError for another network's file, naming the first parameter that differs.
    """
    state = _read_state(Path(path))
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in state.items()}
    if found != expected:
        name = next(n for n in [*expected, *found] if found.get(n) != expected.get(n))
        raise InputError(
            path,
            found=f"{name} {found.get(name, 'absent')}",
            expected=f"{name} {expected.get(name, 'absent')} ({type(model).__name__})",
            remedy="give weights of this architecture, or set the sizes that they have",
        )
    model.load_state_dict(state, strict=True)


def _read_state(path: Path) -> dict[str, Tensor]:
    expected = "a state dict of tensors"
    remedy = "give a file written by torch.save(model.state_dict(), ...) or a .safetensors file"
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with warnings.catch_warnings(action="ignore"):
            state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise InputError(path, found="no such file", expected=expected, remedy=remedy) from error
    except Exception as error:  # Hostile bytes make the readers raise almost anything.
        # torch's own text is a page that advises switching the protection off.
        found = f"a file that cannot be read safely ({type(error).__name__})"
        raise InputError(path, found=found, expected=expected, remedy=remedy) from error
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        found = f"a {type(state).__name__}"
        raise InputError(path, found=found, expected=expected, remedy=remedy)
    return state
