"""Files of six numpy blocks, read: data and labels of train, validation and test."""

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
from ztfrep.errors import InputError, quote

SPLITS = ("train", "validation", "test")

_READERS = {b"\x01\x00": npy.read_array_header_1_0, b"\x02\x00": npy.read_array_header_2_0}
_MOST_HEADER_BYTES = 10_000
# Rows that are looked through for NaN at a time.
_ROWS = 1 << 14


class Block(NamedTuple):
    """One split of a file: vectors `(n, ..., d)` and labels `(n,)`, -1 where unlabelled."""

    vectors: np.ndarray
    labels: np.ndarray


class _Array(NamedTuple):
    """An array of a file that is not read yet."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    offset: int


def read_blocks(
    path: str | Path, *, dims: int | None = None, classes: int = len(CLASSES)
) -> dict[str, Block]:
    """Read a file of six blocks, ours or the published ones, keyed train, validation, test.

    Vectors are finite float32 or float64 `(n, d)` or `(n, steps, d)`, the same but for `n` in every
    split, of `dims` dimensions if that is given; labels are whole numbers `(n,)`, integers or
    floats, from -1 to below `classes`. Raises InputError for anything else, before it takes more
    memory than the file has bytes.
    """
    blocks = {}
    with _opened(path) as file:
        for split, (vectors, labels) in _layout(path, file, dims).items():
            blocks[split] = Block(_read_array(file, vectors), _read_array(file, labels))
            _check_finite(path, vectors.name, blocks[split].vectors)
            _check_labels(path, labels.name, blocks[split].labels, classes)
    return blocks


def read_lengths(path: str | Path) -> dict[str, int]:
    """Read how many rows each split of a file of six blocks has; raises as `read_blocks` does."""
    with _opened(path) as file:
        layout = _layout(path, file, None)
    return {split: labels.shape[0] for split, (_, labels) in layout.items()}


def _refuse(path: str | Path, found: str, expected: str | None = None) -> NoReturn:
    raise InputError(
        path,
        found=found,
        expected=expected or "six numpy arrays: data and labels of train, validation, test",
        remedy="make it again with dvc repro, or download it again",
    )


@contextmanager
def _opened(path: str | Path) -> Iterator[BinaryIO]:
    try:
        # A pipe would be waited for.
        if not stat.S_ISREG(os.stat(path).st_mode):
            _refuse(path, "no regular file")
        with Path(path).open("rb") as file:
            yield file
    except FileNotFoundError:
        _refuse(path, "no such file")


def _layout(path: str | Path, file: BinaryIO, dims: int | None) -> dict[str, tuple[_Array, _Array]]:
    """Read the six headers, and check that they fit one another and the bytes of the file."""
    layout = {}
    size = os.fstat(file.fileno()).st_size
    for place, split in enumerate(SPLITS):
        vectors = _read_header(path, file, size, 2 * place)
        if (
            len(vectors.shape) not in ((2, 3) if dims is None else (dims,))
            or 0 in vectors.shape[1:]
        ):
            wanted = {2: "(n, d)", 3: "(n, steps, d)", None: "(n, d) or (n, steps, d)"}[dims]
            _refuse(path, f"{vectors.name} of shape {vectors.shape}", f"a shape {wanted}")
        if vectors.dtype not in (np.float32, np.float64) or not vectors.dtype.isnative:
            _refuse(path, f"{vectors.name} that are {_kind(vectors.dtype)}", "float32 or float64")
        labels = _read_header(path, file, size, 2 * place + 1)
        if len(labels.shape) != 1:
            _refuse(path, f"{labels.name} of shape {labels.shape}", "a shape (n,)")
        if labels.shape != vectors.shape[:1]:
            found = f"{vectors.shape[0]} {split} rows with {labels.shape[0]} labels"
            _refuse(path, found, "a label for every row")
        if labels.dtype.kind not in "iuf" or not labels.dtype.isnative:
            _refuse(path, f"{labels.name} that are {_kind(labels.dtype)}", "numbers")
        layout[split] = vectors, labels
    if left := size - file.tell():
        _refuse(path, f"{left:,} bytes after the {labels.name}")
    first, *others = (vectors for vectors, _ in layout.values())
    for other in others:
        if (other.shape[1:], other.dtype) != (first.shape[1:], first.dtype):
            _refuse(
                path,
                f"{other.name} of shape {other.shape} and {other.dtype}",
                f"those of the {first.name}: {('n', *first.shape[1:])} and {first.dtype}",
            )
    return layout


def _read_header(path: str | Path, file: BinaryIO, size: int, count: int) -> _Array:
    """Read the header that follows `count` arrays, and seek to the end of its array's bytes."""
    start, name = file.tell(), f"{SPLITS[count // 2]} {('vectors', 'labels')[count % 2]}"
    head = file.read(HEAD_BYTES)
    if not head.startswith(npy.MAGIC_PREFIX):
        instead = describe(head) if head else "the end of the file"
        _refuse(path, f"{count} arrays, then {instead} in place of the {name}")
    version = head[6:8]
    reader = _READERS.get(version)
    length = int.from_bytes(head[8 : 10 if version[:1] == b"\x01" else 12], "little")
    if reader is None or length > _MOST_HEADER_BYTES:
        _refuse(path, f"{name} with a header of version {list(version)} and {length:,} bytes")
    file.seek(start + 8)
    try:
        with warnings.catch_warnings(action="ignore"):
            shape, fortran_order, dtype = reader(file, _MOST_HEADER_BYTES)
    except Exception as error:  # Hostile bytes make the parser raise almost anything.
        _refuse(path, f"{name} with a header that cannot be read ({type(error).__name__})")
    if len(shape) > 3 or not all(type(n) is int and 0 <= n < 1 << 63 for n in shape):
        _refuse(path, f"{name} of shape {quote(str(shape))}")
    if dtype.hasobject or dtype.kind not in "biufcSU" or dtype.subdtype is not None:
        _refuse(path, f"{name} that are {_kind(dtype)}")
    if fortran_order and len(shape) > 1:
        _refuse(path, f"{name} in Fortran order", "C order")
    offset, needed = file.tell(), math.prod(shape) * dtype.itemsize
    if needed > size - offset:
        _refuse(
            path, f"{name} of shape {shape}, {needed:,} bytes, where {size - offset:,} are left"
        )
    file.seek(offset + needed)
    return _Array(name, shape, dtype, offset)


def _kind(dtype: np.dtype) -> str:
    if dtype.hasobject:
        return "Python objects"
    if dtype.names is not None:
        return "records"
    return "text" if dtype.kind in "SU" else quote(dtype.str if not dtype.isnative else str(dtype))


def _read_array(file: BinaryIO, array: _Array) -> np.ndarray:
    file.seek(array.offset)
    return np.fromfile(file, array.dtype, math.prod(array.shape)).reshape(array.shape)


def _check_finite(path: str | Path, name: str, vectors: np.ndarray) -> None:
    for start in range(0, len(vectors), _ROWS):
        finite = np.isfinite(vectors[start : start + _ROWS])
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
