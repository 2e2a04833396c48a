"""Features of light curves by the package `light-curve` (Malanchev et al. 2021), for baselines."""

import importlib
from typing import Any

import numpy as np
import pandas as pd

from ztfrep.errors import InputError

_INSTALL = 'pip install "ztfrep[pipeline]"'
# Filters of the survey's light curves: g, r.
_FILTERS = (1, 2)
# Observations closer in time than this have no order, days.
_MIN_GAP = 1e-9


def light_curve_features(observations: pd.DataFrame, n_objects: int) -> np.ndarray:
    """Return features of the light curves of n objects, float64 `(n, k)`, NaN where unknown.

    `observations` has `row` (the object, 0 to n - 1), `detection` (position in time order), `mjd`,
    `fid`, `magpsf`, `sigmapsf` and `diffmaglim`, NaN where unknown. For each of g and r there are
    the features of `_extractor`; then the colour of the medians, the number of upper limits, and
    the last limit minus the first magnitude. Raises InputError without the package `light-curve`.
    """
    extractor = _extractor()
    ordered = observations.sort_values(["row", "detection"], kind="stable")
    detected = ordered[ordered["magpsf"].notna() & ordered["mjd"].notna()]
    parts = []
    for fid in _FILTERS:
        own = detected[detected["fid"] == fid]
        # The observations of object i are the rows from start i to start i + 1.
        starts = np.searchsorted(own["row"], np.arange(n_objects + 1))
        curves = [_arrays(own.iloc[starts[i] : starts[i + 1]]) for i in range(n_objects)]
        parts.append(extractor.many(curves, sorted=True, check=False, n_jobs=1, fill_value=np.nan))
    medians = [
        detected[detected["fid"] == fid].groupby("row")["magpsf"].median() for fid in _FILTERS
    ]
    index = pd.RangeIndex(n_objects)
    is_limit = ordered["magpsf"].isna() & ordered["diffmaglim"].notna()
    limits = ordered[is_limit].groupby("row")["diffmaglim"]
    columns = [
        (medians[0] - medians[1]).reindex(index),
        limits.size().reindex(index, fill_value=0),
        (limits.last() - detected.groupby("row")["magpsf"].first()).reindex(index),
    ]
    return np.hstack([*parts, np.column_stack([c.to_numpy(np.float64) for c in columns])])


def _arrays(curve: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return times, magnitudes and errors of a light curve, with times that increase."""
    days = curve["mjd"].to_numpy(np.float64)
    kept = np.diff(days, prepend=-np.inf) > _MIN_GAP
    errors = curve["sigmapsf"].fillna(0.1).to_numpy(np.float64).clip(1e-3)
    return days[kept], curve["magpsf"].to_numpy(np.float64)[kept], errors[kept]


def _extractor() -> Any:
    try:
        package = importlib.import_module("light_curve")
    except ImportError as error:
        raise InputError(
            "evaluation of light curves",
            found="no package light-curve",
            expected="it, for the baselines of objects with times",
            remedy=f"install it: {_INSTALL}",
        ) from error
    return package.Extractor(
        package.Amplitude(),
        package.BeyondNStd(1.0),
        package.Cusum(),
        package.EtaE(),
        package.InterPercentileRange(0.25),
        package.Kurtosis(),
        package.LinearTrend(),
        package.MaximumSlope(),
        package.Mean(),
        package.Median(),
        package.MedianAbsoluteDeviation(),
        package.ReducedChi2(),
        package.Skew(),
        package.StandardDeviation(),
        package.StetsonK(),
        package.WeightedMean(),
        package.Duration(),
        package.ObservationCount(),
    )
