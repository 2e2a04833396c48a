"""Labels of alerts or objects, from a table of the user's."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ztfrep.alerts import CLASSES
from ztfrep.errors import InputError


class Labels(NamedTuple):
    """Labels by `key`, which is `candid` (int64) or `object_id` (text).

    `table` has the columns `key` and `label`, a place in CLASSES, each key once; `other` counts the
    rows of a class outside these by its name, and `contradictory` the keys of more than one class.
    """

    key: str
    table: pd.DataFrame
    other: dict[str, int]
    contradictory: int


def no_labels() -> Labels:
    """Give the labels of a source without any."""
    table = pd.DataFrame({"key": pd.Series(dtype="int64"), "label": pd.Series(dtype="int8")})
    return Labels("candid", table, {}, 0)


def read_labels(path: Path, column: str) -> Labels:
    """Read a CSV with the class in `column`, of the alert named by `candid`, or else of the object.

    A class outside CLASSES, whatever its case, is no label; nor are two classes of one key.
    Raises InputError for what is no such table.
    """

    def refused(found: str, expected: str, remedy: str) -> InputError:
        return InputError(path, found=found, expected=expected, remedy=remedy)

    try:
        content = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (ValueError, OSError) as error:
        raise refused(str(error), "a CSV table", "give a table with a header line") from error
    key = next((name for name in ("candid", "object_id") if name in content.columns), None)
    if key is None or column not in content.columns:
        raise refused(
            f"columns {', '.join(map(str, content.columns[:20]))}",
            f"candid or object_id, and {column}",
            "rename them, or set sources.alerts.label_column",
        )
    names = content[column].str.strip()
    known = {name.lower(): label for label, name in enumerate(CLASSES)}
    label = names.str.lower().map(known)
    other = names[label.isna() & (names != "")].value_counts().sort_index()
    labelled = pd.DataFrame({"key": content[key].str.strip(), "label": label})[label.notna()]
    if key == "candid":
        whole = labelled["key"].str.fullmatch(r"\d{1,19}") & (
            labelled["key"].str.zfill(19) <= str(np.iinfo(np.int64).max)
        )
        if not whole.all():
            found = f"candid {labelled['key'][~whole].iloc[0][:40]!r}"
            raise refused(found, "a whole number", "write all its digits; spreadsheets round it")
        labelled["key"] = labelled["key"].astype("int64")
    classes = labelled.groupby("key")["label"].nunique()
    several = classes.index[classes > 1]
    table = labelled[~labelled["key"].isin(several)].drop_duplicates("key")
    table = table.astype({"label": "int8"}).reset_index(drop=True)
    return Labels(key, table, {str(k): int(n) for k, n in other.items()}, len(several))
