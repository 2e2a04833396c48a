"""Preprocessing of objects: from tables of observations to the input of a network."""

import numpy as np
import pandas as pd
import torch

from ztfrep.models.object.base import FILTERS, N_PHOTOMETRY, N_TIMES, SCALES, ObjectInput

# One unit of the magnitude in `ObjectInput.photometry`, in mag.
MAGNITUDE_SCALE = SCALES["magpsf"][1]


def object_input(
    observations: pd.DataFrame,
    vectors: np.ndarray,
    *,
    max_observations: int,
    all_observations: bool,
) -> ObjectInput:
    """Return the input of n objects, with at most the last `max_observations` of each.

    `observations` has `row` (0 to n - 1, the object), `detection` (position in time order), `step`
    (index of its vector in `vectors`, -1 without one), `mjd` (days), `fid` (filter 1 to 3) and
    `magpsf`, `sigmapsf`, `diffmaglim` (mag); NaN where unknown. `vectors` is float `(n, steps, d)`.
    If `all_observations` is False, only the observations that have a vector are used.
    """
    if not all_observations:
        observations = observations[observations["step"] >= 0]
    observations = observations.sort_values(["row", "detection"], kind="stable")
    by_object = observations.groupby("row")
    # Times are computed before early observations are excluded, so that they are since the first.
    days = observations["mjd"] - by_object["mjd"].transform("min")
    gaps = by_object["mjd"].diff().where(days != 0, 0.0)
    is_last = (by_object.cumcount(ascending=False) < max_observations).to_numpy()
    observations, days, gaps = observations[is_last], days[is_last], gaps[is_last]
    row = observations["row"].to_numpy()
    index = observations.groupby("row").cumcount().to_numpy()
    lengths = np.bincount(row, minlength=len(vectors))
    shape = (len(lengths), int(lengths.max(initial=1)))

    has_time = np.isfinite(days) & np.isfinite(gaps)
    times = [np.where(has_time, np.log1p(part.clip(lower=0)), 0) for part in (gaps, days)]
    magnitudes = np.stack(
        [
            ((observations[name] - centre) / scale).to_numpy(np.float64)
            for name, (centre, scale) in SCALES.items()
        ],
        axis=1,
    )
    fid = observations["fid"].to_numpy(np.float64)
    photometry = np.concatenate(
        [np.nan_to_num(magnitudes), np.isfinite(magnitudes), fid[:, None] == FILTERS], axis=1
    )
    step = observations["step"].to_numpy()
    has_vector = step >= 0
    objects = ObjectInput(
        torch.zeros(*shape, vectors.shape[2]),
        torch.zeros(shape, dtype=torch.bool),
        torch.zeros(*shape, N_TIMES),
        torch.zeros(*shape, N_PHOTOMETRY),
        torch.from_numpy(lengths.astype(np.int64)),
    )
    objects.vectors.numpy()[row[has_vector], index[has_vector]] = vectors[
        row[has_vector], step[has_vector]
    ]
    objects.vector_mask.numpy()[row, index] = has_vector
    objects.times.numpy()[row, index] = np.column_stack([*times, has_time])
    objects.photometry.numpy()[row, index] = photometry
    return objects
