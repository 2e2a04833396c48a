"""Probes: classifiers fitted to vectors or features, which measure their information."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from tqdm import tqdm

from ztfrep.evaluation.protocol import EvaluationProtocol
from ztfrep.training.sampling import sample_fraction

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

PROBE_KINDS = ("linear_probe", "knn", "svm", "forest")


class Probe(NamedTuple):
    """A probe: its kind (one of `PROBE_KINDS`) and the name of its input values.

    It is fitted to the fraction `label_fraction` of the labelled train rows of each class.
    """

    kind: str
    reads: str
    label_fraction: float = 1.0


class FittedProbe(NamedTuple):
    """A fitted classifier and the name of its input values."""

    classifier: "Pipeline"
    reads: str

    def predict(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the predicted classes int `(n,)` of rows; `values` are arrays `(n, d)` by name."""
        predicted: np.ndarray = self.classifier.predict(values[self.reads])
        return predicted


def fit_probes(
    probes: Mapping[str, Probe],
    values: Mapping[str, np.ndarray],
    labels: np.ndarray,
    protocol: EvaluationProtocol,
    *,
    seed: int,
    threads: int,
) -> dict[str, FittedProbe]:
    """Fit the probes whose input is in `values` to train rows.

    `values` are arrays `(n, d)` by name, `labels` int `(n,)`, -1 where unlabelled. Empty if the
    labels are not of two classes or more.
    """
    if not has_two_classes(labels):
        return {}
    fitted = {}
    available = {name: probe for name, probe in probes.items() if probe.reads in values}
    for name, (kind, reads, fraction) in tqdm(available.items(), desc="probes", disable=None):
        rows: np.ndarray | slice = slice(None)
        if fraction < 1:
            rows = sample_fraction(labels, fraction, seed)
        classifier = fit_probe(
            kind,
            values[reads][rows],
            labels[rows],
            seed=seed,
            linear_c=protocol.linear_c,
            svm_c=protocol.svm_c,
            neighbours=protocol.knn_neighbours,
            trees=protocol.forest_trees,
            threads=threads,
        )
        fitted[name] = FittedProbe(classifier, reads)
    return fitted


def fit_probe(
    kind: str,
    vectors: np.ndarray,
    labels: np.ndarray,
    *,
    seed: int,
    linear_c: float = 0.05,
    svm_c: float = 10.0,
    neighbours: int = 15,
    trees: int = 100,
    threads: int = 1,
) -> "Pipeline":
    """Fit a classifier to vectors `(n, d)`, with balanced class weights.

    `kind` is one of `PROBE_KINDS`; only the forest accepts NaN. Rows labelled -1 are excluded.
    Raises ValueError for fewer than two classes and for an unknown kind.
    """
    # Slow to import.
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    labelled = labels >= 0
    vectors, labels = vectors[labelled], labels[labelled]
    if not has_two_classes(labels):
        raise ValueError(f"a probe needs rows of two classes, found {len(np.unique(labels))}")
    if kind == "linear_probe":
        model = LogisticRegression(C=linear_c, class_weight="balanced", max_iter=5000)
    elif kind == "knn":
        model = KNeighborsClassifier(min(neighbours, len(labels)))
    elif kind == "svm":
        model = SVC(C=svm_c, class_weight="balanced")
    elif kind == "forest":
        # Trees need no scaling.
        return make_pipeline(
            RandomForestClassifier(
                trees, class_weight="balanced", random_state=seed, n_jobs=threads
            )
        ).fit(vectors, labels)
    else:
        raise ValueError(f"Unknown probe {kind!r}. Must be one of: {', '.join(PROBE_KINDS)}")
    # In float32 a solver may never reach its tolerance.
    return make_pipeline(StandardScaler(), model).fit(vectors.astype(np.float64), labels)


def has_two_classes(labels: np.ndarray) -> bool:
    """Return True if labels `(n,)`, -1 where unlabelled, are of two classes or more."""
    return len(np.unique(labels[labels >= 0])) > 1
