"""Previews of stamps for a person: 8 bits a pixel, a sixth of the bytes of counts."""

import numpy as np

from ztfrep.data.stamps import scale

# The value of a pixel that was not observed.
MASKED = 0


def make_previews(stamps: np.ndarray) -> np.ndarray:
    """Return previews uint8 `(n, 3, H, W)` of stamps in counts, NaN where not observed.

    The observed pixels of each stamp, as arcsinh((pixel - median) / MAD), are mapped to 1 to 255:
    faint and bright sources are both visible. A pixel that was not observed is 0.
    """
    pixels, observed = scale(stamps, "asinh")
    low = np.where(observed, pixels, np.inf).min(axis=(2, 3), keepdims=True)
    high = np.where(observed, pixels, -np.inf).max(axis=(2, 3), keepdims=True)
    span = np.where(high > low, high - low, 1.0)
    levels = 1 + np.rint(254 * np.where(observed, (pixels - low) / span, 0))
    return np.where(observed, levels, MASKED).astype(np.uint8)
