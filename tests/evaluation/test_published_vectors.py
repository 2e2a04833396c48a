"""The published vectors in the order of our table: the same alerts, row by row."""

import json

import numpy as np
import pandas as pd
import pytest

from ztfrep.data.splits import SPLITS
from ztfrep.data.vector_files import SplitVectors
from ztfrep.errors import InputError
from ztfrep.evaluation.published_vectors import align_rows, read_published

LABELS = np.array([0, 1, 2, 3, 4, 0])
PUBLISHED = {
    split: SplitVectors(10.0 * index + np.arange(6)[:, None], LABELS)
    for index, split in enumerate(SPLITS)
}


def identity(rows, labels=LABELS):
    """Return the identity of some rows of a pickle that has six rows in each split."""
    return pd.DataFrame(
        [
            {"object_id": f"stamps:{split}:{row}", "split": split, "label": labels[row]}
            for split in SPLITS
            for row in rows
        ]
    )


def test_an_alert_has_the_vector_of_its_row_in_the_pickle():
    aligned = align_rows(PUBLISHED, identity([1, 4, 5]))
    assert aligned["train"].vectors[:, 0].tolist() == [1, 4, 5]
    assert aligned["test"].vectors[:, 0].tolist() == [21, 24, 25]
    assert aligned["validation"].labels.tolist() == [1, 4, 0]


def test_vectors_of_another_data_set_are_refused():
    longer = np.append(LABELS, 1)
    with pytest.raises(InputError, match="6 train rows that are not those of the pickle"):
        align_rows(PUBLISHED, identity([1, 6], longer))
    with pytest.raises(InputError, match="a row and a label"):
        align_rows(PUBLISHED, identity([1, 2], LABELS[::-1]))


def test_published_vectors_are_read_by_their_name_in_the_manifest(tmp_path):
    path, manifest = tmp_path / "base.npy", tmp_path / "manifest.json"
    with path.open("wb") as file:
        for vectors, labels in PUBLISHED.values():
            np.save(file, vectors)
            # The published labels are floats.
            np.save(file, labels.astype(float))
    manifest.write_text(json.dumps({"source": "drive", "base": {"path": str(path)}}))
    published = read_published(manifest, "base")
    assert published["test"].labels.dtype == np.int64
    np.testing.assert_array_equal(published["test"].vectors, PUBLISHED["test"].vectors)
    with pytest.raises(InputError, match="source drive has no published encodings"):
        read_published(manifest, "base_recurrente")
