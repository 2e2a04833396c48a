"""Figures of evaluations: arrays in, matplotlib figures out."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ztfrep.palette import (
    COLOURS,
    INK,
    SHARES,
    UNLABELLED,
    class_colour,
    class_marker,
    shade,
    text_colour,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure


def png_bytes(figure: Figure) -> bytes:
    """Return a figure as PNG, always the same bytes.

    The layout of the figure is fixed afterwards.
    """
    # Else each drawing would change the layout, which is computed from the previous one.
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
    figure.set_layout_engine("none")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    return buffer.getvalue()


def confusion_matrix(matrix: np.ndarray, classes: Sequence[str], title: str) -> Figure:
    """Draw counts `(k, k)`, true classes as rows, shaded by their share of the row."""
    size = 1.9 + 0.8 * len(classes)
    figure, axes = _axes(size + 0.6, size, title)
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap=colormap(SHARES), vmin=0, vmax=1)
    for row, column in np.ndindex(matrix.shape):
        axes.text(
            column,
            row,
            f"{matrix[row, column]}\n{100 * share[row, column]:.0f} %",
            ha="center",
            va="center",
            fontsize=9,
            color=text_colour(shade(SHARES, share[row, column])),
        )
    axes.set_xticks(range(len(classes)), classes)
    axes.set_yticks(range(len(classes)), classes)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return figure


def loss_curves(history: Sequence[Mapping[str, float]], title: str, best_epoch: int) -> Figure:
    """Draw loss and accuracy over epochs, for train and validation; mark the best epoch.

    A record has `epoch` and some of `train_loss`, `validation_loss`, `train_accuracy`,
    `validation_accuracy`. Without a record of the accuracy, it has no panel.
    """
    keys = {key for record in history for key in record}
    quantities = ["loss"] + ["accuracy"] * any(key.endswith("_accuracy") for key in keys)
    figure = new_figure(4.2 * len(quantities), 3.4, title)
    grid = figure.subplots(1, len(quantities), squeeze=False)
    for axes, quantity in zip(grid[0], quantities, strict=True):
        for color, part in zip(COLOURS, ("train", "validation"), strict=False):
            points = [
                (r["epoch"], r[f"{part}_{quantity}"]) for r in history if f"{part}_{quantity}" in r
            ]
            if points:
                axes.plot(*zip(*points, strict=True), color=color, label=part, marker=".")
        axes.axvline(best_epoch, color=UNLABELLED, linestyle=":", label=f"best: epoch {best_epoch}")
        axes.set_xlabel("epoch")
        axes.set_ylabel(quantity)
        axes.xaxis.get_major_locator().set_params(integer=True)
        _tidy(axes)
    _legend_below(figure, grid[0, 0])
    return figure


def projection(
    points: np.ndarray, labels: np.ndarray, classes: Sequence[str], title: str
) -> Figure:
    """Draw points `(n, 2)`, coloured by class; unlabelled points (-1) are grey."""
    figure, axes = _axes(6.4, 5.2, title)
    for label, name in [(-1, "unlabelled"), *enumerate(classes)]:
        mask = labels == label
        if mask.any():
            axes.scatter(
                points[mask, 0],
                points[mask, 1],
                s=12,
                color=class_colour(label),
                marker=class_marker(label),
                alpha=0.8,
                linewidths=0,
                label=name,
            )
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xlabel("first axis")
    axes.set_ylabel("second axis")
    axes.legend(frameon=False, markerscale=2, loc="center left", bbox_to_anchor=(1, 0.5))
    _tidy(axes)
    return figure


def method_comparison(scores: Mapping[str, Mapping[str, float]], metric: str, title: str) -> Figure:
    """Draw a bar per method with its value and interval, the best method at the top.

    The keys of the scores are the name of the metric, `metric_low` and `metric_high`.
    """
    figure, axes = _axes(7.2, 1.4 + 0.42 * len(scores), title)
    names = sorted(scores, key=lambda name: scores[name][metric])
    values, lows, highs = (
        np.array([scores[name][f"{metric}{end}"] for name in names])
        for end in ("", "_low", "_high")
    )
    axes.barh(
        [name.replace("_", " ") for name in names],
        values,
        xerr=np.clip(np.stack([values - lows, highs - values]), 0, None),
        color=COLOURS[0],
        error_kw={"ecolor": INK, "capsize": 3},
    )
    for row, (value, high) in enumerate(zip(values, highs, strict=True)):
        axes.text(max(value, high) + 0.015, row, f"{value:.3f}", va="center", fontsize=9)
    axes.set_xlim(0, 1.12)
    axes.set_xticks(np.linspace(0, 1, 6))
    axes.set_xlabel(f"{metric.replace('_', ' ')}, with 95 % intervals")
    _tidy(axes)
    return figure


def early_classification(
    scores: Mapping[int, Mapping[str, Mapping[str, float]]], metrics: Sequence[str], title: str
) -> Figure:
    """Draw a panel for each metric: a line for each method over the number of detections.

    The scores are by number of detections and method; their keys are the name of each metric,
    `metric_low` and `metric_high`. The first method has its intervals drawn.
    """
    figure = new_figure(4.6 * len(metrics), 4.0, title)
    grid = figure.subplots(1, len(metrics), squeeze=False)
    counts = list(scores)
    methods = list(scores[counts[0]])
    for axes, metric in zip(grid[0], metrics, strict=True):
        for place, method in enumerate(methods):
            values, low, high = (
                [scores[count][method][key] for count in counts]
                for key in (metric, f"{metric}_low", f"{metric}_high")
            )
            label = method.replace("_", " ")
            color = class_colour(place)
            axes.plot(
                counts, values, marker=class_marker(place), markersize=4, color=color, label=label
            )
            if place == 0:
                axes.fill_between(counts, low, high, color=color, alpha=0.15, linewidth=0)
        axes.set_xlabel("detections so far")
        axes.set_ylabel(metric.replace("_", " "))
        axes.set_xscale("log")
        axes.set_xticks(counts, [str(count) for count in counts])
        axes.minorticks_off()
        _tidy(axes)
    _legend_below(figure, grid[0, 0])
    return figure


def new_figure(width: float, height: float, title: str) -> Figure:
    """Return a figure of a size in inches with a title, which is wrapped."""
    from matplotlib.figure import Figure  # Slow to import.

    figure = Figure(figsize=(width, height), layout="constrained")
    # An inch has room for about nine bold letters of 12 points.
    title = textwrap.fill(title, int(8.5 * width))
    figure.suptitle(title, fontsize=12, fontweight="bold")
    return figure


def _axes(width: float, height: float, title: str) -> tuple[Figure, Axes]:
    figure = new_figure(width, height, title)
    return figure, figure.subplots()


def colormap(scale: Sequence[str]) -> Colormap:
    """Return a scale of `ztfrep.palette` for matplotlib."""
    from matplotlib.colors import LinearSegmentedColormap  # Slow to import.

    return LinearSegmentedColormap.from_list("", scale)


def _legend_below(figure: Figure, axes: Axes) -> None:
    """Draw one legend for all panels of a figure, below them, where it covers no line."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=min(len(labels), 3),
        frameon=False, fontsize=9,
    )  # fmt: skip


def _tidy(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
