"""The images of the survey: where an object is in the camera, and the fields of an image."""

import numpy as np

from ztfrep.sources.simulation.schedule import GREEN, JD_OF_NIGHT_0, Schedule, field_number
from ztfrep.sources.simulation.survey_objects import SurveyObjects

_QUADRANTS = 8  # In a row of the camera, of 64


def describe_images(
    objects: SurveyObjects, schedule: Schedule, owner: np.ndarray, exposure: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the fields of the images of objects `(n,)` on exposures `(n,)`."""
    rcid, _ = quadrants(objects.place[owner])
    jd = schedule.jd[exposure]
    zero_point = schedule.zero_point[exposure]
    return {
        "jd": jd,
        "fid": schedule.fid[exposure],
        "pid": processing_id(jd, rcid),
        "nid": np.floor(jd - JD_OF_NIGHT_0).astype(np.int64),
        "rcid": rcid,
        "field": field_number(objects.field[owner]),
        "diffmaglim": schedule.limit[exposure],
        "magzpsci": zero_point,
        # Functions of the exposure, so that they need no memory.
        "magzpscirms": 0.025 + 0.01 * np.abs(26.2 - zero_point),
        "magzpsciunc": 1e-5 + 1e-5 * np.abs(26.2 - zero_point),
        "clrcoeff": np.where(schedule.fid[exposure] == GREEN, -0.045, 0.09),
        "clrcounc": np.full(len(jd), 2e-5),
    }


def quadrants(place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the readout channel of places in a field `(n, 2)`, and the places in it."""
    column_row, within = np.divmod(place * _QUADRANTS, 1)
    return (column_row[:, 1] * _QUADRANTS + column_row[:, 0]).astype(int), within


def processing_id(jd: np.ndarray, rcid: np.ndarray) -> np.ndarray:
    """Return the pids of images of channels: night, its fraction in five digits, channel, 15."""
    fraction = np.floor((jd - JD_OF_NIGHT_0) * 1e5).astype(np.int64)
    return fraction * 10_000 + rcid * 100 + 15


def candids(pid: np.ndarray, sign: np.ndarray, tblid: np.ndarray) -> np.ndarray:
    """Return the candids of detections; `sign` is -1 for a source that faded."""
    return pid * 1_000_000 + np.where(sign < 0, 10_000, 15_000) + tblid
