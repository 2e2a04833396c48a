"""Trained networks on disk: safetensors and a readable card; reading them runs nothing.

The weights carry a checksum of the card and one of themselves: two files of different runs, or one
that was changed by hand, are refused.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from ztfrep.data.files import replacing, write_json
from ztfrep.encoders.card_files import AGAIN, MISSING, read_content, validate
from ztfrep.encoders.cards import AlertCard, Card, ModelCard, ObjectCard
from ztfrep.encoders.state_dicts import file_size, read_metadata, read_state, tensor_specs
from ztfrep.errors import InputError
from ztfrep.models.alert.base import AlertNetwork
from ztfrep.models.object.base import ObjectNetwork

WEIGHTS = "weights.safetensors"
CARD = "model.json"
# One entry for both checksums: safetensors writes several in an order that differs from run to run.
_CHECKSUMS = "sha256 of card and tensors"


def save_model(directory: str | Path, model: nn.Module, card: ModelCard) -> None:
    """Write a network's weights and its card."""
    directory = Path(directory)
    state = {name: value.cpu().contiguous() for name, value in model.state_dict().items()}
    content = card.model_dump()
    metadata = {_CHECKSUMS: f"{_sha256_of_card(content)} {_sha256_of_tensors(state)}"}
    with replacing(directory / WEIGHTS) as temporary:
        save_file(state, temporary, metadata)
    write_json(directory / CARD, content)


def load_alert_network(directory: str | Path) -> tuple[AlertNetwork, AlertCard]:
    """Load an autoencoder of alerts and its card; raises InputError as `load_model` does."""
    card = read_card(directory, AlertCard)
    return _load(directory, card), card


def load_object_network(directory: str | Path) -> tuple[ObjectNetwork, ObjectCard]:
    """Load a recurrent network of objects and its card; raises InputError as `load_model` does."""
    card = read_card(directory, ObjectCard)
    return _load(directory, card), card


def _load(directory: str | Path, card: Any) -> Any:
    """Build the network of a card, and load its weights.

    Raises InputError if a file is missing, broken, or not what the other one was written with.
    Nothing is allocated before the names, shapes and dtypes of the weights are those of the card.
    """
    path = Path(directory) / WEIGHTS
    with torch.device("meta"):
        shapes = card.build()
    state = read_state(path, tensor_specs(shapes.state_dict()), type(shapes).__name__)
    if _checksums(path)[1] != _sha256_of_tensors(state):
        raise InputError(
            path,
            found="weights that were changed after they were written",
            expected="those of its checksum",
            remedy=AGAIN,
        )
    model = card.build()
    model.load_state_dict(state, strict=True)
    return model.eval()


def read_card(directory: str | Path, kind: type[Card]) -> Card:
    """Read the card of a saved network, an `AlertCard` or an `ObjectCard`.

    Raises InputError, by the name of the key, for a value that is not of its type or range, or that
    was changed after the weights were written.
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
    """Load a file of weights into a network, every parameter by name, shape and dtype.

    Reads `.safetensors`, and the state dicts that `torch.save` writes, without running what they
    hold. Raises InputError for another network's file, naming the first parameter that differs, and
    for weights that are not finite.
    """
    state = read_state(Path(path), tensor_specs(model.state_dict()), type(model).__name__)
    model.load_state_dict(state, strict=True)


def is_model_file(path: Path) -> bool:
    """Return whether a file of weights stands in a model folder of ours, with its card."""
    return path.name == WEIGHTS and (path.parent / CARD).is_file()


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
