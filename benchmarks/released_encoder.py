"""The released encoder on real alerts: probes of its vectors beside the usual baselines.

dvc exp run --temp -S source=alerts -S sources.alerts.path=FOLDER -S sources.alerts.labels=CSV \
  convert
python -m benchmarks.released_encoder --stamps STAMPS.parquet --series SERIES.parquet

No label of these alerts was used to train the encoder. Alerts and objects are predicted in five
folds, stratified by class and grouped by object, for five seeds of the folds; the classifier head
is evaluated as it is. Intervals, of paired differences too, are of resampled objects.
"""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier

from benchmarks.measuring import save
from benchmarks.real_alerts import compare_methods, linear_probe, scaled_pixels
from ztfrep.data.alert_schema import CLASSES
from ztfrep.data.alert_table import AlertTable
from ztfrep.data.alerts import Alerts
from ztfrep.data.features import ALERCE_FEATURES
from ztfrep.encoders.encoder import Encoder, load
from ztfrep.evaluation.classifier_scores import score_classifiers

RESULT = "released_encoder"
_EXCLUDED = ("rb", "distnr", "magnr")


def main(
    stamps: Annotated[Path, typer.Option(help="The stamps table of the real alerts.")],
    series: Annotated[Path, typer.Option(help="Their series table.")],
    model: Annotated[Path | None, typer.Option(help="Another model than the released one.")] = None,
    name: Annotated[str, typer.Option(help="Of the JSON in benchmarks/results.")] = RESULT,
) -> None:
    """Evaluate an encoder on real alerts and objects."""
    encoder, table = load(model), AlertTable(stamps, series=series)
    predictions = encoder.predict(table)
    result = {
        "model": encoder.checksum,
        "alerts": _evaluate_alerts(encoder, table, predictions.vectors),
        "classifier_head": _evaluate_head(table, predictions.probabilities),
        "objects": _evaluate_objects(encoder, table, predictions.vectors),
    }
    save(name, result)


def _evaluate_alerts(encoder: Encoder, table: AlertTable, vectors: np.ndarray) -> dict[str, Any]:
    """Return the scores of probes of vectors, and of the baselines, on the labelled alerts."""
    index = table.index()
    labels = index["label"].to_numpy().astype(np.int64)
    batches = list(table.batches())
    stamps = np.concatenate([batch.stamps for batch in batches])
    features = np.concatenate([batch.metadata for batch in batches])
    features[:, ALERCE_FEATURES.columns(_EXCLUDED)] = np.nan
    features = features[:, np.isfinite(features).any(axis=0)]
    without_metadata = Alerts(index, stamps, np.full((len(index), len(ALERCE_FEATURES)), np.nan))
    pixels = scaled_pixels(stamps)
    rows = np.flatnonzero(labels >= 0)
    components = min(128, len(rows) // 2)
    forest = RandomForestClassifier(100, class_weight="balanced", random_state=0)
    methods = {
        "vectors": (vectors[rows], linear_probe()),
        "forest on the metadata": (features[rows], forest),
        "vectors of the stamps alone": (encoder.encode(without_metadata)[rows], linear_probe()),
        "PCA of the pixels": (
            PCA(components, random_state=0).fit_transform(pixels[rows]),
            linear_probe(),
        ),
    }
    objects = index["object_id"].to_numpy()[rows]
    return {"rows": len(rows), **compare_methods(methods, labels[rows], objects, objects)}


def _evaluate_head(table: AlertTable, probabilities: np.ndarray) -> dict[str, float]:
    """Return the scores of the classifier head, which no real label was used for."""
    labels = table.index()["label"].to_numpy().astype(np.int64)
    predicted = {"classifier_head": probabilities.argmax(axis=1)}
    scores = score_classifiers(labels, predicted, CLASSES, seed=0)
    return scores.by_classifier["classifier_head"]


def _evaluate_objects(encoder: Encoder, table: AlertTable, vectors: np.ndarray) -> dict[str, Any]:
    """Return the scores of probes of the objects' vectors, and of the mean of their alerts'."""
    observations = table.observations()
    ids, predictions = encoder.predict_objects(observations, vectors)
    by_object = observations.groupby("object_id", sort=True)
    labels = by_object["label"].max().loc[ids].to_numpy().astype(np.int64)
    alerts = observations[observations["alert"] >= 0]
    means = np.zeros((len(ids), vectors.shape[1]))
    row = np.searchsorted(ids, alerts["object_id"].to_numpy(dtype=str))
    np.add.at(means, row, vectors[alerts["alert"].to_numpy()])
    means /= np.bincount(row, minlength=len(ids))[:, None]
    # A class of fewer objects than there are folds cannot be in all of them.
    counts = np.bincount(labels[labels >= 0], minlength=len(CLASSES))
    rows = np.flatnonzero((labels >= 0) & (counts[labels] >= 5))
    methods = {
        "vectors": (predictions.vectors[rows], linear_probe()),
        "mean of the alerts' vectors": (means[rows], linear_probe()),
        "both": (np.hstack([predictions.vectors, means])[rows], linear_probe()),
    }
    return {"rows": len(rows), **compare_methods(methods, labels[rows], ids[rows], ids[rows])}


if __name__ == "__main__":
    typer.run(main)
