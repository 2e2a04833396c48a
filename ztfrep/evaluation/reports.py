"""Reports of evaluations: metrics as JSON, plot data as CSV, figures as PNG."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ztfrep.data.alert_schema import CHANNELS
from ztfrep.data.files import replacing
from ztfrep.data.metrics_files import write_metrics
from ztfrep.evaluation import figures
from ztfrep.evaluation.alert_light_curves import AlertLightCurve
from ztfrep.evaluation.alert_protocol import (
    DENOISED,
    PCA_RECONSTRUCTION,
    RECONSTRUCTION,
    AlertSplitEvaluation,
)
from ztfrep.evaluation.bootstrap import Scores
from ztfrep.evaluation.calibration import ReliabilityBins
from ztfrep.evaluation.evaluation_results import Evaluation, Split, SplitEvaluation
from ztfrep.evaluation.metrics import confusion
from ztfrep.evaluation.object_protocol import ObjectSplitEvaluation
from ztfrep.evaluation.projection import Projection
from ztfrep.evaluation.reconstruction_panel import example_rows, reconstruction_panel

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PROJECTION_TITLES = {"pca": "PCA", "tsne": "t-SNE"}
_METHOD_TITLES = {"network": "Recurrent network", "pca_reconstruction": "PCA reconstruction"}


def write_alert_report(
    evaluation: Evaluation[AlertSplitEvaluation],
    metrics: Path,
    folder: Path,
    *,
    curves: Sequence[AlertLightCurve | None] | None = None,
) -> None:
    """Write the metrics and plot data of alerts into `metrics`, and figures into `folder`.

    `curves` are the light curves of the test alerts, see `read_light_curves`.
    """
    test = evaluation.splits["test"]
    _write_common_report(
        evaluation, metrics, folder,
        name="stamps", rows="alerts", confusion_csv="classifier_head.csv", network="Autoencoder",
    )  # fmt: skip
    drawn = [name for name in (RECONSTRUCTION, DENOISED) if name in test.reconstructions]
    drawn = drawn or [PCA_RECONSTRUCTION]
    curves = [None] * len(test.labels) if curves is None else curves
    rows = example_rows(test.labels, len(evaluation.classes), curves)
    names = [*evaluation.classes, "unlabelled"]
    panel = reconstruction_panel(
        test.pixels[rows],
        test.pixel_mask[rows],
        test.noise[rows],
        {_title(name).lower(): test.reconstructions[name][rows] for name in drawn},
        [names[test.labels[row]] for row in rows],
        CHANNELS,
        f"{_title(drawn[0])} of {len(rows)} of {len(test.labels)} test alerts",
        curves=[curves[row] for row in rows],
    )
    _write_figure(folder / "reconstruction.png", panel)


def write_object_report(
    evaluation: Evaluation[ObjectSplitEvaluation], metrics: Path, folder: Path
) -> None:
    """Write the metrics and plot data of objects into `metrics`, and figures into `folder`."""
    _write_common_report(
        evaluation, metrics, folder,
        name="series", rows="objects", confusion_csv="recurrent.csv", network="Recurrent network",
    )  # fmt: skip
    early = evaluation.splits["test"].early
    _write_early_classification(metrics / "plots" / "early.csv", folder / "early.png", early)


def _write_common_report(
    evaluation: Evaluation[Split],
    metrics: Path,
    folder: Path,
    *,
    name: str,
    rows: str,
    confusion_csv: str,
    network: str,
) -> None:
    """Write the part of a report that alerts and objects share.

    `name` is that of the metrics files, `rows` and `network` are words for titles.
    """
    test = evaluation.splits["test"]
    write_metrics(metrics / f"{name}_validation.json", evaluation.splits["validation"].metrics)
    write_metrics(metrics / f"{name}.json", test.metrics)
    scored = count_rows(test.labels, rows)
    _write_confusion(
        metrics / "plots" / confusion_csv,
        folder / "confusion.png",
        test,
        evaluation.classes,
        scored,
    )
    _write_reliability(metrics / "plots" / f"calibration_{rows}.csv", test.reliability)
    _write_methods(folder / "methods.png", test.metrics, scored)
    _write_projections(rows, metrics, folder, evaluation.projections, evaluation.classes)
    curves = figures.loss_curves(evaluation.history, network, best_epoch=evaluation.best_epoch)
    _write_figure(folder / "loss.png", curves)


def count_rows(labels: np.ndarray, name: str) -> str:
    """Return the number of labelled test rows as part of a title, such as "90 test alerts"."""
    labelled = labels >= 0
    return f"{labelled.sum()} {'' if labelled.all() else 'labelled '}test {name}"


def _title(method: str) -> str:
    return _METHOD_TITLES.get(method, method.replace("_", " ").capitalize())


def _write_figure(path: Path, figure: "Figure") -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(figures.png_bytes(figure))


def _write_plot(path: Path, columns: Mapping[str, Sequence[object] | np.ndarray]) -> None:
    """Write the data of a DVC plot as CSV."""
    with replacing(path) as temporary:
        pd.DataFrame(columns).to_csv(temporary, index=False, float_format="%.5g")


def _write_confusion(
    csv: Path, png: Path, split: SplitEvaluation, classes: Sequence[str], scored: str
) -> None:
    """Write the confusion of the first method: a CSV row per labelled alert or object, and a PNG.

    If no row is labelled or there is no method, the CSV has no rows, and there is no PNG.
    """
    labels = split.labels
    method, predicted = next(iter(split.predicted.items()), ("", labels))
    labelled = (labels >= 0) & bool(split.predicted)
    names = np.array(classes)
    _write_plot(csv, {"actual": names[labels[labelled]], "predicted": names[predicted[labelled]]})
    if labelled.any():
        matrix = confusion(labels, predicted, len(classes))
        title = f"{_title(method)}, {scored}"
        _write_figure(png, figures.confusion_matrix(matrix, classes, title))


def _write_reliability(path: Path, reliability: Mapping[str, ReliabilityBins]) -> None:
    """Write a row per bin of confidence, before and after calibration; no row without a network."""
    columns: dict[str, list[object]] = {name: [] for name in ("label", *ReliabilityBins._fields)}
    for name, bins in reliability.items():
        columns["label"] += [name] * len(bins.rows)
        for field, values in bins._asdict().items():
            columns[field] += values.tolist()
    _write_plot(path, columns)


def _write_methods(path: Path, metrics: Mapping[str, object], scored: str) -> None:
    """Draw the balanced accuracies of all methods with their intervals, if there are any."""
    methods = {
        name: scores
        for name, scores in metrics.items()
        if isinstance(scores, dict) and "balanced_accuracy" in scores
    }
    if methods:
        figure = figures.method_comparison(methods, "balanced_accuracy", f"Methods on {scored}")
        _write_figure(path, figure)


def _write_projections(
    name: str,
    metrics: Path,
    folder: Path,
    projections: Sequence[Projection],
    classes: Sequence[str],
) -> None:
    for method, points, labels in projections:
        label_names = np.array([*classes, "unlabelled"])[labels]
        _write_plot(
            metrics / "plots" / f"{name}_{method}.csv",
            {"x": points[:, 0], "y": points[:, 1], "label": label_names},
        )
        title = f"{_PROJECTION_TITLES[method]} of {len(points)} test {name}"
        _write_figure(folder / f"{method}.png", figures.projection(points, labels, classes, title))


def _write_early_classification(
    csv: Path, png: Path, early: Mapping[int, Mapping[str, Scores]]
) -> None:
    """Write the scores of early classification as CSV, and as PNG if there are any.

    The CSV has the metrics of the network as `balanced_accuracy` and `macro_f1`, and those of a
    baseline with its name before them.
    """
    metrics = ("balanced_accuracy", "macro_f1")
    methods = list(next(iter(early.values()), {"network": {}}))
    columns = {
        (f"{method}_{metric}" if place else metric): [
            scores[method][metric] for scores in early.values()
        ]
        for place, method in enumerate(methods)
        for metric in metrics
    }
    _write_plot(csv, {"detections": list(early), **columns})
    if early:
        figure = figures.early_classification(early, metrics, "Classification after n detections")
        _write_figure(png, figure)
