"""Predictions of a trained network: vectors, calibrated class probabilities, anomaly scores."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch

from ztfrep.encoders.alert_batches import encode
from ztfrep.encoders.reference import Reference
from ztfrep.models.alert.base import AlertInput, AlertNetwork
from ztfrep.models.object.base import ObjectInput, ObjectNetwork


class Predictions(NamedTuple):
    """Predictions for n alerts or objects.

    Attributes
    ----------
    vectors : float32 (n, d)
    probabilities : float32 (n, classes)
        Calibrated on the validation rows of the training.
    anomaly_terms : dict of float32 (n,)
        By name, see `Reference.anomaly_terms`. NaN for the reconstruction error of an alert without
        an observed pixel.
    anomaly_score : float32 (n,)
        See `Reference.anomaly_score`.
    """

    vectors: np.ndarray
    probabilities: np.ndarray
    anomaly_terms: dict[str, np.ndarray]
    anomaly_score: np.ndarray


class NetworkOutputs(NamedTuple):
    """Outputs of a network for n rows.

    Attributes
    ----------
    vectors : float32 (n, d)
    logits : float32 (n, classes)
    reconstruction_error : float32 (n,) or None
        The mean squared error over observed pixels, in the scale of the network's input; NaN for an
        alert without an observed pixel. None for objects.
    """

    vectors: np.ndarray
    logits: np.ndarray
    reconstruction_error: np.ndarray | None


def alert_outputs(network: AlertNetwork, alerts: AlertInput) -> NetworkOutputs:
    """Return the outputs for a batch of alerts, which is on the network's device."""
    vectors = encode(network, alerts, "float32")
    with torch.inference_mode():
        encoded = torch.from_numpy(vectors).to(alerts.pixels.device)
        pixels = network.decode(encoded, network.orientation(alerts))
        squared = ((pixels - alerts.pixels).square() * alerts.pixel_mask).flatten(1).sum(dim=1)
        # Without an observed pixel this is 0 / 0, which is NaN.
        error = squared / alerts.pixel_mask.flatten(1).sum(dim=1)
        logits = network.classify(encoded)
    return NetworkOutputs(vectors, logits.float().cpu().numpy(), error.float().cpu().numpy())


def object_outputs(network: ObjectNetwork, objects: ObjectInput) -> NetworkOutputs:
    """Return the outputs for a batch of objects, which is on the network's device."""
    vectors = encode(network, objects, "float32")
    with torch.inference_mode():
        logits = network.classify(torch.from_numpy(vectors).to(objects.lengths.device))
    return NetworkOutputs(vectors, logits.float().cpu().numpy(), None)


def concatenate_outputs(batches: Iterable[NetworkOutputs]) -> NetworkOutputs:
    """Return the outputs of all batches; raises ValueError for none."""
    columns = list(zip(*batches, strict=True))
    if not columns:
        raise ValueError("no rows")
    return NetworkOutputs(
        *(None if part[0] is None else np.concatenate(part) for part in columns)  # type: ignore[arg-type]
    )


def predict(outputs: NetworkOutputs, reference: Reference) -> Predictions:
    """Return the predictions that follow from the outputs of a network and its reference."""
    probabilities = reference.probabilities(outputs.logits)
    terms = reference.anomaly_terms(outputs.vectors, probabilities, outputs.reconstruction_error)
    return Predictions(outputs.vectors, probabilities, terms, reference.anomaly_score(terms))
