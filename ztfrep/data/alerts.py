"""Alerts in memory: stamps and metadata of each alert, and the observations of their objects."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import pandas as pd

from ztfrep.data.alert_schema import CHANNELS
from ztfrep.data.features import ALERCE_FEATURES, PHYSICAL
from ztfrep.data.stamps import CROP, mask_pixels

# Columns of an observation beside its identity; magnitudes in mag.
PHOTOMETRY = ("magpsf", "sigmapsf", "diffmaglim")


class AlertBatch(NamedTuple):
    """Stamps float32 `(n, 3, H, W)`, NaN where not observed, and metadata `(n, features)`."""

    stamps: np.ndarray
    metadata: np.ndarray


class BatchSource(Protocol):
    """Alerts in batches, which a network can read."""

    @property
    def feature_unit(self) -> str:
        """The unit of the metadata: "physical", "zscored-unknown" or "none"."""

    def batches(self, rows: int) -> Iterator[AlertBatch]:
        """Return the alerts that have stamps, in order, at most `rows` at a time."""


class AlertSource(BatchSource, Protocol):
    """Alerts that an encoder can read: `Alerts` in memory, or an `AlertTable` on disk."""

    def index(self) -> pd.DataFrame:
        """Return object_id and candid of every alert that has stamps, in order."""

    def observations(self) -> pd.DataFrame:
        """Return every observation of the alerts' objects; see `Alerts`."""


@dataclass(frozen=True, eq=False)
class Alerts:
    """Alerts in memory.

    Attributes
    ----------
    identity : DataFrame of n rows
        `object_id` (text), `candid` (int64), `mjd` (days), `fid` (1 g, 2 r, 3 i).
    stamps : float32 (n, 3, H, W)
        Science, template and difference stamps in counts, NaN where not observed.
    metadata : float64 (n, features)
        In the order of `ztfrep.data.features.ALERCE_FEATURES`, NaN where missing.
    feature_unit : str
        The unit of the metadata: "physical", "zscored-unknown" or "none".
    history : DataFrame or None
        Every observation of the objects, in time order by object: `object_id`, `mjd`, `fid`,
        `magpsf`, `sigmapsf`, `diffmaglim` (mag) and `alert`, the row in `identity`, -1 for prior
        detections and upper limits. None: the alerts are the only observations.
    """

    identity: pd.DataFrame
    stamps: np.ndarray
    metadata: np.ndarray
    feature_unit: str = PHYSICAL
    history: pd.DataFrame | None = None

    @classmethod
    def from_arrays(
        cls, stamps: np.ndarray, metadata: Mapping[str, np.ndarray] | pd.DataFrame | None = None
    ) -> "Alerts":
        """Return alerts from raw arrays; every alert has its own object.

        `stamps` `(n, 3, H, W)` of any number type: science, template, difference; H and W are at
        least 21; NaN, infinite and -3.4e38 pixels are masked. `metadata` has columns `(n,)` by
        their ZTF names, in physical units, such as {"magpsf": ...}; the sentinel -999, impossible
        values and missing columns are unknown. Raises ValueError for other shapes and unknown
        columns.
        """
        pixels = np.asarray(stamps)
        if pixels.ndim != 4 or pixels.shape[1] != len(CHANNELS) or min(pixels.shape[2:]) < CROP:
            raise ValueError(
                f"stamps of shape {pixels.shape}; expected (n, {len(CHANNELS)}, H, W) with H and W "
                f"of {CROP} or more: science, template, difference"
            )
        if pixels.dtype.kind not in "iuf":
            raise ValueError(f"stamps of type {pixels.dtype}; expected numbers")
        rows = len(pixels)
        with np.errstate(over="ignore"):
            pixels = mask_pixels(pixels.astype(np.float32))
        identity = pd.DataFrame({"object_id": [str(row) for row in range(rows)]})
        return cls(identity, pixels, _metadata_array(metadata, rows))

    def __len__(self) -> int:
        return len(self.stamps)

    def index(self) -> pd.DataFrame:
        """Return the identity of every alert."""
        return self.identity

    def batches(self, rows: int) -> Iterator[AlertBatch]:
        """Return the alerts in order, at most `rows` at a time."""
        for start in range(0, len(self), rows):
            chunk = slice(start, start + rows)
            yield AlertBatch(self.stamps[chunk], self.metadata[chunk])

    def observations(self) -> pd.DataFrame:
        """Return every observation of the objects; see `history`."""
        if self.history is not None:
            return self.history
        columns = {name: self.metadata[:, ALERCE_FEATURES.index(name)] for name in PHOTOMETRY}
        unknown = np.full(len(self), np.nan)
        frame = pd.DataFrame(
            {
                "object_id": self.identity["object_id"],
                "mjd": self.identity.get("mjd", unknown),
                "fid": self.identity.get("fid", unknown),
                **columns,
                "alert": np.arange(len(self)),
            }
        )
        return frame.sort_values(["object_id", "mjd"], kind="stable", ignore_index=True)


def _metadata_array(
    metadata: Mapping[str, np.ndarray] | pd.DataFrame | None, rows: int
) -> np.ndarray:
    """Return columns by name as an array `(rows, features)`, impossible values NaN."""
    values = np.full((rows, len(ALERCE_FEATURES)), np.nan)
    columns = {} if metadata is None else dict(metadata.items())
    unknown = [name for name in columns if name not in ALERCE_FEATURES.names]
    if unknown:
        names = ", ".join(ALERCE_FEATURES.names)
        raise ValueError(f"metadata with a column {unknown[0]!r}; expected some of {names}")
    for name, column in columns.items():
        array = np.asarray(column, dtype=np.float64)
        if array.shape != (rows,):
            raise ValueError(f"metadata {name} of shape {array.shape}; expected ({rows},)")
        values[:, ALERCE_FEATURES.index(str(name))] = array
    return ALERCE_FEATURES.mask_impossible(values, PHYSICAL)
