"""Drawings: SVG with a title, a description and axes, and figures with the data as a table."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ztfrep.report.html_elements import Content, Html, details, element
from ztfrep.report.number_text import format_number

# Width of a drawing in its own units. A phone of 360 pixels shows it at 0.9 of them.
WIDTH = 380
# Height of a line of text, and its distance from what it is written beside.
LINE, GAP = 12, 6


@dataclass(frozen=True)
class Scale:
    """A linear or logarithmic scale: values from `low` to `high` are drawn from `start` to `end`.

    The values are positive if it is logarithmic.
    """

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        """Return the position of a value."""
        low, high = self.low, self.high
        if self.logarithmic:
            low, high, value = math.log(low), math.log(high), math.log(value)
        share = (value - low) / (high - low) if high > low else 0.5
        return self.start + share * (self.end - self.start)


def round_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Return about `count` round numbers that enclose the values from `low` to `high`."""
    if high <= low:
        margin = abs(low) * 0.1 or 1.0
        low, high = low - margin, high + margin
    rough = (high - low) / max(count - 1, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [index * step for index in range(first, last + 1)]


def tick_text(value: float, ticks: Sequence[float]) -> str:
    """Return a tick's number with the decimals that tell it from its neighbours."""
    step = min((b - a for a, b in zip(ticks, ticks[1:], strict=False)), default=1.0)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    if round(step, decimals) != round(step, decimals + 3):
        decimals += 1
    return format_number(float(value), decimals)


def text(x: float, y: float, content: str, **attributes: str | float | None) -> Html:
    """Return text at a position of its baseline."""
    return element("text", content, x=x, y=y, **attributes)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Html:
    """Return a line, whose look is that of its class."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def path(points: Sequence[tuple[float, float]], class_: str, colour: str) -> Html:
    """Return a line through points."""
    steps = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return element("polyline", points=steps, class_=class_, stroke=colour)


def bottom_axis(scale: Scale, ticks: Sequence[float], top: float, bottom: float) -> list[Html]:
    """Return the lines and the numbers of an axis at the bottom."""
    return [
        part
        for tick in ticks
        for part in (
            line(scale(tick), top, scale(tick), bottom, "grid"),
            text(
                scale(tick), bottom + LINE + 2, tick_text(tick, ticks),
                class_="tick", text_anchor="middle",
            ),
        )
    ]  # fmt: skip


def left_axis(scale: Scale, ticks: Sequence[float], left: float, right: float) -> list[Html]:
    """Return the lines and the numbers of an axis at the left."""
    return [
        part
        for tick in ticks
        for part in (
            line(left, scale(tick), right, scale(tick), "grid"),
            text(
                left - GAP, scale(tick) + 4, tick_text(tick, ticks),
                class_="tick", text_anchor="end",
            ),
        )
    ]  # fmt: skip


def drawing(
    name: str,
    title: str,
    description: str,
    height: float,
    *content: Content,
    width: float = WIDTH,
) -> Html:
    """Return a drawing; `name` is unique in the page."""
    return element(
        "svg",
        element("title", title, id=f"{name}-title"),
        element("desc", description, id=f"{name}-description"),
        *content,
        viewBox=f"0 0 {width:g} {height:g}",
        role="img",
        aria_labelledby=f"{name}-title {name}-description",
    )


def figure(
    caption: Content, *drawings: Content, data: Html, note: Content = None, wide: bool = False
) -> Html:
    """Return drawings with a caption, a note, and their data as a table on demand."""
    return element(
        "figure",
        element("figcaption", element("strong", caption), " " if note else None, note),
        element("div", *drawings, class_="drawings"),
        details("Data of the chart", data),
        class_="wide" if wide else None,
    )


def legend(entries: Sequence[tuple[str, str, str]]) -> Html:
    """Return a legend of (kind of mark, colour, text) entries.

    A kind is "dot", "ring", "square", or the classes of a line.
    """
    return element(
        "ul",
        (element("li", _key(kind, colour), label) for kind, colour, label in entries),
        class_="legend",
    )


def _key(kind: str, colour: str) -> Html:
    if kind in ("dot", "ring", "square"):
        return element("span", class_=f"key key-{kind}", style=f"--mark: {colour}")
    mark = element("line", x1=0, y1=4, x2=28, y2=4, class_=kind, stroke=colour)
    return element("svg", mark, viewBox="0 0 28 8", aria_hidden="true")
