"""Classification of files, and training of probes on a user's labels."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from ztfrep.catalogues.catalogue import Catalogue
from ztfrep.catalogues.catalogue_inputs import open_catalogue
from ztfrep.catalogues.classification import (
    Classification,
    ModelClassifier,
    check_coverage,
    check_suffix,
    classify,
)
from ztfrep.catalogues.label_probes import LabelProbe
from ztfrep.catalogues.probe_files import check_name, load_probe, save_probe
from ztfrep.catalogues.probe_training import fit_label_probe
from ztfrep.catalogues.user_labels import UserLabels, read_user_labels
from ztfrep.data.class_map import read_class_map
from ztfrep.encoders.encoder import load


def classify_paths(
    paths: str | Path | Sequence[str | Path],
    model: str | Path | None,
    out: str | Path,
    *,
    coverage: float = 0.9,
    probe: str | None = None,
    objects: bool = False,
) -> Classification:
    """Classify a catalogue, packets or an alert table, and write the table to a path.

    Parameters
    ----------
    paths : path or paths
        See `ztfrep.catalogues.catalogue_inputs.open_catalogue`.
    model : path or None
        The model folder; None is the released encoder.
    out : path
        `.csv` or `.parquet`.
    coverage : float
        See `classify`.
    probe : str, optional
        The name of a probe in the model folder, in place of the model's own classifier.
    objects : bool
        Classify the objects of packets in place of their alerts.
    """
    check_coverage(coverage)
    check_suffix(Path(out))
    label_probe = None if probe is None else load_probe(model, probe)
    with _open(paths, model, objects) as catalogue:
        classifier = label_probe or ModelClassifier.of(load(model), catalogue)
        classification = classify(catalogue, classifier, coverage=coverage)
    classification.write(out)
    return classification


def train_probe(
    paths: str | Path | Sequence[str | Path],
    labels: str | Path,
    name: str,
    model: str | Path | None,
    *,
    column: str = "class",
    class_map: str | Path | None = None,
    objects: bool = False,
) -> tuple[LabelProbe, UserLabels, Path]:
    """Train a probe on a user's labels of a catalogue, and save it in the model folder.

    `class_map` is the path of a YAML file for `ztfrep.data.class_map.read_class_map`; names that it
    lacks are no class. Returns the probe, the labels with their counts, and the path of the saved
    file. See `read_user_labels`, `fit_label_probe` and `save_probe`. Raises InputError if another
    model computed the catalogue.
    """
    check_name(name)
    map_class = None if class_map is None else read_class_map(Path(class_map)).map
    with _open(paths, model, objects) as catalogue:
        # The probe is saved beside the model that computes its vectors.
        ModelClassifier.of(load(model), catalogue)
        user_labels = read_user_labels(labels, catalogue, column=column, map_class=map_class)
        probe = fit_label_probe(catalogue, user_labels.labels, user_labels.classes)
    path = save_probe(model, name, probe)
    return probe, user_labels, path


def _open(
    paths: str | Path | Sequence[str | Path], model: str | Path | None, objects: bool
) -> AbstractContextManager[Catalogue]:
    return open_catalogue(paths, lambda: load(model), objects=objects)
