"""Vectors of alerts as series of their objects."""

import numpy as np
import pandas as pd

from ztfrep.data.alerts import AlertSource


def object_series(
    alerts: AlertSource, vectors: np.ndarray
) -> tuple[np.ndarray, pd.DataFrame, np.ndarray]:
    """Return the series of the objects of n alerts.

    `vectors` `(n, d)` are those of the alerts. Returns the ids of the m objects `(m,)` in ascending
    order; their observations with `row`, `detection` and `step`, as
    `ztfrep.models.object.observation_input.object_input` reads them; and the vectors by object and
    step, float32 `(m, steps, d)`, zeros after the last.
    """
    observations = alerts.observations()
    ids, row = np.unique(observations["object_id"].to_numpy(dtype=str), return_inverse=True)
    observations = observations.assign(row=row)
    observations["detection"] = observations.groupby("row").cumcount()
    alert = observations["alert"].to_numpy()
    has_vector = alert >= 0
    step = observations.assign(has_vector=has_vector).groupby("row")["has_vector"].cumsum() - 1
    observations["step"] = np.where(has_vector, step, -1)
    lengths = np.bincount(row[has_vector], minlength=len(ids))
    series = np.zeros((len(ids), int(lengths.max(initial=1)), vectors.shape[1]), np.float32)
    series[row[has_vector], observations["step"][has_vector]] = vectors[alert[has_vector]]
    return ids, observations, series
