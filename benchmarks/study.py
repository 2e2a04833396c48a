"""The study: ours and the published recipe, several seeds each, on the same rows.

python -m benchmarks.study            # queue, run, gather; hours on two cores
python -m benchmarks.study --gather   # what has already run, again

Every run is a DVC experiment by its name, so that each can be applied, pushed and run again. Test
figures go into benchmarks/results/study.json and, as a table, into README.md between its marks; to
choose by, there are the validation figures beside them.
"""

import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import dvc.api
import numpy as np
import typer
from tqdm import tqdm

from benchmarks.measuring import RESULTS, machine, save

README = Path("README.md")
_BEGIN, _END = "<!-- study: written by benchmarks.study -->", "<!-- study: end -->"
_WAIT = 10.0

# Both decoders are compared in the pixels that the published network was given.
_SHARED = {"autoencoder.rescale": "none", "threads": 1}
VARIANTS: dict[str, dict[str, object]] = {
    "ours": {"autoencoder.epochs": 20, "recurrent.epochs": 30},
    # The recipe on record, to its end.
    "published": {
        "autoencoder.architecture": "published",
        "autoencoder.loss": "published",
        "autoencoder.dropout": 0.8,
        "autoencoder.reconstruction_weight": 0.95,
        "autoencoder.classification_weight": 0.05,
        "autoencoder.label_smoothing": 0.0,
        "autoencoder.contrastive_weight": 0.0,
        "autoencoder.sampling": "copies",
        "autoencoder.optimizer": "adam",
        "autoencoder.learning_rate": 0.0001,
        "autoencoder.schedule": "constant",
        "autoencoder.epochs": 60,
        "autoencoder.patience": 60,
        "autoencoder.batch_size": 32,
        "autoencoder.final_batch_size": 64,
        "autoencoder.final_epochs": 10,
        "recurrent.architecture": "published",
        "recurrent.balance": "undersample",
        "recurrent.schedule": "constant",
        "recurrent.learning_rate": 0.001,
        "recurrent.batch_size": 16,
        "recurrent.final_batch_size": 16,
        "recurrent.epochs": 30,
        "recurrent.patience": 30,
    },
}
# Rows of the table: what it is, in which file, the method and the metric there, and of which runs.
_BALANCED, _F1 = "balanced_accuracy", "macro_f1"
ROWS: tuple[tuple[str, str, str, str, tuple[str, ...]], ...] = (
    ("classification branch", "stamps", "branch", _BALANCED, ("ours", "published")),
    ("linear probe of the vectors", "stamps", "linear_probe", _BALANCED, ("ours", "published")),
    ("RBF SVM of the vectors", "stamps", "svm", _BALANCED, ("ours", "published")),
    ("15 nearest neighbours", "stamps", "knn", _BALANCED, ("ours", "published")),
    ("probe, 10 % of the labels", "stamps", "linear_probe_10_percent", _BALANCED,
     ("ours", "published")),
    ("probe, 1 % of the labels", "stamps", "linear_probe_1_percent", _BALANCED,
     ("ours", "published")),
    ("probe, stamps alone", "stamps", "stamps_alone_linear_probe", _BALANCED, ("ours",)),
    ("random forest on the features", "stamps", "forest_on_features", _BALANCED, ("ours",)),
    ("probe of a PCA of the pixels", "stamps", "pca_linear_probe", _BALANCED, ("ours",)),
    ("reconstruction, MSE", "stamps", "reconstruction", "mse", ("ours", "published")),
    ("the same without the pose, MSE", "stamps", "reconstruction_without_pose", "mse", ("ours",)),
    ("PCA with as many numbers, MSE", "stamps", "pca_reconstruction", "mse", ("ours",)),
    ("precision at 10", "stamps", "retrieval", "precision_at_10", ("ours", "published")),
    ("k-means, NMI", "stamps", "clustering", "kmeans_nmi", ("ours", "published")),
    ("recurrent network, macro-F1", "series", "network", _F1, ("ours", "published")),
    ("probe of the objects' vectors, macro-F1", "series", "objects_linear_probe", _F1,
     ("ours", "published")),
    ("probe of the mean alert, macro-F1", "series", "mean_alert_linear_probe", _F1,
     ("ours", "published")),
    ("probe of the last alert, macro-F1", "series", "last_alert_linear_probe", _F1,
     ("ours", "published")),
)  # fmt: skip


def main(
    scale: Annotated[float, typer.Option(help="Of the simulated survey.")] = 0.2,
    seeds: Annotated[int, typer.Option(help="Runs of each architecture.")] = 3,
    jobs: Annotated[int, typer.Option(help="Experiments at a time.")] = 2,
    gather: Annotated[bool, typer.Option(help="Run nothing; gather what has run.")] = False,
    option: Annotated[list[str] | None, typer.Option(help="key=value for every run.")] = None,
) -> None:
    """Run the study and write what it found."""
    names = {
        variant: [f"study-{variant}-{scale:g}-{seed}" for seed in range(seeds)]
        for variant in VARIANTS
    }
    if not gather:
        # An earlier study's task of the same name would pass for this one's.
        for name in _states([name for each in names.values() for name in each]):
            subprocess.run(["dvc", "queue", "remove", name], check=True)
        for variant, each in names.items():
            for seed, name in enumerate(each):
                chosen = _SHARED | VARIANTS[variant] | {"sources.sample.scale": scale, "seed": seed}
                settings = [f"{key}={value}" for key, value in chosen.items()]
                _queue(name, [*settings, *(option or [])])
        _run([name for each in names.values() for name in each], jobs)
    found = {variant: [_metrics(name) for name in each] for variant, each in names.items()}
    table = {
        title: {
            variant: _summary([run[file][method] for run in found[variant]], metric)
            for variant in variants
            if all(method in run[file] for run in found[variant])
        }
        for title, file, method, metric, variants in ROWS
    }
    words = [f"--scale {scale:g}", f"--seeds {seeds}", *(f"--option {o}" for o in option or [])]
    command = " ".join(["python -m benchmarks.study", *words])
    rows = {name: found["ours"][0][name] for name in ("stamps", "series")}
    counts = {"alerts": rows["stamps"]["alerts"], "objects": rows["series"]["objects"]}
    save(
        "study",
        {
            "command": command,
            "scale": scale,
            "seeds": seeds,
            "test": counts,
            "variants": VARIANTS,
            "table": table,
            "runs": found,
        },
        shown=("command", "table"),
    )
    _write_readme(_markdown(table, command, counts))


def _queue(name: str, settings: Sequence[str]) -> None:
    changes = [part for setting in settings for part in ("-S", setting)]
    subprocess.run(
        ["dvc", "exp", "run", "--queue", "--force", "--name", name, *changes], check=True
    )


def _run(names: Sequence[str], jobs: int) -> None:
    """Start the queue, and wait until none of the experiments is left to do."""
    subprocess.run(["dvc", "queue", "start", "-j", str(jobs)], check=True)
    with tqdm(total=len(names), desc="study", unit=" runs") as bar:
        while True:
            states = _states(names)
            bar.n = sum(state not in ("Queued", "Running") for state in states.values())
            bar.refresh()
            if bar.n == len(names):
                break
            time.sleep(_WAIT)
    failed = [name for name, state in states.items() if state != "Success"]
    if failed:
        raise SystemExit(f"error: failed: {', '.join(failed)}; see dvc queue logs {failed[0]}")


def _states(names: Sequence[str]) -> dict[str, str]:
    lines = subprocess.run(
        ["dvc", "queue", "status"], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    words = [line.split() for line in lines]
    # Task, name, created (some words), status.
    return {part[1]: part[-1] for part in words if len(part) > 2 and part[1] in names}


def _metrics(name: str) -> dict[str, Any]:
    """Read what an experiment measured: on test rows, and on validation rows."""
    files = ("stamps", "series", "stamps_validation", "series_validation")
    return {file: json.loads(dvc.api.read(f"metrics/{file}.json", rev=name)) for file in files}


def _summary(scores: Sequence[Mapping[str, float]], metric: str) -> dict[str, Any]:
    """Give the mean of the seeds, and the widest of their intervals."""
    values = [score[metric] for score in scores]
    found: dict[str, Any] = {"mean": float(np.mean(values)), "of_seeds": values}
    if f"{metric}_low" in scores[0]:
        found["low"] = min(score[f"{metric}_low"] for score in scores)
        found["high"] = max(score[f"{metric}_high"] for score in scores)
    return found


def _markdown(
    table: Mapping[str, Mapping[str, Mapping[str, Any]]], command: str, counts: Mapping[str, int]
) -> str:
    lines = ["| test rows | ours | published |", "|---|---|---|"]
    for title, variants in table.items():
        cells = [_cell(variants.get(variant)) for variant in ("ours", "published")]
        lines.append(f"| {title} | {cells[0]} | {cells[1]} |")
    described = (
        f"By `{command}` on {machine()['cores']} cores ({machine()['processor']}): "
        f"{counts['alerts']:,} test alerts, {counts['objects']:,} test objects; the mean of the "
        "seeds, and in brackets the widest of their 95 % intervals."
    )
    return "\n".join([*lines, "", described])


def _cell(score: Mapping[str, Any] | None) -> str:
    if score is None:
        return ""
    digits = 5 if score["mean"] < 0.05 else 3
    interval = ""
    if "low" in score:
        interval = f" ({score['low']:.{digits}f} - {score['high']:.{digits}f})"
    return f"{score['mean']:.{digits}f}{interval}"


def _write_readme(text: str) -> None:
    content = README.read_text(encoding="utf-8")
    before, _, rest = content.partition(_BEGIN)
    _, mark, after = rest.partition(_END)
    if not mark:
        raise SystemExit(f"error: {README}: no marks {_BEGIN} and {_END}")
    README.write_text(f"{before}{_BEGIN}\n{text}\n{_END}{after}", encoding="utf-8")
    print(f"written: {README}, {RESULTS / 'study.json'}")


if __name__ == "__main__":
    typer.run(main)
