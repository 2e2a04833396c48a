"""Scores of classifiers of alerts: means over seeds, intervals of resampled objects, differences.

A method is scored by its predictions `(seeds, n)` of the same n rows. Objects are resampled, with
the same samples for all methods, so that the interval of a difference is that of paired rows.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.base import BaseEstimator
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from ztfrep.data.alert_schema import CLASSES
from ztfrep.data.alerts import AlertSource
from ztfrep.data.features import ALERCE_FEATURES
from ztfrep.evaluation.bootstrap import Bootstrap, with_interval
from ztfrep.evaluation.classifier_scores import resampled_confusions
from ztfrep.evaluation.metrics import METRICS, confusion
from ztfrep.models.alert.stamp_scaling import crop_and_scale, mask_stamps

SEEDS = range(5)
SHOWN_METRICS = ("balanced_accuracy", "macro_f1")
EXCLUDED_FEATURES = ("rb", "distnr", "magnr")
_FOLDS = 5


def linear_probe() -> Pipeline:
    """Return the linear probe of vectors."""
    model = LogisticRegression(C=0.05, class_weight="balanced", max_iter=5000)
    return make_pipeline(StandardScaler(), model)


def forest(seed: int = 0) -> RandomForestClassifier:
    """Return the random forest on the metadata."""
    return RandomForestClassifier(100, class_weight="balanced", random_state=seed)


def forest_features(alerts: AlertSource) -> np.ndarray:
    """Return the metadata float64 `(n, k)` that the forest reads: 23 columns with any value."""
    features = np.concatenate([batch.metadata for batch in alerts.batches(512)])
    features[:, ALERCE_FEATURES.columns(EXCLUDED_FEATURES)] = np.nan
    return features[:, np.isfinite(features).any(axis=0)]


def scaled_pixels(stamps: np.ndarray) -> np.ndarray:
    """Return the pixels of the crops of stamps `(n, 3, H, W)`, scaled to [0, 1]: `(n, 1323)`."""
    crops, _ = crop_and_scale(*mask_stamps(torch.tensor(stamps)), "minmax")
    return crops.flatten(1).numpy()


def join_nights(objects: np.ndarray, nights: np.ndarray) -> np.ndarray:
    """Return groups `(n,)` that share neither an object nor a night."""
    _, object_index = np.unique(objects, return_inverse=True)
    _, night_index = np.unique(nights, return_inverse=True)
    # The nodes of the graph are the objects, then the nights; an alert connects two.
    n_objects = object_index.max() + 1
    nodes = n_objects + night_index.max() + 1
    edges = (object_index, n_objects + night_index)
    graph = coo_array((np.ones(len(objects)), edges), shape=(nodes, nodes))
    groups: np.ndarray = connected_components(graph, directed=False)[1][object_index]
    return groups


def predict_in_folds(
    values: np.ndarray,
    classifier: BaseEstimator,
    labels: np.ndarray,
    groups: np.ndarray,
    seed: int,
) -> np.ndarray:
    """Return the class of each row, predicted by a classifier of the folds that it is not in.

    The five folds are stratified by class, and the rows of a group are in one of them.
    """
    folds = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=seed)
    predicted: np.ndarray = cross_val_predict(classifier, values, labels, groups=groups, cv=folds)
    return predicted


def compare_methods(
    methods: Mapping[str, tuple[np.ndarray, BaseEstimator]],
    labels: np.ndarray,
    objects: np.ndarray,
    groups: np.ndarray,
) -> dict[str, Any]:
    """Return the scores of every method in folds of groups, and the differences of the first.

    A method is an array `(n, d)` and a classifier, fitted for each of five seeds of the folds; see
    `predict_in_folds` and `score_predictions`.
    """
    return score_predictions(predict_methods(methods, labels, groups), labels, objects)


def predict_methods(
    methods: Mapping[str, tuple[np.ndarray, BaseEstimator]], labels: np.ndarray, groups: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the predictions of every method in folds of groups, int `(seeds, n)`."""
    return {
        name: np.stack([predict_in_folds(*method, labels, groups, seed) for seed in SEEDS])
        for name, method in tqdm(methods.items(), desc="probes")
    }


def score_predictions(
    predicted: Mapping[str, np.ndarray], labels: np.ndarray, objects: np.ndarray
) -> dict[str, Any]:
    """Return the scores of predictions int `(seeds, n)` by method.

    `labels` int `(n,)` are all in 0..k-1. A score is the mean over the seeds with the interval of
    resampled objects; the paired differences are those of the first method to each of the others.
    """
    bootstrap = Bootstrap.of_groups(objects, seed=0)
    samples = {
        name: resampled_confusions(labels, classes, len(CLASSES), bootstrap)
        for name, classes in predicted.items()
    }
    first = next(iter(predicted))
    scores: dict[str, Any] = {}
    for name, classes in predicted.items():
        scores[name] = {}
        matrices = np.stack([confusion(labels, of_seed, len(CLASSES)) for of_seed in classes])
        for metric in SHOWN_METRICS:
            of_seeds = METRICS[metric](matrices)
            resampled = METRICS[metric](samples[name]).mean(axis=1)
            scores[name][metric] = {
                "of_seeds": of_seeds.round(4).tolist(),
                **mean_with_interval(float(of_seeds.mean()), resampled),
            }
            if name != first:
                difference = METRICS[metric](samples[first]).mean(axis=1) - resampled
                scores[name][metric][f"{first} minus {name}"] = mean_with_interval(
                    float(difference.mean()), difference
                )
    return scores


def mean_with_interval(mean: float, samples: np.ndarray) -> dict[str, Any]:
    """Return a mean and the 95 % interval of its samples, rounded to four digits."""
    value, low, high = (round(part, 4) for part in with_interval("mean", mean, samples).values())
    return {"mean": value, "interval": [low, high]}


def format_scores(scores: Mapping[str, Any], title: str) -> str:
    """Return a Markdown table of `score_predictions`: a line per method, with the differences."""
    metrics = [metric.replace("_", " ") for metric in SHOWN_METRICS]
    first = next(iter(scores))
    heads = [title, *metrics, *(f"{first} minus it, {metric}" for metric in metrics)]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name, values in scores.items():
        cells = [format_cell(values[metric]) for metric in SHOWN_METRICS]
        differences = [values[metric].get(f"{first} minus {name}") for metric in SHOWN_METRICS]
        cells += ["" if part is None else format_cell(part) for part in differences]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def format_cell(score: Mapping[str, Any]) -> str:
    """Return a mean and its interval as text."""
    low, high = score["interval"]
    return f"{score['mean']:.3f} ({low:.3f} - {high:.3f})"
