"""Errors of the magnitudes that a network of alerts predicts from its vectors."""

import numpy as np
import torch

from ztfrep.data.features import ALERCE_FEATURES, PHYSICAL
from ztfrep.evaluation.bootstrap import SLOW_REPEATS, Bootstrap, Scores
from ztfrep.models.alert.base import AlertInput, AlertNetwork

_MAGNITUDES = ("magpsf", "diffmaglim", "magnr")


def score_predicted_magnitudes(
    network: AlertNetwork,
    vectors: np.ndarray,
    alerts: AlertInput,
    labels: np.ndarray,
    *,
    seed: int,
) -> dict[str, Scores]:
    """Return the mean absolute error of each predicted magnitude in mag, by `predicted_NAME`.

    The mean is over the alerts that have the magnitude; they are resampled within each label
    `(n,)`. Empty for a network that predicts no metadata, or whose metadata are not in physical
    units.
    """
    scaling = network.preprocessing.feature_scaling
    with torch.inference_mode():
        predicted = network.predict_features(torch.from_numpy(vectors))
    if predicted is None or scaling.unit != PHYSICAL:
        return {}
    scores = {}
    for name in _MAGNITUDES:
        column = ALERCE_FEATURES.index(name)
        mask = alerts.feature_mask[:, column].numpy()
        if mask.any():
            errors = (predicted - alerts.features)[:, column].abs().numpy()[mask]
            bootstrap = Bootstrap.within_classes(labels[mask], seed=seed, repeats=SLOW_REPEATS)
            scores[f"predicted_{name}"] = bootstrap.score(
                "mean_absolute_error", np.mean, errors * scaling.std[column]
            )
    return scores
