"""The source of a scene's alert: its own star or host, and its change in flux."""

import numpy as np

from ztfrep.sources.simulation import lightcurves, optics
from ztfrep.sources.simulation.lightcurves import Curve
from ztfrep.sources.simulation.scene import (
    AGN,
    ASTEROID,
    BOGUS,
    CLOUDED,
    MISALIGNED,
    SATURATED,
    SN,
    VS,
    Composition,
    Scenes,
    Visits,
)

# Shape and scale by class of the gamma distribution of magnitudes above the limit. Those of the
# survey give detections the magnitudes of real ones.
_FAINTEST = np.full(5, 2.0), np.array([0.35, 0.65, 1.3, 0.4, 1.0])
_BRIGHTEST = np.array([2.0, 2.0, 2.0, 2.0, 1.2]), np.array([0.65, 0.65, 1.9, 0.25, 1.6])

_PASSED_GALAXIES = 0.4  # Of what asteroids pass


def add_alert(
    scenes: Scenes, composition: Composition, visits: Visits, rng: np.random.Generator
) -> None:
    """Add the alert's own star or host to the scenes, and its change in flux at each exposure."""
    # Magnitudes of an object's faintest detection above the limit, or else of its brightest.
    shape, scale = _FAINTEST if visits.all_detect else _BRIGHTEST
    margin = 0.5 + rng.gamma(shape[scenes.label], scale[scenes.label])
    faintest = optics.counts(scenes.limit - np.minimum(margin, 5.5)[:, None])
    _add_agn(
        scenes, np.flatnonzero(scenes.label == AGN), visits, faintest, composition.quasars, rng
    )
    _add_supernovae(scenes, np.flatnonzero(scenes.label == SN), visits, faintest, composition, rng)
    _add_variable_stars(
        scenes, np.flatnonzero(scenes.label == VS), visits, faintest, composition.outbursts, rng
    )
    _add_asteroids(
        scenes, np.flatnonzero(scenes.label == ASTEROID), faintest, composition.crossing, rng
    )
    bogus = np.flatnonzero(scenes.label == BOGUS)
    _add_bogus(scenes, bogus, faintest, rng, all_detect=visits.all_detect)


def _scale_to_detections(
    change: np.ndarray, faintest: np.ndarray, *, all_detect: bool
) -> np.ndarray:
    """Scale changes `(m, k)` so that each is brighter than its own faintest detection.

    If not all exposures detect the source, that of the largest change is as bright as its faintest
    detection, and the others are what they are then.
    """
    largest = np.abs(change).max(axis=1, keepdims=True)
    if not all_detect:
        brightest = np.abs(change).argmax(axis=1)[:, None]
        return change * np.take_along_axis(faintest, brightest, 1) / largest
    # A change near zero is not detected: a detection of another night is used.
    sign = np.where(change < 0, -1, 1)
    relative = sign * np.maximum(np.abs(change), 0.2 * largest) / largest
    return relative * (faintest / np.abs(relative)).max(axis=1, keepdims=True)


def _relative_change(curve: Curve, visited: Visits) -> np.ndarray:
    """Return the flux `(m, k)` that the templates lack, in units of the mean of the red filter."""
    template = np.where(visited.is_green, curve.template[:, 1:], curve.template[:, :1])
    flux = [10 ** (-0.4 * visited.amplitude * part) for part in (curve.magnitudes, template)]
    return visited.light * (flux[0] - flux[1])


def _template_flux(curve: Curve) -> np.ndarray:
    return 10 ** (-0.4 * curve.template[:, 0])


def _add_agn(
    scenes: Scenes,
    rows: np.ndarray,
    visits: Visits,
    faintest: np.ndarray,
    quasars: float,
    rng: np.random.Generator,
) -> None:
    visited = visits.rows(rows)
    curve = lightcurves.active_nucleus(visited.days, rng)
    relative = _relative_change(curve, visited)
    change = _scale_to_detections(relative, faintest[rows], all_detect=visited.all_detect)
    scenes.change[rows] = change
    nucleus = (np.abs(change) / np.maximum(np.abs(relative), 0.15)).max(axis=1)
    nucleus *= _template_flux(curve)
    scenes.star_flux[rows, 0] = np.clip(nucleus, *optics.counts(np.array([21.0, 14.5])))
    _centre_star(scenes, rows)
    # Quasars are brighter than their hosts; Seyferts are fainter.
    host = optics.magnitude(scenes.star_flux[rows, 0]) + np.where(
        rng.random(len(rows)) < quasars,
        rng.normal(2.0, 1.0, len(rows)),
        rng.normal(-1.5, 0.8, len(rows)),
    )
    _set_host(scenes, rows, np.maximum(host, 14.5), rng, index=2.2)
    scenes.galaxy["x"][rows, 0] = scenes.x[rows]
    scenes.galaxy["y"][rows, 0] = scenes.y[rows]


def _add_supernovae(
    scenes: Scenes,
    rows: np.ndarray,
    visits: Visits,
    faintest: np.ndarray,
    composition: Composition,
    rng: np.random.Generator,
) -> None:
    visited = visits.rows(rows)
    flux = visited.light * lightcurves.supernova(visited.days + visited.phase[:, None], rng)
    scenes.change[rows] = _scale_to_detections(flux, faintest[rows], all_detect=visited.all_detect)
    host = np.clip(rng.normal(composition.host, 1.5, len(rows)), 14.0, 21.5)
    dwarf = rng.random(len(rows)) < composition.hostless
    host = np.where(dwarf, rng.uniform(22.0, 24.5, len(rows)), host)
    _set_host(scenes, rows, host, rng, index=1.4)
    # Supernovae follow the light of an exponential disk; radii in half-light radii.
    radius = scenes.galaxy["radius"][rows, 0] * rng.gamma(2, 0.55, len(rows))
    radius *= np.where(rng.random(len(rows)) < composition.nuclear, 0.1, 1.0)
    angle = rng.uniform(0, 2 * np.pi, len(rows))
    scenes.galaxy["x"][rows, 0] = scenes.x[rows] + radius * np.cos(angle)
    scenes.galaxy["y"][rows, 0] = scenes.y[rows] + radius * np.sin(angle)


def _add_variable_stars(
    scenes: Scenes,
    rows: np.ndarray,
    visits: Visits,
    faintest: np.ndarray,
    outbursts: float,
    rng: np.random.Generator,
) -> None:
    visited = visits.rows(rows)
    curve = lightcurves.variable_star(visited.days, visited.is_giant, rng)
    relative = _relative_change(curve, visited)
    change = _scale_to_detections(relative, faintest[rows], all_detect=visited.all_detect)
    scenes.change[rows] = change
    star = (np.abs(change) / np.maximum(np.abs(relative), 0.03)).max(axis=1)
    star *= _template_flux(curve)
    # A star cannot fade by more than its flux.
    star = np.maximum(star, -1.05 * change.min(axis=1))
    scenes.star_flux[rows, 0] = np.clip(star, *optics.counts(np.array([21.8, 12.8])))
    scenes.change[rows] = np.maximum(change, -0.95 * scenes.star_flux[rows, :1] * visited.light)
    hidden = rows[rng.random(len(rows)) < outbursts]
    scenes.star_flux[hidden, 0] = optics.counts(rng.uniform(21.5, 24.0, len(hidden)))
    scenes.change[hidden] = np.abs(scenes.change[hidden])
    _centre_star(scenes, rows)


def _add_asteroids(
    scenes: Scenes,
    rows: np.ndarray,
    faintest: np.ndarray,
    crossing: float,
    rng: np.random.Generator,
) -> None:
    scenes.change[rows] = faintest[rows] * np.exp(rng.normal(0, 0.1, faintest[rows].shape))
    passes = rng.random(len(rows)) < crossing
    # Galaxies are nearly as many as stars, away from the galactic plane.
    at_galaxy = rng.random(len(rows)) < _PASSED_GALAXIES
    galaxies = rows[passes & at_galaxy]
    _set_host(scenes, galaxies, rng.uniform(16.5, 20.5, len(galaxies)), rng, index=1.4)
    for axis, centre in (("x", scenes.x), ("y", scenes.y)):
        scenes.galaxy[axis][galaxies, 0] = centre[galaxies] + rng.normal(0, 0.8, len(galaxies))
    passed = rows[passes & ~at_galaxy]
    scenes.star_flux[passed, 0] = optics.counts(rng.uniform(16.0, 21.0, len(passed)))
    scenes.star_x[passed, 0] = scenes.x[passed] + rng.normal(0, 0.6, len(passed))
    scenes.star_y[passed, 0] = scenes.y[passed] + rng.normal(0, 0.6, len(passed))


def _add_bogus(
    scenes: Scenes,
    rows: np.ndarray,
    faintest: np.ndarray,
    rng: np.random.Generator,
    *,
    all_detect: bool,
) -> None:
    kind = scenes.artefact[rows]
    flux = faintest[rows]
    if not all_detect:
        # At its place of the sky, an artefact has about the same flux whatever the limit is.
        typical = np.median(flux, axis=1, keepdims=True)
        flux = typical * np.exp(rng.normal(0, 0.2, flux.shape))
    scenes.change[rows] = flux
    clouded = rows[kind == CLOUDED]
    # A star of magnr 12.5 to 13.3 has a limit of 15.3 to 16.8, and a difference of magnitude 14.
    star = optics.counts(scenes.limit[clouded].min(axis=1) - rng.uniform(2.5, 4.0, len(clouded)))
    scenes.star_flux[clouded, 0] = star
    _centre_star(scenes, clouded)
    scenes.change[clouded] = (star * rng.uniform(0.15, 0.5, len(clouded)))[:, None]
    bright = np.where(kind == SATURATED, rng.uniform(11.0, 14.0, len(rows)), 0)
    bright = np.where(kind == MISALIGNED, rng.uniform(14.2, 18.0, len(rows)), bright)
    stars = rows[bright > 0]
    scenes.star_flux[stars, 0] = optics.counts(bright[bright > 0])
    # Half of the alerts of saturated stars are in the glare of the star, the others on its core.
    glare = (kind[bright > 0] == SATURATED) & (rng.random(len(stars)) < 0.5)
    offset = np.where(glare, 5.0, 0.7)
    scenes.star_x[stars, 0] = scenes.x[stars] + rng.normal(0, offset)
    scenes.star_y[stars, 0] = scenes.y[stars] + rng.normal(0, offset)


def _centre_star(scenes: Scenes, rows: np.ndarray) -> None:
    scenes.star_x[rows, 0], scenes.star_y[rows, 0] = scenes.x[rows], scenes.y[rows]


def _set_host(
    scenes: Scenes, rows: np.ndarray, magnitude: np.ndarray, rng: np.random.Generator, index: float
) -> None:
    scenes.galaxy["flux"][rows, 0] = optics.counts(magnitude)
    scenes.galaxy["radius"][rows, 0] = half_light_radius(magnitude, rng)
    scenes.galaxy["index"][rows, 0] = np.clip(
        index * np.exp(rng.normal(0, 0.4, len(rows))), 0.6, 4.5
    )


def half_light_radius(magnitude: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw radii in pixels: brighter galaxies are wider, with a scatter of 0.4 in the logarithm."""
    mean = 1.5 * 10 ** (-0.14 * (magnitude - 20))
    return np.clip(mean * np.exp(rng.normal(0, 0.4, magnitude.shape)), 0.4, 12)
