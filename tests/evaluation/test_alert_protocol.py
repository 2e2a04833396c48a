"""The evaluation of alerts from a table and a model folder to a report."""

import json
import shutil

import numpy as np
import pytest
from sklearn.decomposition import PCA

from tests.evaluation.small_networks import PROTOCOL, alert_network, save_alert_network
from tests.model_folders import make_reference
from ztfrep.data.alert_schema import CLASSES, ROW_GROUP, TableInfo
from ztfrep.data.alert_table import AlertTable
from ztfrep.data.alert_writer import AlertWriter
from ztfrep.data.features import ALERCE_FEATURES
from ztfrep.encoders.alert_batches import concatenate, input_batches
from ztfrep.encoders.model_folder import model_checksum
from ztfrep.encoders.reference_files import write_reference
from ztfrep.encoders.vectors_of_tables import encode_alert_table
from ztfrep.evaluation import vector_scores
from ztfrep.evaluation.alert_protocol import (
    PAIRS,
    PROBES,
    AlertBaselines,
    AlertRows,
    evaluate_alert_split,
    evaluate_alerts,
)
from ztfrep.evaluation.pixel_pca import PixelPCA
from ztfrep.evaluation.probes import fit_probes
from ztfrep.models.alert.preprocessing import FeatureScaling

ROWS = {"train": 70, "validation": 25, "test": 30}


@pytest.fixture(scope="module", autouse=True)
def fewer_bootstrap_samples():
    """Reduce the number of samples for slow statistics."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vector_scores, "SLOW_REPEATS", 5)
        yield


def write_table(path, *, labelled=True):
    """Write a table of random stamps whose brightness depends on the class."""
    rng = np.random.default_rng(0)
    info = TableInfo(21, 21, "counts", "physical", CLASSES)
    with AlertWriter(path, info) as writer:
        for split, n in ROWS.items():
            labels = np.arange(n) % 5
            metadata = rng.uniform(1, 2, (n, len(ALERCE_FEATURES))) + labels[:, None]
            stamps = rng.normal(size=(n, 3, 21, 21)).astype(np.float32)
            stamps[:, :, 8:13, 8:13] += 3 * labels[:, None, None, None]
            stamps[::7, :, 0, 0] = np.nan
            writer.write(
                {
                    "object_id": [f"stamps:{split}:{row}" for row in range(n)],
                    "detection": np.zeros(n, np.int32),
                    "split": [split] * n,
                    "label": (labels if labelled else labels * 0 - 1).astype(np.int8),
                    "n_copies": np.ones(n, np.int32),
                    "stamps": stamps,
                    **dict(zip(ALERCE_FEATURES.names, metadata.T, strict=True)),
                }
            )


def write_inputs(folder, architecture="invariant", *, labelled=True):
    """Write a table, a network with the statistics of its train rows, and the vectors."""
    write_table(folder / "stamps.parquet", labelled=labelled)
    table = AlertTable(folder / "stamps.parquet")
    excluded = ["magnr"] if architecture == "invariant" else []
    metadata = table.features()[: ROWS["train"]]
    network = alert_network(architecture, FeatureScaling.fit(metadata, "physical", excluded))
    network.fit_statistics(
        concatenate(input_batches(network, table, ROW_GROUP)).rows(slice(ROWS["train"]))
    )
    save_alert_network(folder / "model", network, architecture)
    encode_alert_table(
        folder / "stamps.parquet",
        folder / "model",
        folder / "base.npy",
        batch_size=16,
        precision="float32",
        threads=1,
    )


def evaluate(folder, **changes):
    return evaluate_alerts(
        folder / "stamps.parquet",
        folder / "base.npy",
        folder / "model",
        PROTOCOL,
        **{"seed": 0, "threads": 1, "batch_size": 16, "precision": "float32", **changes},
    )


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alerts")
    write_inputs(folder)
    return folder


@pytest.fixture(scope="module")
def evaluation(inputs):
    return evaluate(inputs)


def test_every_method_is_scored_on_both_splits(evaluation):
    for split, part in evaluation.splits.items():
        metrics = part.metrics
        assert metrics["alerts"] == len(part.labels) == ROWS[split]
        assert list(part.predicted) == ["classifier_head", *PROBES]
        for method in part.predicted:
            assert 0 <= metrics[method]["accuracy_low"] <= metrics[method]["accuracy_high"] <= 1
        assert set(metrics["classifier_head"]["recall"]) == set(CLASSES)
        assert set(part.reconstructions) == {
            "reconstruction",
            "reconstruction_without_orientation",
            "denoised",
            "pca_reconstruction",
        }
        for method in part.reconstructions:
            assert metrics[method]["mse_low"] < metrics[method]["mse"]
        assert set(metrics["paired_differences"]) == {
            *(f"{method}_minus_{baseline}" for method, baseline in PAIRS),
            "reconstruction_minus_pca_reconstruction",
            "reconstruction_without_orientation_minus_pca_reconstruction",
            "denoised_minus_pca_reconstruction",
        }
        assert {"retrieval", "clustering", "anomaly_detection", "calibration"} < set(metrics)
        # The folder has no reference.
        assert not {"calibrated", "prediction_sets"} & set(metrics)
        assert "mean_absolute_error" in metrics["predicted_magpsf"]
        # The network does not read it.
        assert "predicted_magnr" not in metrics


def test_a_reduction_is_positive_where_the_error_is_lower(evaluation):
    metrics = evaluation.splits["test"].metrics
    for method in ("reconstruction", "reconstruction_without_orientation"):
        pair = metrics["paired_differences"][f"{method}_minus_pca_reconstruction"]
        difference = metrics["pca_reconstruction"]["mse"] - metrics[method]["mse"]
        assert pair["mse_reduction"] == pytest.approx(difference)


def test_the_order_of_the_splits_changes_nothing():
    network = alert_network()
    rng = np.random.default_rng(0)

    def rows(n):
        stamps = rng.normal(size=(n, 3, 21, 21)).astype(np.float32)
        metadata = np.full((n, len(ALERCE_FEATURES)), np.nan)
        alerts = network.preprocess(stamps, metadata, "none")
        values = {
            "vectors": rng.normal(size=(n, 6)).astype(np.float32),
            "pca": rng.normal(size=(n, 4)).astype(np.float32),
        }
        return AlertRows(np.arange(n) % 5, alerts, values)

    train, validation, test = rows(40), rows(20), rows(25)
    probes = fit_probes(PROBES, train.values, train.labels, PROTOCOL, seed=0, threads=1)
    pixels = train.alerts.pixels.numpy()
    # Faster than `PixelPCA.fit`.
    model = PCA(4, svd_solver="full").fit(pixels.reshape(len(pixels), -1))
    pca = PixelPCA(model, pixels.mean(axis=0))
    baselines = AlertBaselines(train, probes, pca)

    def metrics_of(*splits):
        return [evaluate_alert_split(s, baselines, network, seed=0).metrics for s in splits]

    forwards = metrics_of(validation, test)
    assert metrics_of(test, validation) == forwards[::-1]
    assert metrics_of(test) == forwards[1:]


def test_a_network_that_reads_stamps_only_has_no_probe_without_metadata(tmp_path):
    write_inputs(tmp_path, "published")
    metrics = evaluate(tmp_path).splits["test"].metrics
    assert "linear_probe" in metrics
    for absent in (
        "stamps_only_linear_probe",
        "reconstruction_without_orientation",
        "predicted_magpsf",
    ):
        assert absent not in metrics
    assert "reconstruction" in metrics


def test_without_labels_the_reconstruction_alone_is_evaluated(tmp_path):
    write_inputs(tmp_path, labelled=False)
    evaluation = evaluate(tmp_path)
    metrics = evaluation.splits["test"].metrics
    assert metrics["alerts"] == 0
    assert "linear_probe" not in metrics
    assert "classifier_head" not in metrics
    assert metrics["reconstruction"]["mse"] > 0
    assert list(evaluation.splits["test"].predicted) == ["classifier_head"]


def test_calibrated_probabilities_are_scored_if_the_folder_has_a_reference(inputs, tmp_path):
    for name in ("stamps.parquet", "base.npy", "base.parquet"):
        (tmp_path / name).symlink_to(inputs / name)
    shutil.copytree(inputs / "model", tmp_path / "model")
    checksum = model_checksum(tmp_path / "model")
    write_reference(tmp_path / "model", make_reference(6, len(CLASSES)), checksum)
    for name, part in evaluate(tmp_path).splits.items():
        sets = part.metrics["prediction_sets"]
        assert sum(scores["rows"] for scores in sets["by_class"].values()) == ROWS[name]
        assert part.metrics["calibrated"]["temperature"] == 2
        labelled = (part.labels >= 0).sum()
        assert {k: bins.rows.sum() for k, bins in part.reliability.items()} == {
            "before": labelled,
            "after": labelled,
        }


def test_published_vectors_are_evaluated_without_the_network(inputs, tmp_path):
    rng = np.random.default_rng(1)
    path, manifest = tmp_path / "published.npy", tmp_path / "manifest.json"
    with path.open("wb") as file:
        for n in ROWS.values():
            labels = np.arange(n) % 5
            np.save(file, rng.normal(size=(n, 7)) + 9 * np.eye(7)[labels])
            np.save(file, labels)
    manifest.write_text(json.dumps({"source": "drive", "base": {"path": str(path)}}))
    evaluation = evaluate(inputs, published=manifest)
    part = evaluation.splits["test"]
    assert part.metrics["linear_probe"]["accuracy"] == 1
    assert list(part.reconstructions) == ["pca_reconstruction"]
    assert "stamps_only_linear_probe" not in part.predicted
    assert not {"classifier_head", "calibration", "predicted_magpsf"} & set(part.metrics)
