"""The metadata of an alert: the 26 features of ALeRCE's stamp classifier, their units and scaling.

Order, clipping, mean and standard deviation are those of Carrasco-Davis et al. 2021 (AJ 162, 231)
as ALeRCE publishes them with its stamp classifier.
"""

from typing import NamedTuple

import numpy as np


class Feature(NamedTuple):
    """One metadata column: ZTF name, unit, clipping before the z-score, published mean and std."""

    name: str
    unit: str
    low: float
    high: float
    mean: float
    std: float


_INF = float("inf")

FEATURES: tuple[Feature, ...] = (
    Feature("sgscore1", "1", -1, _INF, 0.7041255430924432, 0.3799197334571002),
    Feature("distpsnr1", "arcsec", -1, _INF, 3.941122253808356, 5.949694365436986),
    Feature("sgscore2", "1", -1, _INF, 0.462221382971118, 0.4261297122366326),
    Feature("distpsnr2", "arcsec", -1, _INF, 10.893805420307675, 7.159838762869845),
    Feature("sgscore3", "1", -1, _INF, 0.39136703661723216, 0.528184045264236),
    Feature("distpsnr3", "arcsec", -1, _INF, 13.665451778592196, 8.042496801134273),
    Feature("isdiffpos", "1", -_INF, _INF, 0.0, 0.47113361884526406),
    Feature("fwhm", "pixel", -_INF, 10, 2.617771189810078, 1.6291465825377438),
    Feature("magpsf", "mag", -_INF, _INF, 18.91661276279921, 1.408401373184911),
    Feature("sigmapsf", "mag", -_INF, _INF, 0.14152754134129397, 0.060091724758989724),
    Feature("ra", "deg", -_INF, _INF, 181.0820148804342, 96.23590348616496),
    Feature("dec", "deg", -_INF, _INF, 22.153968169154407, 24.427197378027234),
    Feature("diffmaglim", "mag", -_INF, _INF, 20.21664878176659, 0.601868085019363),
    Feature("rb", "1", -_INF, _INF, 0.6147555610442754, 0.2200525357861321),
    Feature("distnr", "pixel", -1, _INF, 2.9002245168883416, 4.188060104039698),
    Feature("magnr", "mag", -1, _INF, 18.668169934961565, 3.1738116046003353),
    Feature("classtar", "1", -_INF, _INF, 0.856637110442036, 0.2031539876796047),
    Feature("ndethist", "1", -_INF, 20, 5.344072419654505, 6.552626738216146),
    Feature("ncovhist", "1", -_INF, 3000, 291.40510732497927, 424.5186709286612),
    Feature("ecl_lat", "deg", -_INF, _INF, 21.683213451976407, 27.232781418645576),
    Feature("ecl_long", "deg", -_INF, _INF, 166.73433625354693, 95.03070518723176),
    Feature("gal_lat", "deg", -_INF, _INF, 16.996460092087215, 38.88456173989733),
    Feature("gal_long", "deg", -_INF, _INF, 140.10421536618335, 84.23470064762579),
    Feature("non_detections", "1", -_INF, 2000, 273.5501838162628, 390.1727524999179),
    Feature("chinr", "1", -1, 15, 1.179799640266478, 1.5123727927432673),
    Feature("sharpnr", "1", -1, 1.5, -0.028653200003162668, 0.20231731177535472),
)

NAMES: tuple[str, ...] = tuple(feature.name for feature in FEATURES)
MEAN = np.array([feature.mean for feature in FEATURES])
STD = np.array([feature.std for feature in FEATURES])

_NEVER_NEGATIVE = [
    place
    for place, name in enumerate(NAMES)
    if name.startswith(("sgscore", "distpsnr")) or name in ("distnr", "magnr", "chinr")
]

# What a feature in physical units can be, where there are bounds that no measurement passes.
_POSSIBLE = {
    "ra": (0.0, 360.0),
    "dec": (-90.0, 90.0),
    "ecl_lat": (-90.0, 90.0),
    "ecl_long": (0.0, 360.0),
    "gal_lat": (-90.0, 90.0),
    "gal_long": (0.0, 360.0),
    "ndethist": (0.0, 1e9),
    "ncovhist": (0.0, 1e9),
    "non_detections": (-1e9, 1e9),
}
# Of a float32.
_LARGEST = float(np.finfo(np.float32).max)
# Of a z-score in float32 that was turned back.
_ROUNDING = 0.01
# The survey's word for "there is none".
SENTINEL = -999.0

PHYSICAL = "physical"
ZSCORED_UNKNOWN = "zscored-unknown"


def clip(values: np.ndarray) -> np.ndarray:
    """Clip physical features `(n, 26)` as upstream did before the z-score; NaN stays NaN."""
    return np.clip(values, [f.low for f in FEATURES], [f.high for f in FEATURES])


def is_measured(values: np.ndarray) -> np.ndarray:
    """Tell which physical features `(n, 26)` were measured: not NaN, and no -1 for the lack of one.

    Upstream clipping made -1 of the survey's -999, in columns that are never negative otherwise.
    """
    absent = values[:, _NEVER_NEGATIVE] < -0.5
    measured: np.ndarray = np.isfinite(values)
    measured[:, _NEVER_NEGATIVE] &= ~absent
    # Sharpness may be -1; it is measured on the same source as chi.
    measured[:, NAMES.index("sharpnr")] &= measured[:, NAMES.index("chinr")]
    return measured


def is_impossible(name: str, values: np.ndarray) -> np.ndarray:
    """Return which physical values `(n,)` of a feature nothing measured can have; NaN is none.

    They are infinite or beyond float32, beyond the feature's bounds, or the survey's -999 for the
    lack of a value.
    """
    low, high = _POSSIBLE.get(name, (-_LARGEST, _LARGEST))
    beyond = (values < low - _ROUNDING) | (values > high + _ROUNDING)
    impossible: np.ndarray = beyond | (values == SENTINEL)
    return impossible


def possible(name: str) -> str:
    """Return in words what `is_impossible` is False for."""
    if name not in _POSSIBLE:
        return f"a number other than {SENTINEL:g}, null where there is none"
    low, high = _POSSIBLE[name]
    return f"{low:g} to {high:g}, null where there is none"


def mask_impossible(values: np.ndarray, unit: str) -> np.ndarray:
    """Return features `(n, 26)` with NaN for those that no alert table may hold.

    In physical units these are the impossible ones; in others, those beyond float32.
    """
    if unit == PHYSICAL:
        impossible = [
            is_impossible(name, column) for name, column in zip(NAMES, values.T, strict=True)
        ]
        return np.where(np.stack(impossible, axis=1), np.nan, values)
    return np.where(np.abs(values) > _LARGEST, np.nan, values)


def zscore(values: np.ndarray) -> np.ndarray:
    """Scale physical features `(n, 26)` by the published mean and standard deviation."""
    return (values - MEAN) / STD


def invert_zscore(scores: np.ndarray) -> np.ndarray:
    """Turn published z-scores `(n, 26)` back into physical units, float64."""
    return scores * STD + MEAN


def statistics(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of features `(n, k)`: `(k,)` each.

    NaN counts nowhere; a feature without two different values has a deviation of 1, one without any
    a mean of 0.
    """
    known = np.isfinite(values)
    counts = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, values, 0).sum(axis=0) / counts
    std = np.sqrt((np.where(known, values - mean, 0) ** 2).sum(axis=0) / counts)
    return mean, np.where(std > 0, std, 1)


def standardise(values: np.ndarray, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Scale features `(n, k)` by mean and deviation `(k,)`; a missing one stands at the mean."""
    return np.nan_to_num((values - mean) / std, nan=0.0)


def scaled_as_published(scores: np.ndarray, tolerance: float = 0.01) -> bool:
    """Tell whether z-scores `(n, 26)` were made with the published mean and standard deviation.

    They were if the inverted isdiffpos takes two values one apart and the inverted ndethist and
    ncovhist are integers. (isdiffpos' published mean is 0 where the true one is not, so only the
    distance of its two values can be checked.)
    """
    physical = invert_zscore(np.asarray(scores, dtype=np.float64))
    sign = physical[:, NAMES.index("isdiffpos")]
    sign = sign[np.isfinite(sign)]
    # More than two values are as telling as a wrong distance: compare every value to its extremes.
    off_ends = np.minimum(np.abs(sign - sign.min()), np.abs(sign - sign.max())) if sign.size else 0
    two_values = np.all(off_ends < tolerance)
    one_apart = sign.size == 0 or min(abs(np.ptp(sign) - 1), abs(np.ptp(sign))) < tolerance
    counts = physical[:, [NAMES.index("ndethist"), NAMES.index("ncovhist")]]
    counts = counts[np.isfinite(counts)]
    return bool(two_values and one_apart and np.all(np.abs(counts - np.rint(counts)) < tolerance))
