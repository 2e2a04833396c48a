"""The preprocessing of alerts in numpy, in its simplest form: what that in torch is compared with.

The functions take stamps float32 `(n, c, H, W)`, NaN where not observed.
"""

import numpy as np

from ztfrep.data.features import ALERCE_FEATURES, PHYSICAL, standardise
from ztfrep.data.stamps import CROP, crop


def preprocess(stamps, metadata, unit, *, stamp_scaling, feature_scaling, context):
    """Return the arrays of an `AlertInput`, in its order."""
    pixels, observed = crop_and_scale(stamps, stamp_scaling)
    images = crop_and_context(stamps) if context else np.empty((len(stamps), 0, CROP, CROP))
    features, feature_mask = transform(feature_scaling, metadata, unit)
    return pixels, observed, images.astype(np.float32), features, feature_mask


def crop_and_scale(stamps, method):
    """Return the scaled crops, 0 where not observed, and the mask of observed pixels."""
    return scale(crop(stamps), method)


def crop_and_context(stamps):
    """Return crop and context, as arcsinh((pixel - median) / MAD), and the observed fractions."""
    crops, context = (scale(part, "asinh") for part in (crop(stamps), downsample(stamps)))
    fractions = [observed.mean(axis=1, keepdims=True) for _, observed in (crops, context)]
    return np.concatenate([crops[0], context[0], *fractions], axis=1, dtype=np.float32)


def downsample(stamps):
    """Return stamps averaged by a whole factor around their centre, NaN where nothing is known."""
    factor = min(stamps.shape[-2:]) // CROP
    if factor < 2:
        return np.full((*stamps.shape[:2], CROP, CROP), np.nan, np.float32)
    cells = crop(stamps, factor * CROP).reshape(*stamps.shape[:2], CROP, factor, CROP, factor)
    observed = np.isfinite(cells)
    counts = observed.sum(axis=(3, 5))
    sums = np.where(observed, cells, 0).sum(axis=(3, 5))
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan).astype(np.float32)


def scale(stamps, method):
    """Return stamps with every channel scaled by its own observed pixels, and the mask of them."""
    pixels, observed = np.zeros_like(stamps), np.isfinite(stamps)
    for index in np.ndindex(stamps.shape[:2]):
        values = stamps[index][observed[index]]
        if values.size:
            pixels[index][observed[index]] = _scale_values(values, method)
    return pixels, observed


def _scale_values(values, method):
    if method == "none":
        return values
    if method == "minmax":
        span = values.max() - values.min()
        return (values - values.min()) / (span if span > 0 else 1)
    deviations = values - np.median(values)
    # If more than half of the pixels are equal, the MAD is 0: the largest deviation is used.
    width = np.median(np.abs(deviations)) or np.abs(deviations).max() or 1
    return np.arcsinh(deviations / width)


def transform(scaling, metadata, unit):
    """Return metadata `(n, features)` standardised by a `FeatureScaling`, and the known values."""
    values = metadata.copy()
    if unit == PHYSICAL:
        clipped = ALERCE_FEATURES.clip(values)
        values = np.where(ALERCE_FEATURES.is_measured(clipped), clipped, np.nan)
    values[:, ALERCE_FEATURES.columns(scaling.excluded)] = np.nan
    if unit == "none" or unit != scaling.unit:
        values = np.full_like(values, np.nan)
    scaled = standardise(values, np.array(scaling.mean), np.array(scaling.std))
    return scaled.astype(np.float32), np.isfinite(values)
