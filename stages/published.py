"""The published encodings, where they were downloaded: read in place of our own."""

import json

import numpy as np
import pandas as pd

from stages.paths import MANIFEST
from ztfrep.data.alert_schema import CLASSES, SERIES_CLASSES
from ztfrep.data.splits import SPLITS
from ztfrep.data.vector_files import SplitVectors as Block
from ztfrep.data.vector_files import read_vectors as read_blocks
from ztfrep.errors import InputError


def published_blocks(name: str) -> dict[str, Block]:
    """Read a published file by its name in the manifest: `base` or `base_recurrente`."""
    manifest = json.loads(MANIFEST.read_text(encoding="utf-8"))
    if name not in manifest:
        raise InputError(
            "params.yaml: evaluate.encodings",
            found=f"published, but source {manifest['source']} has no published encodings",
            expected="downloaded ones",
            remedy="add -S source=drive -S sources.drive.encoded=true",
        )
    # Of a series the three detections are vectors of their own.
    dims, classes = (2, len(CLASSES)) if name == "base" else (3, len(SERIES_CLASSES))
    blocks = read_blocks(manifest[name]["path"], dims=dims, classes=classes)
    return {split: Block(b.vectors, b.labels.astype(np.int64)) for split, b in blocks.items()}


def of_our_rows(blocks: dict[str, Block], names: pd.DataFrame) -> dict[str, Block]:
    """Pick from the published first alerts those that our table kept, in its order.

    Raises InputError if there are fewer, or if their labels are others.
    """
    found = {}
    for split in SPLITS:
        ours = names[names["split"] == split]
        # An alert is named by its row in the pickle, and the published file has a row of each.
        rows = ours["object_id"].str.rpartition(":")[2].astype(np.int64).to_numpy()
        block = blocks[split]
        fits = rows.max(initial=-1) < len(block.labels)
        if not fits or (block.labels[rows] != ours["label"].to_numpy()).any():
            raise InputError(
                "the published base.npy",
                found=f"{len(block.labels)} {split} rows that are not those of the pickle",
                expected="a row and a label for every row of the pickle",
                remedy="give the pickle and the encodings of one data set",
            )
        found[split] = Block(block.vectors[rows], block.labels[rows])
    return found
