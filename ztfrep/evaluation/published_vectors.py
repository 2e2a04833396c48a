"""The published vectors, where they were downloaded, as vectors of our rows."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from ztfrep.data.alert_schema import CLASSES, SERIES_CLASSES
from ztfrep.data.splits import SPLITS
from ztfrep.data.vector_files import SplitVectors, read_vectors
from ztfrep.errors import InputError


def read_published(manifest: Path, name: str) -> dict[str, SplitVectors]:
    """Read published vectors by their name in the manifest: `base` or `base_recurrente`.

    Raises InputError if the source has no published vectors.
    """
    content = json.loads(manifest.read_text(encoding="utf-8"))
    if name not in content:
        raise InputError(
            "params.yaml: evaluate.encodings",
            found=f"published, but source {content['source']} has no published encodings",
            expected="downloaded ones",
            remedy="add -S source=drive -S sources.drive.encoded=true",
        )
    # The three detections of a series are vectors of their own.
    dims, classes = (2, len(CLASSES)) if name == "base" else (3, len(SERIES_CLASSES))
    splits = read_vectors(content[name]["path"], dims=dims, classes=classes)
    return {
        split: SplitVectors(vectors, labels.astype(np.int64))
        for split, (vectors, labels) in splits.items()
    }


def align_rows(
    published: dict[str, SplitVectors], identity: pd.DataFrame
) -> dict[str, SplitVectors]:
    """Return the published vectors of the alerts of our table, in its order.

    `identity` has `object_id`, `split` and `label` of every row of our table. Raises InputError if
    there are fewer published rows, or if their labels are others.
    """
    aligned = {}
    for split in SPLITS:
        ours = identity[identity["split"] == split]
        # An alert is named by its row in the pickle, and the published file has a row of each.
        rows = ours["object_id"].str.rpartition(":")[2].astype(np.int64).to_numpy()
        vectors, labels = published[split]
        fits = rows.max(initial=-1) < len(labels)
        if not fits or (labels[rows] != ours["label"].to_numpy()).any():
            raise InputError(
                "the published base.npy",
                found=f"{len(labels)} {split} rows that are not those of the pickle",
                expected="a row and a label for every row of the pickle",
                remedy="use the pickle and the encodings of one data set",
            )
        aligned[split] = SplitVectors(vectors[rows], labels[rows])
    return aligned
