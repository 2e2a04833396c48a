"""Observations in packets: the features of detections and upper limits from decoded values.

The features are those of ALeRCE's stamp classifier (Carrasco-Davis et al. 2021), in physical units
and before any clipping.
"""

from collections import Counter
from functools import lru_cache
from typing import NamedTuple

import astropy.units as u
import numpy as np
from astropy.coordinates import BarycentricTrueEcliptic, Galactic, SkyCoord

from ztfrep.data.features import ALERCE_FEATURES, SENTINEL
from ztfrep.sources.packets.avro_program import UNREADABLE, text_code
from ztfrep.sources.packets.avro_schemas import INTEGER, NUMBER, SCALAR, Field
from ztfrep.sources.packets.record_decoder import FieldValues

# Reasons for a missing feature, and for excluding an observation before an alert.
MISSING_REASONS = ("sentinel", "absent", "unreadable", "out_of_range")
EXCLUSION_REASONS = ("jd", "candid")
JD_OF_MJD_0 = 2_400_000.5
# Julian dates from the year of ZTF's first light to long after its end.
FIRST_JD, LAST_JD = 2_457_754.5, 2_500_000.0
_FILTERS = (1, 2, 3)

_DERIVED = ("ecl_lat", "ecl_long", "gal_lat", "gal_long", "non_detections")
_STORED = tuple(name for name in ALERCE_FEATURES.names if name not in _DERIVED)
_TYPES = {"isdiffpos": SCALAR}
OBSERVATION_FIELDS = (
    Field("candid", INTEGER, required=True),
    Field("jd", NUMBER, required=True),
    Field("fid", NUMBER, required=True),
    *(Field(name, _TYPES.get(name, NUMBER)) for name in _STORED),
)
_SLOT = {field.path: slot for slot, field in enumerate(OBSERVATION_FIELDS)}

# A source that faded has isdiffpos f, 0 or -1, one that brightened t or 1; the feature is 1 if it
# faded.
_SIGN_OF_NUMBER = {0.0: 1.0, -1.0: 1.0, 1.0: 0.0}
_SIGN_OF_TEXT = {"f": 1.0, "false": 1.0, "0": 1.0, "-1": 1.0, "0.0": 1.0, "-1.0": 1.0}
_SIGN_OF_TEXT |= {"t": 0.0, "true": 0.0, "1": 0.0, "+1": 0.0, "1.0": 0.0}


class Observations(NamedTuple):
    """Detections and upper limits, n of them.

    `alert` int64 `(n,)` is the index of the alert in whose packet they are; `candid` int64 `(n,)`,
    -1 for an upper limit; `mjd` float64 `(n,)`, days; `fid` float64 `(n,)`, NaN if unknown;
    `metadata` float64 `(n, features)`, physical units, NaN if missing.
    """

    alert: np.ndarray
    candid: np.ndarray
    mjd: np.ndarray
    fid: np.ndarray
    metadata: np.ndarray


def is_usable_observation(
    values: FieldValues, rows: np.ndarray, counts: Counter[str]
) -> np.ndarray:
    """Return True for the observations in `rows` `(n,)` that can be used; count the others.

    An observation needs a date, and a detection needs an identifier.
    """
    jd = values.numbers[rows, _SLOT["jd"]]
    candid = values.numbers[rows, _SLOT["candid"]]
    dated = (jd >= FIRST_JD) & (jd < LAST_JD)
    # Some packets store 0 or -1 as the candid of an upper limit.
    unidentified = (candid <= 0) & ~np.isnan(values.numbers[rows, _SLOT["magpsf"]])
    counts["observations.jd"] += int((~dated).sum())
    counts["observations.candid"] += int((dated & unidentified).sum())
    return dated & ~unidentified


def compute_observations(
    values: FieldValues, alert: np.ndarray, counts: Counter[str]
) -> Observations:
    """Compute the features of n observations, by the slots of `OBSERVATION_FIELDS`.

    Counts the missing features by reason.
    """
    numbers = values.numbers
    fid = numbers[:, _SLOT["fid"]]
    metadata = np.full((len(numbers), len(ALERCE_FEATURES)), np.nan)
    unreadable = np.zeros(metadata.shape, dtype=bool)
    for name in _STORED:
        column = ALERCE_FEATURES.index(name)
        metadata[:, column] = numbers[:, _SLOT[name]]
        unreadable[:, column] = values.spans[:, _SLOT[name], 1] == UNREADABLE
    sign = ALERCE_FEATURES.index("isdiffpos")
    metadata[:, sign], unknown = _read_signs(values, _SLOT["isdiffpos"])
    unreadable[:, sign] |= unknown
    _mask_missing(metadata, unreadable, counts)
    _compute_derived_features(metadata)
    candid = values.spans[:, _SLOT["candid"], 0]
    return Observations(
        alert=alert,
        candid=np.where(candid > 0, candid, -1),
        mjd=numbers[:, _SLOT["jd"]] - JD_OF_MJD_0,
        fid=np.where(np.isin(fid, _FILTERS), fid, np.nan),
        metadata=metadata,
    )


@lru_cache(maxsize=1)
def _sign_of_text_code() -> dict[float, float]:
    return {text_code(text): sign for text, sign in _SIGN_OF_TEXT.items()}


def _read_signs(values: FieldValues, slot: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the feature isdiffpos, NaN where it is unknown or absent, and True where unknown."""
    stored, size = values.numbers[:, slot], values.spans[:, slot, 1]
    is_text = size >= 0
    signs = np.full(len(stored), np.nan)
    for sign_of_code, mask in ((_SIGN_OF_NUMBER, ~is_text), (_sign_of_text_code(), is_text)):
        for code, sign in sign_of_code.items():
            signs[mask & (stored == code)] = sign
    # A null and a text of blanks are absent; the sentinel is counted as such later.
    signs[~is_text & (stored == SENTINEL)] = SENTINEL
    absent = np.where(is_text, stored == text_code(""), np.isnan(stored))
    return signs, np.isnan(signs) & ~absent


def _mask_missing(metadata: np.ndarray, unreadable: np.ndarray, counts: Counter[str]) -> None:
    """Set the features without a measurement to NaN, in place, and count them by reason."""
    stored = [ALERCE_FEATURES.index(name) for name in _STORED]
    ra, dec = ALERCE_FEATURES.index("ra"), ALERCE_FEATURES.index("dec")
    impossible = np.zeros(metadata.shape, dtype=bool)
    impossible[:, ra] = np.abs(metadata[:, ra] - 180) > 180
    impossible[:, dec] = np.abs(metadata[:, dec]) > 90
    sentinel = metadata == SENTINEL
    for column, name in enumerate(ALERCE_FEATURES.names):
        impossible[:, column] |= ALERCE_FEATURES.is_impossible(name, metadata[:, column])
    absent = np.isnan(metadata) & ~unreadable
    masks = (sentinel, absent, unreadable, impossible & ~sentinel)
    for reason, mask in zip(MISSING_REASONS, masks, strict=True):
        counts[f"features.{reason}"] += int(mask[:, stored].sum())
        metadata[mask] = np.nan


def _compute_derived_features(metadata: np.ndarray) -> None:
    """Compute the features that follow from the others, in place."""
    column = {name: metadata[:, ALERCE_FEATURES.index(name)] for name in ALERCE_FEATURES.names}
    column["non_detections"][:] = column["ncovhist"] - column["ndethist"]
    finite = np.isfinite(column["ra"]) & np.isfinite(column["dec"])
    sky = SkyCoord(column["ra"][finite] * u.deg, column["dec"][finite] * u.deg, frame="icrs")
    ecliptic, galactic = sky.transform_to(BarycentricTrueEcliptic()), sky.transform_to(Galactic())
    column["ecl_lat"][finite], column["ecl_long"][finite] = ecliptic.lat.deg, ecliptic.lon.deg
    column["gal_lat"][finite], column["gal_long"][finite] = galactic.b.deg, galactic.l.deg
