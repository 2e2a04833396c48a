"""A Gaussian process per filter: a baseline of the forecast of magnitudes."""

from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from ztfrep.models.object.base import FILTERS, MAGNITUDE, ObjectInput
from ztfrep.models.object.forecast_query import forecast_query
from ztfrep.models.object.light_curve_statistics import days_since_start, detections_by_filter
from ztfrep.models.object.observation_input import MAGNITUDE_SCALE

# The grid of which the kernel with the lowest error on train objects is chosen: amplitudes of the
# variation (mag), its times (days), and the noise of a magnitude (mag).
_AMPLITUDES = (0.3, 0.6, 1.2, 2.4)
_TIMES = (1.0, 3.0, 10.0, 30.0, 100.0)
_NOISES = (0.05, 0.15, 0.3)
_KERNELS = ("exponential", "matern")
# Train objects of the choice: more take longer and choose the same kernel.
_FIT_OBJECTS = 400
# Standard deviation of the mean magnitudes of objects, mag, wide enough that one detection sets it.
_MEAN_DEVIATION = 3.0
_OBJECTS_PER_BATCH = 512


@dataclass(frozen=True)
class Kernel:
    """The covariance of two magnitudes in a filter as a function of the time between them.

    Attributes
    ----------
    name : str
        exponential (a damped random walk) | matern (with parameter 3/2).
    amplitude, noise : float
        Standard deviations of the variation and of a measurement, mag.
    days : float
        The time in which the variation changes.
    """

    name: str
    amplitude: float
    days: float
    noise: float

    def __call__(self, days: Tensor) -> Tensor:
        """Return the covariance, mag squared, of magnitudes that are some days apart."""
        ratio = days.abs() / self.days
        if self.name == "matern":
            ratio = 3**0.5 * ratio
            return self.amplitude**2 * (1 + ratio) * torch.exp(-ratio)
        return self.amplitude**2 * torch.exp(-ratio)


def fit_kernel(train: ObjectInput) -> Kernel:
    """Return the kernel of the grid whose forecasts of train objects have the lowest error."""
    train = train.rows(slice(_FIT_OBJECTS))
    query = forecast_query(train)
    detected = detections_by_filter(train).any(dim=2) & train.observation_mask()
    targets = detected & query.has_detection

    def error(kernel: Kernel) -> float:
        difference = forecast_by_process(kernel, train) - train.photometry[..., MAGNITUDE]
        return float(difference[targets].abs().mean())

    kernels = [Kernel(*values) for values in product(_KERNELS, _AMPLITUDES, _TIMES, _NOISES)]
    return min(kernels, key=error) if targets.any() else kernels[0]


def forecast_by_process(kernel: Kernel, objects: ObjectInput) -> Tensor:
    """Return the forecast of the magnitude of each observation from those before: `(n, steps)`.

    It is the mean of the process of the observation's filter at its time, given the detections in
    that filter before. Without such a detection it is the last magnitude in any filter. The scale
    is that of `ObjectInput.photometry`; 0 for observations without a magnitude.
    """
    forecasts = [
        _forecast(kernel, objects.rows(rows))
        for rows in torch.arange(len(objects.lengths)).split(_OBJECTS_PER_BATCH)
    ]
    return torch.cat(forecasts)


def _forecast(kernel: Kernel, objects: ObjectInput) -> Tensor:
    magnitudes = objects.photometry[..., MAGNITUDE].double() * MAGNITUDE_SCALE
    days = days_since_start(objects)
    detected = detections_by_filter(objects) & objects.observation_mask()[..., None]
    covariance = kernel(days[:, :, None] - days[:, None]) + _MEAN_DEVIATION**2
    identity = torch.eye(days.shape[1], dtype=torch.float64)
    last = forecast_query(objects).last_magnitude
    forecast = torch.zeros_like(last)
    for index in range(len(FILTERS)):
        own = detected[..., index]
        both = own[:, :, None] & own[:, None]
        # The other observations are independent of these.
        matrix = (
            torch.where(both, covariance, 0.0)
            + identity * torch.where(own, kernel.noise**2, 1.0)[:, None]
        )
        root = torch.linalg.cholesky(matrix)
        residual = torch.where(own, magnitudes, 0.0)[..., None]
        # Of a lower triangular root, an element of the whitened residual times the diagonal is the
        # residual minus its mean given all before.
        whitened = torch.linalg.solve_triangular(root, residual, upper=False)[..., 0]
        mean = residual[..., 0] - whitened * root.diagonal(dim1=1, dim2=2)
        has_own = own.cumsum(dim=1) > 1
        values = torch.where(has_own, mean / MAGNITUDE_SCALE, last.double()).float()
        forecast = torch.where(own, values, forecast)
    return forecast
