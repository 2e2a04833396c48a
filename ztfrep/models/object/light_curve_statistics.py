"""Statistics of the light curve of an object after each of its observations.

They are what is known at that time: no statistic depends on a later observation.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from ztfrep.models.object.base import (
    FILTER,
    FILTERS,
    GAP,
    LIMIT,
    LIMIT_MASK,
    MAGNITUDE,
    MAGNITUDE_MASK,
    SCALES,
    TIME_MASK,
    ObjectInput,
)

# Statistics of the last observation against those before, of the colour, and of counts.
OBJECT_NAMES = (
    "change",  # Its magnitude minus that of the last detection in its filter, mag
    "rate",  # The same, mag per day
    "from_brightest",  # Its magnitude minus the brightest one in its filter so far, mag
    "limit_minus_magnitude",  # The last limit of an upper limit minus the last magnitude, mag
    "colour",  # The last magnitude in g minus that in r, mag
    "colour_days",  # Logarithm of 1 + the days between these two
    "days_since_first_detection",  # Logarithm of 1 + days
    "days_since_last_detection",  # Logarithm of 1 + days, of the detection before
    "detections",  # Logarithm of 1 + their number
    "limits",  # Logarithm of 1 + the number of upper limits
)
# Statistics of the detections in a filter.
FILTER_NAMES = (
    "last",  # Magnitude in the scale of `ObjectInput.photometry`
    "mean",  # In the same scale
    "deviation",  # Standard deviation, mag
    "range",  # Faintest minus brightest, mag
    "last_minus_brightest",  # mag
    "last_minus_first",  # mag
    "slope",  # Of a straight line, mag per day
    "days",  # Logarithm of 1 + days between the first and the last
    "count",  # Logarithm of 1 + their number
)
NAMES = (*OBJECT_NAMES, *(f"{name}_{fid}" for fid in FILTERS for name in FILTER_NAMES))
# The statistics and, for each, 1 where it is known.
N_STATISTICS = 2 * len(NAMES)

_MAGNITUDE_CENTRE, _MAGNITUDE_SCALE = SCALES["magpsf"]
_LIMIT_CENTRE, _LIMIT_SCALE = SCALES["diffmaglim"]
# Added to the time differences of slopes, days: two exposures of a night measure none.
_MIN_DAYS = 0.5
# Slopes of 0.1 mag per day are as large as differences of a magnitude.
_SLOPE_SCALE = 0.1
_LARGE = 1e6


class LastDetection(NamedTuple):
    """The last detection of each filter after each observation.

    Attributes
    ----------
    magnitude : (n, steps, filters)
        Magnitude in the scale of `ObjectInput.photometry`; 0 where there is none.
    days : (n, steps, filters)
        Its time since the first observation, days; 0 where there is none.
    known : bool (n, steps, filters)
    """

    magnitude: Tensor
    days: Tensor
    known: Tensor


def days_since_start(objects: ObjectInput) -> Tensor:
    """Return days since the first observation that is read: float64 `(n, steps)`."""
    # Sums of gaps are more exact than the logarithm of a long time.
    gaps = torch.expm1(objects.times[..., GAP].double())
    position = torch.arange(gaps.shape[1], device=gaps.device)
    return torch.where(position > 0, gaps, 0.0).cumsum(dim=1)


def detections_by_filter(objects: ObjectInput) -> Tensor:
    """Return True for the detections with a magnitude in each filter: bool `(n, steps, 3)`."""
    has_magnitude = objects.photometry[..., MAGNITUDE_MASK] > 0.5
    return has_magnitude[..., None] & (objects.photometry[..., FILTER] > 0.5)


def last_detections(objects: ObjectInput) -> LastDetection:
    """Return the last detection of each filter, up to and including each observation."""
    detected = detections_by_filter(objects)
    return _last(objects.photometry[..., MAGNITUDE], days_since_start(objects), detected)


def light_curve_statistics(objects: ObjectInput) -> Tensor:
    """Return the statistics `NAMES` after each observation, then their masks.

    The result is float32 `(n, steps, N_STATISTICS)`; a statistic that is not known is 0.
    """
    days = days_since_start(objects)
    # Differences of float32 squares would be wrong where times or magnitudes are close.
    photometry = objects.photometry.double()
    has_time = objects.times[..., TIME_MASK] > 0.5
    detected = detections_by_filter(objects)
    scaled = photometry[..., MAGNITUDE]
    magnitude = _MAGNITUDE_SCALE * scaled + _MAGNITUDE_CENTRE
    is_detection = objects.vector_mask | (photometry[..., MAGNITUDE_MASK] > 0.5)
    is_limit = ~is_detection & (photometry[..., LIMIT_MASK] > 0.5)

    last = _last(scaled, days, detected)
    before = LastDetection(*(step_before(part) for part in last))
    own = photometry[..., FILTER] > 0.5
    known_before = (own & before.known & detected).any(dim=2)
    change = _MAGNITUDE_SCALE * (own * (scaled[..., None] - before.magnitude)).sum(dim=2)
    elapsed = (own * (days[..., None] - before.days)).sum(dim=2)
    brightest = _running_minimum(scaled, detected)
    from_brightest = _MAGNITUDE_SCALE * (own * (scaled[..., None] - brightest)).sum(dim=2)

    anything = _last(scaled, days, is_detection[..., None] & has_time[..., None])
    measured = _last(scaled, days, photometry[..., MAGNITUDE_MASK, None] > 0.5)
    limit = _last(photometry[..., LIMIT], days, is_limit[..., None])
    last_limit = _LIMIT_SCALE * limit.magnitude[..., 0] + _LIMIT_CENTRE
    last_magnitude = _MAGNITUDE_SCALE * measured.magnitude[..., 0] + _MAGNITUDE_CENTRE
    first_day = _first(days, is_detection & has_time)
    detection_before = step_before(anything.days[..., 0])
    has_detection_before = step_before(anything.known[..., 0]) & has_time
    both = last.known[..., 0] & last.known[..., 1]
    one = torch.ones_like(both)
    columns = [
        (change, known_before),
        (_compressed(change / (elapsed.clamp(min=0) + _MIN_DAYS)), known_before & has_time),
        (from_brightest, (own & detected).any(dim=2)),
        (last_limit - last_magnitude, limit.known[..., 0] & measured.known[..., 0]),
        (_MAGNITUDE_SCALE * (last.magnitude[..., 0] - last.magnitude[..., 1]), both),
        ((last.days[..., 0] - last.days[..., 1]).abs().log1p(), both & has_time),
        ((days - first_day).clamp(min=0).log1p(), anything.known[..., 0] & has_time),
        ((days - detection_before).clamp(min=0).log1p(), has_detection_before),
        (is_detection.double().cumsum(dim=1).log1p(), one),
        (is_limit.double().cumsum(dim=1).log1p(), one),
    ]
    for index in range(len(FILTERS)):
        columns += _statistics_of_filter(
            magnitude, days, detected[..., index], brightest[..., index], has_time
        )
    values = torch.stack([value for value, _ in columns], dim=2)
    known = torch.stack([mask for _, mask in columns], dim=2)
    return torch.cat([torch.where(known, values, 0.0), known], dim=2).float()


def _statistics_of_filter(
    magnitude: Tensor, days: Tensor, detected: Tensor, brightest: Tensor, has_time: Tensor
) -> list[tuple[Tensor, Tensor]]:
    """Return the statistics `FILTER_NAMES` of the detections in one filter, with their masks."""
    relative = torch.where(detected, magnitude - _MAGNITUDE_CENTRE, 0.0)
    times = torch.where(detected, days, 0.0)
    number = detected.double().cumsum(dim=1)
    count = number.clamp(min=1)
    mean, mean_time = relative.cumsum(dim=1) / count, times.cumsum(dim=1) / count
    variance = relative.square().cumsum(dim=1) / count - mean.square()
    time_variance = times.square().cumsum(dim=1) / count - mean_time.square()
    covariance = (relative * times).cumsum(dim=1) / count - mean * mean_time
    slope = covariance / (time_variance.clamp(min=0) + _MIN_DAYS**2)
    last = _last(relative, days, detected[..., None])
    latest, latest_day = last.magnitude[..., 0], last.days[..., 0]
    faintest = -_running_minimum(-relative, detected[..., None])[..., 0]
    lowest = _MAGNITUDE_SCALE * brightest
    first, first_day = _first(relative, detected), _first(days, detected)
    any_, two = number > 0.5, number > 1.5
    timed = two & has_time
    return [
        (latest / _MAGNITUDE_SCALE, any_),
        (mean / _MAGNITUDE_SCALE, any_),
        (variance.clamp(min=0).sqrt(), two),
        (faintest - lowest, two),
        (latest - lowest, two),
        (latest - first, two),
        (_compressed(slope), timed),
        ((latest_day - first_day).clamp(min=0).log1p(), timed),
        (number.log1p(), torch.ones_like(any_)),
    ]


def _compressed(slope: Tensor) -> Tensor:
    """Return slopes in mag per day on a scale that is logarithmic where they are steep."""
    return slope.sign() * (slope.abs() / _SLOPE_SCALE).log1p()


def _last(values: Tensor, days: Tensor, mask: Tensor) -> LastDetection:
    """Return values and days `(n, steps)` at the last step of masks `(n, steps, k)` so far."""
    position = torch.arange(mask.shape[1], device=mask.device)
    latest = running_maximum(torch.where(mask, position[:, None], -1))
    known = latest >= 0
    index = latest.clamp(min=0)
    magnitude, day = (
        torch.where(known, part[..., None].expand(index.shape).gather(1, index), 0.0)
        for part in (values, days)
    )
    return LastDetection(magnitude, day, known)


def _first(values: Tensor, mask: Tensor) -> Tensor:
    """Return values `(n, steps)` at the first step of a mask; only right from that step on."""
    steps = mask.shape[1]
    position = torch.arange(steps, device=mask.device)
    first = torch.where(mask, position, steps - 1).amin(dim=1, keepdim=True)
    return values.gather(1, first).expand_as(values)


def _running_minimum(values: Tensor, mask: Tensor) -> Tensor:
    """Return the minimum of values `(n, steps)` so far in masks `(n, steps, k)`; 0 without one."""
    lowest = -running_maximum(torch.where(mask, -values[..., None], -_LARGE))
    return torch.where(lowest < _LARGE, lowest, 0.0)


def running_maximum(values: Tensor) -> Tensor:
    """Return the maximum of values `(n, steps, k)` so far, at each step."""
    if not torch.compiler.is_compiling():
        return values.cummax(dim=1).values
    # ONNX has no cumulative maximum.
    steps = values.shape[1]
    past = torch.ones(steps, steps, dtype=torch.bool, device=values.device).tril()
    lowest = values.amin(dim=1, keepdim=True)[:, None]
    return torch.where(past[:, :, None], values[:, None], lowest).amax(dim=2)


def step_before(values: Tensor) -> Tensor:
    """Return values `(n, steps, ...)` of the step before each, 0 or False for the first."""
    position = torch.arange(values.shape[1], device=values.device)
    # A slice of all steps but one could not be exported with a dynamic number of steps.
    shifted = values[:, (position - 1).clamp(min=0)]
    has_before = (position > 0).view(-1, *[1] * (values.ndim - 2))
    if values.dtype == torch.bool:  # ONNX Runtime selects no bools.
        return shifted & has_before
    return torch.where(has_before, shifted, 0.0)
