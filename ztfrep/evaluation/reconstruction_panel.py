"""The figure of alerts beside their reconstructions and light curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ztfrep.evaluation.alert_light_curves import AlertLightCurve
from ztfrep.evaluation.figures import colormap, new_figure
from ztfrep.evaluation.light_curve_axes import draw_light_curve, light_curve_legend
from ztfrep.palette import DIFFERENCES, INK, MASKED, UNLABELLED

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# In units of the noise: beyond it no colour of an error differs.
_MAX_ERROR = 4.0
# Inches of a stamp, of a light curve, and of the label below it.
_STAMP, _CURVE, _LABEL = 1.02, 2.6, 0.3


def example_rows(
    labels: np.ndarray, n_classes: int, curves: Sequence[AlertLightCurve | None]
) -> np.ndarray:
    """Return two rows of each class; without labels, ten rows.

    The first alerts of objects with a light curve come before others of their class, and rows
    without a light curve after those.
    """
    ranks, seen = np.full(len(labels), 2), set()
    for row, curve in enumerate(curves):
        if curve is not None:
            ranks[row] = curve.object_id in seen
            seen.add(curve.object_id)
    order = np.argsort(ranks, kind="stable")
    rows = np.concatenate(
        [np.sort(order[labels[order] == label][:2]) for label in range(n_classes)]
    )
    return rows if len(rows) else np.sort(order[:10])


def reconstruction_panel(
    pixels: np.ndarray,
    pixel_mask: np.ndarray,
    noise: np.ndarray,
    reconstructions: Mapping[str, np.ndarray],
    names: Sequence[str],
    channels: Sequence[str],
    title: str,
    *,
    curves: Sequence[AlertLightCurve | None] = (),
) -> Figure:
    """Draw n alerts: originals, reconstructions and their errors, and light curves if any.

    `pixels` and the reconstructions by name are `(n, c, H, W)`, `noise` is the standard deviation
    of the pixels' noise, and `names` are those of the rows. Originals and reconstructions of a
    channel have the same grey scale; an error is original minus reconstruction in units of the
    noise, for the last one by name. Masked pixels are orange, and grey in errors. In the light
    curve, a ring marks the alert.
    """
    *_, last = reconstructions
    columns = ["", *reconstructions, "error"]
    width = len(columns)
    n_stamps = width * len(channels)
    has_curves = any(curve is not None for curve in curves)
    row_height = _STAMP + _LABEL * has_curves
    figure = new_figure(
        _STAMP * n_stamps + 1.7 + _CURVE * has_curves, row_height * len(names) + 1.2, title
    )
    ratios = [1.0] * n_stamps + [_CURVE / _STAMP] * has_curves
    grid = figure.subplots(len(names), len(ratios), squeeze=False, width_ratios=ratios)
    for row, name in enumerate(names):
        for axes in grid[row, :n_stamps]:
            axes.set_xticks([])
            axes.set_yticks([])
            axes.set_facecolor(MASKED)
        grid[row, 0].set_ylabel(name, fontsize=10)
        for channel in range(len(channels)):
            mask = pixel_mask[row, channel]
            original = np.where(mask, pixels[row, channel], np.nan)
            observed = original[mask]
            low, high = (observed.min(), observed.max()) if observed.size else (0.0, 1.0)
            images = [original, *(images[row, channel] for images in reconstructions.values())]
            own_axes = grid[row, width * channel : width * (channel + 1)]
            for axes, image in zip(own_axes, images, strict=False):
                axes.imshow(image, cmap="gray", vmin=low, vmax=high, origin="lower")
            own_axes[-1].set_facecolor(UNLABELLED)
            deviation = np.where(noise[row, channel] > 0, noise[row, channel], np.nan)
            error = (original - reconstructions[last][row, channel]) / deviation
            drawn = own_axes[-1].imshow(
                error, cmap=colormap(DIFFERENCES), vmin=-_MAX_ERROR, vmax=_MAX_ERROR, origin="lower"
            )
    for channel, channel_name in enumerate(channels):
        for column, name in enumerate(columns):
            axes = grid[0, width * channel + column]
            weight = "normal" if name else "bold"
            axes.set_title(name or channel_name, fontsize=9, color=INK, fontweight=weight)
    if has_curves:
        for axes, curve in zip(grid[:, -1], curves, strict=True):
            if curve is None:
                axes.set_axis_off()
            else:
                draw_light_curve(axes, curve.observations, alert_mjd=curve.mjd)
        lines, line_names = light_curve_legend(alert=True)
        figure.legend(
            lines, line_names, loc="outside lower right", ncols=len(lines), frameon=False,
            fontsize=8, handletextpad=0.2, columnspacing=1.0,
        )  # fmt: skip
        grid[0, -1].set_title("light curve", fontsize=9, color=INK, fontweight="bold")
    bar = figure.colorbar(drawn, ax=grid, shrink=0.5, pad=0.01)
    bar.set_label(f"original minus {last}, in units of the noise", fontsize=9)
    return figure
