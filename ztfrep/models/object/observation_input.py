"""From the observations of objects to the arrays that a network of objects reads."""

import numpy as np
import pandas as pd
import torch

from ztfrep.models.object.base import N_PHOTOMETRY, N_TIMES, ObjectInput

# Centre and scale of the magnitudes, near those of the survey.
_SCALES = {"magpsf": (19.0, 1.5), "sigmapsf": (0.1, 0.1), "diffmaglim": (20.0, 1.0)}
# Magnitudes in one unit of `ObjectInput.photometry`.
MAGNITUDE_SCALE = _SCALES["magpsf"][1]
_FILTERS = (1, 2, 3)


def object_input(
    observations: pd.DataFrame,
    vectors: np.ndarray,
    *,
    max_observations: int,
    all_observations: bool,
) -> ObjectInput:
    """Return the input of n objects: at most the last `max_observations` of each.

    `observations` has `row` (0 to n - 1, the object), `detection` (position in time order), `step`
    (index of its vector in `vectors`, -1 without one), `mjd` (days), `fid` (filter 1 to 3) and
    `magpsf`, `sigmapsf`, `diffmaglim` (mag); NaN where unknown. `vectors` float `(n, steps, d)`.
    Without `all_observations` those that have a vector alone.
    """
    if not all_observations:
        observations = observations[observations["step"] >= 0]
    observations = observations.sort_values(["row", "detection"], kind="stable")
    by_object = observations.groupby("row")
    # Days since the first observation are counted before earlier observations are left out.
    days = observations["mjd"] - by_object["mjd"].transform("min")
    gaps = by_object["mjd"].diff().where(days != 0, 0.0)
    recent = (by_object.cumcount(ascending=False) < max_observations).to_numpy()
    observations, days, gaps = observations[recent], days[recent], gaps[recent]
    row = observations["row"].to_numpy()
    index = observations.groupby("row").cumcount().to_numpy()
    lengths = np.bincount(row, minlength=len(vectors))
    shape = (len(lengths), int(lengths.max(initial=1)))

    dated = np.isfinite(days) & np.isfinite(gaps)
    times = [np.where(dated, np.log1p(part.clip(lower=0)), 0) for part in (gaps, days)]
    magnitudes = np.stack(
        [
            ((observations[name] - centre) / scale).to_numpy(np.float64)
            for name, (centre, scale) in _SCALES.items()
        ],
        axis=1,
    )
    fid = observations["fid"].to_numpy(np.float64)
    photometry = np.concatenate(
        [np.nan_to_num(magnitudes), np.isfinite(magnitudes), fid[:, None] == _FILTERS], axis=1
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
    objects.times.numpy()[row, index] = np.column_stack([*times, dated])
    objects.photometry.numpy()[row, index] = photometry
    return objects
