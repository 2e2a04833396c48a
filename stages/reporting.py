"""How the evaluation stages say what they found: numbers, plot data, pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from stages.paths import METRICS
from ztfrep.data.files import replacing, write_json
from ztfrep.evaluation import figures, representation
from ztfrep.evaluation import scores as evaluation
from ztfrep.training import sampling

PLOTS = METRICS / "plots"
_COMPARED = 1000


def write_metrics(path: Path, metrics: Mapping[str, object]) -> None:
    """Write metrics as JSON, numbers rounded to the digits that they may have."""
    write_json(path, _rounded(metrics))


def _rounded(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _rounded(part) for key, part in value.items()}
    return float(f"{value:.6g}") if isinstance(value, float) else value


def scores(
    labels: np.ndarray, predicted: np.ndarray, classes: Sequence[str], seed: int
) -> dict[str, float]:
    """Score a classifier: each of the metrics with its 95 % interval."""
    found = evaluation.classification(labels, predicted, classes)
    scored: dict[str, float] = {}
    for name in evaluation.METRICS:
        low, high = evaluation.bootstrap_interval(labels, predicted, name, seed=seed)
        scored |= {name: found[name], f"{name}_low": low, f"{name}_high": high}
    return scored


def ahead(
    labels: np.ndarray,
    predicted: Mapping[str, np.ndarray],
    pairs: Sequence[tuple[str, str]],
    seed: int,
) -> dict[str, dict[str, float]]:
    """Say how far methods are ahead of rivals on the same rows, those pairs that were both run."""
    found: dict[str, dict[str, float]] = {}
    for method, rival in pairs:
        if method not in predicted or rival not in predicted:
            continue
        scored: dict[str, float] = {}
        for metric in evaluation.METRICS:
            off, low, high = evaluation.paired_difference(
                labels, predicted[method], predicted[rival], metric, seed=seed
            )
            scored |= {metric: off, f"{metric}_low": low, f"{metric}_high": high}
        found[f"{method}_over_{rival}"] = scored
    return found


def errors_of(errors: np.ndarray, seed: int) -> dict[str, float]:
    """Give the mean of absolute errors `(n,)`, n > 0, with its 95 % interval."""
    alike = np.zeros(len(errors), dtype=np.int64)
    return representation.with_interval("mean_off", np.mean, errors, labels=alike, seed=seed)


def judged_representation(
    train: np.ndarray,
    train_labels: np.ndarray,
    vectors: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    seed: int,
) -> dict[str, dict[str, float]]:
    """Say what vectors are good for: search, clusters, anomalies; rows labelled -1 are left out."""
    known = np.flatnonzero(train_labels >= 0)
    seen = np.flatnonzero(labels >= 0)
    # Every row is compared with every other.
    seen = seen[sampling.draw_rows(labels[seen], _COMPARED, seed)]
    base, base_labels = train[known].astype(np.float64), train_labels[known]
    queries, truth = vectors[seen].astype(np.float64), labels[seen]
    return {
        "retrieval": representation.retrieval(base, base_labels, queries, truth, seed=seed),
        "clustering": representation.clustering(queries, truth, seed=seed),
        "anomaly_detection": representation.anomaly_detection(
            base, base_labels, queries, truth, classes, seed=seed
        ),
    }


def scored_rows(labels: np.ndarray, what: str) -> str:
    """Say on how many rows a score is: those with a label, and that there are others."""
    known = labels >= 0
    return f"{known.sum()} {'' if known.all() else 'labelled '}test {what}"


def save_figure(path: Path, figure: Figure) -> None:
    """Save a figure as PNG."""
    with replacing(path) as temporary:
        temporary.write_bytes(figures.png_bytes(figure))


def save_plot(name: str, **columns: Sequence[object] | np.ndarray) -> None:
    """Save the data of a DVC plot as CSV."""
    with replacing(PLOTS / name) as temporary:
        pd.DataFrame(columns).to_csv(temporary, index=False, float_format="%.5g")


def save_confusion(
    name: str,
    path: Path,
    labels: np.ndarray,
    predicted: np.ndarray,
    classes: Sequence[str],
    title: str,
) -> None:
    """Save a confusion matrix as DVC plot data (a row per alert or object) and as PNG."""
    known = labels >= 0
    names = np.array(classes)
    # DVC expects the file, whether or not a row is labelled.
    save_plot(name, actual=names[labels[known]], predicted=names[predicted[known]])
    if not known.any():
        return
    matrix = evaluation.confusion(labels, predicted, classes)
    save_figure(path, figures.confusion_matrix(matrix, classes, title))


def save_methods(path: Path, metrics: Mapping[str, object], title: str) -> None:
    """Draw the balanced accuracies that `metrics` holds, with their intervals."""
    methods = {m: s for m, s in metrics.items() if isinstance(s, dict) and "balanced_accuracy" in s}
    if not methods:
        return
    figure = figures.method_comparison(
        {m: s["balanced_accuracy"] for m, s in methods.items()},
        {m: (s["balanced_accuracy_low"], s["balanced_accuracy_high"]) for m, s in methods.items()},
        "balanced accuracy",
        title,
    )
    save_figure(path, figure)


def save_maps(
    what: str,
    folder: Path,
    vectors: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    most: int,
    seed: int,
) -> None:
    """Save latent maps (PCA and t-SNE) of at most `most` vectors as DVC plot data and as PNG."""
    rows = sampling.draw_rows(labels, most, seed)
    named = np.array([*classes, "unlabelled"])[labels[rows]]
    for method, name in (("pca", "PCA"), ("tsne", "t-SNE")):
        plane = evaluation.project(vectors[rows], method, seed=seed)
        save_plot(f"{what}_{method}.csv", x=plane[:, 0], y=plane[:, 1], label=named)
        title = f"{name} of {len(rows)} test {what}"
        save_figure(
            folder / f"{method}.png", figures.latent_map(plane, labels[rows], classes, title)
        )
