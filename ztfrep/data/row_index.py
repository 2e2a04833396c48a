"""The row index of a vector file `X.npy`: the table `X.parquet`, which identifies every row."""

from pathlib import Path

import pandas as pd

from ztfrep.data.frames import read_frame, write_frame
from ztfrep.data.splits import SPLITS
from ztfrep.data.vector_files import read_lengths
from ztfrep.errors import InputError


def row_index_path(path: str | Path) -> Path:
    """Return the path of the row index of a vector file."""
    return Path(path).with_suffix(".parquet")


def write_row_index(path: str | Path, rows: pd.DataFrame) -> None:
    """Write the row index of the vector file `path`: one row per vector, in its order."""
    write_frame(row_index_path(path), rows)


def read_row_index(path: str | Path) -> pd.DataFrame:
    """Read the row index of the vector file `path`.

    For series and objects, `attrs["classes"]` are the names of the labels. Raises InputError for a
    table that is missing or broken, or whose numbers of rows are not those of the file.
    """
    table, remedy = row_index_path(path), "make both again with dvc repro"
    try:
        rows = read_frame(table)
        lengths = {split: int((rows["split"] == split).sum()) for split in SPLITS}
    except FileNotFoundError as error:
        raise InputError(
            table, found="no such file", expected=f"a row for each of {path}", remedy=remedy
        ) from error
    except Exception as error:  # A broken table makes its reader raise almost anything.
        found = f"no table that can be read ({' '.join(str(error)[:80].split())})"
        raise InputError(
            table, found=found, expected=f"a row for each of {path}", remedy=remedy
        ) from error
    if Path(path).exists() and (expected := read_lengths(path)) != lengths:
        raise InputError(
            table, found=f"rows {lengths}", expected=f"those of {path}, {expected}", remedy=remedy
        )
    return rows
