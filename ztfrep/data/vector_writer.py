"""Vectors on disk: six consecutive numpy blocks in one file, in the published order.

Train data, train labels, validation data, validation labels, test data, test labels. Beside the
file `X.npy` stands `X.parquet`, which names every row.
"""

import errno
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd
import torch
from numpy.lib import format as npy
from torch import Tensor, nn

from ztfrep.data.files import replacing
from ztfrep.data.frames import read_frame, write_frame
from ztfrep.data.vector_files import SPLITS, Block, read_lengths
from ztfrep.data.vector_files import read_blocks as read_blocks
from ztfrep.errors import InputError


def encode(
    model: nn.Module, batch: Sequence[Tensor], device: torch.device, precision: str
) -> np.ndarray:
    """Encode one batch of a model's input to float32 vectors `(n, d)`.

    Raises ValueError if a vector is not finite.
    """
    model.eval()
    mixed = torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
    with torch.inference_mode(), mixed:
        encoded: Tensor = model.encode(*(part.to(device) for part in batch))  # type: ignore[operator]
    vectors: np.ndarray = encoded.float().cpu().numpy()
    if not np.isfinite(vectors).all():
        raise ValueError("the model gives vectors that are not finite")
    return vectors


@contextmanager
def writing_blocks(
    path: str | Path, names: pd.DataFrame, shape: tuple[int, ...], dtype: str, label_dtype: str
) -> Iterator[dict[str, Block]]:
    """Give a block per split whose vectors, zeros on disk, wait to be filled.

    `names` has a row per vector, in order, with its `split` and `label`; `shape` is one vector's.
    The file appears at the end, byte for byte what six calls of `numpy.save` would write. Raises
    InputError where the disk has no room for it.
    """
    labels = {split: names["label"].to_numpy()[names["split"] == split] for split in SPLITS}
    layout = [
        part
        for split in SPLITS
        for part in (((len(labels[split]), *shape), dtype), ((len(labels[split]),), label_dtype))
    ]
    with replacing(path) as temporary:
        with temporary.open("wb") as file:
            offsets = [_write_header(file, *part) for part in layout]
        with temporary.open("rb+") as file:
            _reserve(path, file, os.fstat(file.fileno()).st_size)
        arrays = [
            _map(temporary, offset, *part) for offset, part in zip(offsets, layout, strict=True)
        ]
        pairs = zip(arrays[::2], arrays[1::2], strict=True)
        blocks = {split: Block(*pair) for split, pair in zip(SPLITS, pairs, strict=True)}
        for split, block in blocks.items():
            block.labels[:] = labels[split]
        yield blocks
        for array in arrays:
            if isinstance(array, np.memmap):
                array.flush()


def fill(
    blocks: Mapping[str, Block],
    vectors: Iterable[np.ndarray],
    split: np.ndarray,
    *place: np.ndarray,
) -> None:
    """Put a stream of vectors `(m, d)` into the blocks.

    `split` `(n,)` names each vector's block; `place` is its row there, and its step if it has one,
    `(n,)` each.
    """
    start = 0
    for batch in vectors:
        here = slice(start, start + len(batch))
        start = here.stop
        for name, block in blocks.items():
            chosen = split[here] == name
            block.vectors[tuple(part[here][chosen] for part in place)] = batch[chosen]


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


def _reserve(path: str | Path, file: BinaryIO, size: int) -> None:
    """Take the room that a file of holes will need: a map that finds none kills the process."""
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
        # Not every system or file system can reserve; quotas and other limits are errors there too.
        if code not in (None, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL):
            raise
        # The bytes as they are, written anew: holes take room then.
        for start in range(0, size, 1 << 20):
            file.seek(start)
            content = file.read(1 << 20)
            file.seek(start)
            file.write(content)


def _map(path: Path, offset: int, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    # An empty split has no bytes to map.
    if 0 in shape:
        return np.empty(shape, dtype)
    return np.memmap(path, dtype, "r+", offset, shape)


def names_path(path: str | Path) -> Path:
    """Where the table that names the rows of an encoded file stands."""
    return Path(path).with_suffix(".parquet")


def write_names(path: str | Path, names: pd.DataFrame) -> None:
    """Write the table that names every row of the encoded file `path`, in its order."""
    write_frame(names_path(path), names)


def read_names(path: str | Path) -> pd.DataFrame:
    """Read the table that names every row of the encoded file `path`.

    Of series and objects, `attrs["classes"]` are the names of the labels. Raises InputError for a
    table that is missing or broken, or that has other rows than the file.
    """
    table, remedy = names_path(path), "make both again with dvc repro"
    try:
        names = read_frame(table)
        rows = {split: int((names["split"] == split).sum()) for split in SPLITS}
    except FileNotFoundError as error:
        raise InputError(
            table, found="no such file", expected=f"a row for each of {path}", remedy=remedy
        ) from error
    except Exception as error:  # A broken table makes its reader raise almost anything.
        found = f"no table that can be read ({' '.join(str(error)[:80].split())})"
        raise InputError(
            table, found=found, expected=f"a row for each of {path}", remedy=remedy
        ) from error
    if Path(path).exists() and (lengths := read_lengths(path)) != rows:
        raise InputError(
            table, found=f"rows {rows}", expected=f"those of {path}, {lengths}", remedy=remedy
        )
    return names
