"""Scores of an ablation: of the whole network, of each variant, and their paired differences."""

from typing import Any

import numpy as np

from ztfrep.data.alert_schema import CLASSES
from ztfrep.evaluation.bootstrap import Bootstrap, with_interval
from ztfrep.evaluation.classifier_scores import resampled_confusions
from ztfrep.evaluation.metrics import METRICS, confusion

FULL = "whole network"
_METRIC = "balanced_accuracy"

# By score: the predicted classes of the rows that are scored.
Predicted = dict[str, list[int]]


def score_cells(
    cells: dict[str, list[Predicted]], rows: dict[str, tuple[np.ndarray, np.ndarray]]
) -> dict[str, Any]:
    """Return the balanced accuracy of each variant and score, and the differences of the whole.

    `cells` are predictions by variant and seed; `FULL` is one of the variants. `rows` are labels
    int `(n,)` and objects `(n,)` by score. Objects are resampled, the same for all variants.
    """
    compute = METRICS[_METRIC]
    result: dict[str, Any] = {}
    for score, (labels, objects) in rows.items():
        bootstrap = Bootstrap.of_groups(objects, seed=0)
        values, samples = {}, {}
        for variant, of_seeds in cells.items():
            predicted = np.array([of_seed[score] for of_seed in of_seeds])
            matrices = np.stack([confusion(labels, p, len(CLASSES)) for p in predicted])
            values[variant] = compute(matrices)
            drawn = resampled_confusions(labels, predicted, len(CLASSES), bootstrap)
            samples[variant] = compute(drawn).mean(axis=1)
        for variant in cells:
            lead = values[FULL] - values[variant]
            interval = with_interval(
                "difference", float(lead.mean()), samples[FULL] - samples[variant]
            )
            result.setdefault(variant, {})[score] = {
                "mean": round(float(values[variant].mean()), 4),
                "of_seeds": values[variant].round(4).tolist(),
                "difference": [round(value, 4) for value in interval.values()],
                "span_of_seeds": [round(float(lead.min()), 4), round(float(lead.max()), 4)],
            }
    return result


def as_table(scores: dict[str, Any]) -> str:
    """Return the scores as Markdown, a line per variant and score.

    The difference is the whole network minus the variant, with its interval and the seeds' span.
    """
    lines = [
        "| variant | score | value | whole minus it | lowest and highest seed |",
        "|---|---|---|---|---|",
    ]
    for variant, by_score in scores.items():
        for score, part in by_score.items():
            difference, low, high = part["difference"]
            cells = [f"{part['mean']:.3f}", "", ""]
            if variant != FULL:
                cells[1] = f"{difference:+.3f} ({low:+.3f} to {high:+.3f})"
                cells[2] = "{:+.3f} to {:+.3f}".format(*part["span_of_seeds"])
            lines.append(f"| {variant} | {score} | {' | '.join(cells)} |")
    return "\n".join(lines)
