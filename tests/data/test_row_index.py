from contextlib import suppress

import numpy as np
import pandas as pd
import pytest

from ztfrep.data.row_index import read_row_index, row_index_path, write_row_index
from ztfrep.data.vector_writer import open_vectors_for_writing
from ztfrep.errors import InputError


def rows(train=5, validation=2, test=3):
    split = ["train"] * train + ["validation"] * validation + ["test"] * test
    return pd.DataFrame({"split": split, "label": np.arange(len(split)) % 5 - 1})


def test_a_row_index_is_the_table_beside_the_vectors(tmp_path):
    path = tmp_path / "base.npy"
    write_row_index(path, rows())
    assert row_index_path(path) == tmp_path / "base.parquet"
    pd.testing.assert_frame_equal(read_row_index(path), rows(), check_dtype=False)


def vector_file(folder):
    with open_vectors_for_writing(folder / "base.npy", rows(), (2,), "<f4", "<i8"):
        pass
    return folder / "base.npy"


def test_a_row_index_of_another_file_is_refused(tmp_path):
    path = vector_file(tmp_path)
    write_row_index(path, rows())
    assert len(read_row_index(path)) == 10
    write_row_index(path, rows()[1:])
    with pytest.raises(InputError, match="'train': 4, .* expected those of .*'train': 5"):
        read_row_index(path)


@pytest.mark.parametrize("damage", ["missing", "cut", "zeros", "text", "other columns", "flipped"])
def test_a_broken_row_index_is_refused(tmp_path, damage):
    path = vector_file(tmp_path)
    table = row_index_path(path)
    write_row_index(path, rows().drop(columns="split" if damage == "other columns" else []))
    content = table.read_bytes()
    if damage == "missing":
        table.unlink()
    if damage in ("cut", "zeros", "text", "flipped"):
        table.write_bytes(
            {
                "cut": content[:-100],
                "zeros": bytes(len(content)),
                "text": b"object_id,split",
                "flipped": content[:-40] + bytes([content[-40] ^ 0xFF]) + content[-39:],
            }[damage]
        )
    if damage == "flipped":
        # In the footer: the reader may raise any error, and it becomes an InputError.
        with suppress(InputError):
            read_row_index(path)
        return
    with pytest.raises(InputError, match=r"base\.parquet: found no") as caught:
        read_row_index(path)
    assert "\n" not in str(caught.value)
