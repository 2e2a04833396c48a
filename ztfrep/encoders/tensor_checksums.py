"""Checksums of named arrays."""

import hashlib
from collections.abc import Mapping

import numpy as np


def sha256_of_arrays(arrays: Mapping[str, np.ndarray]) -> str:
    """Return the SHA-256 checksum of the names and bytes of arrays, in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(name.encode() + b"\0" + arrays[name].tobytes())
    return digest.hexdigest()
