"""Previews of stamps for a person: 8 bits a pixel, a sixth of the bytes of counts."""

import math

import numpy as np

# The value of a pixel that was not observed.
MASKED = 0
_HIGHEST = 255
# Stamps of alerts whose intermediate arrays are in the cache of a core at once.
_CHUNK_ROWS = 24
# Levels nearer to a tie than this are computed again: the error of `_fast_arcsinh` is far smaller.
_TIE = 1e-3


def make_previews(stamps: np.ndarray) -> np.ndarray:
    """Return previews uint8 `(n, 3, H, W)` of stamps in counts, NaN where not observed.

    The observed pixels of each stamp, as arcsinh((pixel - median) / MAD), are mapped to 1 to 255:
    faint and bright sources are both visible. A pixel that was not observed is 0.
    """
    previews = np.empty((len(stamps) * stamps.shape[1], math.prod(stamps.shape[2:])), np.uint8)
    pixels = stamps.reshape(previews.shape)
    for start in range(0, len(pixels), _CHUNK_ROWS):
        rows = slice(start, start + _CHUNK_ROWS)
        observed = np.isfinite(pixels[rows])
        if observed.all():
            previews[rows] = _levels(pixels[rows])
        else:
            levels = _levels(np.where(observed, pixels[rows], np.nan))
            previews[rows] = np.where(observed, levels, MASKED)
    return previews.reshape(stamps.shape)


def _levels(pixels: np.ndarray) -> np.ndarray:
    """Return the levels 1 to 255 of stamps, whose pixels are in the rows of `(n, pixels)`."""
    scaled = pixels - _medians(pixels)
    sizes = np.abs(scaled)
    mad, largest = _medians(sizes), np.fmax.reduce(sizes, axis=1)[:, None]
    # If more than half of the pixels are equal, the MAD is 0.
    scaled /= np.where(mad > 0, mad, np.where(largest > 0, largest, 1))
    low = np.arcsinh(np.fmin.reduce(scaled, axis=1))[:, None]
    high = np.arcsinh(np.fmax.reduce(scaled, axis=1))[:, None]
    span = np.where(high > low, high - low, 1)

    def level(arcsinh: np.ndarray, rows: np.ndarray | slice) -> np.ndarray:
        arcsinh -= low[rows]
        arcsinh /= span[rows]
        arcsinh *= _HIGHEST - 1
        return arcsinh

    levels = level(_fast_arcsinh(scaled), slice(None))
    distances = levels - np.rint(levels)
    np.abs(distances, out=distances)
    near_tie = np.flatnonzero(distances > 0.5 - _TIE)
    exact = np.arcsinh(scaled.ravel()[near_tie])[:, None]
    levels.ravel()[near_tie] = level(exact, near_tie // pixels.shape[1])[:, 0]
    return 1 + np.rint(levels)


def _medians(values: np.ndarray) -> np.ndarray:
    """Return the median of each row of `(n, m)` over the values that are not NaN, `(n, 1)`."""
    counts = np.isfinite(values).sum(axis=1)
    if (counts == values.shape[1]).all():
        middle = values.shape[1] // 2
        if values.shape[1] % 2:
            odd: np.ndarray = np.partition(values, middle, axis=1)[:, middle, None]
            return odd
    ordered = np.sort(values, axis=1)
    low, high = (
        np.take_along_axis(ordered, np.maximum(middle, 0)[:, None], axis=1)
        for middle in ((counts - 1) // 2, counts // 2)
    )
    return (low + high) / 2


def _fast_arcsinh(values: np.ndarray) -> np.ndarray:
    """Return arcsinh of float32 values, to 1e-6: logarithms use vector instructions."""
    sizes = np.abs(values)
    # The square of a larger size exceeds float32.
    roots = np.minimum(sizes, 1e18)
    roots *= roots
    roots += 1
    np.sqrt(roots, out=roots)
    roots += sizes
    np.log(roots, out=roots)
    roots *= np.sign(values)
    return roots
