"""Stamps as arrays: the crop around the alert, masks, and scaling for a person."""

import numpy as np

# Height and width in pixels of the crop of a stamp, the input of a network.
CROP = 21
# Channels of `crop_and_context`: those of the crop, of the context, and the observed fractions.
CROP_CHANNELS, CONTEXT_CHANNELS, FRACTION_CHANNELS = slice(0, 3), slice(3, 6), slice(6, 8)
SCALING_METHODS = ("none", "minmax", "asinh")
# Pixels beyond this absolute value are no counts: templates hold -3.4e38 where they have no data.
MAX_PIXEL = 1e30


def is_usable(pixels: np.ndarray) -> np.ndarray:
    """Return True for pixels that are counts: finite, and below MAX_PIXEL in absolute value."""
    # The comparison is False for NaN, so one test covers all three.
    usable: np.ndarray = np.abs(pixels) < MAX_PIXEL
    return usable


def mask_pixels(stamps: np.ndarray) -> np.ndarray:
    """Return float32 stamps whose unusable pixels are NaN."""
    return np.where(is_usable(stamps), stamps, np.nan).astype(np.float32, copy=False)


def crop(stamps: np.ndarray, size: int = CROP) -> np.ndarray:
    """Return the central `size` x `size` pixels of `(..., H, W)`, a view.

    Raises ValueError if the stamps are smaller.
    """
    height, width = stamps.shape[-2:]
    if min(height, width) < size:
        raise ValueError(f"stamps of {height} x {width} pixels cannot be cropped to {size}")
    top, left = (height - size) // 2, (width - size) // 2
    return stamps[..., top : top + size, left : left + size]


def scale(stamps: np.ndarray, method: str) -> tuple[np.ndarray, np.ndarray]:
    """Scale every channel of every stamp by its own pixels.

    `stamps` is float32 `(n, c, H, W)`, NaN where not observed. The method `asinh` is
    arcsinh((pixel - median) / MAD), which preserves faint structure and does not change under an
    affine scaling of the input.

    Returns float32 pixels, 0 where not observed, and a bool mask, True where observed. A channel
    without two different observed pixels becomes 0. Raises ValueError for an unknown method.
    """
    if method != "asinh":
        raise ValueError(f"Unknown scaling {method!r}. Must be one of: asinh")
    observed = np.isfinite(stamps)
    flat = stamps.reshape(*stamps.shape[:2], -1)
    deviations = flat - _median(flat)
    mad = _median(np.abs(deviations))
    # If more than half of the pixels are equal, the MAD is 0. The largest deviation is used then:
    # it scales with the counts too.
    largest = np.fmax.reduce(np.abs(deviations), axis=2)[..., None]
    width = np.where(mad > 0, mad, np.where(largest > 0, largest, 1))
    scaled = np.arcsinh(deviations / width)
    pixels = np.where(observed, scaled.reshape(stamps.shape), 0).astype(np.float32, copy=False)
    return pixels, observed


def _median(values: np.ndarray) -> np.ndarray:
    """Return the medians of `(n, c, pixels)` over the pixels that are not NaN, 0 if all are."""
    complete = np.isfinite(values).all(axis=2)
    median = np.empty(values.shape[:2], values.dtype)
    median[complete] = np.median(values[complete], axis=1)
    # Masked arrays take several times as long.
    masked = np.ma.masked_invalid(values[~complete])
    median[~complete] = np.ma.filled(np.ma.median(masked, axis=1), 0)
    return median[..., None]
