"""What the map shows of a row that is pointed at: its values, neighbours and light curve."""

from typing import Any

import numpy as np
import pandas as pd

from ztfrep.catalogues.catalogue import Catalogue
from ztfrep.catalogues.similarity import nearest, object_link
from ztfrep.encoders.reference import ANOMALY_TERMS
from ztfrep.explorer.object_light_curves import LightCurves

NEIGHBOURS = 10
_DIGITS = {"mjd": 5, "magpsf": 3, "ra": 6, "dec": 6}


class RowDetails:
    """The details of the n rows of a catalogue, computed when they are asked for.

    `vectors` float32 `(n, d)` are those of the catalogue.
    """

    def __init__(self, catalogue: Catalogue, vectors: np.ndarray) -> None:
        self._catalogue, self._vectors = catalogue, vectors
        self._light_curves = LightCurves(catalogue)

    def details(self, rows: range) -> list[dict[str, Any]]:
        """Return the details of consecutive rows, as JSON.

        The neighbours are the ten rows of the smallest cosine distance, by exact search. A candid
        is text: JavaScript's numbers have 16 digits.
        """
        numbers = np.arange(rows.start, rows.stop)
        found = nearest(
            self._vectors, self._vectors[numbers], NEIGHBOURS, [np.array([row]) for row in numbers]
        )
        curves = self._light_curves.of_rows(numbers)
        table = self._catalogue.table.iloc[numbers]
        columns = {str(name): table[name].tolist() for name in table}
        return [
            {
                **self._values({name: values[place] for name, values in columns.items()}),
                "neighbours": [
                    [int(row), round(float(distance), 5)]
                    for row, distance in zip(found.rows[place], found.distances[place], strict=True)
                    if row >= 0
                ],
                "light_curve": curves[place],
            }
            for place in range(len(numbers))
        ]

    def _values(self, row: dict[str, Any]) -> dict[str, Any]:
        info = self._catalogue.info
        name = row["object_id"]
        return {
            "object_id": as_text(name),
            "candid": as_text(row.get("candid")),
            **{key: _number(row.get(key), _DIGITS[key]) for key in _DIGITS},
            **{key: _integer(row.get(key)) for key in ("fid", "n_alerts", "n_observations")},
            "class": as_text(row.get("class")),
            "split": as_text(row.get("split")),
            "predicted_class": row["predicted_class"],
            "probabilities": [_number(row[column], 4) for column in info.probability_columns],
            "anomaly_score": _number(row["anomaly_score"], 6),
            "anomaly": {key: _number(row[key], 6) for key in ANOMALY_TERMS if key in row},
            "link": (object_link(name) if isinstance(name, str) else "") or None,
        }


def as_text(value: Any) -> str | None:
    """Return an identifier or a name as text, None for null."""
    return None if value is None or pd.isna(value) else str(value)


def _number(value: Any, digits: int) -> float | None:
    if value is None or pd.isna(value) or not np.isfinite(float(value)):
        return None
    return round(float(value), digits)


def _integer(value: Any) -> int | None:
    return None if value is None or pd.isna(value) else int(value)
