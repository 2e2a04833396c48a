"""Random scenes of the classes: their artefacts, and field stars and galaxies."""

import numpy as np

from ztfrep.sources.simulation import lightcurves, optics, sky
from ztfrep.sources.simulation.scene import (
    ASTEROID,
    BAD_COLUMN,
    BOGUS,
    CLOUDED,
    COSMIC_RAY,
    FIRST_ALERTS,
    GIANTS,
    MISALIGNED,
    NOISE_PEAK,
    REAL,
    SATURATED,
    Composition,
    Scenes,
    Visits,
)
from ztfrep.sources.simulation.scene_alerts import add_alert, half_light_radius

_STARS, _GALAXIES = 40, 5  # Of a scene. The first is the alert's own star or host.
_RADIUS = 40.0  # pixels, of the disk of neighbours around the centre
_FAINT_LIMIT = 22.3  # mag
# Limiting magnitudes of exposures through clouds. Of real bogus alerts, 14 % have one below 18, the
# majority of them from one night, and no alert of another class.
_CLOUDED_LIMITS = 15.3, 17.8
# Of the bogus that are no noise peaks: fractions of the other artefacts.
_ARTEFACT_FRACTIONS = np.array([0.62, 0.165, 0.144, 0.071])


def draw(
    labels: np.ndarray,
    exposures: int,
    rng: np.random.Generator,
    composition: Composition = FIRST_ALERTS,
) -> Scenes:
    """Draw scenes for classes `(n,)`, with `exposures` detections each."""
    n = len(labels)
    position = sky.positions(labels, rng)
    limit = np.clip(
        rng.normal(20.2, 0.55, (n, 1)) + rng.normal(0, 0.15, (n, exposures)), 18.5, 21.4
    )
    seeing = np.clip(np.exp(rng.normal(np.log(2.3), 0.2, (n, exposures))), 1.5, 4.5)
    is_clouded = (labels == BOGUS) & (rng.random(n) < composition.clouded)
    limit[is_clouded] = rng.uniform(*_CLOUDED_LIMITS, (is_clouded.sum(), 1))
    scenes = _draw_without_alert(labels, position, limit, seeing, is_clouded, rng, composition)
    days = lightcurves.observation_times(n, exposures, rng)
    same = np.ones_like(days)
    visits = Visits(
        days,
        amplitude=same,
        light=same,
        is_green=np.zeros(days.shape, bool),
        phase=lightcurves.first_phases(n, rng),
        is_giant=rng.random(n) < GIANTS,
        all_detect=True,
    )
    add_alert(scenes, composition, visits, rng)
    return scenes


def draw_visited(
    labels: np.ndarray,
    position: tuple[np.ndarray, np.ndarray],
    limit: np.ndarray,
    seeing: np.ndarray,
    visits: Visits,
    rng: np.random.Generator,
    composition: Composition,
) -> Scenes:
    """Draw scenes for classes `(n,)` at positions in degrees, exposed as `visits` says.

    `limit` (mag) and `seeing` (FWHM, pixels) are `(n, k)`. Fluxes of stars and galaxies are those
    of the red filter, and changes in flux those of the filter of each exposure.
    """
    # On day 0 an artefact is there.
    first = np.argmin(np.abs(visits.days), axis=1)[:, None]
    is_clouded = np.take_along_axis(limit, first, 1)[:, 0] < _CLOUDED_LIMITS[1]
    is_clouded &= labels == BOGUS
    scenes = _draw_without_alert(labels, position, limit, seeing, is_clouded, rng, composition)
    add_alert(scenes, composition, visits, rng)
    return scenes


def _draw_without_alert(
    labels: np.ndarray,
    position: tuple[np.ndarray, np.ndarray],
    limit: np.ndarray,
    seeing: np.ndarray,
    is_clouded: np.ndarray,
    rng: np.random.Generator,
    composition: Composition,
) -> Scenes:
    n, exposures = len(labels), limit.shape[1]
    ra, dec = position
    latitude = np.abs(sky.galactic(ra, dec)[0])
    artefact = np.where(
        labels == BOGUS,
        np.where(
            rng.random(n) < composition.noise_peaks,
            NOISE_PEAK,
            rng.choice([COSMIC_RAY, BAD_COLUMN, SATURATED, MISALIGNED], n, p=_ARTEFACT_FRACTIONS),
        ),
        REAL,
    )
    artefact[is_clouded] = CLOUDED
    return Scenes(
        label=labels,
        ra=ra,
        dec=dec,
        x=rng.uniform(-0.5, 0.5, n),
        y=rng.uniform(-0.5, 0.5, n),
        change=np.zeros((n, exposures)),
        trail=np.where((labels == ASTEROID) & (rng.random(n) < 0.3), rng.uniform(0.5, 4, n), 0),
        trail_angle=rng.uniform(0, np.pi, n),
        artefact=artefact,
        **_neighbours(n, latitude, rng),
        seeing=seeing,
        template_seeing=np.clip(np.exp(rng.normal(np.log(2.2), 0.1, n)), 1.6, 3.2),
        elongation=rng.normal(0, 0.07, (n, exposures, 2)),
        template_elongation=rng.normal(0, 0.04, (n, 2)),
        limit=limit,
    )


def _neighbours(n: int, latitude: np.ndarray, rng: np.random.Generator) -> dict:
    """Draw field stars, crowded near the galactic plane, and field galaxies, rare behind it."""
    density = np.clip(2.5 + 65 * np.exp(-latitude / 9) * np.exp(rng.normal(0, 0.5, n)), 0, 38)
    has_star = np.arange(_STARS) < 1 + rng.poisson(density)[:, None]
    has_star[:, 0] = False
    # Counts of stars grow by 10^0.32 a magnitude: the inverse of their distribution.
    depth = np.log10(rng.random((n, _STARS))) / 0.32
    star_magnitude = np.maximum(_FAINT_LIMIT + depth, 12)
    x, y = _disk((n, _STARS), rng)
    number = rng.poisson(np.where(latitude < 8, 0.2, 1.6))
    has_galaxy = np.arange(_GALAXIES) < 1 + number[:, None]
    has_galaxy[:, 0] = False
    galaxy_x, galaxy_y = _disk((n, _GALAXIES), rng)
    galaxy_magnitude = np.maximum(21.8 + np.log10(rng.random((n, _GALAXIES))) / 0.45, 15)
    galaxy = {
        "x": galaxy_x,
        "y": galaxy_y,
        "flux": np.where(has_galaxy, optics.counts(galaxy_magnitude), 0),
        "radius": half_light_radius(galaxy_magnitude, rng),
        "index": np.exp(rng.normal(np.log(1.6), 0.5, (n, _GALAXIES))).clip(0.6, 4.5),
        "axis_ratio": rng.uniform(0.35, 1, (n, _GALAXIES)),
        "angle": rng.uniform(0, np.pi, (n, _GALAXIES)),
    }
    flux = np.where(has_star, optics.counts(star_magnitude), 0)
    return {"star_x": x, "star_y": y, "star_flux": flux, "galaxy": galaxy}


def _disk(shape: tuple[int, int], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw positions in the disk of `_RADIUS` around the centre."""
    radius, angle = _RADIUS * np.sqrt(rng.random(shape)), rng.uniform(0, 2 * np.pi, shape)
    return radius * np.cos(angle), radius * np.sin(angle)
