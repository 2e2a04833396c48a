"""Evaluation of the vectors of objects: the network, probes, and baselines from alert vectors."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ztfrep.data.alert_schema import SERIES_CLASSES
from ztfrep.data.row_index import read_row_index
from ztfrep.data.vector_files import read_vectors
from ztfrep.encoders.devices import make_deterministic
from ztfrep.encoders.model_folder import load_object_network, read_model_reference
from ztfrep.encoders.reference import Reference
from ztfrep.errors import InputError
from ztfrep.evaluation.bootstrap import Scores
from ztfrep.evaluation.calibration import ReliabilityBins
from ztfrep.evaluation.classifier_scores import score_classifiers
from ztfrep.evaluation.early_classification import (
    EarlyProbes,
    fit_early_probes,
    score_early_classification,
)
from ztfrep.evaluation.evaluation_results import Evaluation, SplitEvaluation
from ztfrep.evaluation.gaussian_process import Kernel, fit_kernel
from ztfrep.evaluation.magnitude_forecast import score_magnitude_forecast
from ztfrep.evaluation.metrics import confusion, recall
from ztfrep.evaluation.object_series import (
    LAST_ALERT,
    LIGHT_CURVE,
    LIGHT_CURVE_AND_ALERT,
    MEAN_ALERT,
    ObjectSeries,
    read_object_series,
)
from ztfrep.evaluation.prediction_sets import bin_probabilities, score_probabilities
from ztfrep.evaluation.probes import FittedProbe, Probe, fit_probes, has_two_classes
from ztfrep.evaluation.projection import project_sample
from ztfrep.evaluation.protocol import EvaluationProtocol
from ztfrep.evaluation.published_vectors import read_published
from ztfrep.evaluation.vector_scores import score_vectors
from ztfrep.models.object.base import ObjectNetwork
from ztfrep.training.sampling import stratified_sample, undersample

NETWORK = "network"
OBJECTS = "objects"
# Linear probes of the vectors of objects, and of the mean and the last vector of their alerts.
# Forests on the light curve and the last metadata, without and with the last vector; the latter is
# the way of RTF in its plainest form.
PROBES = {
    f"{OBJECTS}_linear_probe": Probe("linear_probe", OBJECTS),
    f"{MEAN_ALERT}_linear_probe": Probe("linear_probe", MEAN_ALERT),
    f"{LAST_ALERT}_linear_probe": Probe("linear_probe", LAST_ALERT),
    f"{LIGHT_CURVE}_forest": Probe("forest", LIGHT_CURVE),
    f"{LIGHT_CURVE_AND_ALERT}_forest": Probe("forest", LIGHT_CURVE_AND_ALERT),
}
# Those that a broker could use without a network of objects.
BASELINES = {name: probe for name, probe in PROBES.items() if probe.reads != OBJECTS}
# Pairs of a method and a baseline whose differences are scored.
PAIRS = tuple(
    (method, baseline) for method in (NETWORK, f"{OBJECTS}_linear_probe") for baseline in BASELINES
)


@dataclass(frozen=True, eq=False)
class ObjectRows:
    """Objects that are evaluated.

    Attributes
    ----------
    labels : int (n,)
        -1 where unlabelled.
    values : mapping of arrays (n, d)
        The input of probes by name. The first array is the vectors that are evaluated.
    series : ObjectSeries
        What the network and the baselines read; without observations for published vectors.
    """

    labels: np.ndarray
    values: Mapping[str, np.ndarray]
    series: ObjectSeries

    @property
    def vectors(self) -> np.ndarray:
        """The vectors that are evaluated: those of the network, else the means of the alerts'."""
        return next(iter(self.values.values()))


@dataclass(frozen=True, eq=False)
class ObjectBaselines:
    """What is fitted to train rows.

    Attributes
    ----------
    labels : int (n,)
    vectors : float (n, d)
    probes : mapping of FittedProbe
        By name, fitted to all observations.
    early : mapping
        The baselines by number of detections and name.
    kernel : Kernel or None
        That of the Gaussian process; None without a forecast to compare it with.
    """

    labels: np.ndarray
    vectors: np.ndarray
    probes: Mapping[str, FittedProbe]
    early: EarlyProbes
    kernel: Kernel | None


@dataclass(frozen=True, eq=False)
class ObjectSplitEvaluation(SplitEvaluation):
    """The evaluation of the objects of one split.

    Attributes
    ----------
    early : dict of dict of Scores
        Scores by number of detections and method; the first method is the network.
    """

    early: dict[int, dict[str, Scores]]


def evaluate_objects(
    series: Path,
    observations: Path,
    vectors: Path,
    model: Path,
    protocol: EvaluationProtocol,
    *,
    seed: int,
    threads: int,
    table: Path | None = None,
    published: Path | None = None,
) -> Evaluation[ObjectSplitEvaluation]:
    """Evaluate a network of objects and its vectors on the validation and test splits.

    `series` and `observations` are the outputs of `encode_series_table` for the series table
    `table`, whose metadata the forests read; `vectors` is the output of `encode_object_series`, and
    `model` the folder of the network. With `published`, the manifest of the source, mean and last
    vector of the downloaded series are evaluated, without the network. Raises InputError if the
    network has other classes than the series.
    """
    make_deterministic(threads)
    network, card = load_object_network(model)
    if published is None:
        classes = read_row_index(series).attrs["classes"]
        if card.classes != classes:
            raise InputError(
                model,
                found=f"a network of the classes {', '.join(card.classes)}",
                expected=f"those of the series: {', '.join(classes)}",
                remedy="train it on these series: dvc repro",
            )
        excluded = protocol.forest_excluded_features
        parts, all_series = read_object_series(series, observations, table, excluded)
        objects = read_vectors(vectors)
        encoded = {split: objects[split].vectors for split in parts}
    else:
        classes, encoded = list(SERIES_CLASSES), {}
        parts = read_published(published, "base_recurrente")
        all_series = {
            split: ObjectSeries(part.vectors, np.full(len(part.labels), part.vectors.shape[1]))
            for split, part in parts.items()
        }
    sample = stratified_sample(parts["train"].labels, protocol.max_train_rows, seed)
    by_split = {}
    for split, part in parts.items():
        rows = sample if split == "train" else np.arange(len(part.labels))
        own = all_series[split].rows(rows)
        values = {OBJECTS: encoded[split][rows]} if split in encoded else {}
        values |= own.baseline_values()
        by_split[split] = ObjectRows(part.labels[rows].astype(np.int64), values, own)
    baselines = _fit_baselines(by_split["train"], network, protocol, seed=seed, threads=threads)
    reference = read_model_reference(model, card)
    test = by_split["test"]
    return Evaluation(
        classes=tuple(classes),
        splits={
            split: evaluate_object_split(
                by_split[split], baselines, network, classes, reference, seed=seed
            )
            for split in ("validation", "test")
        },
        projections=project_sample(test.vectors, test.labels, protocol.map_rows, seed=seed),
        history=card.history,
        best_epoch=card.best_epoch,
    )


def _fit_baselines(
    train: ObjectRows,
    network: ObjectNetwork,
    protocol: EvaluationProtocol,
    *,
    seed: int,
    threads: int,
) -> ObjectBaselines:
    """Fit probes, baselines and a Gaussian process to train rows."""
    options = {"seed": seed, "threads": threads}
    early: EarlyProbes = {}
    kernel = None
    if train.series.observations is not None:
        early = fit_early_probes(BASELINES, train.series, train.labels, protocol, **options)
        if train.series.has_times():
            kernel = fit_kernel(train.series.network_input(network))
    probes = fit_probes(PROBES, train.values, train.labels, protocol, **options)
    return ObjectBaselines(train.labels, train.vectors, probes, early, kernel)


def evaluate_object_split(
    rows: ObjectRows,
    baselines: ObjectBaselines,
    network: ObjectNetwork,
    classes: list[str],
    reference: Reference | None = None,
    *,
    seed: int,
) -> ObjectSplitEvaluation:
    """Evaluate the rows of one split; without observations the network is not evaluated.

    Without a reference, calibrated probabilities and prediction sets are not evaluated.
    """
    labels, series = rows.labels, rows.series
    labelled = labels >= 0
    predicted: dict[str, np.ndarray] = {}
    if series.observations is not None:
        with torch.inference_mode():
            logits = network.classify(torch.from_numpy(rows.values[OBJECTS])).double().numpy()
        predicted[NETWORK] = logits.argmax(axis=1)
    predicted |= {name: probe.predict(rows.values) for name, probe in baselines.probes.items()}
    metrics: dict[str, Any] = {"objects": int(labelled.sum())}
    early: dict[int, dict[str, Scores]] = {}
    reliability: dict[str, ReliabilityBins] = {}
    if labelled.any() and predicted:
        scores = score_classifiers(labels, predicted, classes, pairs=PAIRS, seed=seed)
        metrics |= {**scores.by_classifier, "paired_differences": scores.paired_differences}
    if labelled.any() and series.observations is not None:
        matrix = confusion(labels, predicted[NETWORK], len(classes))
        metrics[NETWORK] |= {"recall": recall(matrix, classes)}
        metrics |= score_probabilities(
            logits[labelled], labels[labelled], classes, reference, seed=seed
        )
        reliability = bin_probabilities(logits[labelled], labels[labelled], reference)
        balanced = undersample(labels, seed)
        metrics["network_balanced"] = score_classifiers(
            labels[balanced], {NETWORK: predicted[NETWORK][balanced]}, classes, seed=seed
        ).by_classifier[NETWORK]
        forecast = score_magnitude_forecast(
            network, series.network_input(network), baselines.kernel, name=NETWORK, seed=seed
        )
        if forecast is not None:
            metrics["forecast_magnitude"] = forecast
        by_count = score_early_classification(
            network, baselines.early, series, labels, classes, name=NETWORK, seed=seed
        )
        early = {count: scores.by_classifier for count, scores in by_count.items()}
        metrics["early_classification"] = {
            f"after_{count}": {
                **scores.by_classifier,
                "paired_differences": scores.paired_differences,
            }
            for count, scores in by_count.items()
        }
    if baselines.probes and has_two_classes(labels):
        metrics |= score_vectors(
            baselines.vectors, baselines.labels, rows.vectors, labels, classes, seed=seed
        )
    return ObjectSplitEvaluation(metrics, labels, predicted, early, reliability=reliability)
