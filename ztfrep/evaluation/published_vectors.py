"""The published vectors, if they were downloaded, for the rows of our tables."""

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
    # `base` has a vector per alert, `base_recurrente` a vector per object and step.
    dims, classes = (2, len(CLASSES)) if name == "base" else (3, len(SERIES_CLASSES))
    splits = read_vectors(content[name]["path"], dims=dims, classes=classes)
    return {
        split: SplitVectors(vectors, labels.astype(np.int64))
        for split, (vectors, labels) in splits.items()
    }


def align_rows(
    published: dict[str, SplitVectors], identity: pd.DataFrame
) -> dict[str, SplitVectors]:
    """Return the published vectors of the alerts of our table, in the order of the table.

    `identity` has `object_id`, `split` and `label` of the rows of our table. Raises InputError if
    there are too few published rows, or if their labels differ.
    """
    aligned = {}
    for split in SPLITS:
        alerts = identity[identity["split"] == split]
        # An `object_id` ends with the row in the pickle; the published file has the same rows.
        rows = alerts["object_id"].str.rpartition(":")[2].astype(np.int64).to_numpy()
        vectors, labels = published[split]
        has_rows = rows.max(initial=-1) < len(labels)
        if not has_rows or (labels[rows] != alerts["label"].to_numpy()).any():
            raise InputError(
                "the published base.npy",
                found=f"{len(labels)} {split} rows that are not those of the pickle",
                expected="a row and a label for every row of the pickle",
                remedy="use the pickle and the encodings of one data set",
            )
        aligned[split] = SplitVectors(vectors[rows], labels[rows])
    return aligned
