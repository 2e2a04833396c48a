"""The metadata features of an alert, measured on the scene of its stamps."""

import numpy as np

from ztfrep.data.features import ALERCE_FEATURES, SENTINEL
from ztfrep.sources.simulation import optics, sky
from ztfrep.sources.simulation.scene import (
    AGN,
    ASTEROID,
    BAD_COLUMN,
    BOGUS,
    CLOUDED,
    COSMIC_RAY,
    MISALIGNED,
    REAL,
    SATURATED,
    SN,
    VS,
    Scenes,
)

_CATALOGUE_LIMIT, _CATALOGUE_RADIUS = 22.2, 30.0  # Pan-STARRS: mag, arcsec
_TEMPLATE_LIMIT = 21.6
# Per square pixel: half of the real asteroids have a source within 8.6 pixels in the template.
_PEAK_DENSITY = 0.0025
# FWHM of real asteroids compared with that of other alerts of their exposure, 4.1 and 2.4 pixels.
_ASTEROID_WIDTH = 1.5
# Of the photometry: errors of real alerts are this much larger than those of the limit's noise, and
# have a floor of calibration and of the subtraction, in mag; those of artefacts are larger still.
_ERROR_FACTOR, _ERROR_FLOOR = 1.15, 0.045
_ARTEFACT_ERROR = np.log(2.0)
# Distance of a detection from its own source in the catalogue: the median over stars of real alerts
# is 0.21 arcsec, and one in twenty is beyond 0.7. A galaxy's centre is known less well.
_ASTROMETRY, _ASTROMETRY_SPREAD, _GALAXY_FACTOR = 0.16, 0.5, 1.4
# Fractions of the sources in the catalogue of real alerts whose star-galaxy score is exactly 0.5
# (too faint, or without an image), by rank of their distance. Scores this near 0 or 1 are rounded.
_UNKNOWN_SCORES = (0.16, 0.34, 0.25)
_ROUNDED = 0.012
# Of AGN, supernovae and variable stars: those whose alert is not among the first.
_LATE_ALERTS = 0.2


def physical_features(scenes: Scenes, sign: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Measure the first exposure: float64 `(n, k)` in physical units, clipped as upstream.

    `sign` `(n,)` is -1 for a difference stamp that is stored with the opposite sign.
    """
    n = len(scenes)
    noise = scenes.noise[:, 0] * np.sqrt(optics.noise_area(scenes.seeing[:, 0]))
    flux = np.maximum(np.abs(scenes.change[:, 0]) + rng.normal(0, noise), 3.5 * noise)
    values = {
        "isdiffpos": np.where(sign < 0, 1.0, 0.0),
        "magpsf": optics.magnitude(flux),
        "sigmapsf": draw_errors(scenes, noise / flux, rng),
        "diffmaglim": scenes.limit[:, 0] + rng.normal(0, 0.08, n),
        "ra": scenes.ra,
        "dec": scenes.dec,
        "fwhm": draw_widths(scenes, rng),
        "rb": draw_real_bogus(scenes, rng),
        **draw_counterparts(scenes, rng),
        **draw_nearest_in_template(scenes, rng),
        **draw_history(scenes, rng),
    }
    values["classtar"] = draw_star_likeness(scenes, rng)
    values["ecl_lat"], values["ecl_long"] = sky.ecliptic(scenes.ra, scenes.dec)
    values["gal_lat"], values["gal_long"] = sky.galactic(scenes.ra, scenes.dec)
    return ALERCE_FEATURES.clip(np.stack([values[name] for name in ALERCE_FEATURES.names], axis=1))


def draw_errors(scenes: Scenes, noise: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw errors of magnitudes `(n,)` from the noise in units of the flux."""
    n = len(scenes)
    floor = _ERROR_FLOOR * np.exp(rng.normal(0, 0.5, n))
    error = np.hypot(1.0857 * _ERROR_FACTOR * noise, floor) * np.exp(rng.normal(0, 0.15, n))
    artefact = np.exp(rng.normal(_ARTEFACT_ERROR, 0.6, n))
    return np.where(scenes.artefact == REAL, error, np.clip(error * artefact, None, 0.25))


def draw_widths(scenes: Scenes, rng: np.random.Generator) -> np.ndarray:
    """Draw the FWHM of the detection in pixels: less for a cosmic ray, more for a trail."""
    width = np.hypot(scenes.seeing[:, 0], 0.8 * scenes.trail)
    width = np.where(scenes.label == ASTEROID, _ASTEROID_WIDTH * width, width)
    width = np.where(scenes.artefact == COSMIC_RAY, 1.3, width)
    width = np.where(scenes.artefact == BAD_COLUMN, 3.0, width)
    width = np.where(np.isin(scenes.artefact, (SATURATED, MISALIGNED)), width * 1.25, width)
    return width * np.exp(rng.normal(0.1, np.where(scenes.label == BOGUS, 0.6, 0.25)))


def draw_real_bogus(scenes: Scenes, rng: np.random.Generator) -> np.ndarray:
    """Draw the score of the survey's classifier: near 1 for a real source, `(n,)`."""
    bogus = scenes.artefact != REAL
    return np.where(bogus, rng.beta(2.2, 4.5, len(scenes)), rng.beta(6.5, 2.6, len(scenes)))


def draw_star_likeness(scenes: Scenes, rng: np.random.Generator) -> np.ndarray:
    """Draw SExtractor's class of the detection: near 1 for a point, less for others."""
    host = np.where(np.isin(scenes.label, (AGN, SN)), scenes.galaxy["flux"][:, 0], 0)
    point = np.abs(scenes.change[:, 0]) + scenes.star_flux[:, 0]
    share = point / (point + 0.5 * host)
    logit = 5.0 * share - 0.6 + rng.normal(0, 1.5, len(scenes))
    logit -= np.where(scenes.artefact == REAL, 0, rng.gamma(2.0, 1.5, len(scenes)))
    return 1 / (1 + np.exp(-logit))


def _sources(scenes: Scenes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return distance in pixels, magnitude and stellar fraction of the sources: `(n, s)` each."""
    stars, galaxies = scenes.star_flux, scenes.galaxy["flux"]
    x = np.concatenate([scenes.star_x, scenes.galaxy["x"]], axis=1) - scenes.x[:, None]
    y = np.concatenate([scenes.star_y, scenes.galaxy["y"]], axis=1) - scenes.y[:, None]
    flux = np.concatenate([stars, galaxies], axis=1)
    stellar_fraction = np.concatenate([np.ones_like(stars), np.zeros_like(galaxies)], axis=1)
    # In a catalogue, nucleus and host are one source, which is stellar by the fraction of the
    # nucleus.
    is_agn = scenes.label == AGN
    nucleus, host = stars[is_agn, 0], galaxies[is_agn, 0]
    flux[is_agn, 0] = nucleus + host
    stellar_fraction[is_agn, 0] = nucleus / (nucleus + host)
    flux[is_agn, stars.shape[1]] = 0
    magnitude = np.where(flux > 0, optics.magnitude(np.maximum(flux, 1e-9)), 99)
    return np.hypot(x, y), magnitude, stellar_fraction


def draw_counterparts(scenes: Scenes, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw star-galaxy score, distance in arcsec and r of the three nearest catalogue sources."""
    distance, magnitude, stellar_fraction = _sources(scenes)
    distance = optics.PIXEL_SCALE * distance
    distance = np.hypot(distance, draw_astrometric_errors(stellar_fraction, rng))
    # The class of a faint source is uncertain: its score is about one half.
    uncertainty = np.clip((magnitude - 18.5) / 3.5, 0.05, 1)
    score = 1 / (
        1
        + np.exp(
            -(
                8 * (stellar_fraction - 0.5) * (1.15 - uncertainty)
                + rng.normal(0, 1 + 1.2 * uncertainty)
            )
        )
    )
    score = np.where(score < _ROUNDED, 0.0, np.where(score > 1 - _ROUNDED, 1.0, score))
    catalogued = (magnitude < _CATALOGUE_LIMIT) & (distance < _CATALOGUE_RADIUS)
    distance = np.where(catalogued, distance, np.inf)
    nearest = np.argsort(distance, axis=1)[:, :3]
    values = {}
    for rank in range(3):
        index = nearest[:, rank : rank + 1]
        d = np.take_along_axis(distance, index, axis=1)[:, 0]
        s = np.take_along_axis(score, index, axis=1)[:, 0]
        s = np.where(rng.random(len(s)) < _UNKNOWN_SCORES[rank], 0.5, s)
        values[f"distpsnr{rank + 1}"] = np.where(np.isfinite(d), d, SENTINEL)
        values[f"sgscore{rank + 1}"] = np.where(np.isfinite(d), s, SENTINEL)
        m = np.take_along_axis(magnitude, index, axis=1)[:, 0]
        values[f"srmag{rank + 1}"] = np.where(np.isfinite(d), m, SENTINEL)
    return values


def draw_astrometric_errors(stellar_fraction: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw distances of detections from sources that they coincide with, in arcsec."""
    scale = _ASTROMETRY * np.where(stellar_fraction > 0.5, 1, _GALAXY_FACTOR)
    scale = scale * np.exp(rng.normal(0, _ASTROMETRY_SPREAD, stellar_fraction.shape))
    return scale * rng.rayleigh(1, stellar_fraction.shape)


def draw_nearest_in_template(scenes: Scenes, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw distance in pixels, magnitude, chi and sharpness of the nearest template source."""
    distance, magnitude, stellar_fraction = _sources(scenes)
    errors = draw_astrometric_errors(stellar_fraction, rng) / optics.PIXEL_SCALE
    distance = np.hypot(distance, errors)
    distance = np.where(magnitude < _TEMPLATE_LIMIT, distance, np.inf)
    nearest = np.argmin(distance, axis=1)[:, None]
    d, m, s = (
        np.take_along_axis(v, nearest, axis=1)[:, 0]
        for v in (distance, magnitude, stellar_fraction)
    )
    # Peaks of the template's noise are sources too, of 22.9 mag and narrower than a star.
    n = len(scenes)
    peak = np.sqrt(-np.log(rng.random(n)) / (np.pi * _PEAK_DENSITY))
    is_peak = peak < d
    d, m = np.where(is_peak, peak, d), np.where(is_peak, rng.normal(22.8, 0.4, n), m)
    s = np.where(is_peak, 1.0, s)
    missing = ~np.isfinite(d)
    brightness = np.clip((19 - m) / 4, 0, 2)
    chi = 0.75 + brightness * (0.35 + 1.8 * (1 - s)) * np.exp(rng.normal(0, 0.5, n))
    chi *= np.exp(rng.normal(0, 0.3, n))
    sharp = 0.2 * (1 - s) - 0.02 + rng.normal(0, 0.07 + 0.06 * (m > 19.5), n)
    sharp = np.where(is_peak, rng.normal(-0.28, 0.18, n), sharp)
    return {
        "distnr": np.where(missing, SENTINEL, d),
        "magnr": np.where(missing, SENTINEL, m + rng.normal(0, 0.03 + 0.1 * (m > 20), n)),
        "chinr": np.where(missing, SENTINEL, chi),
        "sharpnr": np.where(missing, SENTINEL, sharp),
    }


def draw_history(scenes: Scenes, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw the number of exposures of the position, and of detections there."""
    n = len(scenes)
    exposures = np.rint(np.clip(np.exp(rng.normal(5.0, 1.2, n)), 1, 6000))
    # Probability of a detection in an exposure: variables are detected again, moving objects are
    # not.
    probability = np.array([0.030, 0.024, 0.060, 0.0003, 0.004])[scenes.label]
    probability = np.where(
        np.isin(scenes.artefact, (BAD_COLUMN, SATURATED, MISALIGNED, CLOUDED)), 0.02, probability
    )
    repeats = rng.poisson(exposures * probability * rng.gamma(0.9, 1.1, n))
    # A supernova is visible for some weeks, whatever the number of earlier exposures.
    repeats = np.where(scenes.label == SN, np.minimum(repeats, rng.poisson(5, n)), repeats)
    # Supernovae and variable stars are bright for longer than a night, with several exposures.
    repeats += np.where(np.isin(scenes.label, (SN, VS)), rng.poisson(0.7, n), 0)
    # An alert of an object that has been variable for years, or of a supernova at its end.
    is_late = np.isin(scenes.label, (AGN, SN, VS)) & (rng.random(n) < _LATE_ALERTS)
    repeats = np.where(is_late, repeats + rng.poisson(np.exp(rng.normal(3.5, 1.0, n))), repeats)
    detections = np.minimum(1 + repeats, exposures)
    return {
        "ndethist": detections,
        "ncovhist": exposures,
        "non_detections": exposures - detections,
    }
