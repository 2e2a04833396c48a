"""What the survey measures of every detection: the fields of its packet, by their ZTF names.

Numbers without another source are those of 2,175 real alerts.
"""

from dataclasses import dataclass

import numpy as np

from ztfrep.data.features import SENTINEL
from ztfrep.sources.packets.cutouts import COLUMNS, ROWS
from ztfrep.sources.simulation import metadata, optics
from ztfrep.sources.simulation.colours import in_filter
from ztfrep.sources.simulation.image_fields import describe_images, quadrants
from ztfrep.sources.simulation.scene import ASTEROID, BOGUS, Scenes
from ztfrep.sources.simulation.schedule import Schedule, field_number
from ztfrep.sources.simulation.surroundings import (
    cosine,
    count_history,
    draw_catalogue,
    find_references,
    find_stars,
    no_exposure,
)
from ztfrep.sources.simulation.survey_objects import SurveyObjects

# Pixels from an edge of the readout that no object is on average nearer to, the deviation of the
# pointing, and the pixels that no detection is nearer to. Of real stamps, 1.2 % are cut, to 42 to
# 62 pixels.
_MARGIN, _DITHER, _NEAREST = 21, 12.0, 10
# The survey's errors: besides the noise of the sky, one that grows with the square root of the
# flux, 0.065 mag at 18.5 mag, and 0.038 mag that remains for the brightest detections. Those of
# artefacts, which are no point sources, are nearly those of the faintest detections.
_SKY_ERROR, _SOURCE_ERROR, _SOURCE_MAGNITUDE = 1.0, 0.065, 18.5
_ERROR_FLOOR, _ERROR_SPREAD = 0.038, 0.55
_BOGUS_ERROR, _BOGUS_MAGNITUDE, _LARGEST_ERROR = 0.195, 17.3, 0.217
_ASTROMETRY = 0.1 / 3600  # deg
_KNOWN_ASTEROIDS = 0.9
_CHUNK = 1000

Columns = dict[str, np.ndarray]


@dataclass(frozen=True)
class Measurements:
    """The fields of m detections, in the order of their observations.

    `columns` has arrays `(m,)` by name. `observation` is the row of each in the observations, and
    `detection` the reverse, -1 for an upper limit. `pixel` `(m, 2)` is the central pixel of the
    stamps in the readout, x and y from 1.
    """

    columns: Columns
    observation: np.ndarray
    detection: np.ndarray
    pixel: np.ndarray


def draw_measurements(objects: SurveyObjects, schedule: Schedule, *, seed: int) -> Measurements:
    """Measure all detections. Consistent: the fields of an object are the same in all of them."""
    observations = objects.observations
    rows = np.flatnonzero(observations.detected)
    detection = np.full(len(observations), -1)
    detection[rows] = np.arange(len(rows))
    starts = np.searchsorted(observations.object[rows], np.arange(len(objects.scenes) + 1))
    parts = []
    for chunk, first in enumerate(range(0, len(objects.scenes), _CHUNK)):
        rng = np.random.default_rng([seed, 7, chunk])
        members = np.arange(first, min(first + _CHUNK, len(objects.scenes)))
        own = rows[starts[first] : starts[members[-1] + 1]]
        parts.append(_draw_chunk(objects, schedule, members, own, rng))
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    pixel = np.stack([columns.pop("pixel_x"), columns.pop("pixel_y")], axis=1)
    # The number of a detection on its night, so that no two candids are equal.
    night = columns["nid"]
    order = np.lexsort((columns["jd"], night))
    first_of_night = np.searchsorted(night[order], night[order])
    columns["tblid"] = np.empty(len(rows), np.int64)
    columns["tblid"][order] = np.arange(len(rows)) - first_of_night + 1
    return Measurements(columns, rows, detection, pixel)


def _draw_chunk(
    objects: SurveyObjects,
    schedule: Schedule,
    members: np.ndarray,
    rows: np.ndarray,
    rng: np.random.Generator,
) -> Columns:
    """Measure the detections of the objects `members`, the observations `rows`."""
    table = objects.observations
    owner, exposure = table.object[rows], table.exposure[rows]
    index = owner - members[0]
    fid, noise = schedule.fid[exposure], table.noise[rows]
    own = objects.scenes.take(members, **no_exposure(len(members)))
    scenes = objects.scenes.take(
        owner,
        change=table.change[rows],
        seeing=schedule.seeing[exposure],
        elongation=table.elongation[rows],
        limit=schedule.limit[exposure],
    )
    scenes = in_filter(scenes, objects.colours.take(owner), fid)
    columns = _describe_exposures(objects, schedule, owner, exposure)
    is_bogus = scenes.label == BOGUS
    columns |= _measure_brightness(np.abs(table.measured[rows]), noise, is_bogus, columns, rng)
    columns["sign"] = np.where(table.measured[rows] < 0, -1, 1)
    columns |= _measure_place(objects, scenes, owner, rng)
    columns |= _measure_shape(scenes, columns, rng)
    columns |= _find_asteroids(scenes, columns, rng)
    # Of the object: the same in all its packets.
    fixed = metadata.draw_counterparts(own, rng) | find_stars(own)
    fixed |= draw_catalogue(fixed, own, rng)
    columns |= {name: values[index] for name, values in fixed.items()}
    columns |= find_references(objects, members, index, fid, rng)
    columns |= count_history(objects, schedule, own, rows, index, rng)
    return columns


def _describe_exposures(
    objects: SurveyObjects, schedule: Schedule, owner: np.ndarray, exposure: np.ndarray
) -> Columns:
    rcid, _ = quadrants(objects.place[owner])
    return describe_images(objects, schedule, owner, exposure) | {
        "rfid": field_number(objects.field[owner]) * 1_000_000
        + 120_000 + schedule.fid[exposure] * 100 + rcid,
    }  # fmt: skip


def _magnitude_errors(
    magnitude: np.ndarray,
    signal_to_noise: np.ndarray,
    is_bogus: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draw sigmapsf `(n,)` of detections."""
    n = len(magnitude)
    floor = _ERROR_FLOOR * np.exp(rng.normal(0, _ERROR_SPREAD, n))
    source = _SOURCE_ERROR * 10 ** (0.2 * (magnitude - _SOURCE_MAGNITUDE))
    error = np.hypot(np.hypot(_SKY_ERROR * 1.0857 / signal_to_noise, source), floor)
    error *= np.exp(rng.normal(0, 0.2, n))
    bogus = _BOGUS_ERROR * 10 ** (0.2 * np.minimum(magnitude - _BOGUS_MAGNITUDE, 0))
    bogus = np.minimum(bogus * np.exp(rng.normal(0, 0.2, n)), _LARGEST_ERROR)
    return np.where(is_bogus, bogus, error)


def _measure_brightness(
    flux: np.ndarray,
    noise: np.ndarray,
    is_bogus: np.ndarray,
    columns: Columns,
    rng: np.random.Generator,
) -> Columns:
    n = len(flux)
    magnitude = optics.magnitude(flux)
    error = _magnitude_errors(magnitude, flux / noise, is_bogus, rng)
    aperture = magnitude + rng.normal(0, 0.5, n) * error
    big = magnitude + rng.normal(0, 0.9, n) * error
    return {
        "magpsf": magnitude,
        "sigmapsf": error,
        "magap": aperture,
        "sigmagap": error * np.exp(rng.normal(0.1, 0.2, n)),
        "magapbig": big,
        "sigmagapbig": error * np.exp(rng.normal(0.35, 0.2, n)),
        "magdiff": aperture - magnitude,
        "magfromlim": columns["diffmaglim"] - aperture,
        "scorr": flux / noise * np.exp(rng.normal(0, 0.1, n)),
        "chipsf": np.exp(rng.normal(0.5, 0.7, n)),
        "sky": rng.normal(0, 1.5, n),
        "sumrat": np.clip(1 - rng.exponential(0.05, n), 0.3, 1),
        "nneg": rng.poisson(3, n),
        "nbad": rng.poisson(0.05, n),
    }


def _measure_place(
    objects: SurveyObjects, scenes: Scenes, owner: np.ndarray, rng: np.random.Generator
) -> Columns:
    """Measure the position on the sky, and in the readout: the pointing differs by some pixels."""
    n = len(owner)
    _, within = quadrants(objects.place[owner])
    size = np.array([COLUMNS, ROWS])
    pixel = np.rint(_MARGIN + within * (size - 2 * _MARGIN) + rng.normal(0, _DITHER, (n, 2)))
    pixel = np.clip(pixel, 1 + _NEAREST, size - _NEAREST).astype(int)
    x, y = pixel[:, 0] + scenes.x, pixel[:, 1] + scenes.y
    to_edge = np.minimum.reduce([x, y, COLUMNS + 1 - x, ROWS + 1 - y])
    return {
        "pixel_x": pixel[:, 0],
        "pixel_y": pixel[:, 1],
        "xpos": x,
        "ypos": y,
        "mindtoedge": to_edge,
        "ra": (scenes.ra + rng.normal(0, _ASTROMETRY, n) / cosine(scenes.dec)) % 360,
        "dec": np.clip(scenes.dec + rng.normal(0, _ASTROMETRY, n), -90, 90),
    }


def _measure_shape(scenes: Scenes, columns: Columns, rng: np.random.Generator) -> Columns:
    n = len(scenes)
    width = metadata.draw_widths(scenes, rng)
    a = width / 2.7 * np.exp(rng.normal(0, 0.1, n))
    elongation = 1 + rng.exponential(0.12, n) + 0.2 * scenes.trail
    real_bogus = metadata.draw_real_bogus(scenes, rng)
    # The deep network's score of a real source has a median of 0.9999, that of a bogus one 0.03.
    logit = np.where(scenes.label == BOGUS, rng.normal(-3.5, 2, n), rng.normal(8, 2.5, n))
    return {
        "fwhm": width,
        "aimage": a,
        "bimage": a / elongation,
        "aimagerat": a / width,
        "bimagerat": a / elongation / width,
        "elong": elongation,
        "classtar": metadata.draw_star_likeness(scenes, rng),
        "rb": real_bogus,
        "drb": 1 / (1 + np.exp(-logit)),
        "seeratio": np.clip(np.exp(rng.normal(0.15, 0.15, n)), 0.7, 2),
        "dsnrms": rng.exponential(8, n),
        "ssnrms": rng.exponential(20, n),
        "dsdiff": rng.normal(-8, 8, n),
    }


def _find_asteroids(scenes: Scenes, columns: Columns, rng: np.random.Generator) -> Columns:
    """Return the nearest known asteroid: distance in arcsec, magnitude and number."""
    n = len(scenes)
    known = (scenes.label == ASTEROID) & (rng.random(n) < _KNOWN_ASTEROIDS)
    predicted = np.round(columns["magpsf"] + rng.normal(0, 0.3, n), 1)
    return {
        "ssdistnr": np.where(known, (rng.random(n) < 0.08).astype(float), SENTINEL),
        "ssmagnr": np.where(known, predicted, SENTINEL),
        "ssname": np.where(known, rng.integers(10_000, 500_000, n), -1),
    }
