"""Epochs of packets: detections and upper limits, from the values read of them to the features.

The features are those that ALeRCE's stamp classifier computes (Carrasco-Davis et al. 2021), in
physical units and before any clipping.
"""

from collections import Counter
from functools import lru_cache
from typing import NamedTuple

import astropy.units as u
import numpy as np
from astropy.coordinates import BarycentricTrueEcliptic, Galactic, SkyCoord

from ztfrep.data import features
from ztfrep.sources.packets import avro
from ztfrep.sources.packets.avro_schemas import INTEGER, NUMBER, SCALAR, Field

# Why a feature is missing, and why an epoch before an alert is left out.
MISSING = ("sentinel", "absent", "unreadable", "out_of_range")
LEFT_OUT = ("jd", "candid")
JD_OF_MJD_0 = 2_400_000.5
# From the year of ZTF's first light to far behind its end; what is of other days is no date.
FIRST_JD, LAST_JD = 2_457_754.5, 2_500_000.0
_FILTERS = (1, 2, 3)

_COMPUTED = ("ecl_lat", "ecl_long", "gal_lat", "gal_long", "non_detections")
_MEASURED = tuple(name for name in features.NAMES if name not in _COMPUTED)
_TYPES = {"isdiffpos": SCALAR}
FIELDS = (
    Field("candid", INTEGER, required=True),
    Field("jd", NUMBER, required=True),
    Field("fid", NUMBER, required=True),
    *(Field(name, _TYPES.get(name, NUMBER)) for name in _MEASURED),
)
_SLOT = {field.path: slot for slot, field in enumerate(FIELDS)}

# A faded source has isdiffpos f, 0 or -1, a brightened one t or 1; the feature is 1 for the faded.
_SIGNS = {0.0: 1.0, -1.0: 1.0, 1.0: 0.0}
_SIGN_WORDS = {"f": 1.0, "false": 1.0, "0": 1.0, "-1": 1.0, "0.0": 1.0, "-1.0": 1.0}
_SIGN_WORDS |= {"t": 0.0, "true": 0.0, "1": 0.0, "+1": 0.0, "1.0": 0.0}


class Epochs(NamedTuple):
    """Detections and upper limits, n of them.

    `owner` int64 `(n,)` is the alert whose packet told of it; `candid` int64 `(n,)`, -1 of an upper
    limit; `mjd` float64 `(n,)`, days; `fid` float64 `(n,)`, NaN if unknown; `metadata` float64
    `(n, 26)`, physical units, NaN where there is none.
    """

    owner: np.ndarray
    candid: np.ndarray
    mjd: np.ndarray
    fid: np.ndarray
    metadata: np.ndarray


def find_usable(rows: avro.Values, places: np.ndarray, counts: Counter[str]) -> np.ndarray:
    """Return which epochs of the rows at `places` may be used; count the others.

    They have a date, and an identifier if they are detections.
    """
    jd = rows.numbers[places, _SLOT["jd"]]
    candid = rows.numbers[places, _SLOT["candid"]]
    dated = (jd >= FIRST_JD) & (jd < LAST_JD)
    # Some write an upper limit's as 0 or -1.
    nameless = (candid <= 0) & ~np.isnan(rows.numbers[places, _SLOT["magpsf"]])
    counts["epochs.jd"] += int((~dated).sum())
    counts["epochs.candid"] += int((dated & nameless).sum())
    return dated & ~nameless


def compute_epochs(values: avro.Values, owner: np.ndarray, counts: Counter[str]) -> Epochs:
    """Compute the features of n epochs, by the slots of `FIELDS`; count the missing ones."""
    numbers = values.numbers
    fid = numbers[:, _SLOT["fid"]]
    metadata = np.full((len(numbers), len(features.NAMES)), np.nan)
    unreadable = np.zeros(metadata.shape, dtype=bool)
    for name in _MEASURED:
        column = features.NAMES.index(name)
        metadata[:, column] = numbers[:, _SLOT[name]]
        unreadable[:, column] = values.spans[:, _SLOT[name], 1] == avro.UNREADABLE
    sign = features.NAMES.index("isdiffpos")
    metadata[:, sign], unknown = _read_signs(values, _SLOT["isdiffpos"])
    unreadable[:, sign] |= unknown
    _mask_missing(metadata, unreadable, counts)
    _compute(metadata)
    candid = values.spans[:, _SLOT["candid"], 0]
    return Epochs(
        owner=owner,
        candid=np.where(candid > 0, candid, -1),
        mjd=numbers[:, _SLOT["jd"]] - JD_OF_MJD_0,
        fid=np.where(np.isin(fid, _FILTERS), fid, np.nan),
        metadata=metadata,
    )


@lru_cache(maxsize=1)
def _sign_codes() -> dict[float, float]:
    return {avro.word_code(word): sign for word, sign in _SIGN_WORDS.items()}


def _read_signs(values: avro.Values, slot: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the feature of every isdiffpos, NaN of an unknown one, and which are unknown."""
    stored, size = values.numbers[:, slot], values.spans[:, slot, 1]
    text = size >= 0
    signs = np.full(len(stored), np.nan)
    for codes, where in ((_SIGNS, ~text), (_sign_codes(), text)):
        for code, sign in codes.items():
            signs[where & (stored == code)] = sign
    # A number that is none and a text of blanks are absent, the sentinel is one.
    signs[~text & (stored == features.SENTINEL)] = features.SENTINEL
    absent = np.where(text, stored == avro.word_code(""), np.isnan(stored))
    return signs, np.isnan(signs) & ~absent


def _mask_missing(metadata: np.ndarray, unreadable: np.ndarray, counts: Counter[str]) -> None:
    """Make what is no measurement NaN, in place, and count it by reason."""
    measured = [features.NAMES.index(name) for name in _MEASURED]
    ra, dec = features.NAMES.index("ra"), features.NAMES.index("dec")
    impossible = np.zeros(metadata.shape, dtype=bool)
    impossible[:, ra] = np.abs(metadata[:, ra] - 180) > 180
    impossible[:, dec] = np.abs(metadata[:, dec]) > 90
    sentinel = metadata == features.SENTINEL
    for column, name in enumerate(features.NAMES):
        impossible[:, column] |= features.is_impossible(name, metadata[:, column])
    absent = np.isnan(metadata) & ~unreadable
    wrong = (sentinel, absent, unreadable, impossible & ~sentinel)
    for reason, where in zip(MISSING, wrong, strict=True):
        counts[f"features.{reason}"] += int(where[:, measured].sum())
        metadata[where] = np.nan


def _compute(metadata: np.ndarray) -> None:
    """Fill in the features that follow from the others, in place."""
    column = {name: metadata[:, features.NAMES.index(name)] for name in features.NAMES}
    column["non_detections"][:] = column["ncovhist"] - column["ndethist"]
    known = np.isfinite(column["ra"]) & np.isfinite(column["dec"])
    sky = SkyCoord(column["ra"][known] * u.deg, column["dec"][known] * u.deg, frame="icrs")
    ecliptic, galactic = sky.transform_to(BarycentricTrueEcliptic()), sky.transform_to(Galactic())
    column["ecl_lat"][known], column["ecl_long"][known] = ecliptic.lat.deg, ecliptic.lon.deg
    column["gal_lat"][known], column["gal_long"][known] = galactic.b.deg, galactic.l.deg
