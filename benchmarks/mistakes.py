"""The most confident mistakes of the released encoder on real alerts, as pages of stamps.

python -m benchmarks.mistakes --stamps STAMPS.parquet --series SERIES.parquet --folder FOLDER

Only half A of the labelled objects is used (see `benchmarks.halves`): the other half remains
for claims. The classes are predicted by the classifier head, and by a linear probe of
the vectors in folds by object. FOLDER gets a page for each class that was predicted in error, and
a CSV of all mistakes on the pages. The causes that a person finds in these are in
benchmarks/results/mistakes.json.
"""

import csv
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

from benchmarks.alert_scores import linear_probe
from benchmarks.halves import rows_of
from ztfrep.catalogues.stamp_pages import stamp_page
from ztfrep.data.alert_schema import CLASSES
from ztfrep.data.alert_table import AlertTable
from ztfrep.data.features import ALERCE_FEATURES
from ztfrep.data.stamp_previews import make_previews
from ztfrep.encoders.encoder import load

_PER_CLASS = 10
_FOLDS = 5
_SHOWN = ("magpsf", "rb", "distnr", "sgscore1", "distpsnr1", "ndethist", "fwhm")


def main(
    stamps: Annotated[Path, typer.Option(help="The stamps table of the real alerts.")],
    series: Annotated[Path, typer.Option(help="Their series table.")],
    folder: Annotated[Path, typer.Option(help="Of the pages and the CSV.")],
    model: Annotated[Path | None, typer.Option(help="Another model than the released one.")] = None,
) -> None:
    """Draw and list the most confident mistakes of each true class."""
    encoder, table = load(model), AlertTable(stamps, series=series)
    index = table.index()
    labels = index["label"].to_numpy().astype(np.int64)
    objects = index["object_id"].to_numpy(dtype=str)
    rows = rows_of("A", objects, labels)
    predictions = encoder.predict(table)
    probabilities = {
        "head": predictions.probabilities[rows],
        "probe": _probe(predictions.vectors[rows], labels[rows], objects[rows]),
    }
    pixels = np.concatenate([batch.stamps for batch in table.batches()])[rows]
    features = np.concatenate([batch.metadata for batch in table.batches()])[rows]
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for method, probability in probabilities.items():
        for label, name in enumerate(CLASSES):
            chosen = most_confident_mistakes(probability, labels[rows], label, _PER_CLASS)
            if not chosen.size:
                continue
            captions = []
            for row in chosen:
                identity = index.iloc[rows[row]]
                predicted = int(probability[row].argmax())
                share = float(probability[row, predicted])
                values = features[row, [ALERCE_FEATURES.index(field) for field in _SHOWN]]
                shown = [f"{f} {v:.2f}" for f, v in zip(_SHOWN, values, strict=True)]
                captions.append(
                    [f"{CLASSES[predicted]} {share:.2f}", str(identity["object_id"]),
                     *(f"{a}  {b}" for a, b in zip(shown[::2], [*shown[1::2], ""], strict=True))]
                )  # fmt: skip
                lines.append(
                    (method, name, CLASSES[predicted], round(share, 3), identity["object_id"],
                     int(identity["candid"]), *values.round(3).tolist())
                )  # fmt: skip
            page = stamp_page(make_previews(pixels[chosen]), captions, f"{method}: true {name}")
            page.savefig(folder / f"{method}-{name}.png", dpi=90)
        accuracy = (probability.argmax(axis=1) == labels[rows]).mean()
        typer.echo(f"{method}: accuracy {accuracy:.3f} of {len(rows)} alerts")
    with (folder / "mistakes.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(
            ["method", "true", "predicted", "probability", "object_id", "candid", *_SHOWN]
        )
        writer.writerows(lines)


def most_confident_mistakes(
    probabilities: np.ndarray, labels: np.ndarray, label: int, number: int
) -> np.ndarray:
    """Return the rows of a class with the largest probability of another one, at most `number`.

    >>> most_confident_mistakes(np.array([[.2, .8], [.1, .9], [.7, .3]]), np.array([0, 0, 0]), 0, 5)
    array([1, 0])
    """
    wrong = np.flatnonzero((labels == label) & (probabilities.argmax(axis=1) != label))
    order = np.argsort(-probabilities[wrong].max(axis=1), kind="stable")
    return wrong[order[:number]]


def _probe(vectors: np.ndarray, labels: np.ndarray, objects: np.ndarray) -> np.ndarray:
    """Return the probabilities of rows `(n, classes)`, each by a probe of the other folds."""
    folds = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=0)
    probabilities: np.ndarray = cross_val_predict(
        linear_probe(), vectors, labels, groups=objects, cv=folds, method="predict_proba"
    )
    return probabilities


if __name__ == "__main__":
    typer.run(main)
