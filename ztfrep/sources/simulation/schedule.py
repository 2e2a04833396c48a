"""The exposures of a year of the survey: fields of the sky, nights, filters, seeing and limits.

Numbers without another source are those of the 51,264 observations before 2,175 real alerts.
"""

from dataclasses import dataclass

import numpy as np

from ztfrep.sources.simulation import sky

# Numbers of ZTF's nights, UT, since 2017-01-01. From 1000 on, a candid has 19 digits.
FIRST_NIGHT, NIGHTS = 1095, 366  # The year 2020.
JD_OF_NIGHT_0 = 2_457_754.5
GREEN, RED = 1, 2
FIELD_SIDE = 7.3  # deg, of a field of the camera (Bellm et al. 2019)
_FIRST_FIELD = 245
_NEW_MOON, _MONTH = 2_458_872.4, 29.530589  # jd of a new moon, days
_SUN_DISTANCE = 60.0  # deg, of the nearest fields that are observed
# Probability that the dome stays closed for a night after an open, and after a closed one.
_CLOSING, _STAYING_CLOSED = 0.2, 0.5
# Nights between two visits of a field, and their probabilities: of fields that are visited often,
# and of the others. Of all gaps between nights, 53 % are 1, 14 % 2, 22 % 3, 11 % more; a third of
# the alerts are of few nights of few fields that were visited every night, so that this is less.
_GAPS = np.array([1, 2, 3, 4, 5, 6, 8, 11])
_OFTEN = np.array([0.9, 0.06, 0.04, 0, 0, 0, 0, 0])
_SELDOM = np.array([0.1, 0.2, 0.42, 0.07, 0.06, 0.05, 0.05, 0.05])
_OFTEN_FRACTION = 0.25
# Probability of 1 to 4 exposures on a night: 46 % of the gaps are within a night.
_EXPOSURES = np.array([0.35, 0.5, 0.11, 0.04])
_GAP_IN_NIGHT, _SHORTEST_GAP = 54 / 60, 0.25  # hours; the former is the median
_SAME_FILTER = 0.29  # Fraction of the gaps within a night
_NIGHT_START, _NIGHT_END = 2.5, 13.0  # hours, UT, at Palomar


@dataclass(frozen=True)
class Schedule:
    """The m exposures, sorted by field and date, and the first exposure of each field.

    Of field f, `start[f]` is the first exposure and `start[f + 1]` the one after the last.
    """

    start: np.ndarray  # (fields + 1,)
    field: np.ndarray  # (m,) index of the field
    jd: np.ndarray  # (m,) days
    fid: np.ndarray  # (m,) GREEN or RED
    limit: np.ndarray  # (m,) five-sigma limiting magnitude
    seeing: np.ndarray  # (m,) FWHM, pixels
    sky: np.ndarray  # (m,) counts per pixel
    zero_point: np.ndarray  # (m,) mag

    def first_since(self, field: np.ndarray, jd: np.ndarray) -> np.ndarray:
        """Return the first exposure of fields at or after dates, `(n,)` each."""
        # Dates of a field are less than the span below apart.
        span = 10_000.0
        keys = self.field * span + (self.jd - JD_OF_NIGHT_0)
        return np.searchsorted(keys, field * span + (jd - JD_OF_NIGHT_0))


def draw_schedule(rng: np.random.Generator) -> Schedule:
    """Draw the exposures of all fields."""
    ra, dec = _field_centres()
    n = len(ra)
    often = rng.random(n) < _OFTEN_FRACTION
    depth = rng.normal(0, 0.2, n)
    due = np.zeros(n)
    closed = False
    nights = []
    for night in range(FIRST_NIGHT, FIRST_NIGHT + NIGHTS):
        closed = rng.random() < (_STAYING_CLOSED if closed else _CLOSING)
        # Every night consumes its random numbers, so that nights do not depend on each other.
        gaps = np.where(often, rng.choice(_GAPS, n, p=_OFTEN), rng.choice(_GAPS, n, p=_SELDOM))
        midnight = JD_OF_NIGHT_0 + night + (_NIGHT_START + _NIGHT_END) / 48
        visited = _is_observable(ra, dec, midnight) & (due <= night) & (not closed)
        due[visited] = night + gaps[visited]
        nights.append(_draw_night(np.flatnonzero(visited), night, depth[visited], rng))
    columns = {name: np.concatenate([part[name] for part in nights]) for name in nights[0]}
    order = np.lexsort((columns["jd"], columns["field"]))
    columns = {name: values[order] for name, values in columns.items()}
    return Schedule(start=np.searchsorted(columns["field"], np.arange(n + 1)), **columns)


def fields_of(ra: np.ndarray, dec: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the index of the field of positions in degrees, and the place in it, 0 to 1 twice."""
    bands, start = _bands()
    band = np.clip(((dec - sky.SOUTHERN_LIMIT) // FIELD_SIDE).astype(int), 0, len(bands) - 1)
    column, x = np.divmod(ra / 360 * bands[band], 1)
    y = (dec - sky.SOUTHERN_LIMIT) / FIELD_SIDE - band
    return start[band] + column.astype(int) % bands[band], x, np.clip(y, 0, 1 - 1e-9)


def field_number(field: np.ndarray) -> np.ndarray:
    """Return the numbers of fields in packets by their index."""
    return _FIRST_FIELD + field


def _bands() -> tuple[np.ndarray, np.ndarray]:
    """Return the number of fields in each band of declination, and the first field of each."""
    edges = np.arange(sky.SOUTHERN_LIMIT, 90, FIELD_SIDE)
    bands = np.ceil(360 * np.cos(np.radians(edges + FIELD_SIDE / 2).clip(max=1.55)) / FIELD_SIDE)
    bands = np.maximum(bands, 1).astype(int)
    return bands, np.concatenate([[0], np.cumsum(bands)[:-1]])


def _field_centres() -> tuple[np.ndarray, np.ndarray]:
    bands, _ = _bands()
    ra = np.concatenate([(np.arange(n) + 0.5) * 360 / n for n in bands])
    dec = np.repeat(sky.SOUTHERN_LIMIT + FIELD_SIDE * (np.arange(len(bands)) + 0.5), bands)
    return ra, np.minimum(dec, 89.0)


def _is_observable(ra: np.ndarray, dec: np.ndarray, jd: float) -> np.ndarray:
    """Return True for fields far from the sun. Its longitude is that of a circular orbit."""
    latitude, longitude = (np.radians(angle) for angle in sky.ecliptic(ra, dec))
    sun = np.radians(280.46 + 0.9856474 * (jd - 2_451_545.0))
    far: np.ndarray = np.cos(latitude) * np.cos(longitude - sun) < np.cos(np.radians(_SUN_DISTANCE))
    return far


def _draw_night(
    fields: np.ndarray, night: int, depth: np.ndarray, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Draw the exposures of a night: 1 to 4 of each field."""
    n, most = len(fields), len(_EXPOSURES)
    number = rng.choice(most, n, p=_EXPOSURES) + 1
    gaps = np.maximum(_GAP_IN_NIGHT * np.exp(rng.normal(0, 0.6, (n, most))), _SHORTEST_GAP)
    gaps[:, 0] = rng.uniform(_NIGHT_START, _NIGHT_END - 3, n)
    hour = np.cumsum(gaps, axis=1)
    changes = np.cumsum(rng.random((n, most)) > _SAME_FILTER, axis=1)
    fid = np.where((changes + rng.integers(0, 2, n)[:, None]) % 2, GREEN, RED)
    row, column = np.nonzero((np.arange(most) < number[:, None]) & (hour < _NIGHT_END))
    jd = JD_OF_NIGHT_0 + night + hour[row, column] / 24
    m = len(jd)
    bright = (1 - np.cos(2 * np.pi * (jd - _NEW_MOON) / _MONTH)) / 2
    # Of the limits, 5 % are below 18.7, half below 20.2 and 95 % below 20.9.
    clouds = rng.exponential(1.0, m) * (rng.random(m) < 0.25)
    limit = 20.65 - 0.75 * bright**2 - clouds + depth[row]
    limit += rng.normal(0, 0.15) + rng.normal(0, 0.12, m)
    return {
        "field": fields[row],
        "jd": jd,
        "fid": fid[row, column],
        "limit": np.clip(limit, 15.3, 21.4),
        "seeing": np.clip(np.exp(rng.normal(np.log(2.3), 0.2, m)), 1.5, 4.5),
        # The medians of science stamps: 5 % below 47, half below 119, 95 % below 278.
        "sky": 85 * np.exp(rng.normal(0, 0.45, m)) * (1 + bright),
        "zero_point": 26.2 - 0.3 * clouds.clip(max=3) + rng.normal(0, 0.05, m),
    }
