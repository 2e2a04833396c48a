"""Rows of a stamps table that are evaluated: labels, input of the network, values of probes."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from ztfrep.data.alert_schema import ROW_GROUP
from ztfrep.data.alert_table import AlertTable
from ztfrep.data.features import ALERCE_FEATURES, standardise
from ztfrep.encoders.alert_batches import concatenate, encode, input_batches
from ztfrep.encoders.devices import choose_device
from ztfrep.models.alert.base import AlertInput, AlertNetwork
from ztfrep.models.alert.preprocessing import FeatureScaling


@dataclass(frozen=True, eq=False)
class AlertRows:
    """Alerts that are evaluated.

    Attributes
    ----------
    labels : int (n,)
        -1 where unlabelled.
    alerts : AlertInput
        The input of the network.
    values : mapping of arrays (n, d)
        The input of probes by name; see `ztfrep.evaluation.alert_protocol.PROBES`.
    """

    labels: np.ndarray
    alerts: AlertInput
    values: Mapping[str, np.ndarray]

    def rows(self, index: np.ndarray | slice) -> "AlertRows":
        """Return the rows of an index, mask or slice."""
        values = {name: array[index] for name, array in self.values.items()}
        return AlertRows(self.labels[index], self.alerts.rows(index), values)


def read_inputs(network: AlertNetwork, table: AlertTable, rows: np.ndarray) -> AlertInput:
    """Return the network's input for rows of a table; `rows` int `(m,)` is in ascending order."""
    parts, start = [], 0
    for batch in input_batches(network, table, ROW_GROUP):
        stop = start + len(batch.pixels)
        parts.append(batch.rows(rows[(rows >= start) & (rows < stop)] - start))
        start = stop
    return concatenate(parts)


def read_features(
    table: AlertTable, scaling: FeatureScaling, excluded: list[str], rows: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the metadata of rows without excluded features, raw and standardised: `(m, features)`.

    By the names `features` (for a forest; NaN where missing) and `standardised_features`.
    """
    columns = [name not in excluded for name in ALERCE_FEATURES.names]
    clipped = table.clipped_features()[rows][:, columns]
    statistics = np.array([scaling.mean, scaling.std])[:, columns]
    return {
        "features": table.features()[rows][:, columns],
        "standardised_features": standardise(clipped, *statistics),
    }


def encode_stamps_only(
    network: AlertNetwork, alerts: AlertInput, batch_size: int, precision: str
) -> np.ndarray:
    """Return the vectors of alerts with masked metadata: float32 `(n, d)`."""
    device = choose_device()
    network.to(device)
    vectors = []
    for index in torch.arange(len(alerts.pixels)).split(batch_size):
        batch = alerts.rows(index)
        batch = batch._replace(feature_mask=torch.zeros_like(batch.feature_mask))
        vectors.append(encode(network, batch.to(device), precision))
    network.to("cpu")
    return np.concatenate(vectors)
