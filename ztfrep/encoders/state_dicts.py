"""State dicts in files: read if names, shapes and dtypes of the tensors are those expected."""

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
from ztfrep.encoders.torch_files import TensorSpec, UnsafeFileError, read_tensor_specs, tensor_spec
from ztfrep.errors import InputError, quote

SAFETENSORS = ".safetensors"
_EXPECTED = "a state dict of tensors"
_REMEDY = "use a file written by torch.save(model.state_dict(), ...) or a .safetensors file"
_REMEDY_OTHER_NETWORK = "use weights of this architecture, or set the sizes that they have"
# A network of 1,000 tensors has a header of some 100 kB.
_MAX_HEADER_BYTES = 1 << 22
# Beside the numbers, a file of torch.save has a pickle, and some 200 bytes for each of its records.
_MAX_OVERHEAD_BYTES = 1 << 22
# Number of axes above which a message has no shape.
_MAX_AXES = 8

# Names of torch's dtypes by those of safetensors.
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


def tensor_specs(state: Mapping[str, Tensor]) -> dict[str, TensorSpec]:
    """Return the specs of the tensors of a state dict, which may be on torch's meta device."""
    return {name: tensor_spec(value.dtype, value.shape) for name, value in state.items()}


def read_state(path: Path, expected: Mapping[str, TensorSpec], network: str) -> dict[str, Tensor]:
    """Read a state dict from a `.safetensors` file or a file of `torch.save`.

    `expected` has the specs of the tensors by name, and `network` is the class name of their
    network, for messages. No code of the file is run, and no tensor is allocated before all specs
    are checked. Raises InputError for a file that is missing or broken, and for the first tensor
    that is not as expected or not finite.
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
                remedy="use the weights of a training that did not diverge",
            )
    return state


def read_metadata(path: Path) -> dict[str, str]:
    """Read the metadata in the header of a `.safetensors` file; raises InputError if broken."""
    check_header(path)
    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}
    except Exception as error:  # safetensors raises exceptions of several classes.
        raise broken_safetensors(path, error) from error


def file_size(path: Path, expected: str = _EXPECTED, remedy: str = _REMEDY) -> int:
    """Return the size of a regular file in bytes.

    Raises InputError for anything else: opening a pipe may block, and a device may have no end.
    """
    try:
        status = path.stat()
    except FileNotFoundError as error:
        raise InputError(path, found="no such file", expected=expected, remedy=remedy) from error
    except OSError as error:
        # A folder without permission, or a cycle of symbolic links.
        reason = error.strerror or str(error)
        raise InputError(path, found=reason, expected=expected, remedy=remedy) from error
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a device or a pipe"
        raise InputError(path, found=kind, expected="a file", remedy=remedy)
    return status.st_size


def _read_safetensors(
    path: Path, expected: Mapping[str, TensorSpec], network: str
) -> dict[str, Tensor]:
    check_header(path)
    try:
        with safe_open(path, framework="pt") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            specs = {
                name: TensorSpec(
                    _DTYPES.get(part.get_dtype(), str(part.get_dtype())), tuple(part.get_shape())
                )
                for name, part in slices.items()
            }
            _check_specs(path, specs, expected, network)
            return {name: file.get_tensor(name) for name in expected}
    except InputError:
        raise
    except Exception as error:  # safetensors raises exceptions of several classes.
        raise broken_safetensors(path, error) from error


def check_header(path: Path) -> None:
    """Raise InputError for a file of another format, or with a header that is long to parse."""
    file_size(path)
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    header_bytes = int.from_bytes(head[:8], "little")
    if len(head) < 8 or head[8:9] != b"{":
        raise InputError(path, found=describe(head), expected=_EXPECTED, remedy=_REMEDY)
    if header_bytes > _MAX_HEADER_BYTES:
        raise InputError(
            path,
            found=f"a header of {header_bytes:,} bytes",
            expected=f"at most {_MAX_HEADER_BYTES:,}",
            remedy=_REMEDY,
        )


def broken_safetensors(path: Path, error: Exception) -> InputError:
    """Return the error for a `.safetensors` file that its library cannot read."""
    return InputError(
        path,
        found=f"a safetensors file that is broken ({quote(str(error), 80)})",
        expected=_EXPECTED,
        remedy="train or fetch it again",
    )


def _read_torch(
    path: Path, size: int, expected: Mapping[str, TensorSpec], network: str
) -> dict[str, Tensor]:
    weight_bytes = sum(
        getattr(torch, spec.dtype).itemsize * math.prod(spec.shape) for spec in expected.values()
    )
    # Twice the size admits weights in float64, for which the error about the dtype is clearer.
    maximum = 2 * weight_bytes + _MAX_OVERHEAD_BYTES
    if size > maximum:
        raise InputError(
            path,
            found=f"{size:,} bytes",
            expected=f"at most {maximum:,}: the weights of {network} take {weight_bytes:,}",
            remedy=_REMEDY_OTHER_NETWORK,
        )
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(path, found=reason, expected=_EXPECTED, remedy=_REMEDY) from error
    if not content.startswith(b"PK\x03\x04"):
        raise InputError(
            path,
            found=describe(content[:HEAD_BYTES]),
            expected=f"{_EXPECTED}, in the zip archive that torch.save writes since torch 1.6",
            remedy=_REMEDY,
        )
    try:
        specs = read_tensor_specs(content, len(expected))
    except UnsafeFileError as error:
        raise InputError(path, found=str(error), expected=_EXPECTED, remedy=_REMEDY) from error
    _check_specs(path, specs, expected, network)
    try:
        with warnings.catch_warnings(action="ignore"):
            state: dict[str, Tensor] = torch.load(
                _rewrite_archive(content), map_location="cpu", weights_only=True
            )
    except Exception as error:  # The message of torch explains how to disable the protection.
        reason = f"a file that cannot be read safely ({type(error).__name__})"
        raise InputError(path, found=reason, expected=_EXPECTED, remedy=_REMEDY) from error
    return {name: state[name].detach() for name in expected}


def _rewrite_archive(content: bytes) -> io.BytesIO:
    """Return a new archive of the entries that `zipfile` reads.

    torch has its own reader, which could read other entries from the same bytes.
    """
    rewritten = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as source,
        zipfile.ZipFile(rewritten, "w", zipfile.ZIP_STORED) as target,
    ):
        for entry in source.infolist():
            target.writestr(entry.filename, source.read(entry))
    rewritten.seek(0)
    return rewritten


def _check_specs(
    path: Path, specs: Mapping[str, TensorSpec], expected: Mapping[str, TensorSpec], network: str
) -> None:
    """Raise InputError for the first tensor whose spec is not the expected one."""
    if specs == expected:
        return
    name = next(n for n in [*expected, *specs] if specs.get(n) != expected.get(n))
    actual_spec, expected_spec = specs.get(name), expected.get(name)
    label = quote(name, 80).strip("'")
    raise InputError(
        path,
        found=f"{label} {_format_spec(actual_spec, expected_spec)}",
        expected=f"{label} {_format_spec(expected_spec, actual_spec)} ({network})",
        remedy=_REMEDY_OTHER_NETWORK,
    )


def _format_spec(spec: TensorSpec | None, compared: TensorSpec | None) -> str:
    """Return the shape of a spec, and its dtype if that of `compared` is another."""
    if spec is None:
        return "absent"
    shape = str(spec.shape) if len(spec.shape) <= _MAX_AXES else f"of {len(spec.shape)} axes"
    return shape if compared is None or spec.dtype == compared.dtype else f"{shape} {spec.dtype}"
