"""The released encoder on real alerts: probes of its vectors beside the usual baselines.

dvc exp run --temp -S source=alerts -S sources.alerts.path=FOLDER -S sources.alerts.labels=CSV \
  convert
python -m benchmarks.released_encoder --stamps STAMPS.parquet --series SERIES.parquet [--part A]

No label of these alerts was used to train the encoder. Alerts and objects are predicted in five
folds, stratified by class and grouped by object, for five seeds of the folds; alerts in folds by
night, too. The classifier head is evaluated as it is, with the metadata and of stamps alone.
Intervals, of paired differences too, are of resampled objects. Parts A and B are the halves of
`benchmarks.halves`: A is for choices.
"""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from sklearn.decomposition import PCA

from benchmarks.alert_scores import (
    compare_methods,
    forest,
    forest_features,
    format_scores,
    join_nights,
    linear_probe,
    predict_methods,
    scaled_pixels,
    score_predictions,
)
from benchmarks.halves import rows_of
from benchmarks.measuring import RESULTS, save
from ztfrep.data.alert_schema import CLASSES
from ztfrep.data.alert_table import AlertTable
from ztfrep.data.alerts import Alerts
from ztfrep.data.features import ALERCE_FEATURES
from ztfrep.data.files import replacing
from ztfrep.encoders.encoder import Encoder, load
from ztfrep.encoders.predictions import Predictions
from ztfrep.evaluation.classifier_scores import score_classifiers

RESULT = "released_encoder"
VECTORS = "vectors"


def main(
    stamps: Annotated[Path, typer.Option(help="The stamps table of the real alerts.")],
    series: Annotated[Path, typer.Option(help="Their series table.")],
    model: Annotated[Path | None, typer.Option(help="Another model than the released one.")] = None,
    part: Annotated[
        str, typer.Option(help="all, or a half: A for choices, B for a claim.")
    ] = "all",
    name: Annotated[str | None, typer.Option(help="Of the files in benchmarks/results.")] = None,
) -> None:
    """Evaluate an encoder on real alerts and objects."""
    if part not in ("A", "B", "all"):
        raise typer.BadParameter("one of A, B, all")
    encoder, table = load(model), AlertTable(stamps, series=series)
    predictions = encoder.predict(table)
    alone = encoder.predict(_without_metadata(table))
    index = table.index()
    labels = index["label"].to_numpy().astype(np.int64)
    rows = rows_of(part, index["object_id"].to_numpy(dtype=str), labels)
    methods = _methods(table, predictions.vectors, alone.vectors, rows)
    objects = index["object_id"].to_numpy(dtype=str)[rows]
    nights = join_nights(objects, np.floor(index["mjd"].to_numpy()[rows]))
    by_object = predict_methods(methods, labels[rows], objects)
    by_night = predict_methods(methods, labels[rows], nights)
    both = {"by night": by_night[VECTORS], "by object": by_object[VECTORS]}
    name = name or (RESULT if part == "all" else f"{RESULT}_{part}")
    result: dict[str, Any] = {
        "model": encoder.checksum,
        "part": part,
        "alerts": {
            "rows": len(rows),
            "objects": len(set(objects)),
            **score_predictions(by_object, labels[rows], objects),
        },
        "alerts_by_night": score_predictions(by_night, labels[rows], objects),
        "vectors_by_night_and_by_object": score_predictions(both, labels[rows], objects),
        "classifier_head": _evaluate_head(labels[rows], predictions, rows),
        "classifier_head_of_stamps_alone": _evaluate_head(labels[rows], alone, rows),
    }
    if part == "all":
        result["objects"] = _evaluate_objects(encoder, table, predictions.vectors)
    save(name, result, shown=("model", "part"))
    text = _as_table(result)
    with replacing(RESULTS / f"{name}.md") as temporary:
        temporary.write_text(text, encoding="utf-8")
    typer.echo(text)


def _without_metadata(table: AlertTable) -> Alerts:
    stamps = np.concatenate(list(table.stamps()))
    return Alerts(table.index(), stamps, np.full((len(stamps), len(ALERCE_FEATURES)), np.nan))


def _methods(
    table: AlertTable, vectors: np.ndarray, alone: np.ndarray, rows: np.ndarray
) -> dict[str, Any]:
    """Return values and classifiers of the methods for some rows of alerts with stamps."""
    pixels = np.concatenate([scaled_pixels(batch.stamps) for batch in table.batches(512)])[rows]
    components = PCA(min(128, len(rows) // 2), random_state=0).fit_transform(pixels)
    return {
        VECTORS: (vectors[rows], linear_probe()),
        "forest on the metadata": (forest_features(table)[rows], forest()),
        "vectors of the stamps alone": (alone[rows], linear_probe()),
        "PCA of the pixels": (components, linear_probe()),
    }


def _evaluate_head(
    labels: np.ndarray, predictions: Predictions, rows: np.ndarray
) -> dict[str, float]:
    """Return the scores of the classifier head, which no real label was used for."""
    predicted = {"head": predictions.probabilities[rows].argmax(axis=1)}
    return score_classifiers(labels, predicted, CLASSES, seed=0).by_classifier["head"]


def _as_table(result: dict[str, Any]) -> str:
    """Return the scores as Markdown tables."""
    parts = [
        format_scores(scores, title)
        for title, scores in {
            f"{result['alerts']['rows']} real alerts, part {result['part']}, folds by object": {
                name: part for name, part in result["alerts"].items() if isinstance(part, dict)
            },
            "folds by night": result["alerts_by_night"],
            "vectors, paired": result["vectors_by_night_and_by_object"],
        }.items()
    ]
    heads = [
        "{}: balanced accuracy {balanced_accuracy:.3f} ({balanced_accuracy_low:.3f} - "
        "{balanced_accuracy_high:.3f}), macro-F1 {macro_f1:.3f} ({macro_f1_low:.3f} - "
        "{macro_f1_high:.3f})".format(key.replace("_", " "), **result[key])
        for key in ("classifier_head", "classifier_head_of_stamps_alone")
    ]
    return "\n\n".join([*parts, *heads]) + "\n"


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
