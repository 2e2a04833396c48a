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
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from sklearn.decomposition import PCA

from benchmarks.alert_scores import compare_methods, join_nights, linear_probe, scaled_pixels
from benchmarks.measuring import save
from ztfrep.data.alert_table import AlertTable
from ztfrep.encoders.alert_batches import encode, input_batches
from ztfrep.encoders.cards import AlertCard
from ztfrep.encoders.model_folder import load_alert_network, read_card
from ztfrep.fields import NO_FILE
from ztfrep.models.alert.preprocessing import FeatureScaling

STAMPS = Path("data/parquet/stamps.parquet")
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
        for name, groups in (("by object", objects), ("by night", join_nights(objects, nights)))
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


if __name__ == "__main__":
    typer.run(main)
