"""Random scenes of the classes: field stars and galaxies, and the source of the alert."""

import numpy as np

from ztfrep.sources.simulation import lightcurves, optics, sky
from ztfrep.sources.simulation.scene import (
    AGN,
    ASTEROID,
    BAD_COLUMN,
    BOGUS,
    COSMIC_RAY,
    FIRST_ALERTS,
    MISALIGNED,
    NOISE_PEAK,
    REAL,
    SATURATED,
    SN,
    VS,
    Composition,
    Scenes,
    Visits,
)

_STARS, _GALAXIES = 40, 5  # Of a scene. The first is the alert's own star or host.
_RADIUS = 40.0  # pixels, of the disk of neighbours around the centre
_FAINT_LIMIT = 22.3  # mag
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
        rng.normal(20.35, 0.45, (n, 1)) + rng.normal(0, 0.15, (n, exposures)), 18.5, 21.4
    )
    seeing = np.clip(np.exp(rng.normal(np.log(2.3), 0.2, (n, exposures))), 1.5, 4.5)
    scenes = _draw_without_alert(labels, position, limit, seeing, rng, composition)
    days = lightcurves.observation_times(n, exposures, rng)
    same = np.ones_like(days)
    _add_alert(scenes, composition, Visits(days, same, same, all_detect=True), rng)
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
    scenes = _draw_without_alert(labels, position, limit, seeing, rng, composition)
    _add_alert(scenes, composition, visits, rng)
    return scenes


def _draw_without_alert(
    labels: np.ndarray,
    position: tuple[np.ndarray, np.ndarray],
    limit: np.ndarray,
    seeing: np.ndarray,
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
        "radius": _half_light_radius(galaxy_magnitude, rng),
        "index": np.exp(rng.normal(np.log(1.6), 0.5, (n, _GALAXIES))).clip(0.6, 4.5),
        "axis_ratio": rng.uniform(0.35, 1, (n, _GALAXIES)),
        "angle": rng.uniform(0, np.pi, (n, _GALAXIES)),
    }
    flux = np.where(has_star, optics.counts(star_magnitude), 0)
    return {"star_x": x, "star_y": y, "star_flux": flux, "galaxy": galaxy}


def _half_light_radius(magnitude: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw radii in pixels: brighter galaxies are wider, with a scatter of 0.4 in the logarithm."""
    mean = 1.5 * 10 ** (-0.14 * (magnitude - 20))
    return np.clip(mean * np.exp(rng.normal(0, 0.4, magnitude.shape)), 0.4, 12)


def _disk(shape: tuple[int, int], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw positions in the disk of `_RADIUS` around the centre."""
    radius, angle = _RADIUS * np.sqrt(rng.random(shape)), rng.uniform(0, 2 * np.pi, shape)
    return radius * np.cos(angle), radius * np.sin(angle)


def _add_alert(
    scenes: Scenes, composition: Composition, visits: Visits, rng: np.random.Generator
) -> None:
    """Add the alert's own star or host to the scenes, and its change in flux at each exposure."""
    # Magnitudes of an object's faintest detection above the limit.
    margin = 0.5 + rng.gamma(2.0, np.array([0.45, 0.8, 1.4, 0.5, 1.2])[scenes.label])
    faintest = optics.counts(scenes.limit - np.minimum(margin, 5.5)[:, None])
    _add_agn(
        scenes, np.flatnonzero(scenes.label == AGN), visits, faintest, composition.quasars, rng
    )
    _add_supernovae(
        scenes, np.flatnonzero(scenes.label == SN), visits, faintest, composition.hostless, rng
    )
    _add_variable_stars(
        scenes, np.flatnonzero(scenes.label == VS), visits, faintest, composition.outbursts, rng
    )
    _add_asteroids(
        scenes, np.flatnonzero(scenes.label == ASTEROID), faintest, composition.crossing, rng
    )
    _add_bogus(scenes, np.flatnonzero(scenes.label == BOGUS), faintest, rng)


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


def _relative_change(magnitudes: np.ndarray) -> np.ndarray:
    return 10 ** (-0.4 * magnitudes) - 1


def _add_agn(
    scenes: Scenes,
    rows: np.ndarray,
    visits: Visits,
    faintest: np.ndarray,
    quasars: float,
    rng: np.random.Generator,
) -> None:
    visited = visits.rows(rows)
    walk = visited.amplitude * lightcurves.damped_random_walk(visited.days, rng)
    relative = visited.light * _relative_change(walk)
    change = _scale_to_detections(relative, faintest[rows], all_detect=visited.all_detect)
    scenes.change[rows] = change
    nucleus = (np.abs(change) / np.maximum(np.abs(relative), 0.15)).max(axis=1)
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
    hostless: float,
    rng: np.random.Generator,
) -> None:
    visited = visits.rows(rows)
    flux = visited.light * lightcurves.supernova(visited.days, rng)
    scenes.change[rows] = _scale_to_detections(flux, faintest[rows], all_detect=visited.all_detect)
    host = np.clip(rng.normal(17.5, 1.5, len(rows)), 14.0, 21.5)
    dwarf = rng.random(len(rows)) < hostless
    host = np.where(dwarf, rng.uniform(22.0, 24.5, len(rows)), host)
    _set_host(scenes, rows, host, rng, index=1.4)
    # Supernovae follow the light of an exponential disk; radii in half-light radii.
    radius = scenes.galaxy["radius"][rows, 0] * rng.gamma(2, 0.55, len(rows))
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
    curve = visited.amplitude * lightcurves.variable_star(visited.days, rng)
    relative = visited.light * _relative_change(curve)
    change = _scale_to_detections(relative, faintest[rows], all_detect=visited.all_detect)
    scenes.change[rows] = change
    star = (np.abs(change) / np.maximum(np.abs(relative), 0.03)).max(axis=1)
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
    passed = rows[rng.random(len(rows)) < crossing]
    scenes.star_flux[passed, 0] = optics.counts(rng.uniform(16.0, 21.0, len(passed)))
    scenes.star_x[passed, 0] = scenes.x[passed] + rng.normal(0, 0.6, len(passed))
    scenes.star_y[passed, 0] = scenes.y[passed] + rng.normal(0, 0.6, len(passed))


def _add_bogus(
    scenes: Scenes, rows: np.ndarray, faintest: np.ndarray, rng: np.random.Generator
) -> None:
    kind = scenes.artefact[rows]
    scenes.change[rows] = faintest[rows]
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
    scenes.galaxy["radius"][rows, 0] = _half_light_radius(magnitude, rng)
    scenes.galaxy["index"][rows, 0] = np.clip(
        index * np.exp(rng.normal(0, 0.4, len(rows))), 0.6, 4.5
    )
