"""The simulated survey beside real alerts: what their light curves show, by class.

dvc exp run --temp -S source=alerts -S sources.alerts.path=FOLDER -S sources.alerts.labels=CSV \
  convert
dvc exp run --temp -S source=survey convert
python -m benchmarks.light_curves REAL SIMULATED

REAL and SIMULATED are the series tables of the two runs (`data/parquet/series.parquet`), or the
folders that hold them. A statistic of an alert is one of the 30 days before it, which are all that
a real packet has.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer

from benchmarks.measuring import save
from ztfrep.data.alert_schema import CLASSES
from ztfrep.data.alert_table import AlertTable

RESULT = "light_curves"
WINDOW = 30.0  # days
_NIGHT = 0.5  # days, that two observations of one night are less apart
_GREEN, _RED = 1, 2
_QUARTILES = (0.25, 0.5, 0.75)
_SHARES = {
    "alerts with an earlier detection",
    "negative subtractions",
    "light curves of both signs",
    "earlier observations that detect",
}
_MIN_VALUES = 5  # Of which quartiles are shown

Statistics = dict[str, np.ndarray]


def main(
    real: Annotated[Path, typer.Argument(help="The series table of real alerts, or its folder.")],
    simulated: Annotated[Path, typer.Argument(help="That of the simulated survey.")],
    name: Annotated[str, typer.Option(help="Of the JSON in benchmarks/results.")] = RESULT,
) -> None:
    """Print quartiles of both tables by class, and save them."""
    tables = {"real": read_observations(real), "simulated": read_observations(simulated)}
    result: dict[str, dict[str, dict[str, dict[str, float]]]] = {}
    for label, of_class in enumerate((*CLASSES, "unlabelled")):
        for side, observations in tables.items():
            own = observations["label"] == (label if label < len(CLASSES) else -1)
            for statistic, values in light_curve_statistics(observations[own]).items():
                summary = summarise(statistic, values)
                result.setdefault(of_class, {}).setdefault(statistic, {})[side] = summary
    save(name, result, shown=())
    typer.echo(to_markdown(result))


def read_observations(path: Path) -> pd.DataFrame:
    """Return the observations of a series table, sorted by object and date."""
    table = AlertTable(path / "series.parquet" if path.is_dir() else path)
    names = ("magpsf", "sigmapsf", "diffmaglim", "isdiffpos")
    features = dict(zip(names, table.features(names).T, strict=True))
    columns = ["object_id", "mjd", "fid", "label", "has_stamps"]
    frame = table.identity()[columns].assign(**features)
    return frame.sort_values(["object_id", "mjd"], ignore_index=True)


def light_curve_statistics(observations: pd.DataFrame) -> Statistics:
    """Return the values of every statistic of the observations of objects, in the order shown.

    `observations` is sorted by object and date; an upper limit has no magnitude. Magnitudes are
    those of the difference.
    """
    owner = observations["object_id"].factorize()[0]
    day, fid = observations["mjd"].to_numpy(), observations["fid"].to_numpy()
    magnitude = observations["magpsf"].to_numpy(dtype=float)
    detected = np.isfinite(magnitude)
    negative = observations["isdiffpos"].to_numpy(dtype=float) == 1
    alert = np.flatnonzero(observations["has_stamps"] & detected)
    # Dates of an object are less than the span apart.
    key = owner * 1e5 + (day - (day.min() if len(day) else 0))
    first = np.searchsorted(key, np.maximum(key[alert] - WINDOW, owner[alert] * 1e5))
    number = np.concatenate([[0], np.cumsum(detected)])
    detections = number[alert] - number[first]
    limits = alert - first - detections
    first_detected = np.flatnonzero(detected)[
        np.searchsorted(np.flatnonzero(detected), first)[detections > 0]
    ]
    gaps = np.diff(day)[(np.diff(owner) == 0) & (np.diff(day) < WINDOW)]
    limit_depth = observations["diffmaglim"].to_numpy(dtype=float)
    seen = alert - first > 0
    statistics = {
        "detections in 30 days before": detections,
        "upper limits in 30 days before": limits,
        "earlier observations that detect": (detections / np.maximum(alert - first, 1))[seen],
        "alerts with an earlier detection": detections > 0,
        "days since first detection": day[alert][detections > 0] - day[first_detected],
        "days between nights": gaps[gaps > _NIGHT],
        "hours between exposures of a night": gaps[gaps <= _NIGHT] * 24,
        "magpsf of alerts": magnitude[alert],
        "magpsf of earlier detections": magnitude[detected & ~observations["has_stamps"]]
        if (~observations["has_stamps"] & detected).any()
        else magnitude[detected],
        "diffmaglim of detections": limit_depth[detected],
        "diffmaglim of upper limits": limit_depth[~detected & (limit_depth > 0)],
        "negative subtractions": negative[detected],
    }
    error = observations["sigmapsf"].to_numpy(dtype=float)
    for bright in (16, 17, 18, 19):
        chosen = detected & (magnitude >= bright) & (magnitude < bright + 1)
        statistics[f"sigmapsf at {bright} to {bright + 1} mag"] = error[chosen]
    # Of an object, what its last packet has: real objects have only few.
    last = np.full(owner.max(initial=-1) + 1, -np.inf)
    np.maximum.at(last, owner[alert], day[alert])
    recent = detected & (day <= last[owner]) & (day >= last[owner] - WINDOW)
    columns = owner[recent], day[recent], fid[recent], magnitude[recent], negative[recent]
    return statistics | _variation(*columns)


def _variation(
    owner: np.ndarray,
    day: np.ndarray,
    fid: np.ndarray,
    magnitude: np.ndarray,
    negative: np.ndarray,
) -> Statistics:
    """Return how detections of an object, its filter and sign differ, and its colours."""
    light = pd.DataFrame({"owner": owner, "fid": fid, "negative": negative, "magnitude": magnitude})
    groups = light.groupby(["owner", "fid", "negative"])["magnitude"].agg(["std", "count"])
    statistics = {"scatter of 3 or more detections": groups["std"][groups["count"] >= 3].to_numpy()}
    signs = light.groupby(["owner", "fid"])["negative"].agg(["mean", "count"])
    mixed = (signs["mean"] > 0) & (signs["mean"] < 1)
    statistics["light curves of both signs"] = mixed[signs["count"] >= 4].to_numpy()
    order = np.lexsort((day, negative, fid, owner))
    same = (np.diff(owner[order]) == 0) & (np.diff(fid[order]) == 0)
    same &= np.diff(negative[order].astype(int)) == 0
    gap, change = np.diff(day[order]), np.diff(magnitude[order])
    for name, low, high in (
        ("within a night", 0, _NIGHT),
        ("from a night to the next", _NIGHT, 1.5),
        ("in 5 to 15 days", 5, 15),
    ):
        statistics[f"change {name}"] = np.abs(change[same & (gap > low) & (gap <= high)])
    # Consecutive detections of a night in the two filters.
    order = np.lexsort((day, owner))
    pair = (np.diff(owner[order]) == 0) & (np.diff(day[order]) < _NIGHT)
    pair &= (np.diff(fid[order]) != 0) & (np.maximum(fid[order][1:], fid[order][:-1]) <= _RED)
    pair &= negative[order][1:] == negative[order][:-1]
    sign = np.where(fid[order][:-1] == _GREEN, -1, 1)
    statistics["g - r"] = (sign * np.diff(magnitude[order]))[pair]
    return statistics


def summarise(statistic: str, values: np.ndarray) -> dict[str, float]:
    """Return the number of values with their quartiles, or their mean if it is a share."""
    values = np.asarray(values, float)
    values = values[np.isfinite(values)]
    summary: dict[str, float] = {"n": len(values)}
    if len(values) < _MIN_VALUES:
        return summary
    if statistic in _SHARES:
        return summary | {"mean": round(float(values.mean()), 3)}
    low, median, high = np.quantile(values, _QUARTILES).round(3).tolist()
    return summary | {"q25": low, "median": median, "q75": high}


def to_markdown(result: dict[str, dict[str, dict[str, dict[str, float]]]]) -> str:
    """Return a table for each class: median (quartiles) or share, real beside simulated."""
    lines = []
    for of_class, statistics in result.items():
        lines += [f"\n**{of_class}**\n", "| | real | simulated |", "|---|---|---|"]
        for statistic, sides in statistics.items():
            cells = [_cell(sides.get(side, {"n": 0})) for side in ("real", "simulated")]
            lines.append(f"| {statistic} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(summary: dict[str, float]) -> str:
    if "mean" in summary:
        return f"{summary['mean']:.2f}"
    if "median" not in summary:
        return "-"
    return f"{summary['median']:.3g} ({summary['q25']:.3g} to {summary['q75']:.3g})"


if __name__ == "__main__":
    typer.run(main)
