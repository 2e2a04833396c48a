"""The forecast of the magnitude of the next observation."""

import numpy as np
import torch

from ztfrep.evaluation.bootstrap import SLOW_REPEATS, Bootstrap, Scores
from ztfrep.models.object.base import MAGNITUDE, MAGNITUDE_MASK, ObjectInput, ObjectNetwork
from ztfrep.models.object.observation_input import MAGNITUDE_SCALE

_OBJECTS_PER_BATCH = 512


def score_magnitude_forecast(
    network: ObjectNetwork, objects: ObjectInput, *, seed: int
) -> Scores | None:
    """Return the mean absolute error in mag of the forecast, over all consecutive detections.

    Objects are resampled as wholes. None for a network that makes no forecast, and where no two
    consecutive observations have a magnitude.
    """
    errors, rows = [np.empty(0, np.float32)], [np.empty(0, np.int64)]
    with torch.inference_mode():
        for index in torch.arange(len(objects.lengths)).split(_OBJECTS_PER_BATCH):
            batch = objects.rows(index)
            forecast = network.forecast_magnitude(batch)
            if forecast is None:
                return None
            known = (batch.photometry[:, :, MAGNITUDE_MASK] > 0) & batch.observation_mask()
            pairs = known[:, 1:] & known[:, :-1]
            error = (forecast[:, :-1] - batch.photometry[:, 1:, MAGNITUDE]).abs()
            errors.append(error[pairs].numpy())
            rows.append(index[pairs.nonzero()[:, 0]].numpy())
    absolute = np.concatenate(errors) * MAGNITUDE_SCALE
    if not len(absolute):
        return None
    bootstrap = Bootstrap.of_groups(np.concatenate(rows), seed=seed, repeats=SLOW_REPEATS)
    return bootstrap.score("mean_absolute_error", np.mean, absolute)
