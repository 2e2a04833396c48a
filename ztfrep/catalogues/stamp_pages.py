"""Pages of pictures: the stamps of alerts, or the light curves of objects, with captions."""

import textwrap
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from ztfrep.data.alert_schema import CHANNELS
from ztfrep.data.stamp_previews import MASKED
from ztfrep.palette import COLOURS, FILTERS, INK
from ztfrep.palette import MASKED as MASKED_COLOUR

# Pictures of a page, which is then some 3 m high and has some 10 MB.
MAX_PICTURES = 500
_MASKED_RGB = to_rgb(MASKED_COLOUR)
_FRAME = COLOURS[1]
# Inches of a picture and of the caption to its right.
_STAMPS, _CURVE = (2.75, 0.95), (2.9, 1.25)
_CAPTION, _GAP, _TITLE = 1.75, 0.12, 0.52
# Pixels between two stamps.
_SPACE = 3
# Some packets have upper limits of -1,000 mag, beside which a light curve would be a line.
_DRAWN_MAGNITUDES = (0, 35)


def stamp_page(
    previews: np.ndarray, captions: Sequence[Sequence[str]], title: str, *, framed: int = 0
) -> Figure:
    """Draw the previews of n alerts `(n, 3, H, W)`: science, template and difference side by side.

    `captions` has the lines of text of each alert. The first `framed` alerts have a frame. Pixels
    that were not observed are orange; the first rows of a stamp are at the bottom.
    """
    figure, grid = _page(len(previews), _STAMPS, title, captions, framed)
    for axes, stamps in zip(grid, previews, strict=True):
        axes.imshow(_strip(stamps), origin="lower", interpolation="nearest")
        axes.set_axis_off()
    height, width = previews.shape[-2:]
    for axes in grid[:: _shape(len(grid))[0]]:
        for position, name in enumerate(CHANNELS):
            centre = position * (width + _SPACE) + width / 2
            axes.text(centre, height + 1, name, ha="center", va="bottom", size=7)
    return figure


def light_curve_page(
    curves: Sequence[pd.DataFrame],
    captions: Sequence[Sequence[str]],
    title: str,
    *,
    framed: int = 0,
) -> Figure:
    """Draw the light curves of n objects: magnitudes with errors, and upper limits as triangles.

    `curves` has a table for each object, see `Catalogue.light_curves`; magnitudes outside 0 to 35
    are not drawn. The rest is that of `stamp_page`.
    """
    figure, grid = _page(len(curves), _CURVE, title, captions, framed)
    for axes, curve in zip(grid, curves, strict=True):
        _draw_light_curve(axes, curve)
    lines = [Line2D([], [], color=colour, marker="o", ls="") for _, colour in FILTERS.values()]
    lines.append(Line2D([], [], color=INK, marker="v", ls="", markerfacecolor="none"))
    names = [*(name for name, _ in FILTERS.values()), "upper limit"]
    figure.legend(
        lines, names, loc="upper left", bbox_to_anchor=(0, 1 - 0.24 / figure.get_figheight()),
        ncols=4, frameon=False, fontsize=7, handletextpad=0.2, columnspacing=1.0,
    )  # fmt: skip
    return figure


def _page(
    n: int,
    size: tuple[float, float],
    title: str,
    captions: Sequence[Sequence[str]],
    framed: int,
) -> tuple[Figure, list[Axes]]:
    """Return a figure with axes of a size in inches for n pictures, in columns, and captions."""
    if n > MAX_PICTURES:
        raise ValueError(f"{n} pictures; expected at most {MAX_PICTURES}")
    rows, columns = _shape(n)
    cell = size[0] + _CAPTION + 2 * _GAP, size[1] + 2 * _GAP
    # With space for the axis labels of light curves.
    left = 0.35 if size is _CURVE else 0.0
    below = 0.22 if size is _CURVE else 0.0
    width, height = columns * (cell[0] + left) + _GAP, rows * (cell[1] + below) + _TITLE + 0.1
    figure = Figure(figsize=(width, height))
    heading = textwrap.shorten(_printable(title, 200), int(11 * width), placeholder=" ...")
    figure.text(
        _GAP / width, 1 - 0.1 / height, heading,
        va="top", weight="bold", size=10, parse_math=False,
    )  # fmt: skip
    grid = []
    for position in range(n):
        row, column = position % rows, position // rows
        x = column * (cell[0] + left) + left + _GAP
        y = height - _TITLE - 0.1 - (row + 1) * (cell[1] + below) + below + _GAP
        axes = figure.add_axes((x / width, y / height, size[0] / width, size[1] / height))
        lines = [_printable(line) for line in captions[position]]
        figure.text(
            (x + size[0] + _GAP) / width, (y + size[1]) / height, "\n".join(lines),
            va="top", size=6.8, linespacing=1.25, parse_math=False,
        )  # fmt: skip
        if position < framed:
            frame = Rectangle(
                ((x - left - 0.06) / width, (y - below - 0.06) / height),
                (cell[0] + left - 0.12) / width,
                # The names of the channels are above the first picture.
                (size[1] + below + 0.24) / height,
                transform=figure.transFigure, fill=False, color=_FRAME, linewidth=1.2,
            )  # fmt: skip
            figure.add_artist(frame)
        grid.append(axes)
    return figure, grid


def _shape(n: int) -> tuple[int, int]:
    """Return the rows and columns of a page of n pictures, which fill one column after another."""
    columns = 1 if n <= 4 else 2 if n <= 24 else 3
    return max(1, -(-n // columns)), columns


def _strip(stamps: np.ndarray) -> np.ndarray:
    """Return the stamps of an alert `(3, H, W)` as one image, float32 RGB `(H, 3 W + space, 3)`."""
    grey = np.repeat((stamps.astype(np.float32) / 255)[..., None], 3, axis=-1)
    grey[stamps == MASKED] = _MASKED_RGB
    space = np.ones((stamps.shape[1], _SPACE, 3), np.float32)
    parts = [part for image in grey for part in (image, space)]
    return np.concatenate(parts[:-1], axis=1)


def _draw_light_curve(axes: Axes, curve: pd.DataFrame) -> None:
    start = curve["mjd"].min() if len(curve) else 0.0
    value = curve["magpsf"].fillna(curve["diffmaglim"])
    curve = curve[value.between(*_DRAWN_MAGNITUDES)]
    for fid, (_, colour) in FILTERS.items():
        points = curve[curve["fid"] == fid]
        detected = points[points["magpsf"].notna()]
        limits = points[points["magpsf"].isna() & points["diffmaglim"].notna()]
        axes.errorbar(
            detected["mjd"] - start, detected["magpsf"], detected["sigmapsf"].fillna(0),
            fmt="o", color=colour, markersize=2.6, elinewidth=0.8,
        )  # fmt: skip
        axes.plot(
            limits["mjd"] - start, limits["diffmaglim"],
            "v", color=colour, markersize=3, markerfacecolor="none", markeredgewidth=0.6,
        )  # fmt: skip
    axes.invert_yaxis()
    axes.tick_params(labelsize=6, length=2, pad=1.5)
    axes.locator_params(nbins=5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel(f"days since mjd {start:.1f}", size=6, labelpad=1)
    axes.set_ylabel("mag", size=6, labelpad=1)


def _printable(text: str, maximum: int = 44) -> str:
    """Return untrusted text with escapes for what the font does not have."""
    short = text if len(text) <= maximum else f"{text[: maximum - 3]}..."
    return "".join(c if c.isascii() and c.isprintable() else ascii(c)[1:-1] for c in short)
