"""What the survey knows of an object besides its light: catalogues, template and history.

The same in all packets of an object, but for the counts of its history, which grow.
"""

import numpy as np

from ztfrep.data.features import SENTINEL
from ztfrep.sources.simulation import metadata, optics
from ztfrep.sources.simulation.colours import in_filter
from ztfrep.sources.simulation.scene import AGN, ASTEROID, BOGUS, SN, VS, Scenes
from ztfrep.sources.simulation.schedule import FIRST_NIGHT, GREEN, JD_OF_NIGHT_0, RED, Schedule
from ztfrep.sources.simulation.survey_objects import HISTORY, SurveyObjects

_GAIA_LIMIT, _GAIA_BRIGHT = 20.7, 14.0  # mag
_FIRST_LIGHT = 2_458_194.5  # jd of the public survey's begin, 2018-03-17


def find_stars(scenes: Scenes) -> dict[str, np.ndarray]:
    """Return the distance in arcsec and magnitude of the nearest star in Gaia, and bright one."""
    distance = optics.PIXEL_SCALE * np.hypot(
        scenes.star_x - scenes.x[:, None], scenes.star_y - scenes.y[:, None]
    )
    magnitude = optics.magnitude(np.maximum(scenes.star_flux, 1e-9))
    columns = {}
    for suffix, limit in (("", _GAIA_LIMIT), ("bright", _GAIA_BRIGHT)):
        visible = np.where(magnitude < limit, distance, np.inf)
        nearest = visible.argmin(axis=1)[:, None]
        d, m = (np.take_along_axis(v, nearest, 1)[:, 0] for v in (visible, magnitude))
        columns[f"neargaia{suffix}"] = np.where(np.isfinite(d), d, SENTINEL)
        columns[f"maggaia{suffix}"] = np.where(np.isfinite(d), m, SENTINEL)
    return columns


def draw_catalogue(
    fixed: dict[str, np.ndarray], scenes: Scenes, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Draw the other magnitudes of the catalogue's sources, and their identifiers, 0 for none."""
    n = len(scenes)
    columns = {"nmtchps": 1 + rng.poisson((scenes.star_flux > 0).sum(axis=1))}
    for rank in (1, 2, 3):
        red = fixed[f"srmag{rank}"]
        colour = np.clip(rng.normal(0.7, 0.35, n), -0.3, 1.6)
        for band, factor in (("g", 1.0), ("i", -0.45), ("z", -0.65)):
            # One magnitude in twenty is missing.
            seen = (red != SENTINEL) & (rng.random(n) > 0.05)
            columns[f"s{band}mag{rank}"] = np.where(seen, red + factor * colour, SENTINEL)
        zone = np.floor((scenes.dec + 90) * 120).astype(np.int64)
        identifier = zone * 10_000_000_000_000 + (scenes.ra * 1e10).astype(np.int64) + rank
        columns[f"objectidps{rank}"] = np.where(red != SENTINEL, identifier, 0)
    return columns


def find_references(
    objects: SurveyObjects,
    members: np.ndarray,
    index: np.ndarray,
    fid: np.ndarray,
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    """Return the nearest source in the template of the filter, the same for all detections."""
    columns: dict[str, np.ndarray] = {}
    for number in (GREEN, RED):
        n = len(members)
        scenes = objects.scenes.take(members, **no_exposure(n))
        scenes = in_filter(scenes, objects.colours.take(members), np.full(n, number))
        nearest = metadata.draw_nearest_in_template(scenes, rng)
        missing = nearest["distnr"] == SENTINEL
        angle = rng.uniform(0, 2 * np.pi, n)
        offset = np.where(missing, 0, nearest["distnr"]) * optics.PIXEL_SCALE / 3600
        nearest |= {
            "sigmagnr": np.where(missing, SENTINEL, 0.02 + 0.05 * rng.random(n)),
            "ranr": (scenes.ra + offset * np.cos(angle) / cosine(scenes.dec)) % 360,
            "decnr": np.clip(scenes.dec + offset * np.sin(angle), -90, 90),
            "jdstartref": _FIRST_LIGHT + rng.uniform(0, 60, n),
            "jdendref": _FIRST_LIGHT + rng.uniform(100, 500, n),
            "nframesref": rng.integers(15, 40, n),
        }
        for name, values in nearest.items():
            known = columns.get(name, values[index])
            columns[name] = np.where(fid == number, values[index], known)
    return columns


def count_history(
    objects: SurveyObjects,
    schedule: Schedule,
    scenes: Scenes,
    rows: np.ndarray,
    index: np.ndarray,
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    """Count the detections and the exposures of the place: both grow with every alert."""
    table = objects.observations
    jd = schedule.jd[table.exposure[rows]]
    history = metadata.draw_history(scenes, rng)
    # What is new was not detected before; the others may have been, in the years before.
    is_new = np.isin(scenes.label, (SN, ASTEROID))
    first_count = np.where(is_new, 1, history["ndethist"])
    # Three quarters of real bogus alerts have at most two detections in their history.
    first_count = np.where(scenes.label == BOGUS, 1 + (first_count - 1) // 8, first_count)
    first_of_object = np.searchsorted(table.object[rows], table.object[rows])
    start_of_object = np.searchsorted(table.object, table.object[rows])
    earlier = (first_count > 1)[index]
    known_since = rng.uniform(_FIRST_LIGHT, JD_OF_NIGHT_0 + FIRST_NIGHT - HISTORY, len(scenes))
    first_jd = np.where(earlier, known_since[index], jd[first_of_object])
    return {
        "ndethist": first_count[index].astype(int) + np.arange(len(rows)) - first_of_object,
        "ncovhist": (
            np.maximum(history["ncovhist"], first_count)[index].astype(int)
            + rows - start_of_object
        ),
        "jdstarthist": first_jd,
        "jdendhist": jd,
        "year": np.where(np.isin(scenes.label, (AGN, VS))[index] & earlier, 18, 20),
    }  # fmt: skip


def cosine(dec: np.ndarray) -> np.ndarray:
    """Return the cosine of a declination in degrees, away from 0 at the poles."""
    return np.maximum(np.cos(np.radians(dec)), 0.01)


def no_exposure(n: int) -> dict[str, np.ndarray]:
    """Return the exposures of n scenes that are not rendered, for `Scenes.take`."""
    return {name: np.ones(n) for name in ("change", "seeing", "limit")} | {
        "elongation": np.zeros((n, 2))
    }
