"""What the points of the map are coloured and filtered by: categories and numbers of the rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ztfrep.catalogues.catalogue import Catalogue
from ztfrep.palette import COLOURS

# Code of a category that a row does not have, and the maximum number of categories.
NONE, MAX_VALUES = 255, 254
# Name, title, unit, and whether low values are to be seen as high: bright is low.
_NUMBERS = (
    ("magpsf", "magnitude", "mag", True),
    ("anomaly_score", "anomaly score", "", False),
    ("reconstruction_error", "reconstruction error", "", False),
    ("neighbour_distance", "neighbour distance", "", False),
    ("class_entropy", "class entropy", "nat", False),
    ("mjd", "time", "MJD", False),
    ("n_observations", "observations", "", False),
)
_SPLITS = ("train", "validation", "test")
# Percentiles that are the limits of a scale of colours: some rows are far from all others.
_LIMITS = (1, 99)


@dataclass(frozen=True, eq=False)
class MapColumn:
    """A column of the n rows.

    Attributes
    ----------
    name, title : str
    codes : uint8 (n,), float32 (n,) or float64 (n,)
        Of a category the index of its value, 255 for none; else numbers, NaN for none.
    description : dict
        The rest of what the page needs, as JSON: `kind`, and `values` and `colours`, or `type`
        ("float32" or "float64"), `unit`, `low`, `high` and `reversed`.
    """

    name: str
    title: str
    codes: np.ndarray
    description: dict[str, Any]


def category(
    name: str, title: str, values: Sequence[str], codes: np.ndarray, classes: Sequence[str]
) -> MapColumn:
    """Return a column of categories, `codes` int `(n,)`, negative for none.

    A value has the colour of the class of the same name, or else one that no such class has, as
    long as there are any. Values above the 254 most frequent are none.
    """
    if len(values) > MAX_VALUES:
        counts = np.bincount(codes[codes >= 0], minlength=len(values))
        kept = np.sort(np.argsort(-counts, kind="stable")[:MAX_VALUES])
        renamed = np.full(len(values) + 1, -1)
        renamed[kept] = np.arange(len(kept))
        values, codes = [values[index] for index in kept], renamed[codes]
    used = {classes.index(value) % len(COLOURS) for value in values if value in classes}
    free = [index for index in range(len(COLOURS)) if index not in used] or range(len(COLOURS))
    colours, others = [], 0
    for value in values:
        if value in classes:
            colours.append(COLOURS[classes.index(value) % len(COLOURS)])
        else:
            colours.append(COLOURS[free[others % len(free)]])
            others += 1
    codes = np.where(codes < 0, NONE, codes).astype(np.uint8)
    description = {"kind": "category", "values": list(values), "colours": colours}
    return MapColumn(name, title, codes, description)


def text_category(
    name: str,
    title: str,
    texts: pd.Series,
    classes: Sequence[str],
    order: Sequence[str] | None = None,
) -> MapColumn:
    """Return a column of categories of texts, null for none: those of `order` first."""
    order = classes if order is None else order
    present = set(texts.dropna().unique())
    values = [value for value in order if value in present]
    values += sorted(present.difference(values))
    codes = pd.Index(values, dtype=object).get_indexer(pd.Index(texts, dtype=object))
    return category(name, title, values, codes, classes)


def catalogue_columns(catalogue: Catalogue) -> list[MapColumn]:
    """Return the columns of a catalogue that have a value somewhere, in the order of the menu."""
    table, classes = catalogue.table, catalogue.info.classes
    columns = []
    if "class" in table and table["class"].notna().any():
        columns.append(text_category("class", "class", table["class"], classes))
    columns.append(
        text_category("predicted_class", "predicted class", table["predicted_class"], classes)
    )
    if "split" in table and table["split"].notna().any():
        columns.append(text_category("split", "split", table["split"], (), _SPLITS))
    for name, title, unit, is_reversed in _NUMBERS:
        if name not in table:
            continue
        numbers = table[name].to_numpy(dtype=np.float64, na_value=np.nan)
        finite = numbers[np.isfinite(numbers)]
        if len(finite):
            columns.append(_number(name, title, unit, numbers, finite, is_reversed))
    return columns


def _number(
    name: str, title: str, unit: str, numbers: np.ndarray, finite: np.ndarray, is_reversed: bool
) -> MapColumn:
    low, high = (float(f"{limit:.6g}") for limit in np.percentile(finite, _LIMITS))
    codes = np.where(np.isfinite(numbers), numbers, np.nan)
    if name == "mjd":
        low, high = (round(float(limit), 3) for limit in np.percentile(finite, _LIMITS))
    else:
        # Times alone need more: a float32 of a Modified Julian Date is exact to minutes.
        codes = codes.astype(np.float32)
    description = {
        "kind": "number", "type": codes.dtype.name, "unit": unit, "low": low, "high": high,
        "reversed": is_reversed,
    }  # fmt: skip
    return MapColumn(name, title, codes, description)
