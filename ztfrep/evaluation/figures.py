"""Pictures of what was learned: arrays in, matplotlib figures out."""

import io
import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart by colour-blind eyes too; a class has its by its place.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#F0E442")
_GREY = "#9a9a9a"


def png_bytes(figure: Figure) -> bytes:
    """Render a figure as PNG; the same figure gives the same bytes, however often.

    It keeps the layout of its first rendering.
    """
    # Every drawing lays a figure out anew, beginning from the layout before: once is enough.
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    return buffer.getvalue()


def confusion_matrix(matrix: np.ndarray, classes: Sequence[str], title: str) -> Figure:
    """Draw counts `(k, k)`, true classes as rows, shaded by each row's shares."""
    size = 1.9 + 0.8 * len(classes)
    figure, axes = _axes(size + 0.6, size, title)
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(matrix.shape):
        axes.text(
            column,
            row,
            f"{matrix[row, column]}\n{100 * share[row, column]:.0f} %",
            ha="center",
            va="center",
            fontsize=9,
            color="white" if share[row, column] > 0.55 else "black",
        )
    axes.set_xticks(range(len(classes)), classes)
    axes.set_yticks(range(len(classes)), classes)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return figure


def loss_curves(history: Sequence[Mapping[str, float]], title: str, best_epoch: int) -> Figure:
    """Draw loss and any accuracy over epochs, for train and validation; mark the best epoch.

    A record has `epoch` and any of `train_loss`, `validation_loss`, `train_accuracy`,
    `validation_accuracy`.
    """
    keys = {key for record in history for key in record}
    quantities = ["loss"] + ["accuracy"] * any(key.endswith("_accuracy") for key in keys)
    figure = _figure(4.2 * len(quantities), 3.4, title)
    grid = figure.subplots(1, len(quantities), squeeze=False)
    for axes, quantity in zip(grid[0], quantities, strict=True):
        for color, part in zip(PALETTE, ("train", "validation"), strict=False):
            points = [
                (r["epoch"], r[f"{part}_{quantity}"]) for r in history if f"{part}_{quantity}" in r
            ]
            if points:
                axes.plot(*zip(*points, strict=True), color=color, label=part, marker=".")
        axes.axvline(best_epoch, color=_GREY, linestyle=":", label=f"best: epoch {best_epoch}")
        axes.set_xlabel("epoch")
        axes.set_ylabel(quantity)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(frameon=False, fontsize=9)
        _tidy(axes)
    return figure


def latent_map(
    points: np.ndarray, labels: np.ndarray, classes: Sequence[str], title: str
) -> Figure:
    """Draw a plane `(n, 2)` of vectors, coloured by class; label -1 is grey."""
    figure, axes = _axes(6.4, 5.2, title)
    shown = [(-1, "unlabelled", _GREY)]
    shown += [(label, name, PALETTE[label]) for label, name in enumerate(classes)]
    for label, name, color in shown:
        here = labels == label
        if here.any():
            axes.scatter(
                points[here, 0],
                points[here, 1],
                s=12,
                color=color,
                alpha=0.7,
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


def reconstruction_panel(
    pixels: np.ndarray,
    observed: np.ndarray,
    reconstructed: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    channels: Sequence[str],
    title: str,
) -> Figure:
    """Draw originals beside reconstructions, `(n, c, H, W)` each: the first two of every class.

    Without labels it is the first ten.

    A pair has one grey scale; what is not observed is orange.
    """
    rows = [row for label in range(len(classes)) for row in np.flatnonzero(labels == label)[:2]]
    rows = rows or list(range(min(10, len(labels))))
    figure = _figure(2.2 * len(channels) + 0.9, 1.02 * len(rows) + 0.9, title)
    grid = figure.subplots(len(rows), 2 * len(channels), squeeze=False)
    for axes in grid.flat:
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_facecolor(PALETTE[1])
    for row, line in zip(rows, grid, strict=True):
        name = classes[labels[row]] if labels[row] >= 0 else "unlabelled"
        line[0].set_ylabel(name, fontsize=10)
        for channel in range(len(channels)):
            original = np.where(observed[row, channel], pixels[row, channel], np.nan)
            known = original[observed[row, channel]]
            low, high = (known.min(), known.max()) if known.size else (0.0, 1.0)
            for place, image in enumerate((original, reconstructed[row, channel])):
                axes = line[2 * channel + place]
                axes.imshow(image, cmap="gray", vmin=low, vmax=high, origin="lower")
    for channel, name in enumerate(channels):
        grid[0, 2 * channel].set_title(name, fontsize=10)
        grid[0, 2 * channel + 1].set_title("decoded", fontsize=10, color=_GREY)
    return figure


def method_comparison(
    scores: Mapping[str, float],
    intervals: Mapping[str, tuple[float, float]],
    metric: str,
    title: str,
) -> Figure:
    """Draw a bar per method, best on top, with its interval and its value."""
    figure, axes = _axes(7.2, 1.4 + 0.42 * len(scores), title)
    names = sorted(scores, key=lambda name: scores[name])
    values = np.array([scores[name] for name in names])
    ends = np.array([intervals.get(name, (scores[name],) * 2) for name in names])
    axes.barh(
        [name.replace("_", " ") for name in names],
        values,
        xerr=np.clip(np.stack([values - ends[:, 0], ends[:, 1] - values]), 0, None),
        color=PALETTE[0],
        error_kw={"ecolor": "#333333", "capsize": 3},
    )
    for place, (value, end) in enumerate(zip(values, ends[:, 1], strict=True)):
        axes.text(max(value, end) + 0.015, place, f"{value:.3f}", va="center", fontsize=9)
    axes.set_xlim(0, 1.12)
    axes.set_xticks(np.linspace(0, 1, 6))
    axes.set_xlabel(f"{metric}, with 95 % intervals")
    _tidy(axes)
    return figure


def early_classification(
    steps: Sequence[int],
    scores: Mapping[str, Sequence[float]],
    intervals: Mapping[str, Sequence[tuple[float, float]]],
    title: str,
) -> Figure:
    """Draw metrics over the number of detections seen so far, with their intervals if given."""
    figure, axes = _axes(6.0, 3.8, title)
    for place, (name, values) in enumerate(scores.items()):
        colour = PALETTE[place]
        axes.plot(steps, values, "o-", color=colour, markersize=4, label=name.replace("_", " "))
        if name in intervals:
            low, high = zip(*intervals[name], strict=True)
            axes.fill_between(steps, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.set_xlabel("detections so far")
    axes.set_ylim(0, 1.02)
    axes.set_xticks(steps)
    axes.legend(frameon=False, loc="lower right")
    _tidy(axes)
    return figure


def _figure(width: float, height: float, title: str) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained")
    # An inch holds about nine bold letters of 12 points.
    title = textwrap.fill(title, int(8.5 * width))
    figure.suptitle(title, fontsize=12, fontweight="bold")
    return figure


def _axes(width: float, height: float, title: str) -> tuple[Figure, Axes]:
    figure = _figure(width, height, title)
    return figure, figure.subplots()


def _tidy(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
