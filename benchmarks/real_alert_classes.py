"""Classes of real alerts: coverage of a model's prediction sets, and probes of few labels.

python -m benchmarks.real_alert_classes vectors.parquet index.csv --model data/models

`vectors.parquet` is a catalogue of `ztfrep encode`, of alerts or objects, and the CSV has classes
that are the model's. A probe of few labels is fitted to as many objects of each class, 20 times,
and scored on the rows of all other objects.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

import ztfrep
from ztfrep.catalogues.catalogue import Catalogue, read_catalogue
from ztfrep.catalogues.classification import ModelClassifier
from ztfrep.catalogues.probe_training import fit_label_probe
from ztfrep.catalogues.user_labels import read_user_labels
from ztfrep.evaluation.bootstrap import SLOW_REPEATS, Bootstrap
from ztfrep.evaluation.calibration import calibration
from ztfrep.evaluation.metrics import balanced_accuracy, confusion, recall
from ztfrep.evaluation.prediction_sets import COVERAGE, score_prediction_sets

_REPEATS = 20


def main(
    vectors: Annotated[Path, typer.Argument(help="A catalogue of alerts or objects.")],
    labels: Annotated[Path, typer.Argument(help="A CSV of candid or object_id, and classes.")],
    model: Annotated[Path, typer.Option(help="The model folder.")] = Path("data/models"),
    label_column: Annotated[str, typer.Option(help="The column of the classes.")] = "weak_class",
) -> None:
    """Print the scores of the model's own classes, and those of probes of few labels."""
    catalogue = read_catalogue(vectors)
    classifier = ModelClassifier.of(ztfrep.load(model), catalogue)
    classes = classifier.classes
    known = read_user_labels(labels, catalogue, column=label_column)
    index = [classes.index(name) if name in classes else -1 for name in known.classes]
    truth = np.array([*index, -1])[known.labels]
    rows = truth >= 0
    probabilities, true = classifier.probabilities(catalogue)[rows], truth[rows]
    bootstrap = Bootstrap.within_classes(true, seed=0, repeats=SLOW_REPEATS)
    matrix = confusion(true, probabilities.argmax(axis=1), len(classes))
    ece = calibration(probabilities, true, bootstrap)["ece"]
    sets = classifier.prediction_sets(probabilities, COVERAGE)
    scores = score_prediction_sets(sets, true, classes, bootstrap)
    typer.echo(
        f"{len(true)} labelled {catalogue.info.rows}: balanced accuracy "
        f"{balanced_accuracy(matrix):.3f}, ECE {ece:.3f}; sets of coverage {COVERAGE}: "
        "{coverage:.3f} ({coverage_low:.3f} - {coverage_high:.3f}), {mean_size:.2f} classes".format(
            **scores
        )
    )
    recalls = recall(matrix, classes)
    for name, part in scores["by_class"].items():
        typer.echo(
            f"  {name}: recall {recalls[name]:.3f}, coverage {part['coverage']:.3f} "
            f"({part['coverage_low']:.3f} - {part['coverage_high']:.3f}) of {part['rows']} rows"
        )
    for n in (5, 10, 20):
        few = [_score_few(catalogue, truth, classes, n, seed) for seed in range(_REPEATS)]
        typer.echo(
            f"{n} labels of each class: balanced accuracy {np.mean(few):.3f} "
            f"({min(few):.3f} to {max(few):.3f} in {_REPEATS} draws)"
        )


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
