"""Classes of real stamps: linear probes of the vectors of encoders trained without the labels.

dvc exp run -S source=alerts -S sources.alerts.path=FOLDER -S sources.alerts.labels=CSV convert
python -m benchmarks.real_alerts MODEL [MODEL ...]

MODEL is the folder of a trained autoencoder, or `name=folder`; the alerts are those of
data/parquet/stamps.parquet. Their stamps are encoded without metadata. A linear probe predicts all
labelled alerts in five folds, stratified by class and grouped by object, for five seeds of the
folds; then the same with folds grouped by night. A PCA of the pixels is the baseline. Intervals,
of paired differences too, are of resampled objects.
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
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from benchmarks.measuring import save
from ztfrep.data.alert_schema import CLASSES
from ztfrep.data.alert_table import AlertTable
from ztfrep.encoders.alert_batches import encode, input_batches
from ztfrep.encoders.cards import AlertCard
from ztfrep.encoders.model_folder import load_alert_network, read_card
from ztfrep.evaluation.bootstrap import Bootstrap, with_interval
from ztfrep.evaluation.classifier_scores import resampled_confusions
from ztfrep.evaluation.metrics import METRICS, confusion
from ztfrep.fields import NO_FILE
from ztfrep.models.alert.preprocessing import FeatureScaling
from ztfrep.models.alert.stamp_scaling import crop_and_scale, mask_stamps

STAMPS = Path("data/parquet/stamps.parquet")
_SEEDS = range(5)
_FOLDS = 5
_METRICS = ("balanced_accuracy", "macro_f1")
_BATCH_ROWS = 512


def main(
    models: Annotated[list[str], typer.Argument(help="Folders of autoencoders, or name=folder.")],
    table: Annotated[Path, typer.Option(help="The table of the real alerts.")] = STAMPS,
    name: Annotated[str, typer.Option(help="Of the JSON in benchmarks/results.")] = "real_alerts",
) -> None:
    """Probe the vectors of encoders, and a PCA, on the labelled alerts of a table."""
    folders: dict[str, Path] = {}
    for model in models:
        label, _, path = model.rpartition("=")
        folders[label or Path(path).name] = Path(path)
    alerts = AlertTable(table)
    identity = alerts.index()
    rows = np.flatnonzero(identity["label"] >= 0)
    if not rows.size:
        sys.exit(f"error: {table}: no labelled alerts; set sources.alerts.labels")
    labels = identity["label"].to_numpy()[rows].astype(np.int64)
    objects = identity["object_id"].to_numpy()[rows]
    nights = np.floor(identity["mjd"].to_numpy()[rows])

    vectors, cards = {}, {}
    for encoder, folder in folders.items():
        cards[encoder] = read_card(folder, AlertCard)
        if _may_have_used_labels(cards[encoder], alerts):
            sys.exit(
                f"error: {folder}: found an encoder that may have learnt these labels; expected "
                "one that did not; train it on another source, or on this one with "
                "classification_weight=0, contrastive_weight=0 and sampling=distinct in the table "
                "of its architecture"
            )
        vectors[encoder] = _encode(folder, alerts)[rows]
    pixels = np.concatenate([scaled_pixels(stamps) for stamps in alerts.stamps()])
    pixels = pixels[rows]
    components = min(128, len(pixels) // 2)
    vectors["PCA of the pixels"] = PCA(components, random_state=0).fit_transform(pixels)

    methods = {name: (of_method, linear_probe()) for name, of_method in vectors.items()}
    folds = {
        name: compare_methods(methods, labels, objects, groups)
        for name, groups in (("by object", objects), ("by night", _join_nights(objects, nights)))
    }
    save(
        name,
        {
            "alerts": len(labels),
            "objects": len(set(objects)),
            "config": {encoder: card.config.model_dump() for encoder, card in cards.items()},
            "folds": folds,
        },
        shown=("alerts", "objects", "folds"),
    )


def _may_have_used_labels(card: AlertCard, table: AlertTable) -> bool:
    """Return True if an encoder may have been trained with the labels of a table.

    It was trained on the table if its features have the scale of the table's train rows. An encoder
    that started from other weights has the scale of those, and may have been trained on the table.
    """
    if not (card.epochs and card.config.uses_labels):
        return False
    train = (table.identity()["split"] == "train").to_numpy()
    scaling = FeatureScaling.fit(table.features()[train], table.feature_unit)
    return scaling.mean == card.features.mean or card.start_weights != NO_FILE


def _encode(folder: Path, table: AlertTable) -> np.ndarray:
    """Return the vectors float64 `(n, d)` of all alerts of a table that have stamps."""
    network, _ = load_alert_network(folder)
    if network.preprocessing.stamp_scaling == "none":
        # The network reads scaled stamps: those of the published files are scaled, these are not.
        network.preprocessing.stamp_scaling = "minmax"
    batches = input_batches(network, table, _BATCH_ROWS, with_metadata=False)
    return np.concatenate([encode(network, batch, "float32") for batch in batches]).astype(float)


def _join_nights(objects: np.ndarray, nights: np.ndarray) -> np.ndarray:
    """Return groups `(n,)` that share neither an object nor a night."""
    _, object_index = np.unique(objects, return_inverse=True)
    _, night_index = np.unique(nights, return_inverse=True)
    # The nodes of the graph are the objects, then the nights; an alert connects two.
    n_objects = object_index.max() + 1
    nodes = n_objects + night_index.max() + 1
    edges = (object_index, n_objects + night_index)
    graph = coo_array((np.ones(len(objects)), edges), shape=(nodes, nodes))
    groups: np.ndarray = connected_components(graph, directed=False)[1][object_index]
    return groups


def scaled_pixels(stamps: np.ndarray) -> np.ndarray:
    """Return the pixels of the crops of stamps `(n, 3, H, W)`, scaled to [0, 1]: `(n, 1323)`."""
    crops, _ = crop_and_scale(*mask_stamps(torch.from_numpy(stamps)), "minmax")
    return crops.flatten(1).numpy()


def linear_probe() -> Pipeline:
    """Return the linear probe of vectors."""
    model = LogisticRegression(C=0.05, class_weight="balanced", max_iter=5000)
    return make_pipeline(StandardScaler(), model)


def compare_methods(
    methods: Mapping[str, tuple[np.ndarray, BaseEstimator]],
    labels: np.ndarray,
    objects: np.ndarray,
    groups: np.ndarray,
) -> dict[str, Any]:
    """Return the scores of every method, and the paired differences of the first to the others.

    A method is an array `(n, d)` and a classifier. A classifier predicts the rows of the fold that
    it is not fitted to; rows of a group are in one fold. Intervals are of resampled objects.
    """
    predicted = {
        name: np.stack([_predict(*method, labels, groups, seed) for seed in _SEEDS])
        for name, method in tqdm(methods.items(), desc="probes")
    }
    bootstrap = Bootstrap.of_groups(objects, seed=0)
    samples = {
        name: resampled_confusions(labels, classes, len(CLASSES), bootstrap)
        for name, classes in predicted.items()
    }
    first = next(iter(methods))
    scores: dict[str, Any] = {}
    for name, classes in predicted.items():
        scores[name] = {}
        matrices = np.stack([confusion(labels, of_seed, len(CLASSES)) for of_seed in classes])
        for metric in _METRICS:
            of_seeds = METRICS[metric](matrices)
            resampled = METRICS[metric](samples[name]).mean(axis=1)
            scores[name][metric] = {
                "of_seeds": of_seeds.round(4).tolist(),
                **_mean_with_interval(float(of_seeds.mean()), resampled),
            }
            if name != first:
                difference = METRICS[metric](samples[first]).mean(axis=1) - resampled
                scores[name][metric][f"{first} minus {name}"] = _mean_with_interval(
                    float(difference.mean()), difference
                )
    return scores


def _mean_with_interval(mean: float, samples: np.ndarray) -> dict[str, Any]:
    value, low, high = (round(part, 4) for part in with_interval("mean", mean, samples).values())
    return {"mean": value, "interval": [low, high]}


def _predict(
    values: np.ndarray,
    classifier: BaseEstimator,
    labels: np.ndarray,
    groups: np.ndarray,
    seed: int,
) -> np.ndarray:
    """Return the class of each row, predicted by a classifier of the folds that it is not in."""
    folds = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=seed)
    predicted: np.ndarray = cross_val_predict(classifier, values, labels, groups=groups, cv=folds)
    return predicted


if __name__ == "__main__":
    typer.run(main)
