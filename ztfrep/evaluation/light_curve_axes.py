"""Light curves on matplotlib axes: magnitudes downwards, by filter, with upper limits."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ztfrep.palette import FILTERS, INK, UNLABELLED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

# Some packets have upper limits of -1,000 mag, beside which a light curve would be a line.
_DRAWN_MAGNITUDES = (0, 35)
# Days within which an observation is the alert: two of ZTF's exposures are 30 s apart or more.
_SAME_TIME = 5 / 86_400


def draw_light_curve(axes: "Axes", curve: pd.DataFrame, *, alert_mjd: float | None = None) -> None:
    """Draw detections as points with error bars, and upper limits as open triangles.

    `curve` has a row per observation: `mjd` in days, `fid`, and in mag `magpsf`, `sigmapsf` and
    `diffmaglim`; an upper limit has no `magpsf`. Magnitudes outside 0 to 35 are not drawn. The
    detection at `alert_mjd` has a ring and a line.
    """
    start = curve["mjd"].min() if len(curve) else 0.0
    drawn = curve[is_drawn(curve)]
    for fid, (_, colour) in FILTERS.items():
        points = drawn[drawn["fid"] == fid]
        detected = points[points["magpsf"].notna()]
        limits = points[points["magpsf"].isna()]
        axes.errorbar(
            detected["mjd"] - start, detected["magpsf"], detected["sigmapsf"].fillna(0),
            fmt="o", color=colour, markersize=2.6, elinewidth=0.8,
        )  # fmt: skip
        axes.plot(
            limits["mjd"] - start, limits["diffmaglim"],
            "v", color=colour, markersize=3, markerfacecolor="none", markeredgewidth=0.6,
        )  # fmt: skip
    if alert_mjd is not None and np.isfinite(alert_mjd):
        axes.axvline(alert_mjd - start, color=UNLABELLED, linewidth=0.7, linestyle=":", zorder=0)
        own = drawn[(drawn["mjd"] - alert_mjd).abs() < _SAME_TIME].dropna(subset=["magpsf"])
        axes.plot(
            own["mjd"] - start, own["magpsf"],
            "o", color=INK, markersize=7, markerfacecolor="none", markeredgewidth=0.9,
        )  # fmt: skip
    axes.invert_yaxis()
    axes.tick_params(labelsize=6, length=2, pad=1.5)
    axes.locator_params(nbins=5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel(f"days since mjd {start:.1f}", size=6, labelpad=1)
    axes.set_ylabel("mag", size=6, labelpad=1)


def is_drawn(curve: pd.DataFrame) -> pd.Series:
    """Return True for the observations that `draw_light_curve` draws."""
    value = curve["magpsf"].fillna(curve["diffmaglim"])
    return value.between(*_DRAWN_MAGNITUDES) & curve["fid"].isin(FILTERS) & curve["mjd"].notna()


def light_curve_legend(*, alert: bool) -> tuple[list["Line2D"], list[str]]:
    """Return the lines and names of a legend, with or without the ring of the alert."""
    from matplotlib.lines import Line2D  # Slow to import.

    lines = [Line2D([], [], color=colour, marker="o", ls="") for _, colour in FILTERS.values()]
    names = [name for name, _ in FILTERS.values()]
    hollow = {"color": INK, "ls": "", "markerfacecolor": "none"}
    lines.append(Line2D([], [], marker="v", **hollow))  # type: ignore[arg-type]
    names.append("upper limit")
    if alert:
        lines.append(Line2D([], [], marker="o", markersize=8, **hollow))  # type: ignore[arg-type]
        names.append("this alert")
    return lines, names
