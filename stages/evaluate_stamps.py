"""Evaluate the autoencoder and the alerts' vectors, beside the plain rivals on the same rows."""

import numpy as np
import torch
from sklearn.pipeline import Pipeline
from tqdm import tqdm

from stages import run
from stages.fitting import start
from stages.inputs import alert_inputs, gathered
from stages.paths import AUTOENCODER, ENCODED_STAMPS, FIGURES, METRICS, STAMPS
from stages.published import of_our_rows, published_blocks
from stages.reporting import (
    judged_representation,
    save_confusion,
    save_figure,
    save_maps,
    save_methods,
    scored_rows,
    scores,
    write_metrics,
)
from ztfrep import checkpoints, evaluation, features, figures, representation, sampling
from ztfrep.alerts import CHANNELS, CLASSES, ROW_GROUP, AlertTable
from ztfrep.encoding import read_blocks, read_names
from ztfrep.models import autoencoder
from ztfrep.params import Params

# Percent of the labels that a probe may learn from, beside all of them.
_FEW = (1, 10)


def main(params: Params) -> None:
    """Score reconstruction, branch, probes and rivals on validation and test alerts."""
    start(params)
    chosen, seed = params.evaluate, params.seed
    # Our branch and decoder know nothing of the published vectors.
    own = chosen.encodings == "own"
    model, card = checkpoints.load_model(AUTOENCODER, autoencoder.build)
    table = AlertTable(STAMPS)
    split = table.identity()["split"].to_numpy()
    alerts = gathered(alert_inputs(table, card["rescale"], card["features"], ROW_GROUP))
    pixels, observed = alerts.pixels.numpy(), alerts.observed.numpy()
    kept = [name not in chosen.forest_without for name in features.NAMES]
    metadata = table.features()[:, kept]
    blocks = (
        read_blocks(ENCODED_STAMPS)
        if own
        else of_our_rows(published_blocks("base"), read_names(ENCODED_STAMPS))
    )
    rows = sampling.draw_rows(blocks["train"].labels, chosen.max_train_rows, seed)
    train, labels = blocks["train"].vectors[rows], blocks["train"].labels[rows]
    at_train = np.flatnonzero(split == "train")[rows]
    pca = evaluation.fit_pca(pixels[at_train], observed[at_train], card["sizes"]["latent_dim"])
    scaling = np.array([card["features"]["mean"], card["features"]["std"]])[:, kept]
    scaled = features.standardise(table.clipped_features()[:, kept], *scaling)

    # Of a probe that learns from few labels, those.
    fewer: dict[str, np.ndarray] = {}
    inputs = {
        "linear_probe": ("linear_probe", train),
        "knn": ("knn", train),
        "svm": ("svm", train),
        "forest_on_features": ("forest", metadata[at_train]),
        "features_linear_probe": ("linear_probe", scaled[at_train]),
        "pca_linear_probe": ("linear_probe", pca.encode(pixels[at_train], observed[at_train])),
    }
    for percent in _FEW:
        few = sampling.draw_share(labels, percent / 100, seed)
        inputs[f"linear_probe_{percent}_percent"] = ("linear_probe", train[few])
        fewer[f"linear_probe_{percent}_percent"] = labels[few]
    probes: dict[str, Pipeline] = {}
    if evaluation.has_classes(labels):
        for name, (kind, values) in tqdm(inputs.items(), desc="probes", disable=None):
            probes[name] = evaluation.fit_probe(
                kind, values, fewer.get(name, labels), seed=seed,
                linear_c=chosen.linear_c, svm_c=chosen.svm_c,
                neighbours=chosen.knn_neighbours, trees=chosen.forest_trees, threads=params.threads,
            )  # fmt: skip

    for name, file in (("validation", "stamps_validation.json"), ("test", "stamps.json")):
        here = split == name
        vectors, known = blocks[name]
        shown, mask = pixels[here], observed[here]
        scores_pca = pca.encode(shown, mask)
        values = {
            "forest_on_features": metadata[here],
            "features_linear_probe": scaled[here],
            "pca_linear_probe": scores_pca,
        }
        predicted, reconstructed = {}, {"pca_reconstruction": pca.decode(scores_pca)}
        if own:
            with torch.inference_mode():
                latent = torch.from_numpy(vectors)
                poses = model.poses(*(part[here] for part in alerts))
                logits = model.logits(latent)
                predicted["branch"] = logits.argmax(dim=1).numpy()
                reconstructed["reconstruction"] = model.decode(latent, poses).numpy()
                if poses.any():
                    unposed = model.decode(latent, None).numpy()
                    reconstructed["reconstruction_without_pose"] = unposed
        predicted |= {m: probe.predict(values.get(m, vectors)) for m, probe in probes.items()}
        metrics = {}
        if (known >= 0).any():
            metrics = {m: scores(known, p, CLASSES, seed) for m, p in predicted.items()}
        if metrics and own:
            metrics["branch"] |= evaluation.classification(known, predicted["branch"], CLASSES)
            sure = logits.double().softmax(dim=1).numpy()
            metrics["calibration"] = representation.calibration(
                sure[known >= 0], known[known >= 0], seed=seed
            )
        if probes and evaluation.has_classes(known):
            metrics |= judged_representation(train, labels, vectors, known, CLASSES, seed)
        for method, decoded in sorted(reconstructed.items(), reverse=True):
            metrics[method] = evaluation.reconstruction(shown, mask, decoded, CHANNELS)
        write_metrics(METRICS / file, {"alerts": int((known >= 0).sum()), **metrics})

    folder = FIGURES / "stamps"
    title, scored = f"{len(known)} test alerts", scored_rows(known, "alerts")
    # The branch, or the first probe where there is none.
    classified = next(iter(predicted.values()), known)
    save_confusion(
        "branch.csv", folder / "confusion.png", known, classified, CLASSES,
        f"{'Classification branch' if own else 'Linear probe'}, {scored}",
    )  # fmt: skip
    save_methods(folder / "methods.png", metrics, f"Methods on {scored}")
    save_maps("alerts", folder, vectors, known, CLASSES, params.evaluate.map_rows, params.seed)
    method = "reconstruction" if own else "pca_reconstruction"
    save_figure(
        folder / "reconstruction.png",
        figures.reconstruction_panel(
            shown, mask, reconstructed[method], known, CLASSES, CHANNELS,
            f"{'Reconstruction' if own else 'PCA reconstruction'} of {title}",
        ),
    )  # fmt: skip
    save_figure(
        folder / "loss.png",
        figures.loss_curves(card["history"], "Autoencoder", best_epoch=card["best_epoch"]),
    )


if __name__ == "__main__":
    run(main)
