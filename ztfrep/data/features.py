"""The metadata of an alert as a feature set: names, units, clipping, valid ranges and scaling.

Order, clipping, mean and standard deviation of `ALERCE_FEATURES` are those of Carrasco-Davis et al.
2021 (AJ 162, 231) as ALeRCE publishes them with its stamp classifier.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

# Units of a table's features.
PHYSICAL = "physical"
ZSCORED_UNKNOWN = "zscored-unknown"
# The survey's value of a feature that was not measured.
SENTINEL = -999.0
# A nonnegative feature below this value was not measured: the clipping turns -999 into -1.
MAX_MISSING = -0.5

_INF = float("inf")
_MAX_FLOAT32 = float(np.finfo(np.float32).max)
# Rounding error of a feature in physical units that was stored as a z-score in float32.
_ROUNDING = 0.01


class Feature(NamedTuple):
    """One metadata column: ZTF name, unit, clipping before the z-score, published mean and std."""

    name: str
    unit: str
    low: float
    high: float
    mean: float
    std: float


@dataclass(frozen=True, eq=False)
class FeatureSet:
    """The metadata features of an alert, in the order of their columns.

    `valid_ranges` are the bounds, inclusive, of physical values where a feature has any; `periods`
    those of the features that are angles, in their unit. Features in `nonnegative` have -1 in place
    of a missing value after the clipping. `measured_with` names, for a feature that may be -1, a
    nonnegative feature of the same measurement.
    """

    name: str
    features: tuple[Feature, ...]
    valid_ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    periods: Mapping[str, float] = field(default_factory=dict)
    nonnegative: tuple[str, ...] = ()
    measured_with: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.features)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """ZTF names."""
        return tuple(feature.name for feature in self.features)

    @cached_property
    def mean(self) -> np.ndarray:
        """Published means `(k,)`."""
        return np.array([feature.mean for feature in self.features])

    @cached_property
    def std(self) -> np.ndarray:
        """Published standard deviations `(k,)`."""
        return np.array([feature.std for feature in self.features])

    def index(self, name: str) -> int:
        """Return the column of a feature; raises ValueError for an unknown name."""
        if name not in self.names:
            raise ValueError(f"Unknown feature {name!r}. Must be one of: {', '.join(self.names)}")
        return self.names.index(name)

    def columns(self, names: Iterable[str]) -> list[int]:
        """Return the columns of features; raises ValueError for an unknown name."""
        return [self.index(name) for name in names]

    def clip(self, values: np.ndarray) -> np.ndarray:
        """Clip physical values `(n, k)` as ALeRCE does before the z-score; NaN stays NaN."""
        low, high = zip(*((feature.low, feature.high) for feature in self.features), strict=True)
        return np.clip(values, low, high)

    def is_measured(self, values: np.ndarray) -> np.ndarray:
        """Return True for clipped physical values `(n, k)` that were measured.

        NaN was not, and neither was -1 in a nonnegative feature.
        """
        columns = self.columns(self.nonnegative)
        measured: np.ndarray = np.isfinite(values)
        measured[:, columns] &= ~(values[:, columns] < MAX_MISSING)
        for name, companion in self.measured_with.items():
            measured[:, self.index(name)] &= measured[:, self.index(companion)]
        return measured

    def is_impossible(self, name: str, values: np.ndarray) -> np.ndarray:
        """Return True for physical values `(n,)` of a feature that no alert can have.

        These are infinite, beyond float32, outside the feature's valid range, or -999. NaN is not
        impossible.
        """
        low, high = self.bounds(name)
        outside = (values < low) | (values > high)
        impossible: np.ndarray = outside | (values == SENTINEL)
        return impossible

    def bounds(self, name: str) -> tuple[float, float]:
        """Return the lowest and the highest value, inclusive, for which `is_impossible` is False.

        They are the valid range, with a margin for rounding errors, or those of float32.
        """
        low, high = self.valid_ranges.get(name, (-_MAX_FLOAT32, _MAX_FLOAT32))
        return low - _ROUNDING, high + _ROUNDING

    def describe_valid(self, name: str) -> str:
        """Return in words the values for which `is_impossible` is False."""
        if name not in self.valid_ranges:
            return f"a number other than {SENTINEL:g}, null where missing"
        low, high = self.valid_ranges[name]
        return f"{low:g} to {high:g}, null where missing"

    def mask_impossible(self, values: np.ndarray, unit: str) -> np.ndarray:
        """Return values `(n, k)` with NaN in place of those that no alert table may hold.

        In physical units these are the impossible ones; in other units those beyond float32.
        """
        if unit != PHYSICAL:
            return np.where(np.abs(values) > _MAX_FLOAT32, np.nan, values)
        impossible = [
            self.is_impossible(name, column)
            for name, column in zip(self.names, values.T, strict=True)
        ]
        return np.where(np.stack(impossible, axis=1), np.nan, values)

    def zscore(self, values: np.ndarray) -> np.ndarray:
        """Scale physical values `(n, k)` by the published mean and standard deviation."""
        return (values - self.mean) / self.std

    def invert_zscore(self, scores: np.ndarray) -> np.ndarray:
        """Convert published z-scores `(n, k)` to physical units, float64."""
        return scores * self.std + self.mean


ALERCE_FEATURES = FeatureSet(
    name="alerce",
    features=(
        # name, unit, low, high, mean, std
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
    ),
    valid_ranges={
        # Packets have upper limits of -1,010 and of 57 mag, of images without a calibration.
        "magpsf": (0.0, 40.0),
        "diffmaglim": (0.0, 40.0),
        "ra": (0.0, 360.0),
        "dec": (-90.0, 90.0),
        "ecl_lat": (-90.0, 90.0),
        "ecl_long": (0.0, 360.0),
        "gal_lat": (-90.0, 90.0),
        "gal_long": (0.0, 360.0),
        "ndethist": (0.0, 1e9),
        "ncovhist": (0.0, 1e9),
        "non_detections": (-1e9, 1e9),
    },
    periods={"ra": 360.0, "ecl_long": 360.0, "gal_long": 360.0},
    nonnegative=(
        *("sgscore1", "distpsnr1", "sgscore2", "distpsnr2", "sgscore3", "distpsnr3"),
        *("distnr", "magnr", "chinr"),
    ),
    # Sharpness may be -1.
    measured_with={"sharpnr": "chinr"},
)


def statistics(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute mean and standard deviation of features `(n, k)`: `(k,)` each, NaN ignored.

    A constant feature has a standard deviation of 1; a feature without values has a mean of 0.
    """
    finite = np.isfinite(values)
    counts = np.maximum(finite.sum(axis=0), 1)
    mean = np.where(finite, values, 0).sum(axis=0) / counts
    std = np.sqrt((np.where(finite, values - mean, 0) ** 2).sum(axis=0) / counts)
    return mean, np.where(std > 0, std, 1)


def standardise(values: np.ndarray, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Subtract the mean `(k,)` of features `(n, k)`, divide by the std `(k,)`; NaN becomes 0."""
    return np.nan_to_num((values - mean) / std, nan=0.0)


def is_published_zscore(scores: np.ndarray, tolerance: float = 0.01) -> bool:
    """Return True if z-scores `(n, k)` were made with the published mean and standard deviation.

    In physical units isdiffpos then has two values one apart, and ndethist and ncovhist are
    integers. (The published mean of isdiffpos is 0, which is not that of its values, so only the
    distance of its two values can be checked.)
    """
    physical = ALERCE_FEATURES.invert_zscore(np.asarray(scores, dtype=np.float64))
    sign = physical[:, ALERCE_FEATURES.index("isdiffpos")]
    sign = sign[np.isfinite(sign)]
    distance = np.minimum(np.abs(sign - sign.min()), np.abs(sign - sign.max())) if sign.size else 0
    two_values = np.all(distance < tolerance)
    one_apart = sign.size == 0 or min(abs(np.ptp(sign) - 1), abs(np.ptp(sign))) < tolerance
    counts = physical[:, ALERCE_FEATURES.columns(("ndethist", "ncovhist"))]
    counts = counts[np.isfinite(counts)]
    return bool(two_values and one_apart and np.all(np.abs(counts - np.rint(counts)) < tolerance))
