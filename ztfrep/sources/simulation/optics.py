"""The camera: point spread functions, galaxies, and scenes rendered on a pixel grid.

Units: pixels of 1.01 arcsec, and counts for which magnitude = ZERO_POINT - 2.5 log10(counts).
Every rendering is a batch of matrix products, because a sum of Gaussians is separable.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.ndimage import convolve1d
from scipy.special import erf, gamma

PIXEL_SCALE = 1.01  # arcsec, ZTF (Bellm et al. 2019)
ZERO_POINT = 26.2  # magnitude of one count in 30 s
GAIN = 6.2  # electrons per count
SATURATION = 45_000.0  # counts above the sky
# Core, wing and halo of the point spread function: fraction of the flux, width in units of the
# core's.
_COMPONENTS = ((0.74, 1.0), (0.2, 2.0), (0.06, 4.5))
# Neighbouring pixels of a resampled exposure correlate by 0.2, those after them by -0.1.
_RESAMPLING = np.array([-0.07, 0.11, 1.0, 0.11, -0.07], np.float32)
_RESAMPLING /= np.sqrt((_RESAMPLING**2).sum())
_MARGIN = 6  # Pixels around a stamp that light from outside may come from.
_FWHM_PER_SIGMA = 2.3548
_ERF_IS_ONE = 6.0  # In float64, from this number on
_REACH = _ERF_IS_ONE * np.sqrt(2)  # Of a Gaussian's light, in units of its width
_BATCH = 64  # Scenes that fit in a processor's cache


def counts(magnitude: np.ndarray) -> np.ndarray:
    """Convert magnitudes to counts."""
    return 10 ** (-0.4 * (np.asarray(magnitude) - ZERO_POINT))


def magnitude(flux: np.ndarray) -> np.ndarray:
    """Convert positive counts to magnitudes."""
    return ZERO_POINT - 2.5 * np.log10(flux)


def noise_area(fwhm: np.ndarray) -> np.ndarray:
    """Return the effective number of pixels of a point source: 4 pi sigma^2 (King 1983)."""
    return 4 * np.pi * (np.maximum(fwhm, 1.2) / _FWHM_PER_SIGMA) ** 2 + 1


def render_point_sources(
    x: np.ndarray, y: np.ndarray, flux: np.ndarray, fwhm: np.ndarray, size: int
) -> np.ndarray:
    """Render sources `(n, s)`, in pixels from the centre and counts, on `(n, size, size)`.

    `fwhm` `(n,)` in pixels. Light is integrated over each pixel.
    """
    image = np.zeros((len(x), size, size), np.float32)
    # Scenes with about as many sources are a batch.
    order = np.argsort((flux != 0).sum(axis=1), kind="stable")
    for start in range(0, len(x), _BATCH):
        rows = order[start : start + _BATCH]
        image[rows] = _render_batch(
            x[rows], y[rows], flux[rows], fwhm[rows, None] / _FWHM_PER_SIGMA, size
        )
    return image


def _render_batch(
    x: np.ndarray, y: np.ndarray, flux: np.ndarray, sigma: np.ndarray, size: int
) -> np.ndarray:
    image = np.zeros((len(x), size, size), np.float32)
    for share, width in _COMPONENTS:
        reach = size / 2 + _REACH * width * sigma
        is_visible = (flux != 0) & (np.abs(x) < reach) & (np.abs(y) < reach)
        # Visible sources first, and products of the others, which are 0, are left out.
        visible = is_visible.sum(axis=1).max()
        index = np.arange(len(x))[:, None], np.argsort(~is_visible, kind="stable")[:, :visible]
        is_visible = is_visible[index]
        widths = np.broadcast_to(width * sigma, is_visible.shape)[is_visible]
        # The integrals are rounded to float32, and multiplied and summed in float64.
        columns, rows = np.zeros((2, *is_visible.shape, size))
        columns[is_visible] = _pixel_integrals(x[index][is_visible], widths, size)
        rows[is_visible] = _pixel_integrals(y[index][is_visible], widths, size)
        image += np.matmul(rows.transpose(0, 2, 1), columns * (share * flux[index])[..., None])
    return image


def _pixel_integrals(centre: np.ndarray, sigma: np.ndarray, size: int) -> np.ndarray:
    """Integrate unit Gaussians `(n,)` over each of `size` pixels: float32 `(n, size)`."""
    # The points of a trail without length are one after another, and the same.
    is_new = np.ones(len(centre), bool)
    is_new[1:] = (centre[1:] != centre[:-1]) | (sigma[1:] != sigma[:-1])
    if not is_new.all():
        different = _pixel_integrals(centre[is_new], sigma[is_new], size)
        return different[np.cumsum(is_new) - 1]
    edges = np.arange(size + 1) - size / 2
    scaled = (edges - centre[:, None]) / (np.sqrt(2) * sigma[:, None])
    # Beyond it, erf is 1, and takes as long to compute.
    integrals = np.copysign(1.0, scaled)
    near = np.abs(scaled) < _ERF_IS_ONE
    integrals[near] = erf(scaled[near])
    return (0.5 * np.diff(integrals, axis=-1)).astype(np.float32)


def render_galaxies(
    x: np.ndarray,
    y: np.ndarray,
    flux: np.ndarray,
    radius: np.ndarray,
    index: np.ndarray,
    axis_ratio: np.ndarray,
    angle: np.ndarray,
    size: int,
) -> np.ndarray:
    """Render Sersic profiles before the seeing, all `(n, g)`, on `(n, size + 12, size + 12)`.

    `radius` is the half-light radius in pixels, `angle` in radians. b_n is the approximation of
    Ciotti & Bertin (1999), the total flux that of Graham & Driver (2005, eq. 4).
    """
    full = size + 2 * _MARGIN
    position = (np.arange(full) - (full - 1) / 2).astype(np.float32)
    image = np.zeros((len(x), full, full), np.float32)
    b = 2 * index - 1 / 3 + 4 / (405 * index)
    total = 2 * np.pi * index * np.exp(b) * b ** (-2 * index) * gamma(2 * index) * axis_ratio
    peak = flux / (radius**2 * total)
    for g in range(x.shape[1]):
        rows = np.flatnonzero(flux[:, g] > 0)
        if not rows.size:
            continue

        def column(values: np.ndarray, rows: np.ndarray = rows, g: int = g) -> np.ndarray:
            return values[rows, g][:, None, None].astype(np.float32)

        dx, dy = position - column(x), position[:, None] - column(y)
        cos, sin = np.cos(column(angle)), np.sin(column(angle))
        along, across = dx * cos + dy * sin, (dy * cos - dx * sin) / column(axis_ratio)
        # A tenth of a square pixel under the root approximates averaging a cusp over its pixel.
        r = np.sqrt(along**2 + across**2 + 0.1) / column(radius)
        image[rows] += column(peak) * np.exp(-column(b) * (r ** (1 / column(index)) - 1))
    return image


def blur(image: np.ndarray, fwhm: np.ndarray) -> np.ndarray:
    """Convolve `(n, m + 12, m + 12)` with the seeing `(n,)` and crop it to `(n, m, m)`."""
    full = image.shape[1]
    size = full - 2 * _MARGIN
    blurred = np.zeros((len(image), size, size), np.float32)
    has_light = np.flatnonzero(image.any(axis=(1, 2)))
    for start in range(0, len(has_light), _BATCH):
        rows = has_light[start : start + _BATCH]
        for share, width in _COMPONENTS:
            sigma = fwhm[rows] / _FWHM_PER_SIGMA * width
            profile = _pixel_integrals(np.zeros(len(rows)), sigma, size + full - 1)
            # The kernel depends on the distance of two pixels alone.
            kernel = np.ascontiguousarray(sliding_window_view(profile, full, axis=1)[:, ::-1])
            part = np.matmul(np.matmul(kernel, image[rows]), kernel.transpose(0, 2, 1))
            blurred[rows] += share * part
    return blurred


def elongate(image: np.ndarray, quadrupoles: np.ndarray) -> np.ndarray:
    """Elongate light `(n, m, m)` by the quadrupoles `(n, 2)` of an exposure, in square pixels.

    The first adds to the second moment along x what it subtracts along y; the second is the mixed
    moment xy. The flux stays, but for light that crosses an edge.
    """
    padded = np.pad(image, ((0, 0), (1, 1), (1, 1)), mode="edge")
    across = padded[:, 1:-1, 2:] + padded[:, 1:-1, :-2] - padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]
    mixed = padded[:, 2:, 2:] + padded[:, :-2, :-2] - padded[:, 2:, :-2] - padded[:, :-2, 2:]
    plus, cross = quadrupoles.astype(np.float32).T[..., None, None]
    elongated: np.ndarray = image + plus / 2 * across + cross / 4 * mixed
    return elongated


def correlate_noise(noise: np.ndarray) -> np.ndarray:
    """Correlate white noise `(n, m, m)` like that of a resampled exposure; keep its deviation."""
    for axis in (1, 2):
        noise = convolve1d(noise, _RESAMPLING, axis=axis, mode="wrap")
    return noise
