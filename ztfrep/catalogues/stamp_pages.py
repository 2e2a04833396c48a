"""Pages of pictures: the stamps of alerts, or the light curves of objects, with captions."""

import textwrap
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ztfrep.catalogues.stamp_stretch import stretch_preview
from ztfrep.data.alert_schema import CHANNELS
from ztfrep.data.stamp_previews import MASKED
from ztfrep.evaluation.alert_light_curves import AlertLightCurve
from ztfrep.evaluation.light_curve_axes import draw_light_curve, light_curve_legend
from ztfrep.palette import COLOURS
from ztfrep.palette import MASKED as MASKED_COLOUR

# Pictures of a page, which is then some 3 m high and has some 10 MB.
MAX_PICTURES = 500
_MASKED_RGB = to_rgb(MASKED_COLOUR)
_FRAME = COLOURS[1]
# Inches of a picture, and of a light curve beside stamps.
_STAMPS, _CURVE, _SIDE_CURVE = (2.75, 0.95), (2.9, 1.25), (1.9, 0.95)
# Inches of the labels at the axes of a light curve: to its left, and below.
_LEFT, _BELOW = 0.35, 0.22
# Inches of the caption to the right of a picture.
_CAPTION, _GAP, _TITLE = 1.75, 0.12, 0.52
# Pixels between two stamps.
_SPACE = 3


def stamp_page(
    previews: np.ndarray,
    captions: Sequence[Sequence[str]],
    title: str,
    *,
    framed: int = 0,
    curves: Sequence[AlertLightCurve | None] = (),
) -> Figure:
    """Draw the previews of n alerts `(n, 3, H, W)`: science, template and difference side by side.

    `captions` has the lines of text of each alert. The first `framed` alerts have a frame. Pixels
    that were not observed are orange; the first rows of a stamp are at the bottom. Beside an alert
    with a light curve it is drawn, and a ring marks the alert.
    """
    has_curves = any(curve is not None for curve in curves)
    sizes = [_STAMPS, _SIDE_CURVE] if has_curves else [_STAMPS]
    figure, grid = _page(len(previews), sizes, title, captions, framed)
    for (axes, *_), stamps in zip(grid, previews, strict=True):
        axes.imshow(_strip(stamps), origin="lower", interpolation="nearest")
        axes.set_axis_off()
    height, width = previews.shape[-2:]
    for axes, *_ in grid[:: _shape(len(grid))[0]]:
        for position, name in enumerate(CHANNELS):
            centre = position * (width + _SPACE) + width / 2
            axes.text(centre, height + 1, name, ha="center", va="bottom", size=7)
    if has_curves:
        for (_, axes), curve in zip(grid, curves, strict=True):
            if curve is None:
                axes.set_axis_off()
            else:
                draw_light_curve(axes, curve.observations, alert_mjd=curve.mjd)
        _draw_legend(figure, alert=True)
    return figure


def light_curve_page(
    curves: Sequence[pd.DataFrame],
    captions: Sequence[Sequence[str]],
    title: str,
    *,
    framed: int = 0,
) -> Figure:
    """Draw the light curves of n objects, see `draw_light_curve`.

    `curves` has a table for each object, see `Catalogue.light_curves`. The rest is that of
    `stamp_page`.
    """
    figure, grid = _page(len(curves), [_CURVE], title, captions, framed)
    for (axes,), curve in zip(grid, curves, strict=True):
        draw_light_curve(axes, curve)
    _draw_legend(figure, alert=False)
    return figure


def _draw_legend(figure: Figure, *, alert: bool) -> None:
    lines, names = light_curve_legend(alert=alert)
    figure.legend(
        lines, names, loc="upper left", bbox_to_anchor=(0, 1 - 0.24 / figure.get_figheight()),
        ncols=len(names), frameon=False, fontsize=7, handletextpad=0.2, columnspacing=1.0,
    )  # fmt: skip


def _page(
    n: int,
    sizes: Sequence[tuple[float, float]],
    title: str,
    captions: Sequence[Sequence[str]],
    framed: int,
) -> tuple[Figure, list[list[Axes]]]:
    """Return a figure with axes for n rows of pictures, in columns, and captions at their right.

    `sizes` has the width and height of each picture of a row in inches.
    """
    if n > MAX_PICTURES:
        raise ValueError(f"{n} pictures; expected at most {MAX_PICTURES}")
    rows, columns = _shape(n)
    # With space for the axis labels of light curves.
    lefts = [0.0 if size is _STAMPS else _LEFT for size in sizes]
    below = max(0.0 if size is _STAMPS else _BELOW for size in sizes)
    # All but the margin at the left of the first picture.
    wide = sum(size[0] + _GAP for size in sizes) + sum(lefts[1:])
    tall = max(size[1] for size in sizes)
    cell = lefts[0] + wide + _CAPTION + _GAP, tall + 2 * _GAP + below
    width, height = columns * cell[0] + _GAP, rows * cell[1] + _TITLE + 0.1
    figure = Figure(figsize=(width, height))
    heading = textwrap.shorten(_printable(title, 200), int(11 * width), placeholder=" ...")
    figure.text(
        _GAP / width, 1 - 0.1 / height, heading,
        va="top", weight="bold", size=10, parse_math=False,
    )  # fmt: skip
    grid = []
    for position in range(n):
        row, column = position % rows, position // rows
        x = column * cell[0] + lefts[0] + _GAP
        y = height - _TITLE - 0.1 - (row + 1) * cell[1] + below + _GAP
        right, own = x, []
        for (w, h), left in zip(sizes, [0.0, *lefts[1:]], strict=True):
            own.append(figure.add_axes(((right + left) / width, y / height, w / width, h / height)))
            right += left + w + _GAP
        lines = [_printable(line) for line in captions[position]]
        figure.text(
            right / width, (y + tall) / height, "\n".join(lines),
            va="top", size=6.8, linespacing=1.25, parse_math=False,
        )  # fmt: skip
        if position < framed:
            frame = Rectangle(
                ((x - lefts[0] - 0.06) / width, (y - below - 0.06) / height),
                (cell[0] - 0.12) / width,
                # The names of the channels are above the first picture.
                (tall + below + 0.24) / height,
                transform=figure.transFigure, fill=False, color=_FRAME, linewidth=1.2,
            )  # fmt: skip
            figure.add_artist(frame)
        grid.append(own)
    return figure, grid


def _shape(n: int) -> tuple[int, int]:
    """Return the rows and columns of a page of n pictures, which fill one column after another."""
    columns = 1 if n <= 4 else 2 if n <= 24 else 3
    return max(1, -(-n // columns)), columns


def _strip(stamps: np.ndarray) -> np.ndarray:
    """Return the stamps of an alert `(3, H, W)` as one image, float32 RGB `(H, 3 W + space, 3)`."""
    levels = np.stack([stretch_preview(stamp) for stamp in stamps])
    grey = np.repeat((levels.astype(np.float32) / 255)[..., None], 3, axis=-1)
    grey[stamps == MASKED] = _MASKED_RGB
    space = np.ones((stamps.shape[1], _SPACE, 3), np.float32)
    parts = [part for image in grey for part in (image, space)]
    return np.concatenate(parts[:-1], axis=1)


def _printable(text: str, maximum: int = 44) -> str:
    """Return untrusted text with escapes for what the font does not have."""
    short = text if len(text) <= maximum else f"{text[: maximum - 3]}..."
    return "".join(c if c.isascii() and c.isprintable() else ascii(c)[1:-1] for c in short)
