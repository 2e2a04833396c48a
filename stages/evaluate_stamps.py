"""Evaluate the autoencoder and the alerts' vectors, beside the plain rivals on the same rows."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.special import softmax
from sklearn.pipeline import Pipeline
from tqdm import tqdm
from ztfrep.encoders.batches import encode

from stages import run
from stages.device import start
from stages.inputs import alert_inputs, gathered
from stages.paths import AUTOENCODER, ENCODED_STAMPS, FIGURES, METRICS, STAMPS
from stages.published import of_our_rows, published_blocks
from stages.reporting import (
    ahead,
    errors_of,
    judged_representation,
    save_confusion,
    save_figure,
    save_maps,
    save_methods,
    scored_rows,
    scores,
    write_metrics,
)
from ztfrep.data import features
from ztfrep.data.alert_schema import CHANNELS, CLASSES, ROW_GROUP
from ztfrep.data.alert_table import AlertTable
from ztfrep.data.row_index import read_row_index as read_names
from ztfrep.data.vector_files import read_vectors as read_blocks
from ztfrep.encoders import model_folder as checkpoints
from ztfrep.encoders.cards import AutoencoderCard, FeatureScaling
from ztfrep.evaluation import figures, representation
from ztfrep.evaluation import scores as evaluation
from ztfrep.models.alert import losses as autoencoder
from ztfrep.models.alert.base import AlertInput
from ztfrep.models.alert.invariant import InvariantAutoencoder
from ztfrep.params import Params
from ztfrep.training import sampling
from ztfrep.training.fit import choose_device

# Percent of the labels that a probe may learn from, beside all of them.
_FEW = (1, 10)
# Ours before the rivals that it is to beat on the same rows.
_COMPARED = (
    ("branch", "forest_on_features"),
    ("linear_probe", "forest_on_features"),
    ("linear_probe", "stamps_alone_linear_probe"),
    ("linear_probe", "pca_linear_probe"),
)
_PCA = "pca_reconstruction"
_MAGNITUDES = ("magpsf", "diffmaglim", "magnr")


class Method(NamedTuple):
    """A probe: its kind, what it reads of every row, and the rows that it learns from."""

    kind: str
    values: np.ndarray
    rows: np.ndarray


def main(params: Params) -> None:
    """Score reconstruction, branch, probes and rivals on validation and test alerts."""
    start(params)
    chosen, seed = params.evaluate, params.seed
    # Our branch and decoder know nothing of the published vectors.
    own = chosen.encodings == "own"
    model, card = checkpoints.load_model(AUTOENCODER, autoencoder.build, AutoencoderCard)
    table = AlertTable(STAMPS)
    split = table.identity()["split"].to_numpy()
    alerts = gathered(alert_inputs(table, card.rescale, card.features, ROW_GROUP))
    blocks = (
        read_blocks(ENCODED_STAMPS)
        if own
        else of_our_rows(published_blocks("base"), read_names(ENCODED_STAMPS))
    )
    # The blocks stand in the order of the table's rows.
    vectors = np.concatenate([block.vectors for block in blocks.values()])
    labels = np.concatenate([block.labels for block in blocks.values()])
    rows = sampling.draw_rows(blocks["train"].labels, chosen.max_train_rows, seed)
    pixels, observed = alerts.pixels.numpy(), alerts.observed.numpy()
    pca = evaluation.fit_pca(pixels[rows], observed[rows], card.sizes.latent_dim)
    pca_scores = pca.encode(pixels, observed)

    methods = _of_vectors(vectors, labels, rows, seed)
    methods["pca_linear_probe"] = Method("linear_probe", pca_scores, rows)
    methods |= _of_features(table, card.features, chosen.forest_without, rows)
    if own and len(model.modalities) > 1:
        used = np.concatenate([rows, np.flatnonzero(split != "train")])
        alone = np.zeros((len(split), card.sizes.latent_dim), np.float32)
        alone[used] = _stamps_alone(model, alerts, used, params)
        methods["stamps_alone_linear_probe"] = Method("linear_probe", alone, rows)
    probes: dict[str, Pipeline] = {}
    if evaluation.has_classes(labels[rows]):
        for name, method in tqdm(methods.items(), desc="probes", disable=None):
            probes[name] = evaluation.fit_probe(
                method.kind, method.values[method.rows], labels[method.rows], seed=seed,
                linear_c=chosen.linear_c, svm_c=chosen.svm_c,
                neighbours=chosen.knn_neighbours, trees=chosen.forest_trees, threads=params.threads,
            )  # fmt: skip

    for name, file in (("validation", "stamps_validation.json"), ("test", "stamps.json")):
        here = split == name
        known = labels[here]
        shown, mask = pixels[here], observed[here]
        predicted: dict[str, np.ndarray] = {}
        reconstructed = {_PCA: pca.decode(pca_scores[here])}
        metrics: dict[str, Any] = {}
        leads: dict[str, Any] = {}
        told: dict[str, Any] = {}
        if own:
            logits, decoded, told = _made_of(
                model, vectors[here], AlertInput(*(part[here] for part in alerts)), card, seed
            )
            predicted["branch"] = logits.argmax(axis=1)
            reconstructed |= decoded
        predicted |= {m: probe.predict(methods[m].values[here]) for m, probe in probes.items()}
        if (known >= 0).any():
            metrics |= {m: scores(known, p, CLASSES, seed) for m, p in predicted.items()}
            leads |= ahead(known, predicted, _COMPARED, seed)
            if own:
                metrics["branch"] |= evaluation.classification(known, predicted["branch"], CLASSES)
                metrics["calibration"] = representation.calibration(
                    softmax(logits[known >= 0], axis=1), known[known >= 0], seed=seed
                )
        if probes and evaluation.has_classes(known):
            metrics |= judged_representation(
                vectors[rows], labels[rows], vectors[here], known, CLASSES, seed
            )
        for way, drawn in sorted(reconstructed.items(), reverse=True):
            metrics[way] = evaluation.reconstruction(shown, mask, drawn, CHANNELS)
            metrics[way] |= representation.squared_error(shown, mask, drawn, seed=seed)
            if way != _PCA:
                leads[f"{way}_over_{_PCA}"] = representation.squared_error_below(
                    shown, mask, drawn, reconstructed[_PCA], seed=seed
                )
        metrics["ahead"] = leads
        write_metrics(METRICS / file, {"alerts": int((known >= 0).sum()), **metrics, **told})

    folder = FIGURES / "stamps"
    title, scored = f"{len(known)} test alerts", scored_rows(known, "alerts")
    # The branch, or the first probe where there is none.
    classified = next(iter(predicted.values()), known)
    save_confusion(
        "branch.csv", folder / "confusion.png", known, classified, CLASSES,
        f"{'Classification branch' if own else 'Linear probe'}, {scored}",
    )  # fmt: skip
    save_methods(folder / "methods.png", metrics, f"Methods on {scored}")
    save_maps("alerts", folder, vectors[here], known, CLASSES, chosen.map_rows, seed)
    drawn_by = "reconstruction" if own else _PCA
    save_figure(
        folder / "reconstruction.png",
        figures.reconstruction_panel(
            shown, mask, reconstructed[drawn_by], known, CLASSES, CHANNELS,
            f"{'Reconstruction' if own else 'PCA reconstruction'} of {title}",
        ),
    )  # fmt: skip
    save_figure(
        folder / "loss.png",
        figures.loss_curves(card.history, "Autoencoder", best_epoch=card.best_epoch),
    )


def _of_vectors(
    vectors: np.ndarray, labels: np.ndarray, rows: np.ndarray, seed: int
) -> dict[str, Method]:
    methods = {kind: Method(kind, vectors, rows) for kind in ("linear_probe", "knn", "svm")}
    for percent in _FEW:
        few = rows[sampling.draw_share(labels[rows], percent / 100, seed)]
        methods[f"linear_probe_{percent}_percent"] = Method("linear_probe", vectors, few)
    return methods


def _of_features(
    table: AlertTable, scaling: FeatureScaling, without: Sequence[str], rows: np.ndarray
) -> dict[str, Method]:
    kept = [name not in without for name in features.NAMES]
    statistics = np.array([scaling.mean, scaling.std])[:, kept]
    scaled = features.standardise(table.clipped_features()[:, kept], *statistics)
    return {
        "forest_on_features": Method("forest", table.features()[:, kept], rows),
        "features_linear_probe": Method("linear_probe", scaled, rows),
    }


def _made_of(
    model: autoencoder.Autoencoder,
    vectors: np.ndarray,
    alerts: AlertInput,
    card: AutoencoderCard,
    seed: int,
) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, Any]]:
    """Give what a network makes of vectors: logits, stamps, and how far told magnitudes are off."""
    with torch.inference_mode():
        latent = torch.from_numpy(vectors)
        poses = model.poses(*alerts)
        decoded = {"reconstruction": model.decode(latent, poses).numpy()}
        if poses.any():
            decoded["reconstruction_without_pose"] = model.decode(latent, None).numpy()
        told = model.described(latent).numpy() if isinstance(model, InvariantAutoencoder) else None
        logits = model.logits(latent).double().numpy()
    off = {} if told is None else _magnitudes_off(told, alerts, card.features)
    return logits, decoded, {f"told_{m}": errors_of(e, seed) for m, e in off.items() if len(e)}


def _magnitudes_off(
    told: np.ndarray, alerts: AlertInput, scaling: FeatureScaling
) -> dict[str, np.ndarray]:
    """Give by how many magnitudes those told from vectors are off, where they are known."""
    if scaling.unit != features.PHYSICAL:
        return {}
    found = {}
    for name in _MAGNITUDES:
        place = features.NAMES.index(name)
        known = alerts.known.numpy()[:, place]
        off = (told - alerts.features.numpy())[known, place]
        found[name] = np.abs(off) * scaling.std[place]
    return found


def _stamps_alone(
    model: autoencoder.Autoencoder, alerts: AlertInput, rows: np.ndarray, params: Params
) -> np.ndarray:
    """Encode alerts whose metadata nobody knows."""
    device = choose_device()
    model.to(device)
    found = []
    for some in torch.from_numpy(rows).split(params.encode.batch_size):
        batch = AlertInput(*(part[some] for part in alerts))
        batch = batch._replace(known=torch.zeros_like(batch.known))
        found.append(encode(model, batch, device, params.precision))
    model.to("cpu")
    return np.concatenate(found)


if __name__ == "__main__":
    run(main)
