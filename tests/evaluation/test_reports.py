"""The files of a report and their content."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ztfrep.evaluation.alert_protocol import AlertSplitEvaluation
from ztfrep.evaluation.calibration import ReliabilityBins
from ztfrep.evaluation.evaluation_results import Evaluation
from ztfrep.evaluation.object_protocol import ObjectSplitEvaluation
from ztfrep.evaluation.projection import Projection
from ztfrep.evaluation.reports import count_rows, write_alert_report, write_object_report

CLASSES = ("AGN", "SN", "VS")
OBJECT_PLOTS = ("recurrent", "calibration_objects", "early", "objects_pca", "objects_tsne")
LABELS = np.array([0, 1, 2, -1, 1])
PREDICTED = {"classifier_head": np.array([0, 1, 1, 2, 1]), "svm": np.zeros(5, int)}
SCORE = {"balanced_accuracy": 0.5, "balanced_accuracy_low": 0.4, "balanced_accuracy_high": 0.6}
F1 = {key.replace("balanced_accuracy", "macro_f1"): value for key, value in SCORE.items()}
EARLY = {"network": SCORE | F1, "mean_alert_linear_probe": SCORE | F1}
HISTORY = [{"epoch": 0, "validation_loss": 1.0}, {"epoch": 1, "validation_loss": 0.5}]
PLANE = np.arange(10.0).reshape(5, 2)
PROJECTIONS = [Projection(method, PLANE, LABELS) for method in ("pca", "tsne")]


def alert_evaluation(**changes):
    pixels = np.random.default_rng(0).random((5, 3, 21, 21))
    part = AlertSplitEvaluation(
        metrics={"alerts": 4, "svm": SCORE},
        labels=LABELS,
        predicted=PREDICTED,
        pixels=pixels,
        pixel_mask=pixels > 0.1,
        noise=0.1 + 0 * pixels,
        reconstructions={"reconstruction": pixels},
    )
    test = replace(part, **changes)
    return Evaluation(CLASSES, {"validation": part, "test": test}, PROJECTIONS, HISTORY, 1)


def object_evaluation(early):
    part = ObjectSplitEvaluation({"objects": 4}, LABELS, {"network": PREDICTED["svm"]}, early)
    return Evaluation(CLASSES, {"validation": part, "test": part}, PROJECTIONS, HISTORY, 1)


def files_of(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_report_of_alerts_has_metrics_plots_and_figures(tmp_path):
    metrics, figures = tmp_path / "metrics", tmp_path / "figures"
    write_alert_report(alert_evaluation(metrics={"alerts": 1, "svm": SCORE}), metrics, figures)
    assert files_of(metrics) == {
        "stamps.json",
        "stamps_validation.json",
        "plots/classifier_head.csv",
        "plots/calibration_alerts.csv",
        "plots/alerts_pca.csv",
        "plots/alerts_tsne.csv",
    }
    assert files_of(figures) == {
        f"{name}.png" for name in ("confusion", "methods", "pca", "tsne", "reconstruction", "loss")
    }
    assert json.loads((metrics / "stamps.json").read_text())["alerts"] == 1
    assert json.loads((metrics / "stamps_validation.json").read_text())["alerts"] == 4
    confusion = pd.read_csv(metrics / "plots/classifier_head.csv")
    # The unlabelled alert is left out.
    assert confusion["actual"].tolist() == ["AGN", "SN", "VS", "SN"]
    assert confusion["predicted"].tolist() == ["AGN", "SN", "SN", "SN"]
    plane = pd.read_csv(metrics / "plots/alerts_pca.csv")
    assert plane["label"].tolist() == ["AGN", "SN", "VS", "unlabelled", "SN"]
    assert plane[["x", "y"]].to_numpy().tolist() == PLANE.tolist()


@pytest.mark.parametrize(
    "changes", [{"labels": np.full(5, -1)}, {"predicted": {}}], ids=["no labels", "no classifier"]
)
def test_a_confusion_of_nothing_is_a_table_without_rows(tmp_path, changes):
    metrics, figures = tmp_path / "metrics", tmp_path / "figures"
    write_alert_report(alert_evaluation(metrics={"alerts": 0}, **changes), metrics, figures)
    assert (metrics / "plots/classifier_head.csv").read_text() == "actual,predicted\n"
    assert not {"confusion.png", "methods.png"} & files_of(figures)


@pytest.mark.parametrize("early", [{}, {1: EARLY, 3: EARLY}], ids=["none", "some"])
def test_a_report_of_objects_has_early_classification_if_there_is_any(tmp_path, early):
    metrics, figures = tmp_path / "metrics", tmp_path / "figures"
    write_object_report(object_evaluation(early), metrics, figures)
    assert files_of(metrics) == {
        "series.json",
        "series_validation.json",
        *(f"plots/{name}.csv" for name in OBJECT_PLOTS),
    }
    content = pd.read_csv(metrics / "plots/early.csv")
    of_network = ["balanced_accuracy", "macro_f1"]
    baseline = [f"mean_alert_linear_probe_{metric}" for metric in of_network] if early else []
    assert list(content) == ["detections", *of_network, *baseline]
    assert content["detections"].tolist() == list(early)
    assert ("early.png" in files_of(figures)) == bool(early)


def test_the_bins_of_confidence_are_written_before_and_after_calibration(tmp_path):
    before, after = (
        ReliabilityBins(*map(np.array, ([0.2, low], [0.4, 1.0], [0.3, 0.9], [0.5, 1.0], [2, 3])))
        for low in (0.6, 0.8)
    )
    evaluation = alert_evaluation(reliability={"before": before, "after": after})
    write_alert_report(evaluation, tmp_path, tmp_path / "figures")
    written = pd.read_csv(tmp_path / "plots/calibration_alerts.csv")
    assert written["label"].tolist() == ["before", "before", "after", "after"]
    assert written["low"].tolist() == [0.2, 0.6, 0.2, 0.8]
    assert written["rows"].tolist() == [2, 3, 2, 3]
    write_alert_report(alert_evaluation(), tmp_path, tmp_path / "figures")
    columns = "label,low,high,confidence,accuracy,rows\n"
    assert (tmp_path / "plots/calibration_alerts.csv").read_text() == columns


def test_a_title_states_the_number_of_labelled_rows():
    assert count_rows(np.array([0, 2, 1]), "alerts") == "3 test alerts"
    assert count_rows(np.array([0, -1, 1]), "objects") == "2 labelled test objects"
