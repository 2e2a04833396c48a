"""Files of weights: read only if they are a network's own, by name, shape and dtype."""

import io
import math
import stat
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from ztfrep.data.filetypes import HEAD_BYTES, describe
from ztfrep.encoders.torch_files import Claim, RefusedError, claim_of, read_claims
from ztfrep.errors import InputError, quote

SAFETENSORS = ".safetensors"
_EXPECTED = "a state dict of tensors"
_REMEDY = "give a file written by torch.save(model.state_dict(), ...) or a .safetensors file"
# A network of 1,000 tensors has a header of some 100 kB.
_MOST_HEADER = 1 << 22
# Beside the numbers, a file of torch.save has a pickle, and some 200 bytes for each of its records.
_BESIDE_NUMBERS = 1 << 22

_MOST_AXES = 8

# The names that safetensors has for torch's dtypes; others are shown as they are.
_DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
}


def claims_of(state: Mapping[str, Tensor]) -> dict[str, Claim]:
    """Return dtype and shape of every tensor of a state dict; on torch's meta device it is free."""
    return {name: claim_of(value.dtype, value.shape) for name, value in state.items()}


def read_state(path: Path, expected: Mapping[str, Claim], network: str) -> dict[str, Tensor]:
    """Read the tensors of a `.safetensors` file or of one that `torch.save` wrote.

    `expected` are the tensors of a network whose class is named `network`. Nothing that the file
    holds is run, and nothing is allocated for a file of other tensors. Raises InputError for a file
    that is missing, broken or another network's, and for numbers that are not finite, by the name
    of the first tensor that is at fault.
    """
    size = file_size(path)
    if path.suffix == SAFETENSORS:
        state = _read_safetensors(path, expected, network)
    else:
        state = _read_torch(path, size, expected, network)
    for name, value in state.items():
        if value.is_floating_point() and not (finite := torch.isfinite(value)).all():
            first = value[~finite].flatten()[0].item()
            raise InputError(
                path,
                found=f"{name} with {int((~finite).sum()):,} numbers that are not finite ({first})",
                expected="finite weights",
                remedy="give the weights of a training that did not diverge",
            )
    return state


def read_metadata(path: Path) -> dict[str, str]:
    """Read the texts in the header of a `.safetensors` file; raises InputError as `read_state`."""
    _check_header(path)
    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}
    except Exception as error:  # The library raises several kinds.
        raise _broken(path, error) from error


def file_size(path: Path, expected: str = _EXPECTED, remedy: str = _REMEDY) -> int:
    """Return the size of a regular file in bytes.

    Raises InputError for anything else: to open a pipe waits for ever, a device has no end.
    """
    try:
        found = path.stat()
    except FileNotFoundError as error:
        raise InputError(path, found="no such file", expected=expected, remedy=remedy) from error
    except OSError as error:
        # A folder without permission, or links in a circle.
        text = error.strerror or str(error)
        raise InputError(path, found=text, expected=expected, remedy=remedy) from error
    if not stat.S_ISREG(found.st_mode):
        what = "a folder" if stat.S_ISDIR(found.st_mode) else "a device or a pipe"
        raise InputError(path, found=what, expected="a file", remedy=remedy)
    return found.st_size


def _read_safetensors(path: Path, expected: Mapping[str, Claim], network: str) -> dict[str, Tensor]:
    _check_header(path)
    try:
        with safe_open(path, framework="pt") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            found = {
                name: Claim(
                    _DTYPES.get(part.get_dtype(), str(part.get_dtype())), tuple(part.get_shape())
                )
                for name, part in slices.items()
            }
            _check_tensors(path, found, expected, network)
            return {name: file.get_tensor(name) for name in expected}
    except InputError:
        raise
    except Exception as error:  # The library raises several kinds.
        raise _broken(path, error) from error


def _check_header(path: Path) -> None:
    """Refuse what is no safetensors file, or has a header that would take long to parse."""
    file_size(path)
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    announced = int.from_bytes(head[:8], "little")
    if len(head) < 8 or head[8:9] != b"{":
        raise InputError(path, found=describe(head), expected=_EXPECTED, remedy=_REMEDY)
    if announced > _MOST_HEADER:
        raise InputError(
            path,
            found=f"a header of {announced:,} bytes",
            expected=f"at most {_MOST_HEADER:,}",
            remedy=_REMEDY,
        )


def _broken(path: Path, error: Exception) -> InputError:
    return InputError(
        path,
        found=f"a safetensors file that is broken ({quote(str(error), 80)})",
        expected=_EXPECTED,
        remedy="train or fetch it again",
    )


def _read_torch(
    path: Path, size: int, expected: Mapping[str, Claim], network: str
) -> dict[str, Tensor]:
    numbers = sum(
        getattr(torch, claim.dtype).itemsize * math.prod(claim.shape) for claim in expected.values()
    )
    # Weights in float64 are twice as large, and are refused by their dtype.
    most = 2 * numbers + _BESIDE_NUMBERS
    if size > most:
        raise InputError(
            path,
            found=f"{size:,} bytes",
            expected=f"at most {most:,}: the weights of {network} take {numbers:,}",
            remedy="give weights of this architecture, or set the sizes that they have",
        )
    try:
        content = path.read_bytes()
    except OSError as error:
        found = error.strerror or str(error)
        raise InputError(path, found=found, expected=_EXPECTED, remedy=_REMEDY) from error
    if not content.startswith(b"PK\x03\x04"):
        raise InputError(
            path,
            found=describe(content[:HEAD_BYTES]),
            expected=f"{_EXPECTED}, in the zip archive that torch.save writes since torch 1.6",
            remedy=_REMEDY,
        )
    try:
        claims = read_claims(content, len(expected))
    except RefusedError as error:
        raise InputError(path, found=str(error), expected=_EXPECTED, remedy=_REMEDY) from error
    _check_tensors(path, claims, expected, network)
    try:
        with warnings.catch_warnings(action="ignore"):
            state: dict[str, Tensor] = torch.load(
                _rewritten(content), map_location="cpu", weights_only=True
            )
    except Exception as error:  # torch's own text is a page about switching the protection off.
        text = f"a file that cannot be read safely ({type(error).__name__})"
        raise InputError(path, found=text, expected=_EXPECTED, remedy=_REMEDY) from error
    return {name: state[name].detach() for name in expected}


def _rewritten(content: bytes) -> io.BytesIO:
    """Return the archive as Python's module reads it, so that torch reads no other one in it."""
    written = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as source,
        zipfile.ZipFile(written, "w", zipfile.ZIP_STORED) as target,
    ):
        for entry in source.infolist():
            target.writestr(entry.filename, source.read(entry))
    written.seek(0)
    return written


def _check_tensors(
    path: Path, found: Mapping[str, Claim], expected: Mapping[str, Claim], network: str
) -> None:
    if found == expected:
        return
    name = next(n for n in [*expected, *found] if found.get(n) != expected.get(n))
    one, other = found.get(name), expected.get(name)
    shown = quote(name, 80).strip("'")
    raise InputError(
        path,
        found=f"{shown} {_shown(one, other)}",
        expected=f"{shown} {_shown(other, one)} ({network})",
        remedy="give weights of this architecture, or set the sizes that they have",
    )


def _shown(claim: Claim | None, other: Claim | None) -> str:
    """Return a shape, and the dtype if it is what differs."""
    if claim is None:
        return "absent"
    shape = str(claim.shape) if len(claim.shape) <= _MOST_AXES else f"of {len(claim.shape)} axes"
    return shape if other is None or claim.dtype == other.dtype else f"{shape} {claim.dtype}"
