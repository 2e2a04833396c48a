"""Evaluate the recurrent network and the objects' vectors, beside plain uses of their alerts."""

import numpy as np
import torch

from stages import run
from stages.fitting import start
from stages.paths import ENCODED_OBJECTS, ENCODED_SERIES, FIGURES, METRICS, RECURRENT
from stages.published import published_blocks
from stages.reporting import (
    save_confusion,
    save_figure,
    save_maps,
    save_methods,
    scored_rows,
    scores,
    write_metrics,
)
from ztfrep import checkpoints, evaluation, figures
from ztfrep.alerts import SERIES_CLASSES
from ztfrep.encoding import Block, read_blocks, read_names
from ztfrep.models import recurrent
from ztfrep.params import Params

Vectors = dict[str, dict[str, np.ndarray]]


def main(params: Params) -> None:
    """Score the network and a probe of every vector on validation and test objects."""
    start(params)
    chosen = params.evaluate
    published = chosen.encodings == "published"
    model, card = checkpoints.load_model(RECURRENT, recurrent.build)
    names = read_names(ENCODED_SERIES)
    classes = list(SERIES_CLASSES) if published else names.attrs["classes"]
    series = published_blocks("base_recurrente") if published else read_blocks(ENCODED_SERIES)
    lengths = {
        split: np.full(len(block.labels), block.vectors.shape[1])
        if published
        else names.loc[names["split"] == split, "length"].to_numpy()
        for split, block in series.items()
    }
    # No network of ours has read the published series.
    objects = {} if published else read_blocks(ENCODED_OBJECTS)
    vectors = _vectors(series, lengths, objects)
    labels = {split: block.labels.astype(np.int64) for split, block in series.items()}

    rows = evaluation.draw_rows(labels["train"], chosen.max_train_rows, params.seed)
    probes = {}
    if evaluation.has_classes(labels["train"]):
        probes = {
            name: evaluation.fit_probe(
                "linear_probe", each["train"][rows], labels["train"][rows],
                seed=params.seed, linear_c=chosen.linear_c,
            )
            for name, each in vectors.items()
        }  # fmt: skip
    for split, file in (("validation", "series_validation.json"), ("test", "series.json")):
        known = labels[split]
        predicted = {}
        if objects:
            with torch.inference_mode():
                logits = model.fc(torch.from_numpy(objects[split].vectors))
            predicted["network"] = logits.argmax(dim=1).numpy()
        predicted |= {
            f"{name}_linear_probe": probe.predict(vectors[name][split])
            for name, probe in probes.items()
        }
        metrics = {}
        if (known >= 0).any():
            metrics = {m: scores(known, p, classes, params.seed) for m, p in predicted.items()}
        if metrics and objects:
            network = predicted["network"]
            metrics["network"] |= evaluation.classification(known, network, classes)
            even = evaluation.balanced_subset(known, params.seed)
            metrics["network_balanced"] = scores(known[even], network[even], classes, params.seed)
        write_metrics(METRICS / file, {"objects": int((known >= 0).sum()), **metrics})

    folder = FIGURES / "series"
    scored = scored_rows(known, "objects")
    # The network, or a probe of the mean alert where there is none.
    classified = next(iter(predicted.values()), known)
    save_confusion(
        "recurrent.csv", folder / "confusion.png", known, classified, classes,
        f"{'Mean alert linear probe' if published else 'Recurrent network'}, {scored}",
    )  # fmt: skip
    save_methods(folder / "methods.png", metrics, f"Methods on {scored}")
    save_maps(
        "objects",
        folder,
        next(iter(vectors.values()))["test"],
        known,
        classes,
        params.evaluate.map_rows,
        params.seed,
    )
    save_figure(
        folder / "loss.png",
        figures.loss_curves(card["history"], "Recurrent network", best_epoch=card["best_epoch"]),
    )


def _vectors(
    series: dict[str, Block], lengths: dict[str, np.ndarray], objects: dict[str, Block]
) -> Vectors:
    """Give every way to make one vector of an object, by split."""
    ways: Vectors = {}
    if objects:
        ways["objects"] = {split: block.vectors for split, block in objects.items()}
    # Zeros stand after the last step, so that a sum over all steps is one over the real ones.
    ways["mean_alert"] = {s: b.vectors.sum(axis=1) / lengths[s][:, None] for s, b in series.items()}
    ways["last_alert"] = {
        s: b.vectors[np.arange(len(b.labels)), lengths[s] - 1] for s, b in series.items()
    }
    return ways


if __name__ == "__main__":
    run(main)
