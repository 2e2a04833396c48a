"""Errors of forecasts of magnitudes: of the network and of two baselines."""

from typing import Any

import numpy as np
import torch

from ztfrep.encoders.object_batches import batches_of_objects
from ztfrep.evaluation.bootstrap import SLOW_REPEATS, Bootstrap, with_interval
from ztfrep.evaluation.gaussian_process import Kernel, forecast_by_process
from ztfrep.models.object.base import MAGNITUDE, MAGNITUDE_MASK, ObjectInput, ObjectNetwork
from ztfrep.models.object.forecast_query import forecast_query
from ztfrep.models.object.observation_input import MAGNITUDE_SCALE

_METRIC = "mean_absolute_error"
LAST_DETECTION, GAUSSIAN_PROCESS = "last_detection", "gaussian_process"


def score_magnitude_forecast(
    network: ObjectNetwork,
    objects: ObjectInput,
    kernel: Kernel | None = None,
    *,
    name: str,
    seed: int,
) -> dict[str, Any] | None:
    """Return the mean absolute errors of forecasts in mag, by method, and paired differences.

    The methods are the network, which has the given name; the magnitude of the last detection in
    the same filter, or without one in any; and with a kernel a Gaussian process per filter. Each
    predicts all detections that have an earlier one from their time and filter and from the
    observations before. Paired differences are those of the network to each baseline. Whole objects
    are resampled for the intervals. None for a network without a forecast, and if there is no such
    detection.
    """
    errors: dict[str, list[np.ndarray]] = {}
    rows = []
    with torch.inference_mode():
        for index, batch in batches_of_objects(objects):
            forecast = network.forecast_magnitude(batch)
            if forecast is None:
                return None
            query = forecast_query(batch)
            forecasts = {name: forecast, LAST_DETECTION: query.last_magnitude}
            if kernel is not None:
                forecasts[GAUSSIAN_PROCESS] = forecast_by_process(kernel, batch)
            has_magnitude = (batch.photometry[..., MAGNITUDE_MASK] > 0) & batch.observation_mask()
            scored = has_magnitude & query.has_detection
            rows.append(index[scored.nonzero()[:, 0]].numpy())
            for method, values in forecasts.items():
                error = (values - batch.photometry[..., MAGNITUDE]).abs() * MAGNITUDE_SCALE
                errors.setdefault(method, []).append(error[scored].double().numpy())
    absolute = np.column_stack([np.concatenate(parts) for parts in errors.values()])
    if not len(absolute):
        return None
    bootstrap = Bootstrap.of_groups(np.concatenate(rows), seed=seed, repeats=SLOW_REPEATS)
    samples = bootstrap.distribution(lambda sampled: sampled.mean(axis=0), absolute)
    means = absolute.mean(axis=0)
    scores: dict[str, Any] = {
        method: with_interval(_METRIC, means[column], samples[:, column])
        for column, method in enumerate(errors)
    }
    scores["paired_differences"] = {
        f"{name}_minus_{method}": with_interval(
            _METRIC, means[0] - means[column], samples[:, 0] - samples[:, column]
        )
        for column, method in enumerate(errors)
        if column
    }
    return scores
