"""Classes of real alerts: coverage of a model's prediction sets, and probes of few labels.

python -m benchmarks.real_alert_classes --stamps STAMPS.parquet --series SERIES.parquet

The tables are those of `dvc exp run -S source=alerts ... convert`. They are encoded by the released
encoder, or by another with `--model`; then its own classes of the labelled alerts, and of the
objects of its classes, are scored. A probe of few labels is fitted to as many objects of each
class, 20 times, and scored on the rows of all other objects.
"""

import tempfile
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

import ztfrep
from benchmarks.measuring import save
from ztfrep.catalogues.catalogue import Catalogue, objects_path, read_catalogue
from ztfrep.catalogues.classification import ModelClassifier
from ztfrep.catalogues.probe_training import fit_label_probe
from ztfrep.catalogues.table_encoding import encode_table
from ztfrep.data.alert_schema import CLASSES
from ztfrep.data.alert_table import AlertTable
from ztfrep.encoders.encoder import Encoder
from ztfrep.evaluation.bootstrap import SLOW_REPEATS, Bootstrap
from ztfrep.evaluation.calibration import calibration
from ztfrep.evaluation.metrics import balanced_accuracy, confusion, recall
from ztfrep.evaluation.prediction_sets import COVERAGE, score_prediction_sets

_FEW = (5, 10, 20)
_REPEATS = 20


def main(
    stamps: Annotated[Path, typer.Option(help="The stamps table of the real alerts.")],
    series: Annotated[Path, typer.Option(help="Their series table.")],
    model: Annotated[Path | None, typer.Option(help="Another model than the released one.")] = None,
    name: Annotated[
        str, typer.Option(help="Of the JSON in benchmarks/results.")
    ] = "real_alert_classes",
) -> None:
    """Print the scores of the model's own classes, and those of probes of few labels."""
    encoder, table = ztfrep.load(model), AlertTable(stamps, series=series)
    index = table.index()
    known = index[index["label"] >= 0]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vectors.parquet"
        encode_table(encoder, table, path, previews=False)
        alerts, objects = read_catalogue(path), read_catalogue(objects_path(path))
        of_objects = known.groupby("object_id")["label"].max()
        names = {
            "alerts": index["label"].to_numpy(dtype=np.int64),
            "objects": objects.table["object_id"].map(of_objects).fillna(-1).to_numpy(np.int64),
        }
        result: dict[str, Any] = {"model": encoder.checksum}
        for kind, catalogue in (("alerts", alerts), ("objects", objects)):
            typer.echo(kind)
            result[kind] = _score(encoder, catalogue, names[kind])
    save(name, result, shown=())


def _score(encoder: Encoder, catalogue: Catalogue, labels: np.ndarray) -> dict[str, Any]:
    """Print and return the scores of a catalogue, whose rows have `labels`, -1 where unlabelled."""
    classifier = ModelClassifier.of(encoder, catalogue)
    classes = classifier.classes
    # The network of objects has some of the classes.
    own = [classes.index(name) if name in classes else -1 for name in CLASSES]
    truth = np.array([*own, -1])[labels]
    rows = truth >= 0
    probabilities, true = classifier.probabilities(catalogue)[rows], truth[rows]
    bootstrap = Bootstrap.within_classes(true, seed=0, repeats=SLOW_REPEATS)
    matrix = confusion(true, probabilities.argmax(axis=1), len(classes))
    result: dict[str, Any] = {
        "rows": len(true),
        "balanced_accuracy": float(balanced_accuracy(matrix)),
        "ece": calibration(probabilities, true, bootstrap)["ece"],
        "recall": recall(matrix, classes),
    }
    sets = classifier.prediction_sets(probabilities, COVERAGE)
    scores = result["prediction_sets"] = score_prediction_sets(sets, true, classes, bootstrap)
    typer.echo(
        f"{len(true)} labelled: balanced accuracy {result['balanced_accuracy']:.3f}, "
        f"ECE {result['ece']:.3f}; sets of coverage {COVERAGE}: "
        "{coverage:.3f} ({coverage_low:.3f} - {coverage_high:.3f}), {mean_size:.2f} classes".format(
            **scores
        )
    )
    for name, part in scores["by_class"].items():
        typer.echo(
            f"  {name}: recall {result['recall'][name]:.3f}, coverage {part['coverage']:.3f} "
            f"({part['coverage_low']:.3f} - {part['coverage_high']:.3f}) of {part['rows']} rows"
        )
    for n in _FEW:
        few = [_score_few(catalogue, truth, classes, n, seed) for seed in range(_REPEATS)]
        result[f"{n} labels"] = few
        typer.echo(
            f"{n} labels of each class: balanced accuracy {np.mean(few):.3f} "
            f"({min(few):.3f} to {max(few):.3f} in {_REPEATS} draws)"
        )
    return result


def _score_few(
    catalogue: Catalogue, truth: np.ndarray, classes: tuple[str, ...], n: int, seed: int
) -> float:
    """Return the balanced accuracy of a probe of one row of each of n objects of each class."""
    objects = catalogue.table["object_id"].to_numpy()
    generator = np.random.default_rng(seed)
    labels = np.full(len(truth), -1)
    for label in np.unique(truth[truth >= 0]):
        rows = generator.permutation(np.flatnonzero(truth == label))
        _, first = np.unique(objects[rows], return_index=True)
        drawn = rows[np.sort(first)[:n]]
        labels[drawn] = label
    probe = fit_label_probe(catalogue, labels, classes)
    used = set(objects[labels >= 0])
    test = np.flatnonzero((truth >= 0) & [name not in used for name in objects])
    own = np.array([classes.index(name) for name in probe.classes])
    predicted = own[probe.predict(catalogue.vectors()[test]).argmax(axis=1)]
    return float(balanced_accuracy(confusion(truth[test], predicted, len(classes))))


if __name__ == "__main__":
    typer.run(main)
