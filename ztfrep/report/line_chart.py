"""Charts of lines: curves of training, and scores over the number of detections."""

from collections.abc import Sequence
from dataclasses import dataclass

from ztfrep.report.html_elements import Html, element
from ztfrep.report.svg_drawing import (
    GAP,
    Scale,
    bottom_axis,
    drawing,
    left_axis,
    line,
    path,
    round_ticks,
    text,
)

_LEFT = 46


@dataclass(frozen=True)
class LineSeries:
    """A line: its label, its colour, its points (x, y), and their intervals, if there are any.

    `dash` is the number of a pattern, 0 for none: lines differ without colours too.
    """

    label: str
    colour: str
    points: Sequence[tuple[float, float]]
    intervals: Sequence[tuple[float, float]] = ()
    dash: int = 0

    @property
    def classes(self) -> str:
        """The classes of the line, which are those of its mark in a legend."""
        return f"curve dash-{(self.dash - 1) % 5 + 1}" if self.dash else "curve"


def line_chart(
    name: str,
    title: str,
    lines: Sequence[LineSeries],
    *,
    across: str,
    marked: float | None = None,
    logarithmic: bool = False,
    width: float = 380,
    height: float = 230,
) -> Html:
    """Draw lines, of which one at least has a point; `across` names the horizontal axis.

    `marked` is a place on that axis with a line of its own. A logarithmic axis has a number for
    each point.
    """
    across_values = sorted({x for series in lines for x, _ in series.points})
    values = [y for series in lines for _, y in series.points]
    values += [end for series in lines for pair in series.intervals for end in pair]
    ticks = round_ticks(min(values), max(values), 4)
    bottom = height - 34
    vertical = Scale(ticks[0], ticks[-1], bottom, GAP + 6)
    ends = (across_values[0], across_values[-1])
    horizontal = Scale(*ends, _LEFT + 8, width - 12, logarithmic)
    if logarithmic:
        x_ticks = across_values
    else:
        x_ticks = [t for t in round_ticks(*ends, 5) if ends[0] <= t <= ends[1] and t == int(t)]
    content = left_axis(vertical, ticks, _LEFT, width - 4)
    content += bottom_axis(horizontal, x_ticks or across_values[:1], bottom, bottom)
    if marked is not None:
        content.append(line(horizontal(marked), GAP, horizontal(marked), bottom, "marked"))
    for series in lines:
        content += _series(series, horizontal, vertical, with_marks=len(across_values) <= 12)
    content.append(
        text((_LEFT + width) / 2, height - 4, across, class_="axis", text_anchor="middle")
    )
    return drawing(name, title, _describe(lines, across), height, content, width=width)


def _series(
    series: LineSeries, horizontal: Scale, vertical: Scale, *, with_marks: bool
) -> list[Html]:
    content = []
    points = [(horizontal(x), vertical(y)) for x, y in series.points]
    if series.intervals:
        ends = list(zip(points, series.intervals, strict=True))
        outline = [(x, vertical(high)) for (x, _), (_, high) in ends]
        outline += [(x, vertical(low)) for (x, _), (low, _) in reversed(ends)]
        corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in outline)
        content.append(element("polygon", points=corners, class_="band", fill=series.colour))
    content.append(path(points, series.classes, series.colour))
    if with_marks:
        content += [element("circle", cx=x, cy=y, r=2.5, fill=series.colour) for x, y in points]
    return content


def _describe(lines: Sequence[LineSeries], across: str) -> str:
    parts = []
    for series in lines:
        (first_x, first), (last_x, last) = series.points[0], series.points[-1]
        parts.append(
            f"{series.label}: {first:.3g} at {across} {first_x:g}, {last:.3g} at {last_x:g}"
        )
    return "; ".join(parts) + "."
