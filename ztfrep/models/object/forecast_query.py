"""What the forecast of an observation reads: its filter, its time, and the last detections."""

from typing import NamedTuple

import torch
from torch import Tensor

from ztfrep.models.object.base import FILTER, FILTERS, GAP, TIME_MASK, ObjectInput
from ztfrep.models.object.light_curve_statistics import (
    days_since_start,
    last_detections,
    step_before,
)

# The filter; the logarithm of 1 + the days since the observation before; the last magnitude; for
# each filter the logarithm of 1 + the days since its last detection, the magnitude of that minus
# the last magnitude, and whether there is one.
N_QUERY = len(FILTERS) + 2 + 3 * len(FILTERS)


class ForecastQuery(NamedTuple):
    """The question what the magnitude of each observation is, from the observations before.

    Attributes
    ----------
    values : float32 (n, steps, N_QUERY)
        The filter and the time of the observation, and the detections before it.
    last_magnitude : float32 (n, steps)
        The magnitude of the last detection before in the filter of the observation, or without one
        in any filter, in the scale of `ObjectInput.photometry`; 0 without a detection before.
    has_detection : bool (n, steps)
        True if there is a detection before.
    """

    values: Tensor
    last_magnitude: Tensor
    has_detection: Tensor


def forecast_query(objects: ObjectInput) -> ForecastQuery:
    """Return the question of each observation of n objects."""
    magnitudes, days, known = map(step_before, last_detections(objects))
    has_time = objects.times[..., TIME_MASK, None] > 0
    since = (days_since_start(objects)[..., None] - days).clamp(min=0)
    ages = torch.where(known & has_time, since.log1p(), 0.0).float()
    own = objects.photometry[..., FILTER]

    in_own = (own > 0) & known
    of_own = torch.where(in_own, magnitudes, 0.0).sum(dim=2)
    # The filter whose last detection is the latest.
    latest = torch.where(known, days, -1.0).argmax(dim=2, keepdim=True)
    of_any = magnitudes.gather(2, latest)[..., 0]
    last_magnitude = torch.where(in_own.any(dim=2), of_own, of_any)

    gap = torch.where(has_time, objects.times[..., GAP, None], 0.0)
    differences = torch.where(known, magnitudes - last_magnitude[..., None], 0.0)
    parts = [own, gap, last_magnitude[..., None], ages, differences, known.to(own.dtype)]
    return ForecastQuery(torch.cat(parts, dim=2), last_magnitude, known.any(dim=2))
