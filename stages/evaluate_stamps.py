"""Evaluate the autoencoder and the alerts' vectors, beside the plain rivals on the same rows."""

import numpy as np
import torch
from sklearn.pipeline import Pipeline
from tqdm import tqdm

from stages import run
from stages.fitting import start
from stages.paths import AUTOENCODER, ENCODED_STAMPS, FIGURES, METRICS, STAMPS
from stages.reporting import (
    save_confusion,
    save_figure,
    save_maps,
    save_methods,
    scores,
    write_metrics,
)
from ztfrep import checkpoints, evaluation, features, figures
from ztfrep.alerts import CHANNELS, CLASSES, AlertTable
from ztfrep.encoding import read_blocks
from ztfrep.models import autoencoder
from ztfrep.params import Params
from ztfrep.stamps import prepare


def main(params: Params) -> None:
    """Score reconstruction, branch, probes and rivals on validation and test alerts."""
    start(params)
    chosen, seed = params.evaluate, params.seed
    model, card = checkpoints.load_model(AUTOENCODER, autoencoder.build)
    table = AlertTable(STAMPS)
    split = table.identity()["split"].to_numpy()
    pixels, observed = (
        np.concatenate(part)
        for part in zip(*(prepare(s, card["rescale"]) for s in table.stamps()), strict=True)
    )
    metadata = table.features()[:, [n not in chosen.forest_without for n in features.NAMES]]
    blocks = read_blocks(ENCODED_STAMPS)
    rows = evaluation.draw_rows(blocks["train"].labels, chosen.max_train_rows, seed)
    train, labels = blocks["train"].vectors[rows], blocks["train"].labels[rows]
    at_train = np.flatnonzero(split == "train")[rows]
    pca = evaluation.fit_pca(pixels[at_train], observed[at_train], card["sizes"]["latent_dim"])

    with tqdm(total=5, desc="probes", disable=None) as bar:

        def fitted(kind: str, vectors: np.ndarray) -> Pipeline:
            made = evaluation.fit_probe(
                kind, vectors, labels, seed=seed, linear_c=chosen.linear_c, svm_c=chosen.svm_c,
                neighbours=chosen.knn_neighbours, trees=chosen.forest_trees, threads=params.threads,
            )  # fmt: skip
            bar.update()
            return made

        probes = {kind: fitted(kind, train) for kind in ("linear_probe", "knn", "svm")}
        forest = fitted("forest", metadata[at_train])
        pca_probe = fitted("linear_probe", pca.encode(pixels[at_train], observed[at_train]))

    for name, file in (("validation", "stamps_validation.json"), ("test", "stamps.json")):
        here = split == name
        vectors, known = blocks[name]
        with torch.inference_mode():
            latent = torch.from_numpy(vectors)
            branch = model.logits(latent).argmax(dim=1).numpy()
            decoded = model.decode(latent).numpy()
        shown, mask = pixels[here], observed[here]
        scores_pca = pca.encode(shown, mask)
        predicted = {
            "branch": branch,
            **{kind: probe.predict(vectors) for kind, probe in probes.items()},
            "forest_on_features": forest.predict(metadata[here]),
            "pca_linear_probe": pca_probe.predict(scores_pca),
        }
        metrics = {m: scores(known, p, CLASSES, seed) for m, p in predicted.items()}
        metrics["branch"] |= evaluation.classification(known, branch, CLASSES)
        metrics["reconstruction"] = evaluation.reconstruction(shown, mask, decoded, CHANNELS)
        metrics["pca_reconstruction"] = evaluation.reconstruction(
            shown, mask, pca.decode(scores_pca), CHANNELS
        )
        write_metrics(METRICS / file, {"alerts": int((known >= 0).sum()), **metrics})

    folder = FIGURES / "stamps"
    title = f"{len(known)} test alerts"
    save_confusion(
        "branch.csv", folder / "confusion.png", known, branch, CLASSES,
        f"Classification branch, {title}",
    )  # fmt: skip
    save_methods(folder / "methods.png", metrics, f"Methods on {title}")
    save_maps("alerts", folder, vectors, known, CLASSES, params.evaluate.map_rows, params.seed)
    save_figure(
        folder / "reconstruction.png",
        figures.reconstruction_panel(
            shown, mask, decoded, known, CLASSES, CHANNELS, f"Reconstruction of {title}"
        ),
    )
    save_figure(
        folder / "loss.png",
        figures.loss_curves(card["history"], "Autoencoder", best_epoch=card["best_epoch"]),
    )


if __name__ == "__main__":
    run(main)
