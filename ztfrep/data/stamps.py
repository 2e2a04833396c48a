"""Stamps as a network sees them: cropped about the alert, masked, scaled."""

import numpy as np

CROP = 21
# Of `two_scales`: three channels of the crop, three of the context, and the observed fractions.
CROP_CHANNELS, CONTEXT_CHANNELS, FRACTION_CHANNELS = slice(0, 3), slice(3, 6), slice(6, 8)
RESCALINGS = ("none", "minmax", "asinh")
# A larger magnitude is no count of photons: templates hold -3.4e38 where they have no data.
LARGEST_PIXEL = 1e30


def is_usable(pixels: np.ndarray) -> np.ndarray:
    """Tell which pixels count photons: not NaN, not infinite, not beyond any count; bool."""
    # The comparison is False for NaN, so one test covers all three.
    usable: np.ndarray = np.abs(pixels) < LARGEST_PIXEL
    return usable


def mask_pixels(stamps: np.ndarray) -> np.ndarray:
    """Give float32 stamps whose unusable pixels are NaN."""
    return np.where(is_usable(stamps), stamps, np.nan).astype(np.float32, copy=False)


def crop(stamps: np.ndarray, size: int = CROP) -> np.ndarray:
    """Cut the central `size` x `size` pixels of `(..., H, W)`; a view.

    Raises ValueError if the stamps are smaller.
    """
    height, width = stamps.shape[-2:]
    if min(height, width) < size:
        raise ValueError(f"stamps of {height} x {width} pixels cannot be cropped to {size}")
    top, left = (height - size) // 2, (width - size) // 2
    return stamps[..., top : top + size, left : left + size]


def shrink(stamps: np.ndarray) -> np.ndarray:
    """Average stamps `(n, c, H, W)` to 21 x 21 by a whole factor, about their centre.

    What is not observed is left out of a mean. Stamps of less than 42 pixels have no wider view,
    and become NaN.
    """
    factor = min(stamps.shape[-2:]) // CROP
    if factor < 2:
        return np.full((*stamps.shape[:2], CROP, CROP), np.nan, np.float32)
    cells = crop(stamps, factor * CROP).reshape(*stamps.shape[:2], CROP, factor, CROP, factor)
    observed = np.isfinite(cells)
    counts = observed.sum(axis=(3, 5))
    sums = np.where(observed, cells, 0).sum(axis=(3, 5))
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan).astype(np.float32)


def two_scales(stamps: np.ndarray) -> np.ndarray:
    """Show stamps `(n, 3, H, W)` near and wide: float32 `(n, 8, 21, 21)`.

    The central 21 x 21 pixels and the whole stamp shrunk to as many, each channel as
    arcsinh((pixel - median) / MAD), 0 where not observed; then the share of the channels that is
    observed, near and wide.
    """
    near, wide = (rescale(part, "asinh") for part in (crop(stamps), shrink(stamps)))
    shares = [observed.mean(axis=1, keepdims=True) for _, observed in (near, wide)]
    return np.concatenate([near[0], wide[0], *shares], axis=1, dtype=np.float32)


def prepare(stamps: np.ndarray, how: str) -> tuple[np.ndarray, np.ndarray]:
    """Crop stamps `(n, 3, H, W)` to 21 x 21, then scale them; pixels and mask as `rescale`.

    In this order: scaled over the whole stamp first, a crop keeps whatever range is left to it.
    """
    return rescale(crop(stamps), how)


def rescale(stamps: np.ndarray, how: str) -> tuple[np.ndarray, np.ndarray]:
    """Scale every channel of every stamp by itself; give pixels and mask.

    `stamps` is float32 `(n, c, H, W)`, NaN where not observed. `minmax` maps the observed pixels to
    [0, 1]; `asinh` is arcsinh((pixel - median) / MAD), which keeps the faint parts; neither changes
    under an affine scaling of the input. `none` leaves the pixels as they are. Returns float32
    pixels, 0 where not observed, and a bool mask, True where observed. A channel without two
    different observed pixels becomes 0.
    """
    observed = np.isfinite(stamps)
    flat = stamps.reshape(*stamps.shape[:2], -1)
    if how == "none":
        scaled = flat
    elif how == "minmax":
        lowest = np.fmin.reduce(flat, axis=2)[..., None]
        span = np.fmax.reduce(flat, axis=2)[..., None] - lowest
        scaled = (flat - lowest) / np.where(span > 0, span, 1)
    elif how == "asinh":
        masked = np.ma.masked_invalid(flat) if not observed.all() else flat
        centre = _median(masked)
        deviation = _median(np.abs(masked - centre))
        # Where most pixels are alike the deviation is 0; the largest scales with the counts too.
        largest = np.fmax.reduce(np.abs(flat - centre), axis=2)[..., None]
        spread = np.where(deviation > 0, deviation, np.where(largest > 0, largest, 1))
        scaled = np.arcsinh((flat - centre) / spread)
    else:
        raise ValueError(f"Unknown rescaling {how!r}. Must be one of: {', '.join(RESCALINGS)}")
    pixels = np.where(observed, scaled.reshape(stamps.shape), 0).astype(np.float32, copy=False)
    return pixels, observed


def _median(values: np.ndarray) -> np.ndarray:
    median = np.ma.median if isinstance(values, np.ma.MaskedArray) else np.median
    return np.asarray(np.ma.filled(median(values, axis=2), 0))[..., None]
