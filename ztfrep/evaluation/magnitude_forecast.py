"""Errors of the forecast of the next observation's magnitude."""

import numpy as np
import torch

from ztfrep.encoders.object_batches import batches_of_objects
from ztfrep.evaluation.bootstrap import SLOW_REPEATS, Bootstrap, Scores
from ztfrep.models.object.base import MAGNITUDE, MAGNITUDE_MASK, ObjectInput, ObjectNetwork
from ztfrep.models.object.observation_input import MAGNITUDE_SCALE


def score_magnitude_forecast(
    network: ObjectNetwork, objects: ObjectInput, *, seed: int
) -> Scores | None:
    """Return the mean absolute error of the forecast in mag, over all consecutive detections.

    Whole objects are resampled for the interval. None for a network without a forecast, and if no
    two consecutive observations have a magnitude.
    """
    errors, rows = [np.empty(0, np.float32)], [np.empty(0, np.int64)]
    with torch.inference_mode():
        for index, batch in batches_of_objects(objects):
            forecast = network.forecast_magnitude(batch)
            if forecast is None:
                return None
            has_magnitude = (batch.photometry[:, :, MAGNITUDE_MASK] > 0) & batch.observation_mask()
            pairs = has_magnitude[:, 1:] & has_magnitude[:, :-1]
            error = (forecast[:, :-1] - batch.photometry[:, 1:, MAGNITUDE]).abs()
            errors.append(error[pairs].numpy())
            rows.append(index[pairs.nonzero()[:, 0]].numpy())
    absolute = np.concatenate(errors) * MAGNITUDE_SCALE
    if not len(absolute):
        return None
    bootstrap = Bootstrap.of_groups(np.concatenate(rows), seed=seed, repeats=SLOW_REPEATS)
    return bootstrap.score("mean_absolute_error", np.mean, absolute)
