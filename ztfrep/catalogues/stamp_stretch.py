"""Grey levels of stamps for a person: arcsinh between the limits of zscale and the source."""

import numpy as np

from ztfrep.data.stamp_previews import MASKED

# Pixels on each side of the central one in which the source of an alert is: twice its FWHM.
_CENTRE = 4
# The stretch is linear up to some MAD above the lower limit, so that the noise is not brighter than
# it is, or up to a share of the range, so that noise beside a bright source is dark.
_LINEAR_MADS, _LINEAR_SHARE = 8.0, 0.05
_GREYS = 255


def stretch_preview(preview: np.ndarray) -> np.ndarray:
    """Return the grey levels of the preview of a stamp: uint8 `(H, W)`, 1 to 255 and 0 if masked.

    A preview has the arcsinh of pixels in units of their MAD, see `ztfrep.data.stamp_previews`,
    which shows the noise as much as the source. Its inverse is stretched instead, from the lower
    limit of zscale, which other stars do not change, to the upper one or the brightest pixel around
    the centre: zscale knows the noise, and alone would show a source as white.
    """
    from astropy.visualization import ZScaleInterval  # Slow to import.

    observed = preview != MASKED
    if not observed.any():
        return np.zeros_like(preview)
    pixels = _pixels(preview, observed)
    low, high = ZScaleInterval().get_limits(pixels[observed])
    row, column = (size // 2 for size in preview.shape)
    central = np.s_[
        max(row - _CENTRE, 0) : row + _CENTRE + 1, max(column - _CENTRE, 0) : column + _CENTRE + 1
    ]
    source = pixels[central][observed[central]]
    if source.size:
        high = max(high, source.max())
    span = max(high - low, 1e-6)
    linear = max(_LINEAR_MADS, _LINEAR_SHARE * span)
    stretched = np.arcsinh((pixels - low).clip(0, span) / linear) / np.arcsinh(span / linear)
    levels = 1 + np.rint(stretched * (_GREYS - 1))
    grey: np.ndarray = np.where(observed, levels, MASKED).astype(np.uint8)
    return grey


def _pixels(preview: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Return the pixels of a preview in units of their MAD, float64 `(H, W)`, 0 at the median.

    The MAD of arcsinh(x) is arcsinh of the MAD of x, which is 1: so the levels have their unit. As
    they are integers, bright pixels are right to some 15 %.
    """
    levels = preview.astype(np.float64)
    levels -= np.median(levels[observed])
    unit = np.median(np.abs(levels[observed])) / np.arcsinh(1)
    # If more than half of the pixels are equal there is no unit, and the levels are as good.
    return np.sinh(levels / unit) if unit > 0 else levels
