"""The columns of a table of labels, found by their names."""

import re
from pathlib import Path
from typing import NamedTuple

from ztfrep.errors import InputError, quote

# Names of a column without case, blanks, `_` and `-`; the first that the table has is used.
_CANDID_COLUMNS = ("candid",)
_OBJECT_COLUMNS = ("objectid", "oid", "ztfid")


class LabelColumns(NamedTuple):
    """Indices of columns; -1 for a column that is not there."""

    candid: int
    object_id: int
    label: int


def describe_columns(label_column: str) -> str:
    """Return the columns that a table of labels needs, for messages."""
    return f"candid or object_id, and {label_column}"


def find_columns(path: Path, names: list[str], label_column: str) -> LabelColumns | None:
    """Return the columns of a table with these names; None if a needed one is missing.

    Raises InputError if several columns have one of the names.
    """
    candid = _find_column(path, names, _CANDID_COLUMNS, label_column)
    object_id = _find_column(path, names, _OBJECT_COLUMNS, label_column)
    label = _find_column(path, names, (label_column,), label_column)
    if label < 0 or (candid < 0 and object_id < 0):
        return None
    return LabelColumns(candid, object_id, label)


def _find_column(path: Path, names: list[str], accepted: tuple[str, ...], label_column: str) -> int:
    simplified = [_simplify(name) for name in names]
    for name in accepted:
        # An exact match has priority.
        matches = [n for n, column in enumerate(names) if column == name] or [
            n for n, column in enumerate(simplified) if column == _simplify(name)
        ]
        if len(matches) > 1:
            raise InputError(
                path,
                found=f"{len(matches)} columns named {quote(names[matches[0]])}",
                expected=f"rows of {describe_columns(label_column)}",
                remedy="rename all but one of them",
            )
        if matches:
            return matches[0]
    return -1


def _simplify(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).lower()
