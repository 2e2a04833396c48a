"""Preprocessing of alerts: from raw stamps and metadata to the input of a network.

The feature scaling is fitted to the train rows and saved with the network, so that raw arrays, rows
of a table and packets of the same alert have the same input.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, field_validator

from ztfrep.data.alert_schema import FEATURE_UNITS
from ztfrep.data.feature_names import FeatureNames
from ztfrep.data.features import ALERCE_FEATURES, PHYSICAL, standardise, statistics
from ztfrep.data.stamps import CROP, SCALING_METHODS, crop_and_context, crop_and_scale
from ztfrep.fields import Table

StampScaling = Literal[SCALING_METHODS]  # type: ignore[valid-type]
_N = len(ALERCE_FEATURES)
_PerFeature = Field(min_length=_N, max_length=_N)


class FeatureScaling(Table):
    """The standardisation of metadata by the mean and std of the train rows, `(features,)` each.

    `unit` is the unit of the train rows, and `excluded` has the names of features that are masked.
    """

    names: Annotated[list[str], _PerFeature] = list(ALERCE_FEATURES.names)
    unit: Literal[FEATURE_UNITS]  # type: ignore[valid-type]
    mean: Annotated[list[float], _PerFeature]
    std: Annotated[list[Annotated[float, Field(gt=0)]], _PerFeature]
    excluded: FeatureNames

    @field_validator("names")
    @classmethod
    def _check_names(cls, names: list[str]) -> list[str]:
        if names != list(ALERCE_FEATURES.names):
            raise ValueError(f"; expected {', '.join(ALERCE_FEATURES.names)}")
        return names

    @classmethod
    def fit(cls, metadata: np.ndarray, unit: str, excluded: Sequence[str] = ()) -> "FeatureScaling":
        """Compute mean and std of metadata `(n, features)` of train rows, NaN where missing."""
        mean, std = statistics(_clip_and_mask(metadata, unit))
        return cls(unit=unit, mean=mean.tolist(), std=std.tolist(), excluded=list(excluded))

    @classmethod
    def none(cls) -> "FeatureScaling":
        """Return the scaling of a network that reads no metadata."""
        return cls(unit="none", mean=[0.0] * _N, std=[1.0] * _N, excluded=[])

    def transform(self, metadata: np.ndarray, unit: str) -> tuple[np.ndarray, np.ndarray]:
        """Return standardised metadata float32 `(n, features)`, and the mask of known values.

        Missing and excluded features are 0 and masked. All features are if `unit` is "none" or
        differs from the unit of the scaling.
        """
        values = _clip_and_mask(metadata, unit)
        values[:, ALERCE_FEATURES.columns(self.excluded)] = np.nan
        if unit == "none" or unit != self.unit:
            values = np.full_like(values, np.nan)
        scaled = standardise(values, np.array(self.mean), np.array(self.std))
        return scaled.astype(np.float32), np.isfinite(values)


class AlertPreprocessing:
    """Crops and scales stamps, and standardises metadata."""

    def __init__(
        self, stamp_scaling: str, feature_scaling: FeatureScaling, *, context: bool
    ) -> None:
        self.stamp_scaling = stamp_scaling
        self.feature_scaling = feature_scaling
        self.context = context

    def __call__(
        self, stamps: np.ndarray, metadata: np.ndarray, unit: str
    ) -> tuple[np.ndarray, ...]:
        """Return the arrays of an `AlertInput`, in its order.

        `stamps` float32 `(n, 3, H, W)`, H and W at least 21, NaN where not observed, in counts or
        any affine scaling of them; `metadata` float64 `(n, features)` in `unit`, NaN where missing.
        """
        pixels, pixel_mask = crop_and_scale(stamps, self.stamp_scaling)
        context = (
            crop_and_context(stamps)
            if self.context
            else np.empty((len(stamps), 0, CROP, CROP), dtype=np.float32)
        )
        return (pixels, pixel_mask, context, *self.feature_scaling.transform(metadata, unit))


def _clip_and_mask(metadata: np.ndarray, unit: str) -> np.ndarray:
    """Return a copy of the metadata, clipped if physical; NaN where nothing was measured."""
    if unit != PHYSICAL:
        return metadata.copy()
    clipped = ALERCE_FEATURES.clip(metadata)
    return np.where(ALERCE_FEATURES.is_measured(clipped), clipped, np.nan)
