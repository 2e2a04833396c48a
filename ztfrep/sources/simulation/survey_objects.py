"""The objects of the simulated survey, and their observations: detections and upper limits."""

from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from ztfrep.sources.simulation import colours, optics, scene, scene_sampler, sky
from ztfrep.sources.simulation.scene import AGN, ASTEROID, BOGUS, SN, VS, Scenes
from ztfrep.sources.simulation.schedule import Schedule, fields_of

# Numbers of objects at scale 1.0, which have about as many alerts as the published Train has
# rows, 72,710. Asteroids and bogus are as many as the distinct ones there, and supernovae as many
# as in the published series.
_OBJECTS = {AGN: 1_800, SN: 1_502, VS: 2_000, ASTEROID: 9_599, BOGUS: 10_528}
# Of a class, so that each split of a small survey has 20 of each.
_MIN_OBJECTS = 60
# Detections of an object: between 1 and 30, log-normal with a median of 8. The real alerts of AGN,
# SN and VS have medians of 7, 14 and 8 detections in the 30 days before them.
_MAX_DETECTIONS, _MEDIAN_DETECTIONS, _SPREAD = 30, 8.0, 0.9
_THRESHOLD = 5.0  # Signal to noise of a detection
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
    """Draw all objects of the survey and their observations; each is detected at least once."""
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
    anchor, exposure, is_observed = _choose_exposures(labels, field, schedule, rng)
    days = schedule.jd[exposure] - np.take_along_axis(schedule.jd[exposure], anchor[:, None], 1)
    light = colours.draw_colours(labels, rng)
    scenes = scene_sampler.draw_visited(
        labels,
        (ra, dec),
        schedule.limit[exposure],
        schedule.seeing[exposure],
        light.visits(labels, days, schedule.fid[exposure]),
        rng,
        scene.FIRST_ALERTS,
    )
    noise = optics.counts(scenes.limit) / 5
    measured = scenes.change + rng.normal(0, 1, noise.shape) * noise
    # An asteroid or an artefact is there once.
    once = np.isin(labels, (ASTEROID, BOGUS))[:, None]
    k = np.arange(exposure.shape[1])
    possible = is_observed & (~once | (k == anchor[:, None]))
    signal = np.where(possible, np.abs(measured) / noise, 0)
    certain = k == signal.argmax(axis=1)[:, None]
    least = np.where(certain, 1.01 * _THRESHOLD, 0) * noise
    measured = np.where(measured < 0, -1, 1) * np.maximum(np.abs(measured), least)
    detected = possible & (np.abs(measured) > _THRESHOLD * noise)
    most = np.exp(rng.normal(np.log(_MEDIAN_DETECTIONS), _SPREAD, len(labels)))
    most = np.clip(np.rint(most), 1, _MAX_DETECTIONS)[:, None]
    # The survey of an object ends with its last detection: upper limits after it are in no packet.
    before = np.cumsum(detected, axis=1) - detected
    last = np.minimum(detected.sum(axis=1, keepdims=True), most)
    rows, columns = np.nonzero(is_observed & (before < last))
    observations = Observations(
        object=rows,
        exposure=exposure[rows, columns],
        detected=detected[rows, columns],
        change=scenes.change[rows, columns],
        measured=measured[rows, columns],
        noise=noise[rows, columns],
        elongation=scenes.elongation[rows, columns],
    )
    place = np.stack([x, y], axis=1)
    return SurveyObjects(scenes.objects(), light, observations, field, place)


def _choose_exposures(
    labels: np.ndarray, field: np.ndarray, schedule: Schedule, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Choose when an object appears: an exposure of its field, `(n,)` index in its exposures.

    Returns also its exposures `(n, k)`, from 30 days before that on, and which of them are
    observed: the others fill the array.
    """
    start, end = schedule.start[field], schedule.start[field + 1]
    appears = start + rng.integers(0, end - start)
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
