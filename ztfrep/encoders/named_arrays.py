"""Named arrays in small safetensors files, and their checksums."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import safe_open

from ztfrep.encoders.state_dicts import broken_safetensors, check_header, file_size
from ztfrep.errors import InputError


def sha256_of_arrays(arrays: Mapping[str, np.ndarray]) -> str:
    """Return the SHA-256 checksum of the names and bytes of arrays, in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(name.encode() + b"\0" + arrays[name].tobytes())
    return digest.hexdigest()


def read_arrays(path: Path, max_bytes: int, expected: str, remedy: str) -> dict[str, np.ndarray]:
    """Read every array of a safetensors file of at most `max_bytes`.

    Raises InputError, with what was `expected` and the `remedy`, for any other file. Names, types
    and values of the arrays are not validated.
    """
    size = file_size(path, expected, remedy)
    if size > max_bytes:
        raise InputError(
            path, found=f"{size:,} bytes", expected=f"at most {max_bytes:,}", remedy=remedy
        )
    check_header(path)
    try:
        with safe_open(path, framework="np") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except Exception as error:  # safetensors raises exceptions of several classes.
        raise broken_safetensors(path, error) from error
