"""The series of objects as baselines read them, and the first detections of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ztfrep.data.alert_table import AlertTable
from ztfrep.data.features import ALERCE_FEATURES
from ztfrep.data.frames import read_frame
from ztfrep.data.row_index import read_row_index
from ztfrep.data.vector_files import SplitVectors, read_vectors
from ztfrep.evaluation.light_curve_features import light_curve_features
from ztfrep.models.object.base import ObjectInput, ObjectNetwork
from ztfrep.models.object.observation_input import object_input

MEAN_ALERT, LAST_ALERT = "mean_alert", "last_alert"
LIGHT_CURVE, LIGHT_CURVE_AND_ALERT = "light_curve", "light_curve_and_alert"


@dataclass(frozen=True, eq=False)
class ObjectSeries:
    """The series of n objects.

    Attributes
    ----------
    vectors : float (n, steps, d)
        The vectors of the alerts in time order.
    lengths : int (n,)
        Number of alerts of each object, 1 or more.
    observations : DataFrame or None
        All observations, see `object_input`. None if only the vectors are known.
    metadata : float (m, k) or None
        The features of each observation, NaN where unknown.
    """

    vectors: np.ndarray
    lengths: np.ndarray
    observations: pd.DataFrame | None = None
    metadata: np.ndarray | None = None

    def rows(self, rows: np.ndarray) -> "ObjectSeries":
        """Return the series of some objects, in the order of `rows`, which has no duplicates."""
        observations, metadata = self.observations, self.metadata
        if observations is not None:
            place = np.full(len(self.lengths), -1)
            place[rows] = np.arange(len(rows))
            new_row = place[observations["row"].to_numpy()]
            kept = new_row >= 0
            observations = observations[kept].assign(row=new_row[kept])
            metadata = None if metadata is None else metadata[kept]
        return ObjectSeries(self.vectors[rows], self.lengths[rows], observations, metadata)

    def first_detections(self, count: int) -> "ObjectSeries":
        """Return the observations until the detection number `count` that has a vector.

        All observations of an object that has fewer.
        """
        observations, metadata = self.observations, self.metadata
        if observations is not None:
            last = np.minimum(self.lengths, count) - 1
            # The position of that detection in its series.
            is_last = observations["step"].to_numpy() == last[observations["row"]]
            end = np.full(len(last), np.iinfo(np.int64).max)
            end[observations["row"][is_last]] = observations["detection"][is_last]
            # An object with fewer keeps what is after its last alert.
            end[self.lengths < count] = np.iinfo(np.int64).max
            kept = observations["detection"].to_numpy() <= end[observations["row"]]
            observations = observations[kept]
            metadata = None if metadata is None else metadata[kept]
        vectors = self.vectors[:, :count]
        return ObjectSeries(vectors, np.minimum(self.lengths, count), observations, metadata)

    def has_times(self) -> bool:
        """Return True if the series have times and magnitudes."""
        table = self.observations
        return table is not None and bool((table["mjd"].notna() & table["magpsf"].notna()).any())

    def network_input(self, network: ObjectNetwork) -> ObjectInput:
        """Return the input of a network; raises ValueError without observations."""
        if self.observations is None:
            raise ValueError("series without observations have no input of a network")
        return object_input(
            self.observations,
            self.vectors,
            max_observations=network.config.max_observations,
            all_observations=network.reads_all_observations,
        )

    def baseline_values(self) -> dict[str, np.ndarray]:
        """Return what the baselines read, float `(n, d)` by name.

        The mean and the last vector of the alerts and, for series with times, features of the light
        curve with the metadata of the last alert, and these with the vector of the last alert.
        """
        steps = np.arange(self.vectors.shape[1])
        read = (steps < self.lengths[:, None])[:, :, None]
        mean = np.where(read, self.vectors, 0).sum(axis=1) / self.lengths[:, None]
        last = self.vectors[np.arange(len(self.lengths)), self.lengths - 1]
        values = {MEAN_ALERT: mean, LAST_ALERT: last}
        if self.has_times():
            assert self.observations is not None
            parts = [light_curve_features(self.observations, len(self.lengths))]
            if self.metadata is not None:
                parts.append(self._last_metadata(self.observations, self.metadata))
            values[LIGHT_CURVE] = np.hstack(parts)
            values[LIGHT_CURVE_AND_ALERT] = np.hstack([*parts, last])
        return values

    def _last_metadata(self, observations: pd.DataFrame, metadata: np.ndarray) -> np.ndarray:
        """Return the metadata of the last alert of each object `(n, k)`."""
        row = observations["row"].to_numpy()
        is_last = observations["step"].to_numpy() == (self.lengths - 1)[row]
        last = np.full((len(self.lengths), metadata.shape[1]), np.nan)
        last[row[is_last]] = metadata[is_last]
        return last


def read_object_series(
    series: Path, observations: Path, table: Path | None, excluded_features: Sequence[str]
) -> tuple[dict[str, SplitVectors], dict[str, ObjectSeries]]:
    """Read the vectors and the series of objects by split.

    `series` and `observations` are the outputs of `encode_series_table` for the series table
    `table`; without a table there are no metadata. Features that are excluded, and those without a
    value, are not read.
    """
    parts, index, rows = read_vectors(series), read_row_index(series), read_frame(observations)
    metadata = None
    if table is not None:
        # A row of the table for each observation, in the same order.
        metadata = AlertTable(table).features()
        metadata[:, ALERCE_FEATURES.columns(excluded_features)] = np.nan
        metadata = metadata[:, np.isfinite(metadata).any(axis=0)]
    by_split = {}
    for split, part in parts.items():
        own = (rows["split"] == split).to_numpy()
        lengths = index.loc[index["split"] == split, "length"].to_numpy()
        own_metadata = None if metadata is None else metadata[own]
        by_split[split] = ObjectSeries(part.vectors, lengths, rows[own], own_metadata)
    return parts, by_split
