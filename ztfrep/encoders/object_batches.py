"""Series of objects: the vectors of their alerts in time order, and batches of them."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ztfrep.models.object.base import ObjectInput

_OBJECTS_PER_BATCH = 512


def object_series(
    observations: pd.DataFrame, vectors: np.ndarray
) -> tuple[np.ndarray, pd.DataFrame, np.ndarray]:
    """Return the objects of n alerts as series.

    Parameters
    ----------
    observations : DataFrame
        The observations of the alerts' objects; see `AlertSource.observations`.
    vectors : float (n, d)
        The vectors of the alerts.

    Returns
    -------
    ids : str (m,)
        The ids of the objects in ascending order.
    observations : DataFrame
        The observations with the columns of `ztfrep.models.object.observation_input.object_input`.
    series : float32 (m, steps, d)
        The vectors by object and step, zero-padded.
    """
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


def batches_of_objects(objects: ObjectInput) -> Iterator[tuple[Tensor, ObjectInput]]:
    """Yield the row indices and the input of batches of at most 512 objects."""
    for rows in torch.arange(len(objects.lengths)).split(_OBJECTS_PER_BATCH):
        yield rows, objects.rows(rows)
