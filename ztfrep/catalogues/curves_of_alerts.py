"""Light curves of alerts: those of their objects, in the catalogues of objects beside theirs."""

from collections.abc import Sequence

import numpy as np

from ztfrep.catalogues.catalogue import Catalogue, read_catalogue
from ztfrep.catalogues.catalogue_schema import OBJECTS
from ztfrep.catalogues.packet_encoding import objects_path
from ztfrep.evaluation.alert_light_curves import AlertLightCurve
from ztfrep.evaluation.light_curve_axes import is_drawn


def light_curves_of_alerts(
    catalogue: Catalogue, rows: Sequence[int] | np.ndarray
) -> list[AlertLightCurve | None]:
    """Return the light curves of some alerts' objects, in the catalogue `NAME.objects.parquet`.

    None for an alert without one. Of several such catalogues, as in a folder, the last one that has
    the object has most observations. Raises InputError for one that is broken.
    """
    alerts = catalogue.table.iloc[np.asarray(rows, np.int64)]
    curves: list[AlertLightCurve | None] = [None] * len(alerts)
    for file in catalogue.files:
        path = objects_path(file)
        if not path.is_file():
            continue
        objects = read_catalogue(path)
        if objects.info.rows != OBJECTS:
            continue
        row_of = {name: row for row, name in enumerate(objects.table["object_id"])}
        positions = [i for i, name in enumerate(alerts["object_id"]) if name in row_of]
        found = [row_of[name] for name in alerts["object_id"].iloc[positions]]
        for position, observations in zip(positions, objects.light_curves(found), strict=True):
            if is_drawn(observations).any():
                alert = alerts.iloc[position]
                curves[position] = AlertLightCurve(
                    str(alert["object_id"]), observations, float(alert["mjd"])
                )
    return curves
