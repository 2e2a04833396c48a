"""Science, template and difference stamps of scenes, with the artefacts of a real subtraction."""

import numpy as np
from scipy.ndimage import gaussian_filter

from ztfrep.sources.simulation import optics
from ztfrep.sources.simulation.scene import (
    BAD_COLUMN,
    CLOUDED,
    COSMIC_RAY,
    MISALIGNED,
    NOISE_PEAK,
    SATURATED,
    Scenes,
)

_TEMPLATE_DEPTH = 0.3  # Noise of a template's sky relative to a science exposure's.
_TRAIL_POINTS = 5


def expose(
    scenes: Scenes, size: int, rng: np.random.Generator, *, noise: float = 1.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Render scenes: science `(n, k, size, size)`, template, difference, and signs `(n, k)`.

    Template is `(n, size, size)`, difference as science; float32 counts. The difference
    of a source that faded is multiplied by its sign, -1, as the survey does, so that its centre is
    positive. `noise` multiplies the photon noise of sky and sources: 0 renders the same scenes, of
    the same random numbers, without it.
    """
    n, exposures = scenes.change.shape
    galaxies = optics.render_galaxies(**scenes.galaxy, size=size)
    template = render_template(scenes, galaxies, size)
    white = noise * rng.standard_normal(template.shape, dtype=np.float32)
    template_noise = scale_template_noise(white, template, scenes.noise.mean(axis=1))
    science = np.empty((n, exposures, size, size), np.float32)
    difference = np.empty_like(science)
    for exposure in range(exposures):
        science[:, exposure], difference[:, exposure] = render_exposure(
            scenes, exposure, galaxies, template_noise, size, rng, noise=noise
        )
    template += template_noise
    sign = central_sign(difference)
    return science, template, difference * sign[..., None, None].astype(np.float32), sign


def render_template(scenes: Scenes, galaxies: np.ndarray, size: int) -> np.ndarray:
    """Render the template without noise, `(n, size, size)`; `galaxies` are without seeing."""
    stars = (scenes.star_x, scenes.star_y, scenes.star_flux)
    template = optics.render_point_sources(*stars, scenes.template_seeing, size)
    template += optics.blur(galaxies, scenes.template_seeing)
    template = optics.elongate(template, scenes.template_elongation)
    _saturate(template)
    return template


def scale_template_noise(white: np.ndarray, template: np.ndarray, sky: np.ndarray) -> np.ndarray:
    """Scale white noise `(n, m, m)` of deviation 1 to that of a template, and correlate it.

    `sky` `(n,)` is the noise of a science exposure's sky, counts per pixel.
    """
    return optics.correlate_noise(_scale_noise(white, template, sky * _TEMPLATE_DEPTH)) * 0.5


def render_exposure(
    scenes: Scenes,
    exposure: int,
    galaxies: np.ndarray,
    template_noise: np.ndarray,
    size: int,
    rng: np.random.Generator,
    *,
    noise: float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Render one exposure of scenes: science and difference, science minus template.

    For `noise` see `expose`.
    """
    stars = (scenes.star_x, scenes.star_y, scenes.star_flux)
    seeing = scenes.seeing[:, exposure]
    static = optics.render_point_sources(*stars, seeing, size) + optics.blur(galaxies, seeing)
    alert = _render_alert(scenes, exposure, size)
    image = optics.elongate(static + alert, scenes.elongation[:, exposure])
    _saturate(image)
    white = noise * rng.standard_normal(image.shape, dtype=np.float32)
    image += _scale_noise(white, image, scenes.noise[:, exposure])
    image += _render_artefacts(scenes, exposure, size, rng)
    matched = _render_matched_template(scenes, stars, galaxies, exposure, size, rng)
    _saturate(matched)
    difference = image - matched - template_noise
    difference += _subtraction_residuals(static, scenes, rng)
    return image, difference


def central_sign(difference: np.ndarray) -> np.ndarray:
    """Return the sign of the mean of the central pixels of stamps `(..., m, m)`: -1 or 1."""
    size = difference.shape[-1]
    middle = difference[..., size // 2 - 1 : size // 2 + 2, size // 2 - 1 : size // 2 + 2]
    return np.where(middle.mean(axis=(-2, -1)) < 0, -1, 1)


def _scale_noise(white: np.ndarray, image: np.ndarray, sky: np.ndarray) -> np.ndarray:
    """Scale white noise to the photon noise of sky and sources, Gaussian at these counts."""
    variance = sky[:, None, None] ** 2 + np.maximum(image, 0) / optics.GAIN
    return (white * np.sqrt(variance)).astype(np.float32)


def _render_alert(scenes: Scenes, exposure: int, size: int) -> np.ndarray:
    """Render the light that the template lacks, along a trail if it moves."""
    along = np.linspace(-0.5, 0.5, _TRAIL_POINTS) * scenes.trail[:, None]
    x = scenes.x[:, None] + along * np.cos(scenes.trail_angle)[:, None]
    y = scenes.y[:, None] + along * np.sin(scenes.trail_angle)[:, None]
    is_instrumental = np.isin(
        scenes.artefact, (COSMIC_RAY, BAD_COLUMN, SATURATED, MISALIGNED, CLOUDED)
    )
    flux = np.where(is_instrumental, 0, scenes.change[:, exposure])
    flux = np.where(scenes.artefact == NOISE_PEAK, 0.45 * flux, flux)
    shared = np.repeat(flux[:, None] / _TRAIL_POINTS, _TRAIL_POINTS, axis=1)
    return optics.render_point_sources(x, y, shared, scenes.seeing[:, exposure], size)


def _render_matched_template(
    scenes: Scenes,
    stars: tuple[np.ndarray, np.ndarray, np.ndarray],
    galaxies: np.ndarray,
    exposure: int,
    size: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Render the template at nearly the seeing of the science exposure, as by a fitted kernel."""
    n = len(scenes)
    misaligned = scenes.artefact == MISALIGNED
    shift = np.where(misaligned, 0.45, 0.07) * np.exp(rng.normal(0, 0.5, n))
    angle = rng.uniform(0, 2 * np.pi, n)
    x, y, flux = stars
    width = scenes.seeing[:, exposure] * (1 + rng.normal(0, 0.03, n))
    elongation = scenes.elongation[:, exposure] + rng.normal(0, 0.02, (n, 2))
    scale = 1 + rng.normal(0, 0.008, n)
    # The template of a science exposure through clouds is scaled wrongly, as its star shows.
    clouded = np.flatnonzero(scenes.artefact == CLOUDED)
    scale[clouded] -= scenes.change[clouded, exposure] / scenes.star_flux[clouded, 0]
    scale = scale[:, None]
    moved = x + (shift * np.cos(angle))[:, None], y + (shift * np.sin(angle))[:, None]
    image = optics.render_point_sources(*moved, flux * scale, width, size)
    image += optics.blur(galaxies, width) * scale[..., None].astype(np.float32)
    return optics.elongate(image, elongation)


def _saturate(image: np.ndarray) -> None:
    """Clip saturated pixels, and distribute a part of the excess along their rows."""
    saturated = np.flatnonzero((image > optics.SATURATION).any(axis=(1, 2)))
    full = np.minimum(image[saturated], optics.SATURATION)
    column = np.arange(image.shape[2])
    bleeding = np.exp(-np.abs(column - column[:, None]) / 8).astype(np.float32)
    image[saturated] = full + 0.02 * (image[saturated] - full) @ bleeding


def _subtraction_residuals(
    static: np.ndarray, scenes: Scenes, rng: np.random.Generator
) -> np.ndarray:
    """Draw residuals of the subtraction on the cores of bright stars."""
    excess = np.maximum(static - 6_000, 0)
    wave = rng.normal(0, 0.07, static.shape).astype(np.float32)
    strong = np.where(scenes.artefact == SATURATED, 2.0, 1.0)[:, None, None]
    return (excess * wave * strong).astype(np.float32)


def _render_artefacts(
    scenes: Scenes, exposure: int, size: int, rng: np.random.Generator
) -> np.ndarray:
    """Render cosmic rays (a few sharp pixels), bad columns, and peaks of correlated noise."""
    n = len(scenes)
    image = np.zeros((n, size, size), np.float32)
    flux = scenes.change[:, exposure]
    middle = (size - 1) / 2
    column = np.rint(middle + scenes.x).astype(int)
    row = np.rint(middle + scenes.y).astype(int)

    cosmic = np.flatnonzero(scenes.artefact == COSMIC_RAY)
    # The majority is short. A dead pixel is a cosmic ray of one pixel with a negative charge.
    steps = rng.choice([1, 2, 3, 4], len(cosmic), p=[0.5, 0.25, 0.15, 0.1])
    sign = np.where((steps == 1) & (rng.random(len(cosmic)) < 0.3), -1, 1)
    slope = rng.uniform(0, 2 * np.pi, len(cosmic))
    for step in range(4):
        active = step < steps
        x = column[cosmic] + np.rint(step * np.cos(slope)).astype(int)
        y = row[cosmic] + np.rint(step * np.sin(slope)).astype(int)
        charge = sign * flux[cosmic] * rng.uniform(0.3, 1.2, len(cosmic))
        image[cosmic[active], y[active], x[active]] += charge[active]

    # Charge diffuses to neighbouring pixels.
    image[cosmic] = gaussian_filter(image[cosmic], (0, 0.55, 0.55))

    bad = np.flatnonzero(scenes.artefact == BAD_COLUMN)
    level = flux[bad, None] * rng.uniform(0.15, 0.45, (len(bad), 1))
    image[bad, :, column[bad]] += (level * rng.uniform(0.6, 1.4, (len(bad), size))).astype(
        np.float32
    )

    peak = np.flatnonzero(scenes.artefact == NOISE_PEAK)
    noise = scenes.noise[peak, exposure][:, None, None]
    around = np.add.outer(np.arange(-2, 3), np.zeros(5, int))
    bump = rng.normal(0.9, 1.4, (len(peak), 5, 5)) * noise
    image[
        peak[:, None, None],
        row[peak][:, None, None] + around,
        column[peak][:, None, None] + around.T,
    ] += bump
    return image
