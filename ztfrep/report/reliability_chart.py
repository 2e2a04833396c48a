"""Charts of calibration: accuracy over confidence, and the number of rows of each bin."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ztfrep.report.chart_colours import BASELINE, OURS
from ztfrep.report.html_elements import Html, element, table
from ztfrep.report.number_text import format_count, format_interval, format_number
from ztfrep.report.svg_drawing import (
    Scale,
    bottom_axis,
    drawing,
    figure,
    left_axis,
    legend,
    line,
    text,
)

_TOP, _BOTTOM, _LEFT, _RIGHT = 10, 300, 46, 372
# Below the diagram: bars of the numbers of rows.
_BARS_TOP, _BARS_BOTTOM = 344, 384
_TICKS = [0, 0.2, 0.4, 0.6, 0.8, 1]
# The standard normal deviate of a 95 % interval.
_DEVIATE = 1.959964
_COLOURS = {"before": BASELINE, "after": OURS}


class Bin(NamedTuple):
    """A bin of confidence: its ends, means of confidence and accuracy, number of rows."""

    low: float
    high: float
    confidence: float
    accuracy: float
    rows: int


def wilson_interval(share: float, rows: int) -> tuple[float, float]:
    """Return the 95 % interval of a share of rows, one at least (Wilson 1927, JASA 22, 209)."""
    z = _DEVIATE**2 / rows
    middle = share + z / 2
    half = math.sqrt(z * share * (1 - share) + z * z / 4)
    return max((middle - half) / (1 + z), 0.0), min((middle + half) / (1 + z), 1.0)


def reliability_chart(
    name: str, title: str, bins: Mapping[str, Sequence[Bin]], *, note: str
) -> Html:
    """Draw the bins "before" and "after" calibration, of which one at least has a bin."""
    horizontal, vertical = Scale(0, 1, _LEFT, _RIGHT), Scale(0, 1, _BOTTOM, _TOP)
    content = left_axis(vertical, _TICKS, _LEFT, _RIGHT)
    content += bottom_axis(horizontal, _TICKS, _TOP, _BOTTOM)
    content.append(line(_LEFT, _BOTTOM, _RIGHT, _TOP, "zero"))
    content.append(text(_LEFT + 6, _TOP + 12, "accuracy", class_="axis"))
    middle = (_LEFT + _RIGHT) / 2
    content.append(text(middle, _BOTTOM + 30, "confidence", class_="axis", text_anchor="middle"))
    for of_kind, kind in ((bins[kind], kind) for kind in ("before", "after") if kind in bins):
        most = max((one.rows for one in of_kind), default=1)
        for one in of_kind:
            content += _mark(one, kind, most, horizontal, vertical)
    shown = "after" if bins.get("after") else "before"
    content += _bars(bins[shown], _COLOURS[shown], horizontal)
    most = max(one.rows for one in bins[shown])
    content.append(
        text(middle, _BARS_BOTTOM + 14, f"rows of a bin {shown} calibration, at most "
             f"{format_count(most)}", class_="axis", text_anchor="middle")
    )  # fmt: skip
    description = "; ".join(
        f"{kind} calibration {sum(one.accuracy < one.confidence for one in of_kind)} of "
        f"{len(of_kind)} bins are below the diagonal, where confidence is higher than accuracy"
        for kind, of_kind in bins.items()
    )
    data = table(
        ["calibration", "bin of confidence", "confidence", "accuracy", "95 % interval", "rows"],
        [
            (
                kind,
                format_interval(one.low, one.high, 2),
                format_number(one.confidence, 3),
                format_number(one.accuracy, 3),
                format_interval(*wilson_interval(one.accuracy, one.rows), 3),
                format_count(one.rows),
            )
            for kind, of_kind in bins.items()
            for one in of_kind
        ],
        title,
    )
    keys = [
        ("ring" if kind == "before" else "dot", _COLOURS[kind], f"{kind} calibration")
        for kind in bins
    ]
    svg = drawing(name, title, f"{description}.", _BARS_BOTTOM + 20, content)
    return figure(title, svg, legend(keys), data=data, note=note)


def _mark(one: Bin, kind: str, most: int, horizontal: Scale, vertical: Scale) -> list[Html]:
    x, y = horizontal(one.confidence), vertical(one.accuracy)
    low, high = wilson_interval(one.accuracy, one.rows)
    # The area of a mark is about that of its rows.
    colour = _COLOURS[kind]
    return [
        element(
            "line", x1=x, y1=vertical(low), x2=x, y2=vertical(high), class_="error", stroke=colour
        ),
        element(
            "circle",
            cx=x,
            cy=y,
            r=2 + 4 * math.sqrt(one.rows / most),
            class_=f"bin-{kind}",
            fill=colour,
            stroke=colour,
        ),
    ]


def _bars(bins: Sequence[Bin], colour: str, horizontal: Scale) -> list[Html]:
    heights = Scale(0, max(one.rows for one in bins), 0, _BARS_BOTTOM - _BARS_TOP)
    content = [line(_LEFT, _BARS_BOTTOM, _RIGHT, _BARS_BOTTOM, "grid")]
    for one in bins:
        height = max(heights(one.rows), 1.0)
        left, right = horizontal(one.low), horizontal(one.high)
        content.append(
            element(
                "rect", x=left + 1, y=_BARS_BOTTOM - height, width=right - left - 2,
                height=height, fill=colour, class_="bar",
            )
        )  # fmt: skip
    return content
