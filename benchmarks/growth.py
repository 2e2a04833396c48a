"""How time and memory of `convert`, `encode_*` and `evaluate_series` grow with the alerts.

python -m benchmarks.growth /absolute/folder                    # 1e3, 1e4 and 1e5 alerts
python -m benchmarks.growth /absolute/folder --sizes 1000 10000 100000 1000000

Every size has its own pickles of series in the published format, with small stamps: simulated
series, each repeated with other noise, so that no two are equal. Each function runs in a process of
its own. The time per alert is that beyond what the same process takes for 600 alerts: imports, the
file of first alerts, the models. The folder needs 10 kB per alert of the largest size; what is
written into it is deleted.
"""

import argparse
import os
import pickle
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measuring import RESULTS, child_seconds, measure, save
from ztfrep.data.files import replacing
from ztfrep.data.stamps import CROP
from ztfrep.palette import class_colour, class_marker

ROOT = Path(__file__).parents[1]
PLOT = ROOT / "docs/images/growth.svg"
SIZES = (1_000, 10_000, 100_000)
# Alerts of the run whose time is the fixed part of every other.
_BASE = 600
_LEAST = 5_000  # Alerts, from which on times per alert are known
# The alerts of an object; the file of first alerts has the same size in every run.
_DETECTIONS = 3
_SIMULATED_SCALE = 0.02
_NOISE = 0.02
_CHUNK = 5_000

# The calls of the stages, with the parameters of params.yaml. `folder` is that of a size.
_HEAD = """
import sys
from pathlib import Path
from ztfrep.params import read_params
{imports}
params, folder = read_params(sys.argv[1]), Path(sys.argv[2])
tables, encoded = folder / "tables", folder / "encoded"
released = Path(sys.argv[3])
settings = dict(precision=params.precision, threads=params.threads)
"""
_IMPORTS = {
    "convert": """
from ztfrep.data.splits import Splitting
from ztfrep.sources.base import TablePaths
from ztfrep.sources.conversion import convert
""",
    "encode_series": "from ztfrep.encoders.vectors_of_tables import *",
    "encode_objects": "from ztfrep.encoders.vectors_of_tables import *",
    "evaluate_series": """
from ztfrep.evaluation.object_protocol import evaluate_objects
from ztfrep.evaluation.reports import write_object_report
""",
}
_CALLS = {
    "convert": """
paths = {"stamps": folder / "stamps.pkl", "series": folder / "series.pkl"}
manifest = {"source": "local"} | {
    name: {"path": str(path), "bytes": path.stat().st_size} for name, path in paths.items()
}
convert(
    manifest, params.sources.local,
    TablePaths(tables / "stamps.parquet", tables / "series.parquet", tables / "bad_packets.csv"),
    splitting=Splitting(**params.convert.model_dump()), threads=params.threads,
)
""",
    "encode_series": """
encode_series_table(
    tables / "series.parquet", released / "autoencoder", encoded / "base.npy",
    encoded / "series.npy", encoded / "observations.parquet",
    batch_size=params.encode.batch_size, **settings,
)
""",
    "encode_objects": """
encode_object_series(
    encoded / "series.npy", encoded / "observations.parquet", released / "recurrent",
    encoded / "objects.npy", **settings,
)
""",
    "evaluate_series": """
evaluation = evaluate_objects(
    encoded / "series.npy", encoded / "observations.parquet", encoded / "objects.npy",
    released / "recurrent", params.evaluate, seed=params.seed, threads=params.threads,
)
write_object_report(evaluation, folder / "metrics", folder / "figures")
""",
}


def main() -> None:
    """Measure all sizes; write the result, a table and a plot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="for the inputs and outputs, which are deleted")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="numbers of alerts")
    parser.add_argument("--stages", nargs="+", choices=_CALLS, default=list(_CALLS))
    arguments = parser.parse_args()
    folder = arguments.folder.resolve() / "growth"
    folder.mkdir(parents=True)
    try:
        rows = measure_sizes(folder, sorted(arguments.sizes), arguments.stages)
    finally:
        shutil.rmtree(folder)
    table = markdown_table(rows)
    print(table)
    save("growth", {"stamp_pixels": CROP, "rows": rows}, shown=["stamp_pixels"])
    with replacing(RESULTS / "growth.md") as temporary:
        temporary.write_text(f"{table}\n", encoding="utf-8")
    draw(rows)


def measure_sizes(folder: Path, sizes: list[int], stages: list[str]) -> list[dict[str, Any]]:
    """Run every stage on every size; return a record of each run."""
    simulated = simulate(folder)
    rows = []
    base: dict[str, dict[str, float]] = {}
    # The first run of all reads programs from the disk, and is not measured.
    for alerts in [_BASE, _BASE, *sizes]:
        inputs = folder / str(alerts)
        begin = time.perf_counter()
        write_pickles(inputs, simulated, alerts)
        print(f"{alerts} alerts: inputs in {time.perf_counter() - begin:.0f} s", flush=True)
        # A stage reads what those before it wrote, so all of them run.
        for stage in _CALLS:
            measured = run(stage, inputs)
            if stage == "convert":
                (inputs / "series.pkl").unlink()
            if alerts == _BASE:
                base[stage] = measured
            if stage in stages and alerts != _BASE:
                rows.append(describe(stage, alerts, measured, base[stage]))
                print(rows[-1], flush=True)
        shutil.rmtree(inputs)
    return rows


def describe(
    stage: str, alerts: int, measured: Mapping[str, float], base: Mapping[str, float]
) -> dict[str, Any]:
    """Return a record: the measurement, and both times per alert beyond the fixed part.

    These are None for few alerts, whose times differ less than those of two runs.
    """
    beyond = {
        f"{name}_per_alert": round(1e6 * (measured[key] - base[key]) / (alerts - _BASE), 2)
        if alerts >= _LEAST
        else None
        for name, key in (("microseconds", "seconds"), ("cpu_microseconds", "cpu_seconds"))
    }
    return {"stage": stage, "alerts": alerts, **measured, **beyond}


def run(stage: str, folder: Path) -> dict[str, float]:
    """Run a stage's functions on the files of a folder in a new process."""
    program = _HEAD.format(imports=_IMPORTS[stage]) + _CALLS[stage]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "ZTFREP_DEVICE": "cpu"}
    before = child_seconds()
    measured = measure(
        [
            *(sys.executable, "-W", "ignore", "-c", program),
            *(str(ROOT / "params.yaml"), str(folder), str(ROOT / "ztfrep/released")),
        ],
        env=environment,
        cwd=folder,
    )
    return {
        "seconds": measured.seconds,
        "cpu_seconds": round(child_seconds() - before, 2),
        "peak_mib": measured.peak_mib,
    }


def simulate(folder: Path) -> dict[str, Any]:
    """Return simulated arrays of both pickles, the stamps cut to the crop of the networks."""
    from ztfrep.sources.simulation.survey import write_survey

    first_alerts, series = (
        pickle.loads(path.read_bytes())
        for path in write_survey(folder / "simulated", scale=_SIMULATED_SCALE, seed=7)
    )
    shutil.rmtree(folder / "simulated")
    for split in first_alerts.values():
        split["images"] = _cut(split["images"], (1, 2))
    # As many objects of each class, so that the smallest size has enough of all.
    labels = series["labels"]
    count = np.unique(labels, return_counts=True)[1].min()
    rows = np.stack([np.flatnonzero(labels == label)[:count] for label in np.unique(labels)], 1)
    cut = {name: _cut(series[name], (-2, -1)) for name in ("template", "science", "difference")}
    return {
        "first_alerts": first_alerts,
        "series": {name: array[rows.ravel()] for name, array in {**cut, "labels": labels}.items()},
    }


def _cut(images: np.ndarray, axes: tuple[int, int]) -> np.ndarray:
    cut = [slice(None)] * images.ndim
    for axis in axes:
        start = (images.shape[axis] - CROP) // 2
        cut[axis] = slice(start, start + CROP)
    return np.ascontiguousarray(images[tuple(cut)])


def write_pickles(folder: Path, simulated: Mapping[str, Any], alerts: int) -> None:
    """Write pickles in the published format with at least `alerts` alerts of series."""
    folder.mkdir()
    objects = -(-alerts // _DETECTIONS)
    series = simulated["series"]
    rows = np.arange(objects) % len(series["labels"])
    rng = np.random.default_rng(alerts)
    arrays: dict[str, np.ndarray] = {"labels": series["labels"][rows]}
    for name in ("template", "science", "difference"):
        array = arrays[name] = np.empty((objects, *series[name].shape[1:]), np.float32)
        for start in range(0, objects, _CHUNK):
            chunk = slice(start, start + _CHUNK)
            noise = rng.standard_normal(array[chunk].shape, np.float32)
            array[chunk] = series[name][rows[chunk]] + _NOISE * noise
    for name, content in (("stamps", simulated["first_alerts"]), ("series", arrays)):
        with (folder / f"{name}.pkl").open("wb") as file:
            pickle.dump(content, file, protocol=4)


def markdown_table(rows: list[dict[str, Any]]) -> str:
    """Return the records as a Markdown table."""
    lines = [
        "| stage | alerts | seconds | processor seconds "
        "| microseconds per alert beyond 600 alerts | by processor time | peak anonymous MiB |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| `{row['stage']}` | {row['alerts']:,} | {row['seconds']:,} | {row['cpu_seconds']:,} "
        f"| {_cell(row['microseconds_per_alert'])} | {_cell(row['cpu_microseconds_per_alert'])} "
        f"| {row['peak_mib']:,} |"
        for row in sorted(rows, key=lambda row: (list(_CALLS).index(row["stage"]), row["alerts"]))
    ]
    return "\n".join(lines)


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:,}"


def draw(rows: list[dict[str, Any]]) -> None:
    """Draw the time per alert and the peak memory over the number of alerts."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    panels = (
        ("microseconds_per_alert", "time per alert beyond 600 alerts (us)"),
        ("peak_mib", "peak anonymous memory (MiB)"),
    )
    for axes, (key, name) in zip(figure.subplots(1, 2), panels, strict=True):
        for number, stage in enumerate(dict.fromkeys(row["stage"] for row in rows)):
            points = [
                (row["alerts"], row[key])
                for row in rows
                if row["stage"] == stage and row[key] is not None
            ]
            style = {"color": class_colour(number), "marker": class_marker(number)}
            axes.loglog(*zip(*points, strict=True), "-", label=stage, **style)
        axes.set_xlabel("alerts")
        axes.set_ylabel(name)
        axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    # The same figure is the same bytes.
    with replacing(PLOT) as temporary, rc_context({"svg.hashsalt": "growth"}):
        figure.savefig(temporary, format="svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
