"""The objects of the simulated survey, and their observations: detections and upper limits."""

from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from ztfrep.sources.simulation import colours, lightcurves, optics, scene, scene_sampler, sky
from ztfrep.sources.simulation.scene import (
    AGN,
    ASTEROID,
    BAD_COLUMN,
    BOGUS,
    MISALIGNED,
    SATURATED,
    SN,
    VS,
    Scenes,
)
from ztfrep.sources.simulation.schedule import Schedule, fields_of

# Numbers of objects at scale 1.0, which have about as many alerts as the published Train has
# rows, 72,710. Alerts of supernovae, variable stars, asteroids and bogus have the proportions of
# the real ones with these weak classes, 139 : 326 : 156 : 165. Few AGN have a weak class: they are
# to the variable stars as in the published series, 26,190 : 49,454.
_OBJECTS = {AGN: 1_310, SN: 1_270, VS: 2_490, ASTEROID: 12_000, BOGUS: 10_600}
# Of a class, so that each split of a small survey has 20 of each.
_MIN_OBJECTS = 60
# Alerts of an object: between 1 and 30, log-normal with a median of 8. Before its first one, it
# has detections of earlier nights, without packets of their own, as most real objects do.
_MAX_ALERTS, _MEDIAN_ALERTS, _SPREAD = 30, 8.0, 0.9
# Fraction of the exposures, by class, without an alert of a source that is far above the limit:
# those between two detections within four days, of real objects of AGN, SN and VS.
_MISSED = np.array([0.08, 0.05, 0.11, 0.0, 0.0])
# Fraction of the supernovae that are detected before their first alert, up to so many days after
# phase 0: of real alerts of supernovae, 98 % have an earlier detection.
_KNOWN, _LATEST_PHASE = 0.6, 45.0
# Of the artefacts that are at one place of the sky, the fraction that recurs, and the mean
# probability of that in an exposure: 18 % of real bogus alerts have 1 to 5 detections in the 30
# days before them. Of the asteroids, the fraction that stays for a night: one of 155.
_CLOUDED, _CLOUDED_DRAWS = 0.08, 40  # Of the artefacts: the worst of so many exposures
_RECURRING, _RECURRENCE, _SLOW = 0.22, 0.08, 0.01
_THRESHOLD = 5.0  # Signal to noise of a detection
_CALIBRATION = 0.04  # Relative error of the flux, by which bright detections of a night differ
HISTORY = 30.0  # days before an alert that its packet has observations of
_EXPOSURES = 128  # Maximum of an object
_CHUNK = 250


@dataclass(frozen=True)
class Observations:
    """The m observations of objects, sorted by object and date."""

    object: np.ndarray  # (m,) index of the object
    exposure: np.ndarray  # (m,) index of the exposure in the schedule
    # (m,) True for a detection, and then the alert's flux without noise, its measured flux, and
    # the noise of that, counts.
    detected: np.ndarray
    has_packet: np.ndarray  # (m,) True for a detection that is an alert
    change: np.ndarray
    measured: np.ndarray
    noise: np.ndarray
    elongation: np.ndarray  # (m, 2) of the exposure's light, square pixels

    def __len__(self) -> int:
        return len(self.object)


@dataclass(frozen=True)
class SurveyObjects:
    """n objects, with scenes without exposures."""

    scenes: Scenes
    colours: colours.Colours
    observations: Observations
    field: np.ndarray  # (n,) index of the field
    place: np.ndarray  # (n, 2) in the field, 0 to 1


def object_counts(scale: float) -> dict[int, int]:
    """Return the number of objects per class."""
    return {label: max(_MIN_OBJECTS, round(n * scale)) for label, n in _OBJECTS.items()}


def draw_objects(
    schedule: Schedule, *, scale: float, seed: int, progress: bool = True
) -> SurveyObjects:
    """Draw all objects of the survey and their observations; each has at least one alert."""
    counts = object_counts(scale)
    rng = np.random.default_rng([seed, 5])
    labels = rng.permutation(np.repeat(list(counts), list(counts.values())))
    parts = []
    with tqdm(
        total=len(labels),
        desc="simulate light curves",
        unit=" objects",
        disable=None if progress else True,
    ) as bar:
        for chunk, start in enumerate(range(0, len(labels), _CHUNK)):
            # Each chunk has its own random numbers, and does not depend on the others.
            rng = np.random.default_rng([seed, 6, chunk])
            parts.append(_draw_chunk(labels[start : start + _CHUNK], schedule, rng))
            bar.update(len(labels[start : start + _CHUNK]))
    return _concatenate(parts)


def _draw_chunk(labels: np.ndarray, schedule: Schedule, rng: np.random.Generator) -> SurveyObjects:
    ra, dec = sky.positions(labels, rng)
    field, x, y = fields_of(ra, dec)
    first, exposure, is_observed = _choose_exposures(labels, field, schedule, rng)
    days = schedule.jd[exposure] - np.take_along_axis(schedule.jd[exposure], first[:, None], 1)
    light = colours.draw_colours(labels, rng)
    phase = _draw_phases(len(labels), rng)
    scenes = scene_sampler.draw_visited(
        labels,
        (ra, dec),
        schedule.limit[exposure],
        schedule.seeing[exposure],
        light.visits(labels, days, schedule.fid[exposure], phase),
        rng,
        scene.SURVEY,
    )
    noise = optics.counts(scenes.limit) / 5
    calibration = 1 + rng.normal(0, _CALIBRATION, noise.shape)
    measured = scenes.change * calibration + rng.normal(0, 1, noise.shape) * noise
    possible = is_observed & _is_present(scenes, days, rng)
    is_new = days >= 0
    signal = np.where(possible & is_new, np.abs(measured) / noise, 0)
    certain = np.arange(exposure.shape[1]) == signal.argmax(axis=1)[:, None]
    least = np.where(certain, 1.01 * _THRESHOLD, 0) * noise
    measured = np.where(measured < 0, -1, 1) * np.maximum(np.abs(measured), least)
    detected = possible & (np.abs(measured) > _THRESHOLD * noise)
    alerts = detected & is_new
    most = np.exp(rng.normal(np.log(_MEDIAN_ALERTS), _SPREAD, len(labels)))
    most = np.clip(np.rint(most), 1, _MAX_ALERTS)[:, None]
    # The survey of an object ends with its last alert: upper limits after it are in no packet.
    before = np.cumsum(alerts, axis=1) - alerts
    last = np.minimum(alerts.sum(axis=1, keepdims=True), most)
    rows, columns = np.nonzero(is_observed & (before < last))
    observations = Observations(
        object=rows,
        exposure=exposure[rows, columns],
        detected=detected[rows, columns],
        has_packet=alerts[rows, columns],
        change=scenes.change[rows, columns],
        measured=measured[rows, columns],
        noise=noise[rows, columns],
        elongation=scenes.elongation[rows, columns],
    )
    place = np.stack([x, y], axis=1)
    return SurveyObjects(scenes.objects(), light, observations, field, place)


def _draw_phases(n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw the phases `(n,)` of supernovae when they may have their first alert."""
    late = rng.uniform(0, _LATEST_PHASE, n)
    return np.where(rng.random(n) < _KNOWN, late, lightcurves.first_phases(n, rng))


def _is_present(scenes: Scenes, days: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return True for the exposures `(n, k)` in which an object can be detected.

    Asteroids are on day 0 alone, and artefacts too, but for those that recur.
    """
    n = len(scenes)
    is_first = days == 0
    missed = rng.random(days.shape) < _MISSED[scenes.label][:, None]
    recurs = np.isin(scenes.artefact, (SATURATED, MISALIGNED, BAD_COLUMN))
    recurs &= rng.random(n) < _RECURRING
    probability = np.where(recurs, np.minimum(rng.gamma(2.0, _RECURRENCE / 2, n), 1), 0)
    again = rng.random(days.shape) < probability[:, None]
    stays = (rng.random(n) < _SLOW)[:, None] & (np.abs(days) < 0.5)
    return np.select(
        [(scenes.label == BOGUS)[:, None], (scenes.label == ASTEROID)[:, None]],
        [is_first | again, is_first | stays],
        # One exposure is possible in any case, for the object's first alert.
        ~missed | is_first,
    )


def _choose_exposures(
    labels: np.ndarray, field: np.ndarray, schedule: Schedule, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Choose from when on an object has alerts: an exposure of its field, `(n,)` index in its.

    Returns also its exposures `(n, k)`, from 30 days before that on, and which of them are
    observed: the others fill the array.
    """
    start, end = schedule.start[field], schedule.start[field + 1]
    appears = start + rng.integers(0, end - start)
    # Artefacts of clouds are in the exposures with the brightest limits.
    drawn = start[:, None] + rng.integers(0, (end - start)[:, None], (len(labels), _CLOUDED_DRAWS))
    worst = np.take_along_axis(drawn, schedule.limit[drawn].argmin(axis=1)[:, None], 1)[:, 0]
    clouded = (labels == BOGUS) & (rng.random(len(labels)) < _CLOUDED)
    appears = np.where(clouded, worst, appears)
    begin = schedule.first_since(field, schedule.jd[appears] - HISTORY)
    # A field that is visited every night has fewer exposures in 30 days than this.
    begin = np.maximum(begin, appears - _EXPOSURES // 2)
    index = begin[:, None] + np.arange(_EXPOSURES)
    return appears - begin, np.minimum(index, end[:, None] - 1), index < end[:, None]


def _concatenate(parts: list[SurveyObjects]) -> SurveyObjects:
    offsets = np.cumsum([0, *(len(part.scenes) for part in parts)])

    def columns(table: str, names: list[str]) -> dict[str, np.ndarray]:
        return {
            name: np.concatenate([getattr(getattr(part, table), name) for part in parts])
            for name in names
        }

    observations = columns("observations", list(Observations.__dataclass_fields__))
    observations["object"] += np.repeat(offsets[:-1], [len(part.observations) for part in parts])
    return SurveyObjects(
        scenes=scene.concatenate([part.scenes for part in parts]),
        colours=colours.Colours(**columns("colours", list(colours.Colours.__dataclass_fields__))),
        observations=Observations(**observations),
        field=np.concatenate([part.field for part in parts]),
        place=np.concatenate([part.place for part in parts]),
    )
