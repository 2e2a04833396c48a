"""The published encodings beside our table: the same alerts, row by row."""

import numpy as np
import pandas as pd
import pytest

from stages.published import of_our_rows
from ztfrep.data.splits import SPLITS
from ztfrep.data.vector_files import SplitVectors as Block
from ztfrep.errors import InputError

LABELS = np.array([0, 1, 2, 3, 4, 0])
BLOCKS = {split: Block(10.0 * i + np.arange(6)[:, None], LABELS) for i, split in enumerate(SPLITS)}


def names(kept, labels=LABELS):
    """The rows that our table kept of a pickle with six rows in each split."""
    rows = [
        {"object_id": f"stamps:{split}:{row}", "split": split, "label": labels[row]}
        for split in SPLITS
        for row in kept
    ]
    return pd.DataFrame(rows)


def test_a_kept_alert_has_the_vector_of_its_row_in_the_pickle():
    found = of_our_rows(BLOCKS, names([1, 4, 5]))
    assert found["train"].vectors[:, 0].tolist() == [1, 4, 5]
    assert found["test"].vectors[:, 0].tolist() == [21, 24, 25]
    assert found["validation"].labels.tolist() == [1, 4, 0]


def test_encodings_of_another_data_set_are_refused():
    longer = np.append(LABELS, 1)
    with pytest.raises(InputError, match="6 train rows that are not those of the pickle"):
        of_our_rows(BLOCKS, names([1, 6], longer))
    with pytest.raises(InputError, match="a row and a label"):
        of_our_rows(BLOCKS, names([1, 2], LABELS[::-1]))
