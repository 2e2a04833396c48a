"""Evaluate the recurrent network and the objects' vectors, beside plain uses of their alerts."""

import numpy as np
import torch

from stages import run
from stages.fitting import start
from stages.paths import ENCODED_OBJECTS, ENCODED_SERIES, FIGURES, METRICS, RECURRENT
from stages.reporting import (
    save_confusion,
    save_figure,
    save_maps,
    save_methods,
    scores,
    write_metrics,
)
from ztfrep import checkpoints, evaluation, figures
from ztfrep.alerts import SERIES_CLASSES as CLASSES
from ztfrep.encoding import read_blocks, read_names
from ztfrep.models import recurrent
from ztfrep.params import Params


def main(params: Params) -> None:
    """Score the network and a probe of every vector on validation and test objects."""
    start(params)
    chosen = params.evaluate
    model, card = checkpoints.load_model(RECURRENT, recurrent.build)
    names = read_names(ENCODED_SERIES)
    series, objects = read_blocks(ENCODED_SERIES), read_blocks(ENCODED_OBJECTS)
    lengths = {split: names.loc[names["split"] == split, "length"].to_numpy() for split in series}
    labels = {split: block.labels for split, block in objects.items()}
    vectors = {
        "objects": {split: block.vectors for split, block in objects.items()},
        # Zeros stand after the last step, so that a sum over all steps is one over the real ones.
        "mean_alert": {s: b.vectors.sum(axis=1) / lengths[s][:, None] for s, b in series.items()},
        "last_alert": {
            s: b.vectors[np.arange(len(b.labels)), lengths[s] - 1] for s, b in series.items()
        },
    }
    rows = evaluation.draw_rows(labels["train"], chosen.max_train_rows, params.seed)
    probes = {
        name: evaluation.fit_probe(
            "linear_probe", each["train"][rows], labels["train"][rows],
            seed=params.seed, linear_c=chosen.linear_c,
        )
        for name, each in vectors.items()
    }  # fmt: skip
    for split, file in (("validation", "series_validation.json"), ("test", "series.json")):
        with torch.inference_mode():
            logits = model.fc(torch.from_numpy(objects[split].vectors))
        predicted = {"network": logits.argmax(dim=1).numpy()}
        predicted |= {
            f"{name}_linear_probe": probe.predict(vectors[name][split])
            for name, probe in probes.items()
        }
        known = labels[split]
        metrics = {m: scores(known, p, CLASSES, params.seed) for m, p in predicted.items()}
        network = predicted["network"]
        metrics["network"] |= evaluation.classification(known, network, CLASSES)
        even = evaluation.balanced_subset(known, params.seed)
        metrics["network_balanced"] = scores(known[even], network[even], CLASSES, params.seed)
        write_metrics(METRICS / file, {"objects": int((known >= 0).sum()), **metrics})

    folder = FIGURES / "series"
    title = f"{len(known)} test objects"
    save_confusion(
        "recurrent.csv", folder / "confusion.png", known, network, CLASSES,
        f"Recurrent network, {title}",
    )  # fmt: skip
    save_methods(folder / "methods.png", metrics, f"Methods on {title}")
    save_maps(
        "objects",
        folder,
        objects["test"].vectors,
        known,
        CLASSES,
        params.evaluate.map_rows,
        params.seed,
    )
    save_figure(
        folder / "loss.png",
        figures.loss_curves(card["history"], "Recurrent network", best_epoch=card["best_epoch"]),
    )


if __name__ == "__main__":
    run(main)
