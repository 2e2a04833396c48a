"""Data frames with exact identifiers: Parquet to pandas and back, and rows joined by key.

A ZTF `candid` has 19 digits, and a float64 holds 16. So a column of candids with nulls becomes
pandas' nullable Int64, and not float64, which is pandas' default.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ztfrep.data.files import replacing
from ztfrep.errors import InputError

# Columns that identify an alert or an object.
IDENTIFIERS = ("candid", "object_id")
_NULLABLE = {pa.int64(): pd.Int64Dtype(), pa.uint64(): pd.UInt64Dtype()}


def to_frame(table: pa.Table) -> pd.DataFrame:
    """Return an Arrow table as a frame: 64-bit integers stay integers where a value is null.

    Columns with nulls become Int64 (null is NA); those without stay int64. Raises ValueError if an
    identifier is a float.
    """
    # The metadata that pandas adds to a table is ignored: it may restore float64.
    frame: pd.DataFrame = table.to_pandas(types_mapper=_NULLABLE.get, ignore_metadata=True)
    for name in frame.columns:
        if isinstance(frame[name].dtype, pd.Int64Dtype) and not frame[name].isna().any():
            frame[name] = frame[name].astype("int64")
    frame.attrs |= _attributes(table)
    refuse_float_identifiers(frame)
    return frame


def read_frame(path: str | Path) -> pd.DataFrame:
    """Read a Parquet file as `to_frame` does."""
    return to_frame(pq.read_table(path))


def write_frame(path: str | Path, frame: pd.DataFrame) -> None:
    """Write a frame as Parquet; raises ValueError if an identifier is a float."""
    refuse_float_identifiers(frame)
    with replacing(path) as temporary:
        frame.to_parquet(temporary, index=False, compression="zstd")


def refuse_float_identifiers(frame: pd.DataFrame) -> None:
    """Raise ValueError if a column or index level of IDENTIFIERS is a float."""
    types = [*frame.index.to_frame().dtypes.items(), *frame.dtypes.items()]
    for name, kind in types:
        if name in IDENTIFIERS and pd.api.types.is_float_dtype(kind):
            raise ValueError(f"{name} is {kind}: identifiers of 19 digits do not fit in it")


def look_up(
    rows: pd.DataFrame, key: str, table: pd.DataFrame, *, same: Sequence[str], source: str
) -> pd.DataFrame:
    """Return the row of `table` for each of `rows`, in their order, joined by the column `key`.

    Every key must be integer or text, not null, and in exactly one row of `table`; the columns
    `same` must be equal on both sides. `source` names `table` in an error. Raises InputError for a
    key that is missing, repeated, or has another value of a column in `same`, and ValueError for
    float keys.
    """
    refuse_float_identifiers(rows)
    refuse_float_identifiers(table)

    def error(found: str) -> InputError:
        return InputError(
            source,
            found=found,
            expected=f"one row for every {key}",
            remedy="make both tables again with dvc repro",
        )

    for frame in (rows, table):
        if frame[key].isna().any():
            raise error(f"{int(frame[key].isna().sum())} rows without a {key}")
    index = pd.Index(table[key])
    if not index.is_unique:
        raise error(f"{key} {index[index.duplicated()][0]} more than once")
    indices = index.get_indexer(pd.Index(rows[key]))
    if (indices < 0).any():
        missing = rows[key].to_numpy()[indices < 0]
        raise error(f"no row for {len(missing)} of them, the first {missing[0]}")
    matched = table.iloc[indices].reset_index(drop=True)
    for name in (key, *same):
        differs = matched[name].to_numpy() != rows[name].to_numpy()
        if differs.any():
            row = int(differs.argmax())
            raise error(
                f"{name} {matched[name].iloc[row]} of {key} {rows[key].iloc[row]}, which has "
                f"{name} {rows[name].iloc[row]} elsewhere ({int(differs.sum())} such rows)"
            )
    return matched


def _attributes(table: pa.Table) -> dict[str, object]:
    # pandas stores `attrs` in its own part of the schema's metadata.
    attributes = (table.schema.pandas_metadata or {}).get("attributes")
    return dict(attributes) if attributes else {}
