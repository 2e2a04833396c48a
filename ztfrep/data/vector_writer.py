"""A writer of vector files: six consecutive numpy arrays in one file, in the published order.

Train vectors, train labels, validation vectors, validation labels, test vectors, test labels;
`vector_files` reads them.
"""

import errno
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd
from numpy.lib import format as npy

from ztfrep.data.files import replacing
from ztfrep.data.splits import SPLITS
from ztfrep.data.vector_files import SplitVectors
from ztfrep.errors import InputError


@contextmanager
def open_vectors_for_writing(
    path: str | Path, rows: pd.DataFrame, shape: tuple[int, ...], dtype: str, label_dtype: str
) -> Iterator[dict[str, SplitVectors]]:
    """Yield the arrays of a new vector file by split: labels as in `rows`, vectors of zeros.

    `rows` has a row per vector, in order, with its `split` and `label`; `shape` is that of one
    vector. The arrays are memory maps: assign to them. The file appears when the block ends
    without an error, byte for byte what six calls of `numpy.save` would write. Raises InputError if
    the disk has too little space.
    """
    labels = {split: rows["label"].to_numpy()[rows["split"] == split] for split in SPLITS}
    layout = [
        part
        for split in SPLITS
        for part in (((len(labels[split]), *shape), dtype), ((len(labels[split]),), label_dtype))
    ]
    with replacing(path) as temporary:
        with temporary.open("wb") as file:
            offsets = [_write_header(file, *part) for part in layout]
        with temporary.open("rb+") as file:
            _allocate(path, file, os.fstat(file.fileno()).st_size)
        arrays = [
            _map(temporary, offset, *part) for offset, part in zip(offsets, layout, strict=True)
        ]
        pairs = zip(arrays[::2], arrays[1::2], strict=True)
        splits = {split: SplitVectors(*pair) for split, pair in zip(SPLITS, pairs, strict=True)}
        for split, split_arrays in splits.items():
            split_arrays.labels[:] = labels[split]
        yield splits
        for array in arrays:
            if isinstance(array, np.memmap):
                array.flush()


def assign_vectors(
    splits: Mapping[str, SplitVectors],
    batches: Iterable[np.ndarray],
    split: np.ndarray,
    *index: np.ndarray,
) -> None:
    """Assign a stream of vectors, batches `(m, d)`, to the arrays of `open_vectors_for_writing`.

    `split` `(n,)` is the split of each vector; `index` its row in that split, and its step if the
    file has steps, `(n,)` each.
    """
    start = 0
    for batch in batches:
        rows = slice(start, start + len(batch))
        start = rows.stop
        for name, arrays in splits.items():
            mask = split[rows] == name
            arrays.vectors[tuple(part[rows][mask] for part in index)] = batch[mask]


def _write_header(file: BinaryIO, shape: tuple[int, ...], dtype: str) -> int:
    header = {
        "descr": npy.dtype_to_descr(np.dtype(dtype)),
        "fortran_order": False,
        "shape": shape,
    }
    npy.write_array_header_1_0(file, header)
    offset = file.tell()
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    file.truncate(offset + size)
    file.seek(offset + size)
    return offset


def _allocate(path: str | Path, file: BinaryIO, size: int) -> None:
    """Allocate the blocks of a sparse file: a memory map without room kills the process."""
    try:
        os.posix_fallocate(file.fileno(), 0, size)
    except (AttributeError, OSError) as error:
        code = getattr(error, "errno", None)
        if code == errno.ENOSPC:
            raise InputError(
                path,
                found=f"{shutil.disk_usage(Path(path).parent).free:,} bytes free on its disk",
                expected=f"room for {size:,} bytes",
                remedy="make room, then run it again",
            ) from error
        # Not every system or file system can allocate. Where they can, a quota is an error too.
        if code not in (None, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL):
            raise
        # Writing the same bytes again allocates their blocks.
        for start in range(0, size, 1 << 20):
            file.seek(start)
            content = file.read(1 << 20)
            file.seek(start)
            file.write(content)


def _map(path: Path, offset: int, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    # An empty range of a file cannot be mapped.
    if 0 in shape:
        return np.empty(shape, dtype)
    return np.memmap(path, dtype, "r+", offset, shape)
