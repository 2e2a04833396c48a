"""The evaluation of objects from files of vectors and a model folder."""

import json

import numpy as np
import pandas as pd
import pytest

from tests.evaluation.small_networks import PROTOCOL, object_network, save_object_network
from tests.evaluation.small_objects import observations, series
from tests.model_folders import make_reference
from ztfrep.data.alert_schema import CLASSES
from ztfrep.data.frames import write_frame
from ztfrep.data.row_index import write_row_index
from ztfrep.encoders.model_folder import model_checksum
from ztfrep.encoders.reference_files import write_reference
from ztfrep.encoders.vectors_of_tables import encode_object_series
from ztfrep.errors import InputError
from ztfrep.evaluation import vector_scores
from ztfrep.evaluation.object_protocol import (
    BASELINES,
    PAIRS,
    PROBES,
    ObjectBaselines,
    ObjectRows,
    evaluate_object_split,
    evaluate_objects,
)
from ztfrep.evaluation.object_series import ObjectSeries
from ztfrep.evaluation.probes import fit_probes

OBJECTS = {"train": 36, "validation": 18, "test": 21}
SERIES_CLASSES = CLASSES[:3]
STEPS = 3


@pytest.fixture(scope="module", autouse=True)
def fewer_bootstrap_samples():
    """Reduce the number of samples for slow statistics."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vector_scores, "SLOW_REPEATS", 5)
        yield


def lengths_of(n):
    return [1 + row % STEPS if row else STEPS for row in range(n)]


def write_series(path, classes=SERIES_CLASSES):
    """Write series whose vectors are those of the class, and their row index."""
    index = []
    with path.open("wb") as file:
        for split, n in OBJECTS.items():
            labels, lengths = np.arange(n) % 3, lengths_of(n)
            vectors = series(lengths, seed=n)
            np.save(file, vectors + (vectors != 0) * labels[:, None, None])
            np.save(file, labels)
            index += [
                {"object_id": f"{split}{row}", "split": split, "label": labels[row], "length": size}
                for row, size in enumerate(lengths)
            ]
    table = pd.DataFrame(index)
    table.attrs["classes"] = list(classes)
    write_row_index(path, table)


def write_inputs(folder, architecture="temporal"):
    write_series(folder / "series.npy")
    tables = [observations(lengths_of(n), n).assign(split=split) for split, n in OBJECTS.items()]
    write_frame(folder / "observations.parquet", pd.concat(tables, ignore_index=True))
    save_object_network(folder / "model", object_network(architecture), architecture)
    encode_object_series(
        folder / "series.npy",
        folder / "observations.parquet",
        folder / "model",
        folder / "objects.npy",
        precision="float32",
        threads=1,
    )


def evaluate(folder, **changes):
    names = ("series.npy", "observations.parquet", "objects.npy", "model")
    settings = {"seed": 0, "threads": 1, **changes}
    return evaluate_objects(*(folder / name for name in names), PROTOCOL, **settings)


def test_every_method_is_scored_on_both_splits(tmp_path):
    write_inputs(tmp_path)
    evaluation = evaluate(tmp_path)
    assert evaluation.classes == SERIES_CLASSES
    for split, part in evaluation.splits.items():
        metrics = part.metrics
        assert metrics["objects"] == OBJECTS[split]
        assert list(part.predicted) == ["network", *PROBES]
        assert set(metrics["paired_differences"]) == {f"{a}_minus_{b}" for a, b in PAIRS}
        assert set(metrics["network"]["recall"]) == set(SERIES_CLASSES)
        forecast = metrics["forecast_magnitude"]
        assert forecast["network"]["mean_absolute_error"] > 0
        assert {"last_detection", "gaussian_process"} < set(forecast)
        assert list(part.early) == [1, 2, 3]
        assert list(metrics["early_classification"]) == ["after_1", "after_2", "after_3"]
        # No object has more than three detections.
        network = {key: value for key, value in metrics["network"].items() if key != "recall"}
        after_all = metrics["early_classification"]["after_3"]
        assert after_all["network"] == network
        assert list(after_all) == ["network", *BASELINES, "paired_differences"]
        assert metrics["mean_alert_linear_probe"]["accuracy"] > 0.5
        assert {"network_balanced", "retrieval", "clustering"} < set(metrics)
    again = evaluate(tmp_path)
    assert again.splits["test"].metrics == evaluation.splits["test"].metrics


def test_a_network_without_a_forecast_has_no_error_of_it(tmp_path):
    write_inputs(tmp_path, "published")
    metrics = evaluate(tmp_path).splits["test"].metrics
    assert "network" in metrics
    assert "forecast_magnitude" not in metrics


def test_a_network_of_other_classes_is_refused(tmp_path):
    write_inputs(tmp_path)
    save_object_network(tmp_path / "model", object_network(classes=5), "temporal", classes=CLASSES)
    message = "a network of the classes AGN, SN, VS, asteroid, bogus; expected .*: AGN, SN, VS; "
    with pytest.raises(InputError, match=message):
        evaluate(tmp_path)


def test_published_series_are_evaluated_without_the_network(tmp_path):
    write_inputs(tmp_path)
    rng = np.random.default_rng(1)
    path, manifest = tmp_path / "published.npy", tmp_path / "manifest.json"
    with path.open("wb") as file:
        for n in OBJECTS.values():
            labels = np.arange(n) % 3
            np.save(file, rng.normal(size=(n, 2, 5)) + 9 * np.eye(5)[labels][:, None])
            np.save(file, labels)
    content = {"source": "drive", "base_recurrente": {"path": str(path)}}
    manifest.write_text(json.dumps(content))
    part = evaluate(tmp_path, published=manifest).splits["test"]
    assert list(part.predicted) == ["mean_alert_linear_probe", "last_alert_linear_probe"]
    assert part.metrics["mean_alert_linear_probe"]["accuracy"] == 1
    assert part.early == {}
    assert "network" not in part.metrics


def split_rows(n, labels=None):
    lengths = lengths_of(n)
    rng = np.random.default_rng(n)
    values = {
        "objects": rng.normal(size=(n, 4)).astype(np.float32),
        "mean_alert": rng.normal(size=(n, 6)),
        "last_alert": rng.normal(size=(n, 6)),
    }
    own = ObjectSeries(series(lengths), np.array(lengths), observations(lengths))
    return ObjectRows(np.arange(n) % 3 if labels is None else labels, values, own)


def test_the_order_of_the_splits_changes_nothing():
    train, validation, test = split_rows(30), split_rows(15), split_rows(18)
    probes = fit_probes(PROBES, train.values, train.labels, PROTOCOL, seed=0, threads=1)
    baselines = ObjectBaselines(train.labels, train.vectors, probes, {}, None)
    network = object_network()

    def metrics_of(*splits):
        return [
            evaluate_object_split(s, baselines, network, list(SERIES_CLASSES), seed=0).metrics
            for s in splits
        ]

    forwards = metrics_of(validation, test)
    assert metrics_of(test, validation) == forwards[::-1]
    assert metrics_of(test) == forwards[1:]


def test_unlabelled_objects_are_predicted_and_not_scored():
    rows = split_rows(12, labels=np.full(12, -1))
    baselines = ObjectBaselines(rows.labels, rows.vectors, {}, {}, None)
    part = evaluate_object_split(rows, baselines, object_network(), list(SERIES_CLASSES), seed=0)
    assert part.metrics == {"objects": 0}
    assert part.predicted["network"].shape == (12,)


def test_calibrated_probabilities_are_scored_if_the_folder_has_a_reference(tmp_path):
    write_inputs(tmp_path)
    model = tmp_path / "model"
    write_reference(model, make_reference(4, 3), model_checksum(model))
    for name, part in evaluate(tmp_path).splits.items():
        sets = part.metrics["prediction_sets"]
        assert set(sets["by_class"]) == set(SERIES_CLASSES)
        assert sum(scores["rows"] for scores in sets["by_class"].values()) == OBJECTS[name]
        assert {"calibration", "calibrated"} < set(part.metrics)
        labelled = (part.labels >= 0).sum()
        assert [bins.rows.sum() for bins in part.reliability.values()] == [labelled, labelled]
