"""Early classification: scores of the network and of baselines after the first detections."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from ztfrep.encoders.object_batches import batches_of_objects
from ztfrep.evaluation.classifier_scores import ClassifierScores, score_classifiers
from ztfrep.evaluation.object_series import ObjectSeries
from ztfrep.evaluation.probes import FittedProbe, Probe, fit_probes
from ztfrep.evaluation.protocol import EvaluationProtocol
from ztfrep.models.object.base import ObjectInput, ObjectNetwork

# Numbers of detections after which objects are classified, up to the maximum of all objects.
DETECTIONS = (1, 2, 3, 5, 10, 20)
# Baselines by number of detections and name.
EarlyProbes = Mapping[int, Mapping[str, FittedProbe]]


def classify(network: ObjectNetwork, objects: ObjectInput) -> np.ndarray:
    """Return the predicted classes of objects, int `(n,)`."""
    classes = []
    with torch.inference_mode():
        for _, batch in batches_of_objects(objects):
            classes.append(network.classify(network.encode(batch)).argmax(dim=1).numpy())
    return np.concatenate(classes)


def fit_early_probes(
    probes: Mapping[str, Probe],
    train: ObjectSeries,
    labels: np.ndarray,
    protocol: EvaluationProtocol,
    *,
    seed: int,
    threads: int,
) -> EarlyProbes:
    """Fit the baselines for each number of detections, to train series of as many detections."""
    return {
        count: fit_probes(
            probes,
            train.first_detections(count).baseline_values(),
            labels,
            protocol,
            seed=seed,
            threads=threads,
        )
        for count in DETECTIONS
        if count <= int(train.lengths.max())
    }


def score_early_classification(
    network: ObjectNetwork,
    probes: EarlyProbes,
    series: ObjectSeries,
    labels: np.ndarray,
    classes: Sequence[str],
    *,
    name: str,
    seed: int,
) -> dict[int, ClassifierScores]:
    """Return the scores of the network and of the baselines by number of detections.

    Detections are those that have a vector. An object with fewer is classified by all of its
    observations, so that all scores are of the same objects. Paired differences are those of the
    network, which has the given name, to each baseline.
    """
    scores = {}
    for count in DETECTIONS:
        if count > int(series.lengths.max()):
            break
        first = series.first_detections(count)
        predicted = {name: classify(network, first.network_input(network))}
        values = first.baseline_values()
        fitted = probes.get(count, {})
        predicted |= {baseline: probe.predict(values) for baseline, probe in fitted.items()}
        pairs = [(name, baseline) for baseline in fitted]
        scores[count] = score_classifiers(labels, predicted, classes, pairs=pairs, seed=seed)
    return scores
