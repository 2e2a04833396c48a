"""The light curves of single alerts: the observations of their objects in a series table."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ztfrep.data.alert_table import AlertTable
from ztfrep.evaluation.light_curve_axes import is_drawn


@dataclass(frozen=True, eq=False)
class AlertLightCurve:
    """The light curve of the object of an alert.

    Attributes
    ----------
    object_id : str
    observations : DataFrame
        `mjd` in days, `fid`, and in mag `magpsf`, `sigmapsf` and `diffmaglim`; an upper limit has
        no `magpsf`.
    mjd : float
        Of the alert; NaN if it is unknown.
    """

    object_id: str
    observations: pd.DataFrame
    mjd: float


def read_light_curves(alerts: Path, series: Path, split: str) -> list[AlertLightCurve | None]:
    """Return the light curve of each alert of a split, in the order of the table of alerts.

    None for an object without an observation in the series table, or without one whose time, filter
    and magnitude are known.
    """
    identity = AlertTable(alerts).identity()
    own = identity[identity["split"] == split]
    table = AlertTable(series).observations()
    table = table[table["object_id"].isin(own["object_id"])]
    by_object = dict(tuple(table[is_drawn(table)].groupby("object_id", sort=False)))
    return [
        AlertLightCurve(name, by_object[name], float(mjd)) if name in by_object else None
        for name, mjd in zip(own["object_id"], own["mjd"].astype(float), strict=True)
    ]
