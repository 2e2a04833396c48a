"""The study: ours and the published recipe, several seeds each, on the same rows.

python -m benchmarks.study            # queue, run, gather; hours on two cores
python -m benchmarks.study --gather   # what has already run, again

Every run is a DVC experiment by its name, so that each can be applied, pushed and run again. Test
figures go into benchmarks/results/study-SCALE.json and, as a table, into README.md where it has
marks of that scale; to choose by, there are the validation figures beside them.
"""

import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import dvc.api
import numpy as np
import typer
from tqdm import tqdm

from benchmarks.measuring import machine, save

README = Path("README.md")
_BEGIN, _END = "<!-- {name}: written by benchmarks.study -->", "<!-- {name}: end -->"
# To ask takes DVC some seconds of a core.
_WAIT = 30.0

# Both decoders are compared in the pixels that the published network was given.
_SHARED = {"autoencoder.rescale": "none", "threads": 1}
VARIANTS: dict[str, dict[str, object]] = {
    "ours": {"autoencoder.epochs": 12, "recurrent.epochs": 30},
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
_BALANCED, _F1 = "balanced_accuracy", "macro_f1"


class Row(NamedTuple):
    """A row of the table: a metric of both architectures, and of plain rivals on the same rows."""

    title: str
    file: str
    method: str
    metric: str
    rivals: tuple[tuple[str, str, str], ...] = ()
    lower_is_better: bool = False


_FOREST = ("forest on the features", "forest_on_features", _BALANCED)
_OF_PIXELS = ("PCA of the pixels", "pca_linear_probe", _BALANCED)
_STAMPS_ALONE = ("ours, of the stamps alone", "stamps_alone_linear_probe", _BALANCED)
_PCA = ("PCA, as many numbers", "pca_reconstruction", "mse")
_MEAN_ALERT = ("mean of its alerts", "mean_alert_linear_probe", _F1)
_LAST_ALERT = ("its last alert", "last_alert_linear_probe", _F1)
ROWS = (
    Row("branch, balanced accuracy", "stamps", "branch", _BALANCED, (_FOREST,)),
    Row("linear probe, balanced accuracy", "stamps", "linear_probe", _BALANCED,
        (_FOREST, _OF_PIXELS, _STAMPS_ALONE)),
    Row("probe by 10 % of the labels", "stamps", "linear_probe_10_percent", _BALANCED),
    Row("probe by 1 % of the labels", "stamps", "linear_probe_1_percent", _BALANCED),
    Row("RBF SVM, balanced accuracy", "stamps", "svm", _BALANCED),
    Row("15 nearest neighbours, balanced accuracy", "stamps", "knn", _BALANCED),
    Row("search, precision at 10", "stamps", "retrieval", "precision_at_10"),
    Row("search, mean average precision", "stamps", "retrieval", "mean_average_precision"),
    Row("clusters of k-means, NMI", "stamps", "clustering", "kmeans_nmi"),
    Row("clusters of HDBSCAN, NMI", "stamps", "clustering", "hdbscan_nmi"),
    Row("a class held out, mean AUROC", "stamps", "anomaly_detection", "auroc_mean"),
    Row("calibration of the branch, ECE", "stamps", "calibration", "ece", (), True),
    Row("calibration of the branch, Brier", "stamps", "calibration", "brier", (), True),
    Row("reconstruction, MSE", "stamps", "reconstruction", "mse", (_PCA,), True),
    Row("reconstruction without the pose, MSE", "stamps", "reconstruction_without_pose", "mse",
        (_PCA,), True),
    Row("recurrent network, macro-F1", "series", "network", _F1, (_MEAN_ALERT, _LAST_ALERT)),
    Row("probe of an object's vector, macro-F1", "series", "objects_linear_probe", _F1,
        (_MEAN_ALERT, _LAST_ALERT)),
)  # fmt: skip


def main(
    scale: Annotated[float, typer.Option(help="Of the simulated survey.")] = 0.2,
    seeds: Annotated[int, typer.Option(help="Runs of each architecture.")] = 3,
    jobs: Annotated[int, typer.Option(help="Experiments at a time.")] = 2,
    gather: Annotated[bool, typer.Option(help="Run nothing; gather what has run.")] = False,
    option: Annotated[list[str] | None, typer.Option(help="key=value for every run.")] = None,
) -> None:
    """Run the study and write what it found."""
    study = f"study-{scale:g}"
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
    table = {row.title: _compared(row, found) for row in ROWS}
    words = [f"--scale {scale:g}", f"--seeds {seeds}", *(f"--option {o}" for o in option or [])]
    command = " ".join(["python -m benchmarks.study", *words])
    rows = {name: found["ours"][0][name] for name in ("stamps", "series")}
    counts = {"alerts": rows["stamps"]["alerts"], "objects": rows["series"]["objects"]}
    save(
        study,
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
    _write_readme(study, _markdown(table, command, counts))


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


def _compared(row: Row, found: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """Sum up a row: both architectures, the plain rivals, and who is ahead."""
    scores = {
        variant: _summary([run[row.file][row.method] for run in runs], row.metric)
        for variant, runs in found.items()
        if all(row.method in run[row.file] for run in runs)
    }
    for name, method, metric in row.rivals:
        scores[name] = _summary([run[row.file][method] for run in found["ours"]], metric)
        paired = [_paired(run[row.file], row.method, method, metric) for run in found["ours"]]
        if all(paired):
            scores[name]["ours_is_ahead_by"] = {
                "median": float(np.median([off[0] for off in paired])),
                "low": min(off[1] for off in paired),
                "high": max(off[2] for off in paired),
            }
    return {"scores": scores, "verdict": _verdict(scores, row.lower_is_better)}


def _paired(
    scores: Mapping[str, Any], method: str, rival: str, metric: str
) -> tuple[float, float, float] | None:
    """Give how far a run is ahead of a rival on the same rows, and its interval, if it says so."""
    pair = scores.get("ahead", {}).get(f"{method}_over_{rival}")
    return (pair[metric], pair[f"{metric}_low"], pair[f"{metric}_high"]) if pair else None


def _summary(scores: Sequence[Mapping[str, float]], metric: str) -> dict[str, Any]:
    """Give the median of the seeds, which one that failed does not lead, and what all span."""
    values = [score[metric] for score in scores]
    found: dict[str, Any] = {"median": float(np.median(values)), "of_seeds": values}
    if f"{metric}_low" in scores[0]:
        found["low"] = min(score[f"{metric}_low"] for score in scores)
        found["high"] = max(score[f"{metric}_high"] for score in scores)
    return found


def _verdict(scores: Mapping[str, Mapping[str, Any]], lower_is_better: bool) -> str:
    """Say whom ours is behind, and from whom its interval does not part it."""
    sign = -1 if lower_is_better else 1
    ours = scores["ours"]
    rivals = {name: score for name, score in scores.items() if name != "ours"}
    behind = [
        name for name, score in rivals.items() if sign * (ours["median"] - score["median"]) < 0
    ]
    near = [
        name for name, score in rivals.items() if name not in behind and not _parted(ours, score)
    ]
    parts = [("behind", behind), ("ahead within the intervals of", near)]
    said = [f"{word} {', '.join(names)}" for word, names in parts if names]
    return "; ".join(said) or "ahead"


def _parted(ours: Mapping[str, Any], rival: Mapping[str, Any]) -> bool:
    """Tell whether a difference on the same rows, or else two intervals, leave no doubt."""
    if "ours_is_ahead_by" in rival:
        return bool(rival["ours_is_ahead_by"]["low"] > 0)
    if "low" not in rival:
        return True
    return bool(ours["low"] > rival["high"] or ours["high"] < rival["low"])


def _markdown(
    table: Mapping[str, Mapping[str, Any]], command: str, counts: Mapping[str, int]
) -> str:
    lines = ["| test rows | ours | published | plain rivals | ours is |", "|---|---|---|---|---|"]
    for title, row in table.items():
        scores = dict(row["scores"])
        cells = [_cell(scores.pop(variant, None)) for variant in ("ours", "published")]
        rivals = "; ".join(f"{name} {_cell(score)}{_lead(score)}" for name, score in scores.items())
        lines.append(f"| {title} | {' | '.join(cells)} | {rivals} | {row['verdict']} |")
    described = (
        f"By `{command}` on {machine()['cores']} cores ({machine()['processor']}): "
        f"{counts['alerts']:,} test alerts, {counts['objects']:,} test objects; the median of the "
        "seeds, and in brackets all that the 95 % intervals of the seeds span. *Ahead* by itself: "
        "these do not touch; of a plain rival, the difference on the same resampled rows is above "
        "0 in all that its intervals span."
    )
    return "\n".join([*lines, "", described])


def _cell(score: Mapping[str, Any] | None) -> str:
    if score is None:
        return ""
    digits = 5 if score["median"] < 0.02 else 3
    interval = ""
    if "low" in score:
        interval = f" ({score['low']:.{digits}f} - {score['high']:.{digits}f})"
    return f"{score['median']:.{digits}f}{interval}"


def _lead(score: Mapping[str, Any]) -> str:
    lead = score.get("ours_is_ahead_by")
    if lead is None:
        return ""
    digits = 5 if max(abs(lead[end]) for end in lead) < 0.002 else 3
    low, median, high = (f"{lead[end]:+.{digits}f}" for end in ("low", "median", "high"))
    return f", ours {median} ({low} - {high})"


def _write_readme(study: str, text: str) -> None:
    begin, end = _BEGIN.format(name=study), _END.format(name=study)
    content = README.read_text(encoding="utf-8")
    if begin not in content:
        # Of a scale that the README does not show, the JSON is the result.
        print(f"{README}: left as it is, without the mark {begin}")
        return
    before, _, rest = content.partition(begin)
    _, mark, after = rest.partition(end)
    if not mark:
        raise SystemExit(f"error: {README}: no mark {end} behind {begin}")
    README.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")
    print(f"written: the table of {README}")


if __name__ == "__main__":
    typer.run(main)
