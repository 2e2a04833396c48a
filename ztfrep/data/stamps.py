"""Stamps as arrays: the crop around the alert, and masks."""

from typing import Any

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


def crop(stamps: Any, size: int = CROP) -> Any:
    """Return the central `size` x `size` pixels of an array or a tensor `(..., H, W)`, a view.

    Raises ValueError if the stamps are smaller.
    """
    height, width = stamps.shape[-2:]
    if min(height, width) < size:
        raise ValueError(f"stamps of {height} x {width} pixels cannot be cropped to {size}")
    top, left = (height - size) // 2, (width - size) // 2
    return stamps[..., top : top + size, left : left + size]
