"""Light curves of alerts' objects: in the catalogues of objects beside a catalogue of alerts."""

import logging
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import pandas as pd

from ztfrep.catalogues.catalogue import Catalogue, objects_path, read_catalogue
from ztfrep.catalogues.catalogue_schema import OBJECTS
from ztfrep.errors import InputError


class ObjectCurves:
    """The observations of the objects of a catalogue's alerts.

    They are in `NAME.objects.parquet` of each of its files. Of several such files, as in a folder,
    the last one that has an object has most observations. A broken one is left out, with a warning.
    """

    def __init__(self, alerts: Catalogue) -> None:
        self._alerts = alerts

    def of_rows(self, rows: Sequence[int] | np.ndarray) -> list[pd.DataFrame | None]:
        """Return the observations of some alerts' objects or None; see `Catalogue.light_curves`."""
        names = self._alerts.table["object_id"].iloc[np.asarray(rows, np.int64)]
        catalogues, places = self._objects
        curves: list[pd.DataFrame | None] = [None] * len(names)
        by_catalogue: dict[int, list[tuple[int, int]]] = {}
        for position, name in enumerate(names):
            if name in places:
                number, row = places[name]
                by_catalogue.setdefault(number, []).append((position, row))
        for number, found in by_catalogue.items():
            frames = catalogues[number].light_curves([row for _, row in found])
            for (position, _), frame in zip(found, frames, strict=True):
                curves[position] = frame
        return curves

    @cached_property
    def _objects(self) -> tuple[list[Catalogue], dict[str, tuple[int, int]]]:
        """The catalogues of objects; the number of the last with an object, and its row."""
        catalogues: list[Catalogue] = []
        places: dict[str, tuple[int, int]] = {}
        for path in map(objects_path, self._alerts.files):
            if not path.is_file():
                continue
            try:
                catalogue = read_catalogue(path)
                is_of_objects = catalogue.info.rows == OBJECTS
                names = catalogue.table["object_id"].tolist() if is_of_objects else []
            except InputError as error:
                logging.warning("without its light curves: %s", error)
                continue
            places.update((name, (len(catalogues), row)) for row, name in enumerate(names))
            # Opened again, without the table that it has read.
            catalogues.append(read_catalogue(path))
        return catalogues, places
