"""How well the vectors of real stamps tell their weak classes, of encoders that saw none of these.

dvc exp run -S source=alerts -S sources.alerts.path=FOLDER -S sources.alerts.labels=CSV convert
python -m benchmarks.real_alerts MODEL [MODEL ...]

MODEL is the folder of a trained autoencoder, `name=folder` to name it; the alerts are those of
data/parquet/stamps.parquet. Stamps alone are encoded. Of all labelled alerts a linear probe in five
folds, stratified by class and grouped by object, for five seeds of the folds; then the same with
folds grouped by night. Beside the models, a PCA of the pixels. Intervals, of differences too, are
of resampled objects.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from benchmarks.measuring import save
from stages.inputs import alert_inputs, feature_scaling, gathered
from stages.paths import STAMPS
from ztfrep.data.alert_table import AlertTable
from ztfrep.encoders.batches import encode
from ztfrep.encoders.cards import AutoencoderCard, FeatureScaling
from ztfrep.encoders.model_folder import load_model, read_card
from ztfrep.evaluation.scores import METRICS
from ztfrep.models.alert import losses as autoencoder
from ztfrep.models.alert.base import AlertInput
from ztfrep.params import NO_FILE

_SEEDS = range(5)
_FOLDS = 5
_REPEATS = 1000
_CLASSES = 5


def main(
    models: Annotated[list[str], typer.Argument(help="Folders of autoencoders, or name=folder.")],
    table: Annotated[Path, typer.Option(help="The real alerts.")] = STAMPS,
    name: Annotated[str, typer.Option(help="Of the JSON in benchmarks/results.")] = "real_alerts",
) -> None:
    """Probe encoders, and a PCA, on the labelled alerts of a table."""
    folders = {}
    for model in models:
        given, _, folder = model.rpartition("=")
        folders[given or Path(folder).name] = Path(folder)
    alerts = AlertTable(table)
    names = alerts.identity()
    chosen = np.flatnonzero((names["label"] >= 0) & names["has_stamps"])
    if not chosen.size:
        sys.exit(f"error: {table}: no labelled alerts; give sources.alerts.labels")
    labels = names["label"].to_numpy()[chosen].astype(np.int64)
    objects = names["object_id"].to_numpy()[chosen]
    nights = np.floor(names["mjd"].to_numpy()[chosen])

    vectors, cards = {}, {}
    for encoder, folder in folders.items():
        cards[encoder] = read_card(folder, AutoencoderCard)
        if _was_taught(cards[encoder], alerts):
            sys.exit(
                f"error: {folder}: found an encoder that may have learnt these labels; expected "
                "one that did not; train it on another source, or on this one with "
                "autoencoder.classification_weight=0, contrastive_weight=0 and sampling=distinct"
            )
        vectors[encoder] = _encoded(folder, alerts, chosen)
    pixels = _inputs(alerts, chosen, "minmax").pixels.flatten(1).numpy()
    components = min(128, len(pixels) // 2)
    vectors["PCA of the pixels"] = PCA(components, random_state=0).fit_transform(pixels)

    found = {
        grouped: _compared(vectors, labels, objects, groups)
        for grouped, groups in (("by object", objects), ("by night", _linked(objects, nights)))
    }
    save(
        name,
        {
            "alerts": len(labels),
            "objects": len(set(objects)),
            "params": {encoder: card.params.model_dump() for encoder, card in cards.items()},
            "folds": found,
        },
        shown=("alerts", "objects", "folds"),
    )


def _was_taught(card: AutoencoderCard, table: AlertTable) -> bool:
    """Tell whether labels taught an encoder that knows this table by its scale, or may know it."""
    params = card.params
    taught = params.classification_weight > 0 or params.contrastive_weight > 0
    taught |= params.sampling == "balanced"
    train = (table.identity()["split"] == "train").to_numpy()
    same = feature_scaling(table, train, []).mean == card.features.mean
    # One that started from another's weights has that one's scale.
    return bool(card.epochs and taught and (same or params.weights != NO_FILE))


def _inputs(table: AlertTable, chosen: np.ndarray, rescale: str) -> AlertInput:
    """Give the stamps of the chosen rows, and none of their metadata."""
    nothing = FeatureScaling(unit="none", mean=[0.0] * 26, std=[1.0] * 26, left_out=[])
    whole = gathered(alert_inputs(table, rescale, nothing, 512))
    place = np.cumsum(table.has_stamps())[chosen] - 1
    return AlertInput(*(part[torch.from_numpy(place)] for part in whole))


def _encoded(folder: Path, table: AlertTable, chosen: np.ndarray) -> np.ndarray:
    model, card = load_model(folder, autoencoder.build, AutoencoderCard)
    # Scaled over a crop or before it, published and raw stamps differ: real ones are cropped first.
    rescale = "minmax" if card.rescale == "none" else card.rescale
    alerts = _inputs(table, chosen, rescale)
    batches = [
        encode(model, [part[rows] for part in alerts], torch.device("cpu"), "float32")
        for rows in torch.arange(len(chosen)).split(512)
    ]
    return np.concatenate(batches).astype(np.float64)


def _linked(objects: np.ndarray, nights: np.ndarray) -> np.ndarray:
    """Give one group to the nights that an object was seen in, and to all objects of a night."""
    _, one = np.unique(objects, return_inverse=True)
    _, other = np.unique(nights, return_inverse=True)
    size = one.max() + 1
    edges = coo_array((np.ones(len(one)), (one, size + other)), shape=(size + other.max() + 1,) * 2)
    groups: np.ndarray = connected_components(edges, directed=False)[1][one]
    return groups


def _compared(
    vectors: Mapping[str, np.ndarray], labels: np.ndarray, objects: np.ndarray, groups: np.ndarray
) -> dict[str, Any]:
    """Score the probes of every method, and the first method's difference to each other one."""
    predicted = {
        name: [_probed(each, labels, groups, seed) for seed in _SEEDS]
        for name, each in tqdm(vectors.items(), desc="probes")
    }
    resampled = _matrices_of_resampled(predicted, labels, objects)
    scores: dict[str, Any] = {}
    first = next(iter(vectors))
    for name, each in predicted.items():
        scores[name] = {}
        for metric in ("balanced_accuracy", "macro_f1"):
            of_seeds = METRICS[metric](np.stack([_matrix(labels, p) for p in each]))
            drawn = METRICS[metric](resampled[name]).mean(axis=1)
            off = METRICS[metric](resampled[first]).mean(axis=1) - drawn
            scores[name][metric] = {
                "mean": round(float(of_seeds.mean()), 4),
                "of_seeds": of_seeds.round(4).tolist(),
                "interval": np.quantile(drawn, [0.025, 0.975]).round(4).tolist(),
            }
            if name != first:
                scores[name][metric][f"{first} is ahead by"] = {
                    "mean": round(float(off.mean()), 4),
                    "interval": np.quantile(off, [0.025, 0.975]).round(4).tolist(),
                }
    return scores


def _probed(vectors: np.ndarray, labels: np.ndarray, groups: np.ndarray, seed: int) -> np.ndarray:
    folds = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=seed)
    model = LogisticRegression(C=0.05, class_weight="balanced", max_iter=5000)
    probe = make_pipeline(StandardScaler(), model)
    predicted: np.ndarray = cross_val_predict(probe, vectors, labels, groups=groups, cv=folds)
    return predicted


def _matrix(labels: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None) -> Any:
    counts = np.bincount(labels * _CLASSES + predicted, weights, minlength=_CLASSES**2)
    return counts.reshape(_CLASSES, _CLASSES)


def _matrices_of_resampled(
    predicted: Mapping[str, list[np.ndarray]], labels: np.ndarray, objects: np.ndarray
) -> dict[str, np.ndarray]:
    """Give confusion matrices `(repeats, seeds, k, k)` of the same draws of objects."""
    generator = np.random.default_rng(0)
    _, member = np.unique(objects, return_inverse=True)
    count = member.max() + 1
    found: dict[str, list[np.ndarray]] = {name: [] for name in predicted}
    for _ in range(_REPEATS):
        times = np.bincount(generator.integers(0, count, count), minlength=count)[member]
        for name, each in predicted.items():
            found[name].append(np.stack([_matrix(labels, p, times) for p in each]))
    return {name: np.stack(each) for name, each in found.items()}


if __name__ == "__main__":
    typer.run(main)
