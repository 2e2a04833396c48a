"""Evaluation of the vectors of alerts: probes, baselines and reconstructions on the same rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ztfrep.data.alert_schema import CHANNELS, CLASSES
from ztfrep.data.alert_table import AlertTable
from ztfrep.data.vector_files import read_vectors
from ztfrep.encoders.devices import make_deterministic
from ztfrep.encoders.model_folder import load_alert_network, read_model_reference
from ztfrep.encoders.reference import Reference
from ztfrep.evaluation.alert_rows import AlertRows, encode_stamps_only, read_features, read_inputs
from ztfrep.evaluation.bootstrap import Bootstrap
from ztfrep.evaluation.calibration import ReliabilityBins
from ztfrep.evaluation.classifier_scores import score_classifiers
from ztfrep.evaluation.evaluation_results import Evaluation, SplitEvaluation
from ztfrep.evaluation.metrics import confusion, recall
from ztfrep.evaluation.pixel_pca import PixelPCA
from ztfrep.evaluation.predicted_features import score_predicted_magnitudes
from ztfrep.evaluation.prediction_sets import bin_probabilities, score_probabilities
from ztfrep.evaluation.probes import FittedProbe, Probe, fit_probes, has_two_classes
from ztfrep.evaluation.projection import project_sample
from ztfrep.evaluation.protocol import EvaluationProtocol
from ztfrep.evaluation.published_vectors import align_rows, read_published
from ztfrep.evaluation.reconstruction import mse_reduction, score_reconstruction, squared_errors
from ztfrep.evaluation.vector_scores import score_vectors
from ztfrep.models.alert.base import AlertInput, AlertNetwork
from ztfrep.models.alert.noise_levels import estimate_noise
from ztfrep.training.sampling import stratified_sample

CLASSIFIER_HEAD = "classifier_head"
RECONSTRUCTION, PCA_RECONSTRUCTION = "reconstruction", "pca_reconstruction"
DENOISED = "denoised"
# By name: kind of the probe, name of its input values, fraction of the labels.
PROBES = {
    "linear_probe": Probe("linear_probe", "vectors"),
    "knn": Probe("knn", "vectors"),
    "svm": Probe("svm", "vectors"),
    "linear_probe_1_percent": Probe("linear_probe", "vectors", 0.01),
    "linear_probe_10_percent": Probe("linear_probe", "vectors", 0.10),
    "pca_linear_probe": Probe("linear_probe", "pca"),
    "forest_on_features": Probe("forest", "features"),
    "features_linear_probe": Probe("linear_probe", "standardised_features"),
    "stamps_only_linear_probe": Probe("linear_probe", "stamps_only_vectors"),
}
# Pairs of a method and a baseline whose differences are scored.
PAIRS = (
    (CLASSIFIER_HEAD, "forest_on_features"),
    ("linear_probe", "forest_on_features"),
    ("linear_probe", "stamps_only_linear_probe"),
    ("linear_probe", "pca_linear_probe"),
)


@dataclass(frozen=True, eq=False)
class AlertBaselines:
    """Train rows, and the probes and principal components of pixels that are fitted to them."""

    train: AlertRows
    probes: Mapping[str, FittedProbe]
    pca: PixelPCA


@dataclass(frozen=True, eq=False)
class AlertSplitEvaluation(SplitEvaluation):
    """The evaluation of the alerts of one split.

    Attributes
    ----------
    pixels : float32 (n, 3, 21, 21)
    pixel_mask : bool (n, 3, 21, 21)
    noise : float32 (n, 3, 21, 21)
        Standard deviation of the noise of the pixels, estimated from them.
    reconstructions : dict of float32 (n, 3, 21, 21)
        By method. The first method is the network, if it is evaluated.
    """

    pixels: np.ndarray
    pixel_mask: np.ndarray
    noise: np.ndarray
    reconstructions: dict[str, np.ndarray]


def evaluate_alerts(
    table: Path,
    vectors: Path,
    model: Path,
    protocol: EvaluationProtocol,
    *,
    seed: int,
    threads: int,
    batch_size: int,
    precision: str,
    published: Path | None = None,
) -> Evaluation[AlertSplitEvaluation]:
    """Evaluate the vectors of a stamps table on its validation and test splits.

    `vectors` is the output of `encode_alert_table`, and `model` the folder of its network. With
    `published`, the manifest of the source, the downloaded vectors are evaluated instead, without
    the heads and the decoder of the network.
    """
    make_deterministic(threads)
    network, card = load_alert_network(model)
    alerts = AlertTable(table)
    identity = alerts.identity()
    split = identity["split"].to_numpy()
    by_split = (
        read_vectors(vectors)
        if published is None
        else align_rows(read_published(published, "base"), identity)
    )
    # The splits are in the order of the table's rows, train first.
    encoded = np.concatenate([part.vectors for part in by_split.values()])
    labels = np.concatenate([part.labels for part in by_split.values()])
    train = stratified_sample(by_split["train"].labels, protocol.max_train_rows, seed)
    index = np.concatenate([train, np.flatnonzero(split != "train")])
    inputs = read_inputs(network, alerts, index)
    excluded = protocol.forest_excluded_features
    values = {"vectors": encoded[index], **read_features(alerts, card.features, excluded, index)}
    if published is None and len(network.modalities) > 1:
        values["stamps_only_vectors"] = encode_stamps_only(network, inputs, batch_size, precision)
    pixels, pixel_mask = inputs.pixels.numpy(), inputs.pixel_mask.numpy()
    pca = PixelPCA.fit(pixels[: len(train)], pixel_mask[: len(train)], card.config.latent_dim)
    values["pca"] = pca.encode(pixels, pixel_mask)

    rows = AlertRows(labels[index], inputs, values)
    train_rows = rows.rows(slice(len(train)))
    probes = fit_probes(
        PROBES, train_rows.values, train_rows.labels, protocol, seed=seed, threads=threads
    )
    baselines = AlertBaselines(train_rows, probes, pca)
    scored = {name: rows.rows(split[index] == name) for name in ("validation", "test")}
    evaluated_network = network if published is None else None
    reference = read_model_reference(model, card)
    test = scored["test"]
    return Evaluation(
        classes=CLASSES,
        splits={
            name: evaluate_alert_split(part, baselines, evaluated_network, reference, seed=seed)
            for name, part in scored.items()
        },
        projections=project_sample(
            test.values["vectors"], test.labels, protocol.map_rows, seed=seed
        ),
        history=card.history,
        best_epoch=card.best_epoch,
    )


def evaluate_alert_split(
    rows: AlertRows,
    baselines: AlertBaselines,
    network: AlertNetwork | None,
    reference: Reference | None = None,
    *,
    seed: int,
) -> AlertSplitEvaluation:
    """Evaluate the rows of one split; only probes and baselines if `network` is None.

    Without a reference, calibrated probabilities and prediction sets are not evaluated.
    """
    labels, vectors = rows.labels, rows.values["vectors"]
    labelled = labels >= 0
    pixels, pixel_mask = rows.alerts.pixels.numpy(), rows.alerts.pixel_mask.numpy()
    predicted: dict[str, np.ndarray] = {}
    reconstructions: dict[str, np.ndarray] = {}
    magnitudes: dict[str, Any] = {}
    reliability: dict[str, ReliabilityBins] = {}
    if network is not None:
        logits = _classify(network, vectors)
        predicted[CLASSIFIER_HEAD] = logits.argmax(axis=1)
        reconstructions |= _reconstruct(network, vectors, rows.alerts)
        magnitudes = score_predicted_magnitudes(network, vectors, rows.alerts, labels, seed=seed)
    predicted |= {name: probe.predict(rows.values) for name, probe in baselines.probes.items()}
    reconstructions[PCA_RECONSTRUCTION] = baselines.pca.decode(rows.values["pca"])

    metrics: dict[str, Any] = {"alerts": int(labelled.sum())}
    differences: dict[str, Any] = {}
    if labelled.any() and predicted:
        scores = score_classifiers(labels, predicted, CLASSES, pairs=PAIRS, seed=seed)
        metrics |= scores.by_classifier
        differences |= scores.paired_differences
    if labelled.any() and network is not None:
        matrix = confusion(labels, predicted[CLASSIFIER_HEAD], len(CLASSES))
        metrics[CLASSIFIER_HEAD] |= {"recall": recall(matrix, CLASSES)}
        metrics |= score_probabilities(
            logits[labelled], labels[labelled], CLASSES, reference, seed=seed
        )
        reliability = bin_probabilities(logits[labelled], labels[labelled], reference)
    if baselines.probes and has_two_classes(labels):
        train = baselines.train
        metrics |= score_vectors(
            train.values["vectors"], train.labels, vectors, labels, CLASSES, seed=seed
        )
    bootstrap = Bootstrap.within_classes(labels, seed=seed)
    errors = {
        name: squared_errors(pixels, pixel_mask, reconstructed)
        for name, reconstructed in reconstructions.items()
    }
    for name, method_errors in errors.items():
        metrics[name] = score_reconstruction(method_errors, CHANNELS, bootstrap)
        if name != PCA_RECONSTRUCTION:
            differences[f"{name}_minus_{PCA_RECONSTRUCTION}"] = mse_reduction(
                method_errors, errors[PCA_RECONSTRUCTION], bootstrap
            )
    metrics |= {"paired_differences": differences, **magnitudes}
    noise = estimate_noise(rows.alerts.pixels, rows.alerts.pixel_mask).deviation.numpy()
    return AlertSplitEvaluation(
        metrics,
        labels,
        predicted,
        pixels,
        pixel_mask,
        noise,
        reconstructions,
        reliability=reliability,
    )


def _classify(network: AlertNetwork, vectors: np.ndarray) -> np.ndarray:
    """Return logits float64 `(n, classes)`."""
    with torch.inference_mode():
        logits: np.ndarray = network.classify(torch.from_numpy(vectors)).double().numpy()
    return logits


def _reconstruct(
    network: AlertNetwork, vectors: np.ndarray, alerts: AlertInput
) -> dict[str, np.ndarray]:
    """Return reconstructions by name.

    Also denoised ones if the network has that output, and those without orientation if it has
    orientations.
    """
    with torch.inference_mode():
        latent = torch.from_numpy(vectors)
        orientation = network.orientation(alerts)
        decoded = {RECONSTRUCTION: network.decode(latent, orientation).numpy()}
        denoised = network.denoise(latent, orientation)
        if denoised is not None:
            decoded[DENOISED] = denoised.numpy()
        if orientation.any():
            decoded[f"{RECONSTRUCTION}_without_orientation"] = network.decode(latent).numpy()
    return decoded
