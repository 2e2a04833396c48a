"""Preprocessing of alerts in torch, for graphs that contain it.

The results are those of `Alerts.from_arrays` and `AlertPreprocessing`, which use numpy. The
operations have the same order and precision: a narrow bin of a feature, or a small MAD of a stamp,
amplifies rounding errors.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn

from ztfrep.data.features import ALERCE_FEATURES, MAX_MISSING, PHYSICAL, SENTINEL
from ztfrep.data.stamps import CROP, MAX_PIXEL
from ztfrep.models.alert.base import AlertInput
from ztfrep.models.alert.preprocessing import AlertPreprocessing, FeatureScaling


class TorchAlertPreprocessing(nn.Module):
    """Crops and scales stamps, and standardises metadata, as an `AlertPreprocessing` does."""

    def __init__(self, preprocessing: AlertPreprocessing) -> None:
        super().__init__()
        self.stamp_scaling = preprocessing.stamp_scaling
        self.context = preprocessing.context
        self.metadata = TorchFeatureScaling(preprocessing.feature_scaling)

    def forward(self, stamps: Tensor, metadata: Tensor) -> AlertInput:
        """Return the input of a network.

        `stamps` float32 `(n, 3, H, W)` in counts, H and W at least 21; NaN, infinite and -3.4e38
        pixels are masked. `metadata` float64 `(n, features)` in physical units; NaN, the sentinel
        -999 and impossible values are unknown.
        """
        # The comparison is False for NaN.
        observed = stamps.abs() < MAX_PIXEL
        stamps = torch.where(observed, stamps, 0.0)
        crops, mask = _crop(stamps, CROP), _crop(observed, CROP)
        context = crop_and_context(stamps, observed) if self.context else crops[:, :0]
        pixels = scale(crops, mask, self.stamp_scaling)
        return AlertInput(pixels, mask, context, *self.metadata(metadata))


class TorchFeatureScaling(nn.Module):
    """Masks, clips and standardises physical metadata, as a `FeatureScaling` does."""

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
        features, names = ALERCE_FEATURES, ALERCE_FEATURES.names
        lowest, highest = zip(*map(features.bounds, names), strict=True)
        # All features are masked if the train rows were in another unit than packets are.
        used = [scaling.unit == PHYSICAL and name not in scaling.excluded for name in names]
        buffers = {
            "lowest": np.array(lowest),
            "highest": np.array(highest),
            "clip_low": np.array([feature.low for feature in features.features], np.float64),
            "clip_high": np.array([feature.high for feature in features.features], np.float64),
            "nonnegative": np.isin(names, features.nonnegative),
            "companions": np.array(
                features.columns(features.measured_with.get(name, name) for name in names)
            ),
            "used": np.array(used),
            "mean": np.array(scaling.mean, np.float64),
            "std": np.array(scaling.std, np.float64),
        }
        for name, values in buffers.items():
            self.register_buffer(name, torch.from_numpy(values))

    def forward(self, metadata: Tensor) -> tuple[Tensor, Tensor]:
        """Return standardised metadata float32 `(n, features)`, and the mask of known values.

        `metadata` is float64: see `TorchAlertPreprocessing.forward`.
        """
        # The comparisons are False for NaN.
        possible = (metadata >= self.lowest) & (metadata <= self.highest)
        possible = possible & (metadata != SENTINEL)
        clipped = torch.where(possible, metadata, 0.0).maximum(self.clip_low)
        clipped = clipped.minimum(self.clip_high)
        measured = possible & ~(self.nonnegative & (clipped < MAX_MISSING))
        measured = measured & measured[:, self.companions]
        known = measured & self.used
        scaled = torch.where(known, (clipped - self.mean) / self.std, 0.0)
        return scaled.float(), known


def crop_and_context(stamps: Tensor, observed: Tensor) -> Tensor:
    """Return crop and context of stamps `(n, 3, H, W)`: float32 `(n, 8, 21, 21)`.

    `stamps` is 0 where not observed; see `ztfrep.data.stamps.crop_and_context`.
    """
    crops, crop_mask = _crop(stamps, CROP), _crop(observed, CROP)
    context, context_mask = _downsample_context(stamps, observed)
    return torch.cat(
        [
            scale(crops, crop_mask, "asinh"),
            scale(context, context_mask, "asinh"),
            crop_mask.float().mean(dim=1, keepdim=True),
            context_mask.float().mean(dim=1, keepdim=True),
        ],
        dim=1,
    )


def scale(pixels: Tensor, observed: Tensor, method: str) -> Tensor:
    """Scale every channel of every stamp by its own pixels; pixels not observed become 0.

    `pixels` is float32 `(n, c, H, W)`; see `ztfrep.data.stamps.scale`.
    """
    flat, mask = pixels.flatten(2), observed.flatten(2)
    if method == "minmax":
        lowest = torch.where(mask, flat, math.inf).amin(dim=2, keepdim=True)
        span = torch.where(mask, flat, -math.inf).amax(dim=2, keepdim=True) - lowest
        scaled = (flat - lowest) / torch.where(span > 0, span, 1.0)
    elif method == "asinh":
        deviations = flat - _median(flat, mask)
        sizes = torch.where(mask, deviations.abs(), 0.0)
        mad, largest = _median(sizes, mask), sizes.amax(dim=2, keepdim=True)
        width = torch.where(mad > 0, mad, torch.where(largest > 0, largest, 1.0))
        scaled = torch.arcsinh(deviations / width)
    else:
        scaled = flat
    return torch.where(mask, scaled, 0.0).reshape(pixels.shape)


def _crop(images: Tensor, size: int) -> Tensor:
    height, width = images.shape[-2:]
    top, left = (height - size) // 2, (width - size) // 2
    return images[..., top : top + size, left : left + size]


def _downsample_context(stamps: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
    """Return the context of stamps `(n, c, H, W)`, and its mask: `(n, c, 21, 21)` each."""
    factor = min(stamps.shape[-2:]) // CROP
    if factor < 2:
        crops = _crop(stamps, CROP)
        return torch.zeros_like(crops), torch.zeros_like(crops, dtype=torch.bool)
    sums, counts = (
        _crop(part, factor * CROP).unflatten(3, (CROP, factor)).sum(dim=4)
        .unflatten(2, (CROP, factor)).sum(dim=3)
        for part in (stamps, observed.float())
    )  # fmt: skip
    means = sums.double() / counts.double().clamp(min=1)
    return means.float(), counts > 0


def _median(values: Tensor, mask: Tensor) -> Tensor:
    """Return the median of the values `(n, c, k)` in the mask: `(n, c, 1)`, any where none is."""
    ordered = torch.where(mask, values, math.inf).sort(dim=2).values
    counts = mask.sum(dim=2, keepdim=True)
    low = ordered.gather(2, ((counts - 1) // 2).clamp(min=0))
    high = ordered.gather(2, counts // 2)
    return torch.where(low < high, (low + high) / 2, low)
