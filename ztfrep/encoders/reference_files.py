"""The file of a reference in a model folder, which belongs to the weights beside it."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from ztfrep.data.files import replacing
from ztfrep.encoders.card_files import REMEDY_CHANGED
from ztfrep.encoders.named_arrays import read_arrays, sha256_of_arrays
from ztfrep.encoders.reference import (
    ANOMALY_TERMS,
    MAX_REFERENCE_ROWS,
    N_QUANTILES,
    Reference,
)
from ztfrep.encoders.state_dicts import read_metadata
from ztfrep.errors import InputError, quote

REFERENCE = "reference.safetensors"
# One entry: safetensors writes several entries in an order that varies.
_CHECKSUMS = "sha256 of weights and reference"
_QUANTILES = "quantiles."
_EXPECTED = "the reference of a model"
# 2,000 vectors of 1,323 numbers, and the validation rows.
_MAX_BYTES = 1 << 26


def write_reference(directory: Path, reference: Reference, weights_checksum: str) -> None:
    """Write a reference into a model folder; `weights_checksum` is that of the weights' tensors."""
    tensors = {
        "vectors": reference.vectors,
        "labels": reference.labels,
        "temperature": np.array([reference.temperature]),
        "true_probabilities": reference.true_probabilities,
        "true_labels": reference.true_labels,
        **{f"{_QUANTILES}{name}": values for name, values in reference.quantiles.items()},
    }
    tensors = {name: np.ascontiguousarray(values) for name, values in tensors.items()}
    metadata = {_CHECKSUMS: f"{weights_checksum} {sha256_of_arrays(tensors)}"}
    with replacing(directory / REFERENCE) as temporary:
        save_file(tensors, temporary, metadata)


def read_reference(
    directory: Path, weights_checksum: str, *, length: int, classes: int
) -> Reference | None:
    """Read the reference of a model folder, or return None if it has none.

    `length` is that of the network's vectors. Raises InputError for a file that is broken, was
    changed, or belongs to other weights.
    """
    path = directory / REFERENCE
    if not path.exists():
        return None
    tensors = read_arrays(path, _MAX_BYTES, _EXPECTED, REMEDY_CHANGED)
    expected = f"{weights_checksum} {sha256_of_arrays(tensors)}"
    if read_metadata(path).get(_CHECKSUMS) != expected:
        raise _error(
            path, "a reference that was changed, or of other weights", "that of these weights"
        )
    _validate(path, tensors, length, classes)
    return Reference(
        vectors=tensors["vectors"],
        labels=tensors["labels"],
        quantiles={
            name.removeprefix(_QUANTILES): values
            for name, values in tensors.items()
            if name.startswith(_QUANTILES)
        },
        temperature=float(tensors["temperature"][0]),
        true_probabilities=tensors["true_probabilities"],
        true_labels=tensors["true_labels"],
    )


def _validate(path: Path, tensors: Mapping[str, np.ndarray], length: int, classes: int) -> None:
    """Raise InputError for the first tensor of another name, type, shape or range."""
    rows = len(tensors["vectors"]) if "vectors" in tensors and tensors["vectors"].ndim else 0
    known = len(tensors["true_labels"]) if tensors.get("true_labels", np.zeros(())).ndim else 0
    specs = {
        "vectors": (np.float32, (rows, length)),
        "labels": (np.int64, (rows,)),
        "temperature": (np.float64, (1,)),
        "true_probabilities": (np.float32, (known,)),
        "true_labels": (np.int64, (known,)),
    }
    optional = {f"{_QUANTILES}{name}": (np.float32, (N_QUANTILES,)) for name in ANOMALY_TERMS}
    for name, (kind, shape) in (specs | {n: optional[n] for n in optional if n in tensors}).items():
        found = tensors.get(name)
        if found is None or found.dtype != kind or found.shape != shape:
            text = "absent" if found is None else f"{found.dtype} {found.shape}"
            raise _error(path, f"{name} {text}", f"{np.dtype(kind).name} {shape}")
        if not np.isfinite(found).all():
            raise _error(path, f"{name} with numbers that are not finite", "finite numbers")
    for name in tensors.keys() - specs.keys() - optional.keys():
        raise _error(path, f"a tensor {quote(name)}", ", ".join(specs))
    if not 1 <= rows <= MAX_REFERENCE_ROWS:
        raise _error(path, f"{rows:,} vectors", f"1 to {MAX_REFERENCE_ROWS:,}")
    for name in ("labels", "true_labels"):
        lowest = -1 if name == "labels" else 0
        if ((tensors[name] < lowest) | (tensors[name] >= classes)).any():
            raise _error(path, f"{name} outside the classes", f"{lowest} to {classes - 1}")
    if not tensors["temperature"][0] > 0:
        raise _error(path, f"a temperature of {tensors['temperature'][0]}", "more than 0")


def _error(path: Path, found: str, expected: str) -> InputError:
    return InputError(path, found=found, expected=expected, remedy=REMEDY_CHANGED)
