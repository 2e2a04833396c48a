"""Models on disk: safetensors and a readable card beside them; nothing is run to read them.

The weights carry a checksum of the card and one of themselves: two files of different runs, or one
that was changed by hand, are refused.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from ztfrep.data.files import replacing, write_json
from ztfrep.encoders.card_files import AGAIN, MISSING, read_content, validate
from ztfrep.encoders.cards import Card
from ztfrep.encoders.state_dicts import claims_of, file_size, read_metadata, read_state
from ztfrep.errors import InputError

Model = TypeVar("Model", bound=nn.Module)

WEIGHTS = "weights.safetensors"
CARD = "model.json"
# One entry for both checksums: safetensors writes several in an order that differs from run to run.
_CHECKSUMS = "sha256 of card and tensors"


def save_model(directory: str | Path, model: nn.Module, card: Card) -> None:
    """Write a model's weights and its card (architecture, sizes, how it was trained)."""
    directory = Path(directory)
    state = {name: value.cpu().contiguous() for name, value in model.state_dict().items()}
    content = card.model_dump()
    metadata = {_CHECKSUMS: f"{_sha256_of_card(content)} {_sha256_of_tensors(state)}"}
    with replacing(directory / WEIGHTS) as temporary:
        save_file(state, temporary, metadata)
    write_json(directory / CARD, content)


def load_model(
    directory: str | Path, build: Callable[..., Model], kind: type[Card]
) -> tuple[Model, Card]:
    """Load a saved model and its card of type `kind`; `build` makes it by architecture and sizes.

    Raises InputError if a file is missing, broken, or not what the other one was written with.
    Nothing is allocated before the names, shapes and dtypes of the weights are those of the card.
    """
    card = read_card(directory, kind)
    path = Path(directory) / WEIGHTS
    arguments = {"architecture": card.architecture, **card.sizes.model_dump(exclude_none=True)}
    with torch.device("meta"):
        shapes = build(**arguments)
    state = read_state(path, claims_of(shapes.state_dict()), type(shapes).__name__)
    if _checksums(path)[1] != _sha256_of_tensors(state):
        raise InputError(
            path,
            found="weights that were changed after they were written",
            expected="those of its checksum",
            remedy=AGAIN,
        )
    model = build(**arguments)
    model.load_state_dict(state, strict=True)
    return model.eval(), card


def read_card(directory: str | Path, kind: type[Card]) -> Card:
    """Read the card of a saved model, which is an `AutoencoderCard` or a `RecurrentCard`.

    Raises InputError, by the name of the key, for a value that is not of its type or range, that
    differs from the parameters of training, or that was changed after the weights were written.
    """
    path = Path(directory) / CARD
    file_size(path, expected="a model", remedy=MISSING)
    content = read_content(path)
    card = validate(path, content, kind)
    if _checksums(Path(directory) / WEIGHTS)[0] != _sha256_of_card(content):
        raise InputError(
            path,
            found="a card that was changed, or of another model",
            expected=f"the one that was written with {WEIGHTS}",
            remedy=AGAIN,
        )
    return card


def load_weights(model: nn.Module, path: str | Path) -> None:
    """Load a file of weights into a model, every parameter by name, shape and dtype.

    Reads `.safetensors`, and the state dicts that `torch.save` writes, without running what they
    hold. Raises InputError for another network's file, naming the first parameter that differs, and
    for weights that are not finite.
    """
    state = read_state(Path(path), claims_of(model.state_dict()), type(model).__name__)
    model.load_state_dict(state, strict=True)


def _checksums(path: Path) -> tuple[str, str]:
    """Return the checksums of card and tensors that a file of weights carries."""
    card, _, tensors = read_metadata(path).get(_CHECKSUMS, "").partition(" ")
    if not tensors:
        raise InputError(
            path,
            found="no checksum of the card",
            expected=f"weights that were written with a {CARD}",
            remedy=AGAIN,
        )
    return card, tensors


def _sha256_of_card(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _sha256_of_tensors(state: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(state):
        digest.update(name.encode() + b"\0" + state[name].numpy().tobytes())
    return digest.hexdigest()
