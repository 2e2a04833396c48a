"""Preparation of stamps for a network: cropping around the alert, masking and scaling."""

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


def downsample_context(stamps: np.ndarray) -> np.ndarray:
    """Average stamps `(n, c, H, W)` by a whole factor around their centre: `(n, c, CROP, CROP)`.

    NaN is not observed: the mean is that of the other pixels. The result is NaN for stamps with a
    side of less than two crops, which have no wider context.
    """
    factor = min(stamps.shape[-2:]) // CROP
    if factor < 2:
        return np.full((*stamps.shape[:2], CROP, CROP), np.nan, np.float32)
    cells = crop(stamps, factor * CROP).reshape(*stamps.shape[:2], CROP, factor, CROP, factor)
    observed = np.isfinite(cells)
    counts = observed.sum(axis=(3, 5))
    sums = np.where(observed, cells, 0).sum(axis=(3, 5))
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan).astype(np.float32)


def crop_and_context(stamps: np.ndarray) -> np.ndarray:
    """Return crop and context of stamps `(n, 3, H, W)`: float32 `(n, 8, CROP, CROP)`.

    The three channels of the crop, then those of the whole stamp averaged to the same size, each
    as arcsinh((pixel - median) / MAD), 0 where not observed; then the fraction of the channels
    that is observed in the crop, and in the context.
    """
    crops, context = (scale(part, "asinh") for part in (crop(stamps), downsample_context(stamps)))
    fractions = [observed.mean(axis=1, keepdims=True) for _, observed in (crops, context)]
    return np.concatenate([crops[0], context[0], *fractions], axis=1, dtype=np.float32)


def crop_and_scale(stamps: np.ndarray, method: str) -> tuple[np.ndarray, np.ndarray]:
    """Crop stamps `(n, 3, H, W)` to `CROP` pixels, then scale them; returns what `scale` does.

    In this order: a bright source outside the crop must not compress the range inside it.
    """
    return scale(crop(stamps), method)


def scale(stamps: np.ndarray, method: str) -> tuple[np.ndarray, np.ndarray]:
    """Scale every channel of every stamp by its own pixels.

    `stamps` is float32 `(n, c, H, W)`, NaN where not observed. `minmax` maps the observed pixels to
    [0, 1]; `asinh` is arcsinh((pixel - median) / MAD), which preserves faint structure; neither
    changes under an affine scaling of the input. `none` leaves the pixels as they are.

    Returns float32 pixels, 0 where not observed, and a bool mask, True where observed. A channel
    without two different observed pixels becomes 0. Raises ValueError for an unknown method.
    """
    observed = np.isfinite(stamps)
    flat = stamps.reshape(*stamps.shape[:2], -1)
    if method == "none":
        scaled = flat
    elif method == "minmax":
        lowest = np.fmin.reduce(flat, axis=2)[..., None]
        span = np.fmax.reduce(flat, axis=2)[..., None] - lowest
        scaled = (flat - lowest) / np.where(span > 0, span, 1)
    elif method == "asinh":
        median = _median(flat)
        mad = _median(np.abs(flat - median))
        # If more than half of the pixels are equal, the MAD is 0. The largest deviation is used
        # then: it scales with the counts too.
        largest = np.fmax.reduce(np.abs(flat - median), axis=2)[..., None]
        width = np.where(mad > 0, mad, np.where(largest > 0, largest, 1))
        scaled = np.arcsinh((flat - median) / width)
    else:
        raise ValueError(
            f"Unknown scaling {method!r}. Must be one of: {', '.join(SCALING_METHODS)}"
        )
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
