"""The two published pickles as checked arrays: first alerts in three splits, and series."""

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ztfrep.data.alert_schema import CLASSES, MAX_STAMP_SIDE, SERIES_CLASSES
from ztfrep.data.features import ALERCE_FEATURES
from ztfrep.data.splits import SPLITS
from ztfrep.data.stamps import CROP
from ztfrep.errors import InputError, quote
from ztfrep.sources.pickles.pickle_reader import read_pickle

# The splits and their keys in the file.
_PUBLISHED_SPLITS = dict(zip(SPLITS, ("Train", "Validation", "Test"), strict=True))
# Maximum of characters of a file's content in an error.
_SHOWN_CHARACTERS = 80


@dataclass(frozen=True)
class StampSplit:
    """One split of the first data set.

    `images` float `(n, H, W, 3)`, channels science, template, difference, a view of the file;
    `labels` int64 `(n,)`; `features` float64 `(n, k)`, z-scores, NaN where missing.
    """

    images: np.ndarray
    labels: np.ndarray
    features: np.ndarray


@dataclass(frozen=True)
class SeriesArrays:
    """The second data set: n objects of k detections each.

    `template` float `(n, H, W)`; `science` and `difference` float `(n, k, H, W)`, in time order;
    views of the file. `labels` int64 `(n,)`.
    """

    template: np.ndarray
    science: np.ndarray
    difference: np.ndarray
    labels: np.ndarray


class _Content:
    """The content of a file: its parts are read by their keys, and errors name the keys."""

    def __init__(self, path: str | Path) -> None:
        self.path = path
        self.content = read_pickle(path)

    def error(self, where: str, found: str, expected: str) -> InputError:
        remedy = "use a file in the published format"
        return InputError(f"{self.path}: {where}", found=found, expected=expected, remedy=remedy)

    def get(self, *keys: str) -> Any:
        """Return the value at keys of nested dicts."""
        value, where = self.content, "the content"
        for key in keys:
            if not isinstance(value, dict):
                raise self.error(where, f"a {type(value).__name__}", f"a dict with key {key!r}")
            if key not in value:
                raise self.error(where, f"keys {_names(value)}", f"key {key!r}")
            value, where = value[key], f"{'' if where == 'the content' else where}[{key!r}]"
        return value

    def array(self, *keys: str, shape: tuple[int | str, ...]) -> np.ndarray:
        """Return an array of a shape, in which H and W are sides of a stamp.

        Any other letter in `shape` is a length of at least 1.
        """
        where = "".join(f"[{key!r}]" for key in keys)
        value = self.get(*keys)
        expected = f"an array of shape ({', '.join(map(str, shape))})"
        if not isinstance(value, np.ndarray):
            raise self.error(where, f"a {type(value).__name__}", expected)
        is_valid = value.ndim == len(shape) and all(
            length == side
            if isinstance(side, int)
            else (CROP <= length <= MAX_STAMP_SIDE if side in "HW" else length >= 1)
            for length, side in zip(value.shape, shape, strict=True)
        )
        if not is_valid:
            limits = (
                f", H and W at least {CROP}, at most {MAX_STAMP_SIDE}, no empty side"
                if "H" in shape
                else ", not empty"
            )
            raise self.error(where, f"shape {value.shape}"[:_SHOWN_CHARACTERS], expected + limits)
        return value

    def stamps(self, *keys: str, shape: tuple[int | str, ...]) -> np.ndarray:
        """Return an array of floats; see `array`."""
        value = self.array(*keys, shape=shape)
        if value.dtype.kind != "f":
            where = "".join(f"[{key!r}]" for key in keys)
            raise self.error(where, f"dtype {value.dtype}", "floats")
        return value

    def labels(self, stored: np.ndarray, *keys: str, classes: tuple[str, ...]) -> np.ndarray:
        """Return labels of any number type as int64."""
        where = "".join(f"[{key!r}]" for key in keys)
        expected = f"whole numbers from 0 to {len(classes) - 1} ({', '.join(classes)})"
        try:
            values = stored.astype(np.float64)
        except (TypeError, ValueError, OverflowError):
            raise self.error(where, f"dtype {stored.dtype}", expected) from None
        wrong = ~np.isin(values, np.arange(len(classes)))
        if wrong.any():
            found = f"{values[wrong][0]:g} in row {np.flatnonzero(wrong)[0]}"
            raise self.error(where, found, expected)
        return values.astype(np.int64)

    def features(self, stored: np.ndarray, *keys: str) -> np.ndarray:
        """Return features `(n, k)` as float64, NaN for None, 'null' and infinity."""
        try:
            numbers = np.where(stored == "null", np.nan, stored).astype(np.float64)
        except (TypeError, ValueError, OverflowError):
            where = "".join(f"[{key!r}]" for key in keys)
            found = _not_a_number(stored)
            raise self.error(where, found, "numbers, None or 'null'") from None
        numbers[~np.isfinite(numbers)] = np.nan
        return numbers

    def check_rows(self, where: str, **parts: np.ndarray) -> None:
        """Raise InputError for parts that differ in their number of rows."""
        rows = {name: len(part) for name, part in parts.items()}
        if len(set(rows.values())) > 1:
            found = ", ".join(f"{count} {name}" for name, count in rows.items())
            raise self.error(where, found, "as many rows of each")


def _names(content: dict[Any, Any]) -> str:
    """Return the first keys of a dict in at most 80 characters; keys that are no text as types."""
    names = ""
    for key in itertools.islice(content, 12):
        name = quote(key, 24) if isinstance(key, str) else repr(type(key).__name__)
        if len(names) + len(name) > _SHOWN_CHARACTERS - 5:
            return f"{names}, ..."
        names = f"{names}, {name}" if names else name
    return names or "none"


def _not_a_number(stored: np.ndarray) -> str:
    """Return a description of the first element that is no number, row by row."""
    for (row, column), value in np.ndenumerate(stored):
        try:
            float(np.nan if value is None or value == "null" else value)
        except (TypeError, ValueError, OverflowError):
            # An integer may have hundreds of digits.
            shown = quote(value) if isinstance(value, str | bytes) else "too large a number"
            return f"{shown} in row {row}, column {column} ({ALERCE_FEATURES.names[column]})"
    return f"dtype {stored.dtype}"


def read_stamps_pickle(path: str | Path) -> dict[str, StampSplit]:
    """Read the first data set, keyed train, validation, test.

    Raises InputError for a file that cannot be read safely, a missing key, a wrong shape, channel
    count or dtype, row counts that disagree, a label outside 0 to 4, a feature that is no number.
    """
    file = _Content(path)
    splits = {}
    for split, name in _PUBLISHED_SPLITS.items():
        images = file.stamps(name, "images", shape=("n", "H", "W", 3))
        labels = file.array(name, "labels", shape=("n",))
        metadata = file.array(name, "features", shape=("n", len(ALERCE_FEATURES)))
        # Before the conversion: small types would take many times their bytes in the file.
        file.check_rows(f"[{name!r}]", images=images, labels=labels, features=metadata)
        splits[split] = StampSplit(
            images,
            file.labels(labels, name, "labels", classes=CLASSES),
            file.features(metadata, name, "features"),
        )
    return splits


def read_series_pickle(path: str | Path) -> SeriesArrays:
    """Read the second data set; labels are 0 to 2. Raises InputError as `read_stamps_pickle`."""
    file = _Content(path)
    template = file.stamps("template", shape=("n", "H", "W"))
    science = file.stamps("science", shape=("n", "k", *template.shape[1:]))
    difference = file.stamps("difference", shape=("n", *science.shape[1:]))
    labels = file.array("labels", shape=("n",))
    file.check_rows(
        "the content", template=template, science=science, difference=difference, labels=labels
    )
    numbers = file.labels(labels, "labels", classes=SERIES_CLASSES)
    return SeriesArrays(template, science, difference, numbers)
