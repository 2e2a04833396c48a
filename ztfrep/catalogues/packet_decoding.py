"""Decoding of packets into a batch store, which is done beside the encoding.

The processes that decode do not import torch: they start sooner, and need less memory.
"""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ztfrep.data.stamp_previews import make_previews
from ztfrep.sources.packets.archives import Item
from ztfrep.sources.packets.batch_store import batch_number, decode_items, take_pixels, write_batch
from ztfrep.sources.packets.observations import Observations
from ztfrep.sources.packets.packet_reader import PacketBatch


class DecodedItems(NamedTuple):
    """The items of one group of a reader, decoded and stored.

    `batches` are their batches by number, without stamps: see `with_stamps`.
    """

    reader: int
    group: int
    counts: Counter[str]
    batches: dict[int, PacketBatch]


def decode_group(
    folder: Path, reader: int, group: int, items: list[Item], *, previews: bool
) -> DecodedItems:
    """Decode group number `group` of a reader's items, and store its batches in a folder.

    With `previews`, previews of their stamps are stored too.
    """
    counts, batches = decode_items(items)
    stored = {}
    for part, batch in enumerate(batches):
        number = batch_number(reader, group, part)
        counts.update(write_batch(folder, number, batch))
        if previews and len(batch.stamps):
            np.save(previews_path(folder, number), make_previews(batch.stamps))
        # What is not needed any more is not copied to another process.
        nothing = Observations(*(values[:0] for values in batch.prior_observations))
        stored[number] = replace(
            batch, stamps=batch.stamps[:0], prior_observations=nothing, failures=[]
        )
    return DecodedItems(reader, group, counts, stored)


def with_stamps(folder: Path, number: int, batch: PacketBatch) -> PacketBatch:
    """Return a batch of `decode_group` with its stamps, and remove their file."""
    return replace(batch, stamps=take_pixels(folder, number))


def previews_path(folder: Path, number: int) -> Path:
    """Return the path of the previews of a batch."""
    return folder / f"previews-{number}.npy"
