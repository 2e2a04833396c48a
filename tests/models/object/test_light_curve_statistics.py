"""Statistics of light curves: those of the definition, and only of what is known at the time."""

import numpy as np
import pandas as pd
import pytest
import torch

from ztfrep.models.object.forecast_query import forecast_query
from ztfrep.models.object.light_curve_statistics import (
    N_STATISTICS,
    NAMES,
    light_curve_statistics,
    running_maximum,
)
from ztfrep.models.object.observation_input import object_input


def light_curve(n=12, seed=0):
    """Return a table of one object: detections in g and r, and upper limits."""
    rng = np.random.default_rng(seed)
    is_limit = rng.random(n) < 0.25
    return pd.DataFrame(
        {
            "row": 0,
            "detection": np.arange(n),
            "step": np.where(is_limit, -1, np.cumsum(~is_limit) - 1),
            "mjd": 59000 + np.sort(rng.uniform(0, 40, n)),
            "fid": rng.integers(1, 3, n),
            "magpsf": np.where(is_limit, np.nan, rng.uniform(17, 20, n)),
            "sigmapsf": 0.1,
            "diffmaglim": rng.uniform(19, 21, n),
        }
    )


def inputs(table):
    return object_input(
        table, np.zeros((1, len(table), 2)), max_observations=64, all_observations=True
    )


def statistics(table):
    """Return the statistics after each observation as a table, NaN where unknown."""
    values, known = light_curve_statistics(inputs(table))[0].chunk(2, dim=1)
    return pd.DataFrame(torch.where(known > 0, values, torch.nan).numpy(), columns=NAMES)


def expected(table):
    """Compute some statistics after the last observation of a table from their definitions."""
    known, last = table[table["magpsf"].notna()], table.iloc[-1]
    limits, values = table[table["magpsf"].isna()], {}
    by_filter = {fid: known[known["fid"] == fid] for fid in (1, 2)}
    before = by_filter[last["fid"]]
    before = before[before["detection"] < last["detection"]]
    if np.isfinite(last["magpsf"]):
        if len(before):
            values["change"] = last["magpsf"] - before["magpsf"].iloc[-1]
        values["from_brightest"] = last["magpsf"] - by_filter[last["fid"]]["magpsf"].min()
    if len(limits) and len(known):
        limit = limits["diffmaglim"].iloc[-1] - known["magpsf"].iloc[-1]
        values["limit_minus_magnitude"] = limit
    if len(known):
        values["days_since_first_detection"] = np.log1p(last["mjd"] - known["mjd"].iloc[0])
    earlier = known[known["detection"] < last["detection"]]
    if len(earlier):
        values["days_since_last_detection"] = np.log1p(last["mjd"] - earlier["mjd"].iloc[-1])
    if all(map(len, by_filter.values())):
        ends = [own.iloc[-1] for own in by_filter.values()]
        values["colour"] = ends[0]["magpsf"] - ends[1]["magpsf"]
        values["colour_days"] = np.log1p(abs(ends[0]["mjd"] - ends[1]["mjd"]))
    values |= {"detections": np.log1p(len(known)), "limits": np.log1p(len(limits))}
    for fid, own in by_filter.items():
        magnitudes, days = own["magpsf"].to_numpy(), own["mjd"].to_numpy()
        values[f"count_{fid}"] = np.log1p(len(own))
        if len(own):
            values[f"last_{fid}"] = (magnitudes[-1] - 19) / 1.5
            values[f"mean_{fid}"] = (magnitudes.mean() - 19) / 1.5
        if len(own) > 1:
            slope = np.cov(days, magnitudes, bias=True)[0, 1] / (days.var() + 0.25)
            values |= {
                f"deviation_{fid}": magnitudes.std(),
                f"range_{fid}": np.ptp(magnitudes),
                f"last_minus_brightest_{fid}": magnitudes[-1] - magnitudes.min(),
                f"last_minus_first_{fid}": magnitudes[-1] - magnitudes[0],
                f"slope_{fid}": np.sign(slope) * np.log1p(abs(slope) / 0.1),
                f"days_{fid}": np.log1p(np.ptp(days)),
            }
    values["count_3"] = 0.0
    return values


@pytest.mark.parametrize("seed", range(5))
def test_statistics_are_those_of_the_observations_so_far(seed):
    table = light_curve(seed=seed)
    computed = statistics(table).drop(columns="rate")
    for step in range(len(table)):
        row = computed.iloc[step].dropna()
        values = expected(table.iloc[: step + 1])
        assert set(row.index) == set(values), step
        for name, value in values.items():
            assert row[name] == pytest.approx(value, abs=1e-3), (step, name)


def test_the_future_changes_no_bytes():
    past, other = light_curve(seed=1), light_curve(seed=2)
    later = other.assign(detection=other["detection"] + 12, mjd=other["mjd"] + 50, step=-1)
    longer = light_curve_statistics(inputs(pd.concat([past, later])))[:, :12]
    assert longer.numpy().tobytes() == light_curve_statistics(inputs(past)).numpy().tobytes()


def test_nothing_is_known_without_magnitudes_and_times():
    unknown = dict.fromkeys(("mjd", "fid", "magpsf", "sigmapsf", "diffmaglim"), np.nan)
    values = statistics(light_curve().assign(**unknown, step=np.arange(12)))
    counts = {name for name in NAMES if name.startswith(("detections", "limits", "count_"))}
    assert set(values.columns[values.notna().any()]) == counts
    assert values["detections"].tolist() == pytest.approx(np.log1p(np.arange(1, 13)))


def test_long_and_close_times_have_finite_statistics():
    table = light_curve()
    same = statistics(table.assign(mjd=59000.0))
    assert np.isfinite(same["slope_1"].dropna()).all()
    far = table.assign(mjd=59000 + 2000.0 * (table["detection"] > 3) + table["detection"])
    assert np.isfinite(statistics(far).fillna(0)).all(axis=None)
    assert light_curve_statistics(inputs(far)).shape == (1, 12, N_STATISTICS)


def test_the_last_magnitude_is_that_in_the_same_filter_else_in_any():
    table = light_curve(5).assign(
        fid=[1, 2, 2, 3, 1], magpsf=[np.nan, 18, 17, 16, 19], mjd=59000.0 + np.arange(5)
    )
    query = forecast_query(inputs(table))
    assert query.has_detection[0].tolist() == [False, False, True, True, True]
    magnitudes = query.last_magnitude[0] * 1.5 + 19
    # The last one is the first in g: the last detection before it is in i.
    assert magnitudes[2:].tolist() == pytest.approx([18, 17, 16])


def test_a_running_maximum_is_the_same_in_exported_graphs(monkeypatch):
    values = torch.randn(3, 9, 4, generator=torch.Generator().manual_seed(0))
    expected_maximum = running_maximum(values)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    torch.testing.assert_close(running_maximum(values), expected_maximum)
