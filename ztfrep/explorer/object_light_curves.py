"""Light curves of the objects of a catalogue's rows: of the catalogue of objects, or of alerts."""

import logging
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from ztfrep.catalogues.catalogue import Catalogue, objects_path, read_catalogue
from ztfrep.catalogues.catalogue_schema import LIGHT_CURVE, OBJECTS
from ztfrep.errors import InputError

# Digits after the point: a second, and a hundredth of the smallest error.
_DIGITS = {"mjd": 5, "magpsf": 4, "sigmapsf": 4, "diffmaglim": 3}
# Some packets have upper limits of -1,000 mag, beside which a light curve would be a line.
_MAGNITUDES = (0, 35)


class LightCurves:
    """The light curves of the n rows of a catalogue.

    Those of alerts are in the catalogues of objects beside it, `NAME.objects.parquet`. For an
    object that is not there, its alerts in the catalogue are the light curve.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def of_rows(self, rows: np.ndarray) -> list[dict[str, list[Any]] | None]:
        """Return the light curves of rows int `(m,)`, None for one without observations.

        A light curve has the lists `mjd`, `fid`, `magpsf`, `sigmapsf` and `diffmaglim` in time
        order, as JSON; an upper limit has no `magpsf`.
        """
        if self._catalogue.info.rows == OBJECTS:
            return [_as_json(curve) for curve in self._catalogue.light_curves(rows)]
        ids = self._catalogue.table["object_id"].iloc[rows].tolist()
        curves: list[dict[str, list[Any]] | None] = [None] * len(ids)
        by_catalogue: dict[int, list[int]] = {}
        for position, name in enumerate(ids):
            number, _ = self._objects[1].get(name, (-1, -1))
            by_catalogue.setdefault(number, []).append(position)
        for number, positions in by_catalogue.items():
            if number < 0:
                for position in positions:
                    curves[position] = _as_json(self._alerts_of(ids[position]))
                continue
            found = [self._objects[1][ids[position]][1] for position in positions]
            frames = self._objects[0][number].light_curves(np.array(found))
            for position, frame in zip(positions, frames, strict=True):
                curves[position] = _as_json(frame)
        return curves

    @cached_property
    def _objects(self) -> tuple[list[Catalogue], dict[str, tuple[int, int]]]:
        """The catalogues of objects, and the last of them that has an object, with its row."""
        catalogues: list[Catalogue] = []
        places: dict[str, tuple[int, int]] = {}
        for file in self._catalogue.files:
            path = objects_path(file)
            if not path.is_file():
                continue
            try:
                catalogue = read_catalogue(path)
                names = catalogue.table["object_id"].tolist() if _has_objects(catalogue) else []
            except InputError as error:
                logging.warning("without its light curves: %s", error)
                continue
            places.update((name, (len(catalogues), row)) for row, name in enumerate(names))
            # Opened again, without the table that it has read.
            catalogues.append(read_catalogue(path))
        return catalogues, places

    @cached_property
    def _rows_of_object(self) -> dict[str, np.ndarray]:
        by_object = self._catalogue.table.groupby("object_id", sort=False)
        return {str(name): np.asarray(rows) for name, rows in by_object.indices.items()}

    def _alerts_of(self, name: str) -> pd.DataFrame:
        rows = self._rows_of_object.get(name, np.empty(0, np.int64))
        return self._catalogue.table[["mjd", "fid", "magpsf"]].iloc[rows].sort_values("mjd")


def _has_objects(catalogue: Catalogue) -> bool:
    return catalogue.info.rows == OBJECTS


def _as_json(curve: pd.DataFrame) -> dict[str, list[Any]] | None:
    names = [field.name for field in LIGHT_CURVE.value_type]
    numbers = {
        name: curve[name].to_numpy(dtype=np.float64, na_value=np.nan)
        if name in curve
        else np.full(len(curve), np.nan)
        for name in names
    }
    low, high = _MAGNITUDES
    for name in ("magpsf", "diffmaglim"):
        values = numbers[name]
        numbers[name] = np.where((values > low) & (values < high), values, np.nan)
    drawn = np.isfinite(numbers["mjd"]) & (
        np.isfinite(numbers["magpsf"]) | np.isfinite(numbers["diffmaglim"])
    )
    if not drawn.any():
        return None
    return {name: [_number(value, name) for value in numbers[name][drawn]] for name in names}


def _number(value: float, name: str) -> float | int | None:
    if not np.isfinite(value):
        return None
    return int(value) if name == "fid" else round(float(value), _DIGITS[name])
