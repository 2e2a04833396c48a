"""Evaluation of the vectors of objects: the network, probes, and baselines from alert vectors."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ztfrep.data.alert_schema import SERIES_CLASSES
from ztfrep.data.row_index import read_row_index
from ztfrep.data.vector_files import SplitVectors, read_vectors
from ztfrep.encoders.devices import make_deterministic
from ztfrep.encoders.model_folder import load_object_network, read_model_reference
from ztfrep.encoders.reference import Reference
from ztfrep.encoders.vectors_of_tables import read_object_inputs
from ztfrep.errors import InputError
from ztfrep.evaluation.bootstrap import Scores
from ztfrep.evaluation.classifier_scores import score_classifiers
from ztfrep.evaluation.early_classification import classify_early
from ztfrep.evaluation.evaluation_results import Evaluation, SplitEvaluation
from ztfrep.evaluation.magnitude_forecast import score_magnitude_forecast
from ztfrep.evaluation.metrics import confusion, recall
from ztfrep.evaluation.prediction_sets import score_probabilities
from ztfrep.evaluation.probes import FittedProbe, Probe, fit_probes, has_two_classes
from ztfrep.evaluation.projection import project_sample
from ztfrep.evaluation.protocol import EvaluationProtocol
from ztfrep.evaluation.published_vectors import read_published
from ztfrep.evaluation.vector_scores import score_vectors
from ztfrep.models.object.base import ObjectInput, ObjectNetwork
from ztfrep.training.sampling import stratified_sample, undersample

NETWORK = "network"
OBJECTS, MEAN_ALERT, LAST_ALERT = "objects", "mean_alert", "last_alert"
# Linear probes of the vectors of objects, and of the mean and the last vector of their alerts.
PROBES = {
    f"{name}_linear_probe": Probe("linear_probe", name)
    for name in (OBJECTS, MEAN_ALERT, LAST_ALERT)
}
# Pairs of a method and a baseline whose differences are scored.
PAIRS = tuple(
    (method, f"{baseline}_linear_probe")
    for method in (NETWORK, f"{OBJECTS}_linear_probe")
    for baseline in (MEAN_ALERT, LAST_ALERT)
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
    objects : ObjectInput or None
        The input of the network; None for published vectors.
    """

    labels: np.ndarray
    values: Mapping[str, np.ndarray]
    objects: ObjectInput | None

    @property
    def vectors(self) -> np.ndarray:
        """The vectors that are evaluated: those of the network, else the means of the alerts'."""
        return next(iter(self.values.values()))


@dataclass(frozen=True, eq=False)
class ObjectBaselines:
    """Labels and vectors of train rows, and the probes that are fitted to them, by name."""

    labels: np.ndarray
    vectors: np.ndarray
    probes: Mapping[str, FittedProbe]


@dataclass(frozen=True, eq=False)
class ObjectSplitEvaluation(SplitEvaluation):
    """The evaluation of the objects of one split.

    Attributes
    ----------
    early : dict of Scores
        Scores of the network by number of detections.
    """

    early: dict[int, Scores]


def evaluate_objects(
    series: Path,
    observations: Path,
    vectors: Path,
    model: Path,
    protocol: EvaluationProtocol,
    *,
    seed: int,
    threads: int,
    published: Path | None = None,
) -> Evaluation[ObjectSplitEvaluation]:
    """Evaluate a network of objects and its vectors on the validation and test splits.

    `series` and `observations` are the outputs of `encode_series_table`, `vectors` is that of
    `encode_object_series`, and `model` is the folder of the network. With `published`, the manifest
    of the source, mean and last vector of the downloaded series are evaluated, without the network.
    Raises InputError if the network has other classes than the series.
    """
    make_deterministic(threads)
    network, card = load_object_network(model)
    if published is None:
        index = read_row_index(series)
        classes = index.attrs["classes"]
        if card.classes != classes:
            raise InputError(
                model,
                found=f"a network of the classes {', '.join(card.classes)}",
                expected=f"those of the series: {', '.join(classes)}",
                remedy="train it on these series: dvc repro",
            )
        inputs = read_object_inputs(series, observations, network, ("validation", "test"))
        parts, objects = read_vectors(series), read_vectors(vectors)
        sample = stratified_sample(parts["train"].labels, protocol.max_train_rows, seed)
        by_split = {
            split: _object_rows(
                part,
                index.loc[index["split"] == split, "length"].to_numpy(),
                sample if split == "train" else slice(None),
                objects[split].vectors,
                inputs.get(split),
            )
            for split, part in parts.items()
        }
    else:
        classes = list(SERIES_CLASSES)
        parts = read_published(published, "base_recurrente")
        sample = stratified_sample(parts["train"].labels, protocol.max_train_rows, seed)
        by_split = {
            split: _object_rows(
                part,
                np.full(len(part.labels), part.vectors.shape[1]),
                sample if split == "train" else slice(None),
            )
            for split, part in parts.items()
        }
    train = by_split["train"]
    baselines = ObjectBaselines(
        train.labels,
        train.vectors,
        fit_probes(PROBES, train.values, train.labels, protocol, seed=seed, threads=threads),
    )
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


def evaluate_object_split(
    rows: ObjectRows,
    baselines: ObjectBaselines,
    network: ObjectNetwork,
    classes: list[str],
    reference: Reference | None = None,
    *,
    seed: int,
) -> ObjectSplitEvaluation:
    """Evaluate the rows of one split; the network is not evaluated if `rows.objects` is None.

    Without a reference, calibrated probabilities and prediction sets are not evaluated.
    """
    labels, objects = rows.labels, rows.objects
    labelled = labels >= 0
    predicted: dict[str, np.ndarray] = {}
    if objects is not None:
        with torch.inference_mode():
            logits = network.classify(torch.from_numpy(rows.values[OBJECTS])).double().numpy()
        predicted[NETWORK] = logits.argmax(axis=1)
    predicted |= {name: probe.predict(rows.values) for name, probe in baselines.probes.items()}
    metrics: dict[str, Any] = {"objects": int(labelled.sum())}
    early: dict[int, Scores] = {}
    if labelled.any() and predicted:
        scores = score_classifiers(labels, predicted, classes, pairs=PAIRS, seed=seed)
        metrics |= {**scores.by_classifier, "paired_differences": scores.paired_differences}
    if labelled.any() and objects is not None:
        matrix = confusion(labels, predicted[NETWORK], len(classes))
        metrics[NETWORK] |= {"recall": recall(matrix, classes)}
        metrics |= score_probabilities(
            logits[labelled], labels[labelled], classes, reference, seed=seed
        )
        balanced = undersample(labels, seed)
        metrics["network_balanced"] = score_classifiers(
            labels[balanced], {NETWORK: predicted[NETWORK][balanced]}, classes, seed=seed
        ).by_classifier[NETWORK]
        forecast = score_magnitude_forecast(network, objects, seed=seed)
        if forecast is not None:
            metrics["forecast_magnitude"] = forecast
        early_classes = {f"after_{n}": c for n, c in classify_early(network, objects).items()}
        early_scores = score_classifiers(labels, early_classes, classes, seed=seed).by_classifier
        metrics["early_classification"] = early_scores
        early = {int(name.removeprefix("after_")): part for name, part in early_scores.items()}
    if baselines.probes and has_two_classes(labels):
        metrics |= score_vectors(
            baselines.vectors, baselines.labels, rows.vectors, labels, classes, seed=seed
        )
    return ObjectSplitEvaluation(metrics, labels, predicted, early)


def _object_rows(
    series: SplitVectors,
    lengths: np.ndarray,
    rows: np.ndarray | slice,
    vectors: np.ndarray | None = None,
    objects: ObjectInput | None = None,
) -> ObjectRows:
    """Return rows of objects from their zero-padded series and, if there are, vectors.

    `objects` are of all rows.
    """
    values = {} if vectors is None else {OBJECTS: vectors[rows]}
    padded, lengths = series.vectors[rows], lengths[rows]
    # The zeros of the padding do not change the sum.
    values[MEAN_ALERT] = padded.sum(axis=1) / lengths[:, None]
    values[LAST_ALERT] = padded[np.arange(len(lengths)), lengths - 1]
    return ObjectRows(series.labels[rows].astype(np.int64), values, objects)
