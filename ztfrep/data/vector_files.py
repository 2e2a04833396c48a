"""A reader of vector files: six numpy arrays, vectors and labels of train, validation and test.

The published encodings and ours have this format; `vector_writer` writes it.
"""

import math
import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple, NoReturn

import numpy as np
from numpy.lib import format as npy

from ztfrep.data.alert_schema import CLASSES
from ztfrep.data.filetypes import HEAD_BYTES, describe
from ztfrep.data.splits import SPLITS
from ztfrep.errors import InputError, quote

_READERS = {b"\x01\x00": npy.read_array_header_1_0, b"\x02\x00": npy.read_array_header_2_0}
_MAX_HEADER_BYTES = 10_000
# Rows that are checked for NaN in one step.
_CHUNK_ROWS = 1 << 14


class SplitVectors(NamedTuple):
    """One split of a file: vectors `(n, ..., d)` and labels `(n,)`, -1 where unlabelled."""

    vectors: np.ndarray
    labels: np.ndarray


class _Array(NamedTuple):
    """An array of a file, of which only the header has been read."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    offset: int


def read_vectors(
    path: str | Path, *, dims: int | None = None, classes: int = len(CLASSES)
) -> dict[str, SplitVectors]:
    """Read a vector file, keyed train, validation, test.

    Vectors are finite float32 or float64 `(n, d)` or `(n, steps, d)`, of one shape but for `n`, and
    of `dims` dimensions unless that is None. Labels are whole numbers `(n,)`, integers or floats,
    from -1 to below `classes`. Raises InputError for anything else. The arrays are mapped from the
    file, and what is changed in them does not change it.
    """
    splits = {}
    with _open(path) as file:
        for split, (vectors, labels) in _read_headers(path, file, dims).items():
            splits[split] = SplitVectors(_read_array(file, vectors), _read_array(file, labels))
            _check_finite(path, vectors.name, splits[split].vectors)
            _check_labels(path, labels.name, splits[split].labels, classes)
    return splits


def read_lengths(path: str | Path) -> dict[str, int]:
    """Read the number of rows of each split of a vector file; raises as `read_vectors` does."""
    with _open(path) as file:
        headers = _read_headers(path, file, None)
    return {split: labels.shape[0] for split, (_, labels) in headers.items()}


def _refuse(path: str | Path, found: str, expected: str | None = None) -> NoReturn:
    raise InputError(
        path,
        found=found,
        expected=expected or "six numpy arrays: data and labels of train, validation, test",
        remedy="make it again with dvc repro, or download it again",
    )


@contextmanager
def _open(path: str | Path) -> Iterator[BinaryIO]:
    try:
        # Opening a pipe would wait for its other end.
        if not stat.S_ISREG(os.stat(path).st_mode):
            _refuse(path, "no regular file")
        with Path(path).open("rb") as file:
            yield file
    except FileNotFoundError:
        _refuse(path, "no such file")


def _read_headers(
    path: str | Path, file: BinaryIO, dims: int | None
) -> dict[str, tuple[_Array, _Array]]:
    """Read the six headers, and check that they agree with one another and the file's size."""
    headers = {}
    size = os.fstat(file.fileno()).st_size
    for index, split in enumerate(SPLITS):
        vectors = _read_header(path, file, size, 2 * index)
        if (
            len(vectors.shape) not in ((2, 3) if dims is None else (dims,))
            or 0 in vectors.shape[1:]
        ):
            shape = {2: "(n, d)", 3: "(n, steps, d)", None: "(n, d) or (n, steps, d)"}[dims]
            _refuse(path, f"{vectors.name} of shape {vectors.shape}", f"a shape {shape}")
        if vectors.dtype not in (np.float32, np.float64) or not vectors.dtype.isnative:
            _refuse(
                path,
                f"{vectors.name} that are {_dtype_name(vectors.dtype)}",
                "float32 or float64",
            )
        labels = _read_header(path, file, size, 2 * index + 1)
        if len(labels.shape) != 1:
            _refuse(path, f"{labels.name} of shape {labels.shape}", "a shape (n,)")
        if labels.shape != vectors.shape[:1]:
            found = f"{vectors.shape[0]} {split} rows with {labels.shape[0]} labels"
            _refuse(path, found, "a label for every row")
        if labels.dtype.kind not in "iuf" or not labels.dtype.isnative:
            _refuse(path, f"{labels.name} that are {_dtype_name(labels.dtype)}", "numbers")
        headers[split] = vectors, labels
    if rest := size - file.tell():
        _refuse(path, f"{rest:,} bytes after the {labels.name}")
    train, *others = (vectors for vectors, _ in headers.values())
    for vectors in others:
        if (vectors.shape[1:], vectors.dtype) != (train.shape[1:], train.dtype):
            _refuse(
                path,
                f"{vectors.name} of shape {vectors.shape} and {vectors.dtype}",
                f"those of the {train.name}: {('n', *train.shape[1:])} and {train.dtype}",
            )
    return headers


def _read_header(path: str | Path, file: BinaryIO, size: int, count: int) -> _Array:
    """Read the header after `count` arrays, and seek to the end of its array's bytes."""
    start, name = file.tell(), f"{SPLITS[count // 2]} {('vectors', 'labels')[count % 2]}"
    head = file.read(HEAD_BYTES)
    if not head.startswith(npy.MAGIC_PREFIX):
        content = describe(head) if head else "the end of the file"
        _refuse(path, f"{count} arrays, then {content} in place of the {name}")
    version = head[6:8]
    reader = _READERS.get(version)
    length = int.from_bytes(head[8 : 10 if version[:1] == b"\x01" else 12], "little")
    if reader is None or length > _MAX_HEADER_BYTES:
        _refuse(path, f"{name} with a header of version {list(version)} and {length:,} bytes")
    file.seek(start + 8)
    try:
        with warnings.catch_warnings(action="ignore"):
            shape, fortran_order, dtype = reader(file, _MAX_HEADER_BYTES)
    except Exception as error:  # Hostile bytes make the parser raise almost anything.
        _refuse(path, f"{name} with a header that cannot be read ({type(error).__name__})")
    if len(shape) > 3 or not all(type(n) is int and 0 <= n < 1 << 63 for n in shape):
        _refuse(path, f"{name} of shape {quote(str(shape))}")
    if dtype.hasobject or dtype.kind not in "biufcSU" or dtype.subdtype is not None:
        _refuse(path, f"{name} that are {_dtype_name(dtype)}")
    if fortran_order and len(shape) > 1:
        _refuse(path, f"{name} in Fortran order", "C order")
    offset, needed = file.tell(), math.prod(shape) * dtype.itemsize
    if needed > size - offset:
        _refuse(
            path, f"{name} of shape {shape}, {needed:,} bytes, where {size - offset:,} are left"
        )
    file.seek(offset + needed)
    return _Array(name, shape, dtype, offset)


def _dtype_name(dtype: np.dtype) -> str:
    if dtype.hasobject:
        return "Python objects"
    if dtype.names is not None:
        return "records"
    return "text" if dtype.kind in "SU" else quote(dtype.str if not dtype.isnative else str(dtype))


def _read_array(file: BinaryIO, array: _Array) -> np.ndarray:
    # An empty range of a file cannot be mapped.
    if 0 in array.shape:
        return np.empty(array.shape, array.dtype)
    return np.asarray(np.memmap(file, array.dtype, "c", array.offset, array.shape))


def _check_finite(path: str | Path, name: str, vectors: np.ndarray) -> None:
    for start in range(0, len(vectors), _CHUNK_ROWS):
        finite = np.isfinite(vectors[start : start + _CHUNK_ROWS])
        if not finite.all():
            row, *_ = np.argwhere(~finite)[0]
            value = vectors[start + row][~finite[row]][0]
            _refuse(path, f"{name} with {value} in row {start + row}", "finite numbers")


def _check_labels(path: str | Path, name: str, labels: np.ndarray, classes: int) -> None:
    with np.errstate(invalid="ignore"):
        wrong = (labels < -1) | (labels >= classes) | (labels != np.floor(labels))
    if wrong.any():
        row = int(wrong.argmax())
        expected = f"whole numbers from -1 (unlabelled) to {classes - 1}"
        _refuse(path, f"{name} with {labels[row]} in row {row}", expected)
