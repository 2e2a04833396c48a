"""Training of a probe of a user's own classes, with cross-validated scores."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from ztfrep.catalogues.catalogue import Catalogue
from ztfrep.catalogues.label_probes import LabelProbe
from ztfrep.encoders.class_probabilities import calibrated, fit_temperature, prediction_sets
from ztfrep.errors import InputError, quote
from ztfrep.evaluation.bootstrap import REPEATS, SLOW_REPEATS, Bootstrap, with_interval
from ztfrep.evaluation.calibration import calibration
from ztfrep.evaluation.classifier_scores import resampled_confusions
from ztfrep.evaluation.metrics import METRICS, confusion, recall
from ztfrep.evaluation.prediction_sets import COVERAGE, score_prediction_sets
from ztfrep.training.sampling import stratified_sample

FOLDS = 5
MAX_ROWS = 20_000
# Inverse strengths of the regularisation among which one is selected.
_C_GRID = (0.001, 0.01, 0.1, 1.0)
_INNER_FOLDS = 3


class _Linear(NamedTuple):
    """A fitted classifier: `(d,)`, `(d,)`, `(k, d)` and `(k,)`."""

    mean: np.ndarray
    scale: np.ndarray
    coefficients: np.ndarray
    intercept: np.ndarray

    def logits(self, vectors: np.ndarray) -> np.ndarray:
        """Return the logits `(n, k)` of vectors `(n, d)`."""
        logits: np.ndarray = (vectors - self.mean) / self.scale @ self.coefficients.T
        return logits + self.intercept


def fit_label_probe(
    catalogue: Catalogue,
    labels: np.ndarray,
    classes: Sequence[str],
    *,
    folds: int = FOLDS,
    max_rows: int = MAX_ROWS,
    seed: int = 0,
) -> LabelProbe:
    """Fit a probe to the labelled rows of a catalogue.

    Parameters
    ----------
    catalogue : Catalogue
        Of n alerts or objects.
    labels : int (n,)
        Indices of `classes`, -1 where unlabelled.
    folds : int
        Folds of the cross-validation. All alerts of an object are in one fold, and each class is in
        every fold: a class of fewer objects than folds is dropped.
    max_rows : int
        Rows that are used, sampled by class.

    Returns
    -------
    LabelProbe
        Fitted to all rows that are used. Its figures are those of rows that the classifiers which
        predicted them were not fitted to: balanced accuracy and macro-F1 with 95 % intervals over
        objects, recall by class, the same for the most common class as a baseline, and
        calibration and coverage of prediction sets.

    Raises
    ------
    InputError
        If fewer than two classes are left.
    """
    objects = catalogue.table["object_id"]
    # An alert without an object's id is an object of its own.
    own = np.array([f"row {row}" for row in range(len(objects))], dtype=object)
    groups = np.where(objects.isna(), own, objects.astype(object))
    kept, dropped = _frequent_classes(labels, groups, classes, folds)
    index = np.full(len(classes) + 1, -1)
    index[[classes.index(name) for name in kept]] = np.arange(len(kept))
    relabelled = index[labels]
    rows = np.flatnonzero(relabelled >= 0)
    n_labelled = len(rows)
    rows = rows[stratified_sample(relabelled[rows], max_rows, seed)]
    truth, vectors = relabelled[rows], catalogue.vectors()[rows].astype(np.float64)
    _, groups = np.unique(groups[rows].astype(str), return_inverse=True)

    fold = _assign_folds(truth, groups, folds, seed)
    logits = np.empty((len(rows), len(kept)))
    # One thread is faster on matrices of this size, and the result does not depend on the machine.
    with threadpool_limits(1):
        for number in tqdm(range(folds), desc="cross-validation", unit=" folds", disable=None):
            train, test = fold != number, fold == number
            fitted, _ = _fit_selected(vectors[train], truth[train], groups[train], seed)
            logits[test] = fitted.logits(vectors[test])
        fitted, c = _fit_selected(vectors, truth, groups, seed)
    temperature = fit_temperature(logits, truth)
    figures = {
        "rows": len(rows),
        "labelled_rows": n_labelled,
        "objects": int(groups.max()) + 1,
        "folds": folds,
        "c": c,
        "rows_by_class": {name: int((truth == label).sum()) for label, name in enumerate(kept)},
        "dropped_classes": dropped,
        **_score(logits, truth, groups, fold, kept, seed),
    }
    return LabelProbe(
        classes=tuple(kept),
        rows=catalogue.info.rows,
        model=catalogue.info.model,
        **fitted._asdict(),
        temperature=temperature,
        true_probabilities=calibrated(logits, temperature)[np.arange(len(rows)), truth],
        true_labels=truth,
        figures=figures,
    )


def _frequent_classes(
    labels: np.ndarray, groups: np.ndarray, classes: Sequence[str], folds: int
) -> tuple[list[str], dict[str, int]]:
    """Return the classes of as many objects as folds, and the others with their numbers of rows."""
    # An object whose alerts have several labels counts for the most common of them.
    majority = Counter(label for label in _majority(labels, groups).values() if label >= 0)
    kept = [name for label, name in enumerate(classes) if majority[label] >= folds]
    rows = np.bincount(labels[labels >= 0], minlength=len(classes))
    dropped = {name: int(rows[n]) for n, name in enumerate(classes) if name not in kept}
    if len(kept) < 2:
        counts = ", ".join(f"{quote(n)} {majority[label]}" for label, n in enumerate(classes))
        raise InputError(
            "the labels",
            found=f"{len(kept)} classes of {folds} or more objects ({counts or 'no label'})",
            expected="two classes or more",
            remedy="label more objects of the catalogue",
        )
    return kept, dropped


def _majority(labels: np.ndarray, groups: np.ndarray) -> dict[Any, int]:
    """Return the most common label of the labelled rows of each group."""
    counts: dict[Any, Counter[int]] = {}
    for group, label in zip(groups, labels, strict=True):
        if label >= 0:
            counts.setdefault(group, Counter())[int(label)] += 1
    return {group: min(c, key=lambda label: (-c[label], label)) for group, c in counts.items()}


def _assign_folds(labels: np.ndarray, groups: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Return the fold of each row, int `(n,)`: whole groups, stratified by their labels."""
    majority = _majority(labels, groups)
    names = np.array(sorted(majority))
    strata = np.array([majority[name] for name in names])
    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    fold = np.empty(len(names), np.int64)
    for number, (_, test) in enumerate(splitter.split(names, strata)):
        fold[test] = number
    return fold[np.searchsorted(names, groups)]


def _fit_selected(
    vectors: np.ndarray, labels: np.ndarray, groups: np.ndarray, seed: int
) -> tuple[_Linear, float]:
    """Fit with the C of the lowest cross-entropy of inner folds, all classes weighted equally."""
    smallest = min(Counter(_majority(labels, groups).values()).values())
    if smallest < 2:
        return _fit(vectors, labels, _C_GRID[1]), _C_GRID[1]
    folds = min(_INNER_FOLDS, smallest)
    fold = _assign_folds(labels, groups, folds, seed)
    losses = []
    for c in _C_GRID:
        log_probabilities = np.empty(len(labels))
        for number in range(folds):
            train, test = fold != number, np.flatnonzero(fold == number)
            logits = _fit(vectors[train], labels[train], c).logits(vectors[test])
            log_probabilities[test] = log_softmax(logits, axis=1)[
                np.arange(len(test)), labels[test]
            ]
        losses.append(
            -np.mean([log_probabilities[labels == label].mean() for label in np.unique(labels)])
        )
    c = _C_GRID[int(np.argmin(losses))]
    return _fit(vectors, labels, c), c


def _fit(vectors: np.ndarray, labels: np.ndarray, c: float) -> _Linear:
    scaler = StandardScaler().fit(vectors)
    model = LogisticRegression(C=c, class_weight="balanced", max_iter=5000)
    model.fit(scaler.transform(vectors), labels)
    coefficients, intercept = model.coef_, model.intercept_
    if len(coefficients) == 1:
        # Of two classes scikit-learn has the logit of the second.
        coefficients = np.concatenate([np.zeros_like(coefficients), coefficients])
        intercept = np.concatenate([np.zeros(1), intercept])
    return _Linear(scaler.mean_, scaler.scale_, coefficients, intercept)


def _score(
    logits: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    fold: np.ndarray,
    classes: Sequence[str],
    seed: int,
) -> dict[str, Any]:
    """Return the scores of out-of-fold logits `(n, k)`, with 95 % intervals over groups.

    Temperature and thresholds of each fold are fitted to the others.
    """
    k = len(classes)
    predicted = logits.argmax(axis=1)
    common = np.full(len(labels), np.bincount(labels).argmax())
    methods = {"probe": predicted, "majority_class": common}
    bootstrap = Bootstrap.of_groups(groups, seed=seed, repeats=REPEATS)
    drawn = resampled_confusions(labels, np.stack(list(methods.values())), k, bootstrap)
    scores: dict[str, Any] = {name: {} for name in methods}
    for column, (name, values) in enumerate(methods.items()):
        matrix = confusion(labels, values, k)
        for metric, compute in METRICS.items():
            scores[name] |= with_interval(metric, float(compute(matrix)), compute(drawn[:, column]))
        if name == "probe":
            scores[name]["recall"] = recall(matrix, classes)

    probabilities = np.empty((len(labels), k), np.float32)
    sets = np.empty((len(labels), k), bool)
    for number in np.unique(fold):
        others, rows = fold != number, fold == number
        temperature = fit_temperature(logits[others], labels[others])
        probabilities[rows] = calibrated(logits[rows], temperature)
        true = calibrated(logits[others], temperature)[np.arange(others.sum()), labels[others]]
        sets[rows] = prediction_sets(probabilities[rows], true, labels[others], COVERAGE)
    bootstrap = Bootstrap.of_groups(groups, seed=seed, repeats=SLOW_REPEATS)
    return scores | {
        "calibration": calibration(calibrated(logits, 1), labels, bootstrap),
        "calibrated": calibration(probabilities, labels, bootstrap),
        "prediction_sets": {
            "stated_coverage": COVERAGE,
            **score_prediction_sets(sets, labels, classes, bootstrap),
        },
    }
