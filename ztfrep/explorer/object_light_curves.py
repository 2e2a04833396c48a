"""Light curves of the rows of a catalogue, as JSON."""

from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from ztfrep.catalogues.catalogue import Catalogue
from ztfrep.catalogues.catalogue_schema import LIGHT_CURVE, OBJECTS
from ztfrep.catalogues.object_curves import ObjectCurves
from ztfrep.evaluation.light_curve_axes import is_drawn

# Digits after the point: a second, and a hundredth of the smallest error.
_DIGITS = {"mjd": 5, "magpsf": 4, "sigmapsf": 4, "diffmaglim": 3}


class LightCurves:
    """The light curves of the n rows of a catalogue.

    Those of alerts are the ones of their objects. For an object without one, its alerts in the
    catalogue are the light curve.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._objects = ObjectCurves(catalogue)

    def of_rows(self, rows: np.ndarray) -> list[dict[str, list[Any]] | None]:
        """Return the light curves of rows int `(m,)`, None for one without observations.

        A light curve has the lists `mjd`, `fid`, `magpsf`, `sigmapsf` and `diffmaglim` in time
        order, as JSON; an upper limit has no `magpsf`.
        """
        if self._catalogue.info.rows == OBJECTS:
            return [_as_json(curve) for curve in self._catalogue.light_curves(rows)]
        names = self._catalogue.table["object_id"].iloc[rows]
        return [
            _as_json(self._alerts_of(name) if curve is None else curve)
            for name, curve in zip(names, self._objects.of_rows(rows), strict=True)
        ]

    @cached_property
    def _rows_of_object(self) -> dict[str, np.ndarray]:
        by_object = self._catalogue.table.groupby("object_id", sort=False)
        return {str(name): np.asarray(rows) for name, rows in by_object.indices.items()}

    def _alerts_of(self, name: str) -> pd.DataFrame:
        rows = self._rows_of_object.get(name, np.empty(0, np.int64))
        alerts = self._catalogue.table[["mjd", "fid", "magpsf"]].iloc[rows].sort_values("mjd")
        return alerts.assign(sigmapsf=np.nan, diffmaglim=np.nan)


def _as_json(curve: pd.DataFrame) -> dict[str, list[Any]] | None:
    drawn = curve[is_drawn(curve)]
    if not len(drawn):
        return None
    return {
        field.name: [
            _number(value, field.name)
            for value in drawn[field.name].to_numpy(dtype=np.float64, na_value=np.nan)
        ]
        for field in LIGHT_CURVE.value_type
    }


def _number(value: float, name: str) -> float | int | None:
    if not np.isfinite(value):
        return None
    return int(value) if name == "fid" else round(float(value), _DIGITS[name])
