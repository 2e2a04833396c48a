"""The table of the study: its rows, the comparison of runs, and the page of results."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.measuring import machine

PAGE = Path("docs/results.md")
_BEGIN, _END = "<!-- {name}: written by benchmarks.study -->", "<!-- {name}: end -->"
_BALANCED, _F1 = "balanced_accuracy", "macro_f1"


class Baseline(NamedTuple):
    """A baseline on the same rows: its title, its method and metric in the metrics files."""

    title: str
    method: str
    metric: str


class Row(NamedTuple):
    """A row of the table: a metric of both variants, and of baselines on the same rows."""

    title: str
    file: str
    method: str
    metric: str
    baselines: tuple[Baseline, ...] = ()
    lower_is_better: bool = False


_FOREST = Baseline("forest on the features", "forest_on_features", _BALANCED)
_PIXELS = Baseline("PCA of the pixels", "pca_linear_probe", _BALANCED)
_STAMPS_ONLY = Baseline("ours, stamps only", "stamps_only_linear_probe", _BALANCED)
_PCA = Baseline("PCA with as many components", "pca_reconstruction", "mse")
_MEAN_ALERT = Baseline("mean of its alerts", "mean_alert_linear_probe", _F1)
_LAST_ALERT = Baseline("its last alert", "last_alert_linear_probe", _F1)
ROWS = (
    Row("classifier head, balanced accuracy", "stamps", "classifier_head", _BALANCED, (_FOREST,)),
    Row("linear probe, balanced accuracy", "stamps", "linear_probe", _BALANCED,
        (_FOREST, _PIXELS, _STAMPS_ONLY)),
    Row("linear probe, 10 % of the labels", "stamps", "linear_probe_10_percent", _BALANCED),
    Row("linear probe, 1 % of the labels", "stamps", "linear_probe_1_percent", _BALANCED),
    Row("RBF SVM, balanced accuracy", "stamps", "svm", _BALANCED),
    Row("15 nearest neighbours, balanced accuracy", "stamps", "knn", _BALANCED),
    Row("retrieval, precision at 10", "stamps", "retrieval", "precision_at_10"),
    Row("retrieval, mean average precision", "stamps", "retrieval", "mean_average_precision"),
    Row("k-means clusters, NMI", "stamps", "clustering", "kmeans_nmi"),
    Row("HDBSCAN clusters, NMI", "stamps", "clustering", "hdbscan_nmi"),
    Row("anomaly detection, mean AUROC", "stamps", "anomaly_detection", "auroc_mean"),
    Row("calibration of the classifier head, ECE", "stamps", "calibration", "ece", (), True),
    Row("calibration of the classifier head, Brier score", "stamps", "calibration", "brier", (),
        True),
    Row("reconstruction, MSE", "stamps", "reconstruction", "mse", (_PCA,), True),
    Row("reconstruction without the orientation, MSE", "stamps",
        "reconstruction_without_orientation", "mse", (_PCA,), True),
    Row("recurrent network, macro-F1", "series", "network", _F1, (_MEAN_ALERT, _LAST_ALERT)),
    Row("linear probe of an object's vector, macro-F1", "series", "objects_linear_probe", _F1,
        (_MEAN_ALERT, _LAST_ALERT)),
)  # fmt: skip


def compare(row: Row, runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """Return the scores of both variants and of the baselines in a row, and the verdict on ours."""
    scores = {
        variant: summarise([run[row.file][row.method] for run in variant_runs], row.metric)
        for variant, variant_runs in runs.items()
        if all(row.method in run[row.file] for run in variant_runs)
    }
    for title, method, metric in row.baselines:
        scores[title] = summarise([run[row.file][method] for run in runs["ours"]], metric)
        differences = [
            _paired_difference(run[row.file], row.method, method, metric) for run in runs["ours"]
        ]
        if all(differences):
            scores[title]["paired_difference"] = {
                "median": float(np.median([difference[0] for difference in differences])),
                "low": min(difference[1] for difference in differences),
                "high": max(difference[2] for difference in differences),
            }
    return {"scores": scores, "verdict": describe_verdict(scores, row.lower_is_better)}


def _paired_difference(
    metrics: Mapping[str, Any], method: str, baseline: str, metric: str
) -> tuple[float, ...]:
    """Return a paired difference and its interval, positive where ours is better, or nothing."""
    pair = metrics.get("paired_differences", {}).get(f"{method}_minus_{baseline}")
    name = "mse_reduction" if metric == "mse" else metric
    return (pair[name], pair[f"{name}_low"], pair[f"{name}_high"]) if pair else ()


def summarise(scores: Sequence[Mapping[str, float]], metric: str) -> dict[str, Any]:
    """Return the median of the seeds, robust to one that failed, and the span of all intervals."""
    values = [score[metric] for score in scores]
    summary: dict[str, Any] = {"median": float(np.median(values)), "of_seeds": values}
    if f"{metric}_low" in scores[0]:
        summary["low"] = min(score[f"{metric}_low"] for score in scores)
        summary["high"] = max(score[f"{metric}_high"] for score in scores)
    return summary


def describe_verdict(scores: Mapping[str, Mapping[str, Any]], lower_is_better: bool) -> str:
    """Return the names of others that ours is worse than, and not clearly better than."""
    sign = -1 if lower_is_better else 1
    ours = scores["ours"]
    others = {name: score for name, score in scores.items() if name != "ours"}
    better = [
        name for name, score in others.items() if sign * (ours["median"] - score["median"]) < 0
    ]
    unclear = [
        name
        for name, score in others.items()
        if name not in better and not _is_separated(ours, score)
    ]
    parts = [("worse than", better), ("not clearly better than", unclear)]
    words = [f"{verdict} {', '.join(names)}" for verdict, names in parts if names]
    return "; ".join(words) or "better"


def _is_separated(ours: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return True if the paired difference is above 0, or else if the intervals do not overlap."""
    if "paired_difference" in other:
        return bool(other["paired_difference"]["low"] > 0)
    if "low" not in other:
        return True
    return bool(ours["low"] > other["high"] or ours["high"] < other["low"])


def format_table(
    table: Mapping[str, Mapping[str, Any]], command: str, counts: Mapping[str, int]
) -> str:
    """Return the table of all rows in Markdown, with a caption."""
    lines = ["| test rows | ours | published | baselines | ours is |", "|---|---|---|---|---|"]
    for title, row in table.items():
        scores = dict(row["scores"])
        cells = [_cell(scores.pop(variant, None)) for variant in ("ours", "published")]
        baselines = "; ".join(
            f"{name} {_cell(score)}{_difference_cell(score)}" for name, score in scores.items()
        )
        lines.append(f"| {title} | {' | '.join(cells)} | {baselines} | {row['verdict']} |")
    caption = (
        f"By `{command}` on {machine()['cores']} cores ({machine()['processor']}): "
        f"{counts['alerts']:,} test alerts, {counts['objects']:,} test objects. Each cell has the "
        "median of the seeds, and in brackets the span of the seeds' 95 % intervals. *Better*: the "
        "spans do not overlap; for a baseline, the paired difference on the same resampled rows is "
        "above 0 over the whole span of its intervals."
    )
    return "\n".join([*lines, "", caption])


def _cell(score: Mapping[str, Any] | None) -> str:
    if score is None:
        return ""
    digits = 5 if score["median"] < 0.02 else 3
    interval = ""
    if "low" in score:
        interval = f" ({score['low']:.{digits}f} - {score['high']:.{digits}f})"
    return f"{score['median']:.{digits}f}{interval}"


def _difference_cell(score: Mapping[str, Any]) -> str:
    difference = score.get("paired_difference")
    if difference is None:
        return ""
    digits = 5 if max(abs(value) for value in difference.values()) < 0.002 else 3
    low, median, high = (f"{difference[key]:+.{digits}f}" for key in ("low", "median", "high"))
    return f", difference {median} ({low} - {high})"


def write_page(study: str, text: str) -> None:
    """Write the table between its marks on the page of results."""
    begin, end = _BEGIN.format(name=study), _END.format(name=study)
    content = PAGE.read_text(encoding="utf-8")
    if begin not in content:
        # A scale without a table on the page has its results in the JSON alone.
        print(f"{PAGE}: unchanged, without the mark {begin}")
        return
    before, _, rest = content.partition(begin)
    _, mark, after = rest.partition(end)
    if not mark:
        raise SystemExit(f"error: {PAGE}: no mark {end} after {begin}")
    PAGE.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")
    print(f"written: the table of {PAGE}")
