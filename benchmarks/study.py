"""The study: our architectures and the published recipe, several seeds each, on the same rows.

python -m benchmarks.study            # queue, run, collect; hours on two cores
python -m benchmarks.study --collect  # collect the runs that are complete

Every run is a DVC experiment with a name, so that it can be applied, pushed and repeated. The test
metrics are written to benchmarks/results/study-SCALE.json and, as a table, to docs/results.md where
it has marks of that scale; the JSON has the validation metrics too, for choices.
"""

import json
import subprocess
import time
from collections.abc import Sequence
from typing import Annotated, Any

import dvc.api
import typer
from tqdm import tqdm

from benchmarks.measuring import save
from benchmarks.study_table import ROWS, compare, format_table, write_page

# DVC takes some seconds of a core to answer.
_POLL_SECONDS = 30.0

# Both decoders are compared in the pixels that the published network reads, which are not scaled.
_SHARED = {"autoencoder.invariant.stamp_scaling": "none", "threads": 1}
VARIANTS: dict[str, dict[str, object]] = {
    "ours": {"autoencoder.invariant.epochs": 12, "recurrent.temporal.epochs": 30},
    "published": {"autoencoder.architecture": "published", "recurrent.architecture": "published"},
}


def main(
    scale: Annotated[float, typer.Option(help="Scale of the simulated survey.")] = 0.2,
    seeds: Annotated[int, typer.Option(help="Runs of each variant.")] = 3,
    jobs: Annotated[int, typer.Option(help="Experiments at a time.")] = 2,
    collect: Annotated[bool, typer.Option(help="Run nothing; collect complete runs.")] = False,
    option: Annotated[list[str] | None, typer.Option(help="key=value for every run.")] = None,
) -> None:
    """Run the study and write its results."""
    study = f"study-{scale:g}"
    names = {
        variant: [f"study-{variant}-{scale:g}-{seed}" for seed in range(seeds)]
        for variant in VARIANTS
    }
    all_names = [name for variant_names in names.values() for name in variant_names]
    if not collect:
        # A task of an earlier study may have the same name.
        for name in _states(all_names):
            subprocess.run(["dvc", "queue", "remove", name], check=True)
        for variant, variant_names in names.items():
            for seed, name in enumerate(variant_names):
                params = _SHARED | VARIANTS[variant] | {"sources.sample.scale": scale, "seed": seed}
                settings = [f"{key}={value}" for key, value in params.items()]
                _queue(name, [*settings, *(option or [])])
        _run(all_names, jobs)
    runs = {
        variant: [_read_metrics(name) for name in variant_names]
        for variant, variant_names in names.items()
    }
    table = {row.title: compare(row, runs) for row in ROWS}
    arguments = [f"--scale {scale:g}", f"--seeds {seeds}", *(f"--option {o}" for o in option or [])]
    command = " ".join(["python -m benchmarks.study", *arguments])
    metrics = runs["ours"][0]
    counts = {"alerts": metrics["stamps"]["alerts"], "objects": metrics["series"]["objects"]}
    save(
        study,
        {
            "command": command,
            "scale": scale,
            "seeds": seeds,
            "test": counts,
            "variants": VARIANTS,
            "table": table,
            "runs": runs,
        },
        shown=("command", "table"),
    )
    write_page(study, format_table(table, command, counts))


def _queue(name: str, settings: Sequence[str]) -> None:
    changes = [part for setting in settings for part in ("-S", setting)]
    subprocess.run(
        ["dvc", "exp", "run", "--queue", "--force", "--name", name, *changes], check=True
    )


def _run(names: Sequence[str], jobs: int) -> None:
    """Start the queue, and wait until all of the experiments are done."""
    subprocess.run(["dvc", "queue", "start", "-j", str(jobs)], check=True)
    with tqdm(total=len(names), desc="study", unit=" runs") as bar:
        while True:
            states = _states(names)
            bar.n = sum(state not in ("Queued", "Running") for state in states.values())
            bar.refresh()
            if bar.n == len(names):
                break
            time.sleep(_POLL_SECONDS)
    failed = [name for name, state in states.items() if state != "Success"]
    if failed:
        raise SystemExit(f"error: failed: {', '.join(failed)}; see dvc queue logs {failed[0]}")


def _states(names: Sequence[str]) -> dict[str, str]:
    lines = subprocess.run(
        ["dvc", "queue", "status"], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    # Task, name, time of creation (some words), status.
    columns = [line.split() for line in lines]
    return {words[1]: words[-1] for words in columns if len(words) > 2 and words[1] in names}


def _read_metrics(name: str) -> dict[str, Any]:
    """Read the metrics of an experiment on test and on validation rows."""
    files = ("stamps", "series", "stamps_validation", "series_validation")
    return {file: json.loads(dvc.api.read(f"metrics/{file}.json", rev=name)) for file in files}


if __name__ == "__main__":
    typer.run(main)
