"""Preprocessing of alerts: from raw stamps and metadata to the input of a network.

The feature scaling is fitted to the train rows and saved with the network, so that raw arrays, rows
of a table and packets of the same alert have the same input.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field, field_validator
from torch import Tensor, nn

from ztfrep.data.alert_schema import FEATURE_UNITS
from ztfrep.data.feature_names import FeatureNames
from ztfrep.data.features import ALERCE_FEATURES, MAX_MISSING, PHYSICAL, SENTINEL, statistics
from ztfrep.data.stamps import SCALING_METHODS
from ztfrep.fields import Table
from ztfrep.models.alert.stamp_scaling import crop_and_context, crop_and_scale, mask_stamps

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


class Standardisation(nn.Module):
    """Masks, clips and standardises metadata by a `FeatureScaling`."""

    lowest: Tensor
    highest: Tensor
    clip_low: Tensor
    clip_high: Tensor
    nonnegative: Tensor
    companions: Tensor
    used: Tensor
    mean: Tensor
    std: Tensor

    def __init__(self, scaling: FeatureScaling) -> None:
        super().__init__()
        self.unit = scaling.unit
        features, names = ALERCE_FEATURES, ALERCE_FEATURES.names
        lowest, highest = zip(*map(features.bounds, names), strict=True)
        buffers = {
            "lowest": np.array(lowest),
            "highest": np.array(highest),
            "clip_low": np.array([feature.low for feature in features.features], np.float64),
            "clip_high": np.array([feature.high for feature in features.features], np.float64),
            "nonnegative": np.isin(names, features.nonnegative),
            "companions": np.array(
                features.columns(features.measured_with.get(name, name) for name in names)
            ),
            "used": ~np.isin(names, scaling.excluded),
            "mean": np.array(scaling.mean, np.float64),
            "std": np.array(scaling.std, np.float64),
        }
        for name, values in buffers.items():
            # They are saved with the card of the model.
            self.register_buffer(name, torch.from_numpy(values), persistent=False)

    def forward(self, metadata: Tensor, unit: str) -> tuple[Tensor, Tensor]:
        """Return standardised metadata float32 `(n, features)`, and the mask of known values.

        `metadata` is float64 `(n, features)` in `unit`, NaN where missing; impossible physical
        values are missing too. Missing and excluded features are 0 and masked. All features are if
        `unit` is "none" or differs from the unit of the scaling.
        """
        if unit == "none" or unit != self.unit:
            return metadata.new_zeros(metadata.shape).float(), torch.zeros_like(metadata).bool()
        known = metadata.isfinite()
        if unit == PHYSICAL:
            known = known & (metadata >= self.lowest) & (metadata <= self.highest)
            known = known & (metadata != SENTINEL)
            metadata = torch.where(known, metadata, 0.0).maximum(self.clip_low)
            metadata = metadata.minimum(self.clip_high)
            known = known & ~(self.nonnegative & (metadata < MAX_MISSING))
            known = known & known[:, self.companions]
        known = known & self.used
        return torch.where(known, (metadata - self.mean) / self.std, 0.0).float(), known


class AlertPreprocessing(nn.Module):
    """Crops and scales stamps, and standardises metadata, on the device of its input."""

    def __init__(
        self, stamp_scaling: str, feature_scaling: FeatureScaling, *, context: bool
    ) -> None:
        super().__init__()
        self.stamp_scaling = stamp_scaling
        self.feature_scaling = feature_scaling
        self.context = context
        self.standardise = Standardisation(feature_scaling)

    def forward(self, stamps: Tensor, metadata: Tensor, unit: str = PHYSICAL) -> tuple[Tensor, ...]:
        """Return the tensors of an `AlertInput`, in its order.

        `stamps` float32 `(n, 3, H, W)`, H and W at least 21, in counts or any affine scaling of
        them; NaN, infinite and -3.4e38 pixels were not observed. `metadata` float64
        `(n, features)` in `unit`; see `Standardisation.forward`.
        """
        stamps, observed = mask_stamps(stamps)
        pixels, pixel_mask = crop_and_scale(stamps, observed, self.stamp_scaling)
        context = crop_and_context(stamps, observed) if self.context else pixels[:, :0]
        last = torch.channels_last
        return (
            pixels.contiguous(memory_format=last),
            pixel_mask,
            context.contiguous(memory_format=last),
            *self.standardise(metadata, unit),
        )


def _clip_and_mask(metadata: np.ndarray, unit: str) -> np.ndarray:
    """Return a copy of the metadata, clipped if physical; NaN where nothing was measured."""
    if unit != PHYSICAL:
        return metadata.copy()
    clipped = ALERCE_FEATURES.clip(metadata)
    return np.where(ALERCE_FEATURES.is_measured(clipped), clipped, np.nan)
