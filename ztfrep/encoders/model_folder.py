"""Model folders: a trained network's weights and reference as safetensors, and its card as JSON.

Reading a folder runs no code from it. The file of weights has checksums of the card and of the
tensors, and that of the reference one of the weights, so that files of different runs, or a file
that was edited, are refused.
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
from ztfrep.encoders.card_files import (
    REMEDY_CHANGED,
    REMEDY_MISSING,
    read_card_content,
    validate_card,
)
from ztfrep.encoders.cards import AlertCard, Card, ModelCard, ObjectCard
from ztfrep.encoders.named_arrays import sha256_of_arrays
from ztfrep.encoders.reference import Reference
from ztfrep.encoders.reference_files import read_reference, write_reference
from ztfrep.encoders.state_dicts import file_size, read_metadata, read_state, tensor_specs
from ztfrep.errors import InputError
from ztfrep.models.alert.base import AlertNetwork
from ztfrep.models.object.base import ObjectNetwork

WEIGHTS = "weights.safetensors"
CARD = "model.json"
# One entry for both checksums: safetensors writes several entries in an order that varies.
_CHECKSUMS = "sha256 of card and tensors"


def save_model(
    directory: str | Path, model: nn.Module, card: ModelCard, reference: Reference | None = None
) -> None:
    """Write a network's weights, its card and, if there is one, its reference into a folder."""
    directory = Path(directory)
    state = {name: value.cpu().contiguous() for name, value in model.state_dict().items()}
    content = card.model_dump()
    checksum = sha256_of_tensors(state)
    metadata = {_CHECKSUMS: f"{_sha256_of_card(content)} {checksum}"}
    with replacing(directory / WEIGHTS) as temporary:
        save_file(state, temporary, metadata)
    write_json(directory / CARD, content)
    if reference is not None:
        write_reference(directory, reference, checksum)


def load_alert_network(directory: str | Path) -> tuple[AlertNetwork, AlertCard]:
    """Load an autoencoder of alerts and its card.

    Raises InputError if a file is missing or broken, or if card and weights are of different runs.
    """
    card = read_card(directory, AlertCard)
    return _load(directory, card), card


def load_object_network(directory: str | Path) -> tuple[ObjectNetwork, ObjectCard]:
    """Load a recurrent network of objects and its card; raises InputError as for alerts."""
    card = read_card(directory, ObjectCard)
    return _load(directory, card), card


def _load(directory: str | Path, card: Any) -> Any:
    """Build the network of a card, and load its weights.

    Memory is allocated only after names, shapes and dtypes of the weights are checked.
    """
    path = Path(directory) / WEIGHTS
    with torch.device("meta"):
        unallocated = card.build()
    state = read_state(path, tensor_specs(unallocated.state_dict()), type(unallocated).__name__)
    if _checksums(path)[1] != sha256_of_tensors(state):
        raise InputError(
            path,
            found="weights that were changed after they were written",
            expected="tensors that match their checksum",
            remedy=REMEDY_CHANGED,
        )
    model = card.build()
    model.load_state_dict(state, strict=True)
    return model.eval()


def read_card(directory: str | Path, card_class: type[Card]) -> Card:
    """Read the card of a saved network, an `AlertCard` or an `ObjectCard`.

    Raises InputError if a file is missing or broken, if a value has another type or is out of
    range, or if the card was changed after the weights were written.
    """
    path = Path(directory) / CARD
    file_size(path, expected="a model", remedy=REMEDY_MISSING)
    content = read_card_content(path)
    card = validate_card(path, content, card_class)
    if _checksums(Path(directory) / WEIGHTS)[0] != _sha256_of_card(content):
        raise InputError(
            path,
            found="a card that was changed, or of another model",
            expected=f"the card that was written with {WEIGHTS}",
            remedy=REMEDY_CHANGED,
        )
    return card


def read_model_reference(directory: str | Path, card: AlertCard | ObjectCard) -> Reference | None:
    """Read the reference of a saved network, or return None if the folder has none.

    Raises InputError if it is broken, was changed, or belongs to other weights.
    """
    return read_reference(
        Path(directory),
        model_checksum(directory),
        length=card.vector_length,
        classes=len(card.classes),
    )


def model_checksum(directory: str | Path) -> str:
    """Return the SHA-256 checksum of the tensors of a saved network."""
    return _checksums(Path(directory) / WEIGHTS)[1]


def load_weights(model: nn.Module, path: str | Path) -> None:
    """Load a file of weights into a network, by name, shape and dtype of each tensor.

    Reads `.safetensors` files and state dicts of `torch.save` without running code from them.
    Raises InputError for a file that is missing or broken, for the first tensor that differs from
    the network's, and for weights that are not finite.
    """
    state = read_state(Path(path), tensor_specs(model.state_dict()), type(model).__name__)
    model.load_state_dict(state, strict=True)


def is_model_file(path: Path) -> bool:
    """Return True if a path is the file of weights of a model folder, with a card beside it."""
    return path.name == WEIGHTS and (path.parent / CARD).is_file()


def _checksums(path: Path) -> tuple[str, str]:
    """Return the checksums of card and tensors in the metadata of a file of weights."""
    card, _, tensors = read_metadata(path).get(_CHECKSUMS, "").partition(" ")
    if not tensors:
        raise InputError(
            path,
            found="no checksum of the card",
            expected=f"weights that were written with a {CARD}",
            remedy=REMEDY_CHANGED,
        )
    return card, tensors


def _sha256_of_card(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def sha256_of_tensors(state: Mapping[str, Tensor]) -> str:
    """Return the checksum of a state dict on the CPU, which the file of weights has."""
    return sha256_of_arrays({name: value.numpy() for name, value in state.items()})
