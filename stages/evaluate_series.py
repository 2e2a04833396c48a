"""Evaluate the recurrent network and the objects' vectors, beside plain uses of their alerts."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from stages import run
from stages.device import start
from stages.paths import ENCODED_OBJECTS, ENCODED_SERIES, FIGURES, METRICS, RECURRENT
from stages.published import published_blocks
from stages.reporting import (
    ahead,
    errors_of,
    judged_representation,
    save_confusion,
    save_figure,
    save_maps,
    save_methods,
    save_plot,
    scored_rows,
    scores,
    write_metrics,
)
from stages.series_inputs import magnitude_scale, series_inputs
from ztfrep.data.alert_schema import SERIES_CLASSES
from ztfrep.data.row_index import read_row_index as read_names
from ztfrep.data.vector_files import SplitVectors as Block
from ztfrep.data.vector_files import read_vectors as read_blocks
from ztfrep.encoders import model_folder as checkpoints
from ztfrep.encoders.cards import RecurrentCard
from ztfrep.errors import InputError
from ztfrep.evaluation import figures
from ztfrep.evaluation import scores as evaluation
from ztfrep.models.object import published_recurrent as recurrent
from ztfrep.models.object.base import MAGNITUDE, MAGNITUDE_KNOWN, SeriesInput
from ztfrep.models.object.temporal import TemporalRecurrent
from ztfrep.params import Params
from ztfrep.training import sampling

# After so many detections an object is classified, as far as any has them.
_DETECTIONS = (1, 2, 3, 4, 5, 7, 10, 15, 20)
# Ours before the plain uses of its alerts.
_COMPARED = tuple(
    (method, f"{rival}_linear_probe")
    for method in ("network", "objects_linear_probe")
    for rival in ("mean_alert", "last_alert")
)
Vectors = dict[str, dict[str, np.ndarray]]


def main(params: Params) -> None:
    """Score the network and a probe of every vector on validation and test objects."""
    start(params)
    chosen = params.evaluate
    published = chosen.encodings == "published"
    model, card = checkpoints.load_model(RECURRENT, recurrent.build, RecurrentCard)
    names = read_names(ENCODED_SERIES)
    classes = list(SERIES_CLASSES) if published else names.attrs["classes"]
    if not published and card.classes != classes:
        raise InputError(
            RECURRENT,
            found=f"a network of the classes {', '.join(card.classes)}",
            expected=f"those of the series: {', '.join(classes)}",
            remedy="train it on these series: dvc repro",
        )
    series = published_blocks("base_recurrente") if published else read_blocks(ENCODED_SERIES)
    lengths = {
        split: np.full(len(block.labels), block.vectors.shape[1])
        if published
        else names.loc[names["split"] == split, "length"].to_numpy()
        for split, block in series.items()
    }
    # No network of ours has read the published series.
    objects = {} if published else read_blocks(ENCODED_OBJECTS)
    inputs = {} if published else series_inputs(model.all_epochs, card.most_epochs)
    early: dict[str, dict[str, float]] = {}
    vectors = _vectors(series, lengths, objects)
    labels = {split: block.labels.astype(np.int64) for split, block in series.items()}

    rows = sampling.draw_rows(labels["train"], chosen.max_train_rows, params.seed)
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
        metrics: dict[str, Any] = {}
        if (known >= 0).any():
            metrics = {m: scores(known, p, classes, params.seed) for m, p in predicted.items()}
            metrics["ahead"] = ahead(known, predicted, _COMPARED, params.seed)
        if metrics and objects:
            network = predicted["network"]
            metrics["network"] |= evaluation.classification(known, network, classes)
            even = sampling.balanced_subset(known, params.seed)
            metrics["network_balanced"] = scores(known[even], network[even], classes, params.seed)
            off = _magnitudes_off(model, inputs[split])
            if len(off):
                metrics["foretold_magnitude"] = errors_of(off, params.seed)
            metrics["early_classification"] = early = {
                f"after_{count}": scores(known, found, classes, params.seed)
                for count, found in _after_each(model, inputs[split]).items()
            }
        if probes and evaluation.has_classes(known):
            name, each = next(iter(vectors.items()))
            metrics |= judged_representation(
                each["train"][rows], labels["train"][rows], each[split], known, classes, params.seed
            )
        write_metrics(METRICS / file, {"objects": int((known >= 0).sum()), **metrics})

    folder = FIGURES / "series"
    scored = scored_rows(known, "objects")
    # The network, or a probe of the mean alert where there is none.
    classified = next(iter(predicted.values()), known)
    save_confusion(
        "recurrent.csv", folder / "confusion.png", known, classified, classes,
        f"{'Mean alert linear probe' if published else 'Recurrent network'}, {scored}",
    )  # fmt: skip
    _save_early(folder / "early.png", early)
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
        figures.loss_curves(card.history, "Recurrent network", best_epoch=card.best_epoch),
    )


def _after_each(model: recurrent.Recurrent, series: SeriesInput) -> dict[int, np.ndarray]:
    """Classify objects by what was known after each number of detections with stamps.

    An object of fewer is classified by all that it has.
    """
    so_far = series.seen.cumsum(dim=1)
    most = int(so_far.max())
    found = {}
    for count in [n for n in _DETECTIONS if n <= most]:
        reached = so_far >= count
        lengths = torch.where(
            reached.any(dim=1), reached.to(torch.int8).argmax(dim=1) + 1, series.lengths
        )
        logits = []
        with torch.inference_mode():
            for rows in torch.arange(len(lengths)).split(512):
                batch = SeriesInput(*(part[rows] for part in series))
                logits.append(model(batch._replace(lengths=lengths[rows])).logits)
        found[count] = torch.cat(logits).argmax(dim=1).numpy()
    return found


def _magnitudes_off(model: recurrent.Recurrent, series: SeriesInput) -> np.ndarray:
    """Give by how many magnitudes the next detection's was foretold wrong, where it is known."""
    if not isinstance(model, TemporalRecurrent):
        return np.empty(0)
    off = []
    with torch.inference_mode():
        for rows in torch.arange(len(series.lengths)).split(512):
            batch = SeriesInput(*(part[rows] for part in series))
            known = batch.photometry[:, :, MAGNITUDE_KNOWN] > 0
            known &= torch.arange(known.shape[1]) < batch.lengths[:, None]
            both = known[:, 1:] & known[:, :-1]
            told = model(batch).next
            assert told is not None
            off.append((told[:, :-1, -1] - batch.photometry[:, 1:, MAGNITUDE]).abs()[both])
    return torch.cat(off).numpy() * magnitude_scale()


def _save_early(path: Path, early: dict[str, dict[str, float]]) -> None:
    """Save early classification as DVC plot data and as PNG."""
    steps = [int(name.removeprefix("after_")) for name in early]
    names = ("balanced_accuracy", "macro_f1")
    drawn = {name: [part[name] for part in early.values()] for name in names}
    save_plot("early.csv", detections=steps, **drawn)
    if not early:
        return
    ends = [
        (part["balanced_accuracy_low"], part["balanced_accuracy_high"]) for part in early.values()
    ]
    figure = figures.early_classification(
        steps, drawn, {"balanced_accuracy": ends}, "Classes after so many detections"
    )
    save_figure(path, figure)


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
