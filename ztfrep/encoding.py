"""Vectors on disk: six consecutive numpy blocks in one file, in the published order.

Train data, train labels, validation data, validation labels, test data, test labels. Beside the
file `X.npy` stands `X.parquet`, which names every row.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.lib import format as npy
from torch import Tensor, nn

from ztfrep.errors import InputError
from ztfrep.files import replacing
from ztfrep.frames import read_frame, write_frame

SPLITS = ("train", "validation", "test")


class Block(NamedTuple):
    """One split of a file: vectors `(n, ..., d)` and labels `(n,)`, -1 where unlabelled."""

    vectors: np.ndarray
    labels: np.ndarray


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
    The file appears at the end, byte for byte what six calls of `numpy.save` would write.
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


def _map(path: Path, offset: int, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    # An empty split has no bytes to map.
    if 0 in shape:
        return np.empty(shape, dtype)
    return np.memmap(path, dtype, "r+", offset, shape)


def read_blocks(path: str | Path) -> dict[str, Block]:
    """Read a file of six blocks, ours or the published ones, keyed train, validation, test.

    Raises InputError for a missing file, fewer blocks, or rows and labels that disagree.
    """
    expected = "six consecutive numpy arrays: data and labels of train, validation, test"
    remedy = "make it again with dvc repro"
    arrays: list[np.ndarray] = []
    try:
        with Path(path).open("rb") as file:
            arrays.extend(np.load(file, allow_pickle=False) for _ in range(2 * len(SPLITS)))
    except (OSError, ValueError, EOFError) as error:
        found = f"{len(arrays)} arrays, then {error}"
        raise InputError(path, found=found, expected=expected, remedy=remedy) from error
    blocks = {
        split: Block(arrays[2 * place], arrays[2 * place + 1]) for place, split in enumerate(SPLITS)
    }
    for split, block in blocks.items():
        if len(block.vectors) != len(block.labels):
            found = f"{len(block.vectors)} {split} rows with {len(block.labels)} labels"
            raise InputError(path, found=found, expected=expected, remedy=remedy)
    return blocks


def names_path(path: str | Path) -> Path:
    """Where the table that names the rows of an encoded file stands."""
    return Path(path).with_suffix(".parquet")


def write_names(path: str | Path, names: pd.DataFrame) -> None:
    """Write the table that names every row of the encoded file `path`, in its order."""
    write_frame(names_path(path), names)


def read_names(path: str | Path) -> pd.DataFrame:
    """Read the table that names every row of the encoded file `path`.

    Of series and objects, `attrs["classes"]` are the names of the labels.
    """
    return read_frame(names_path(path))
