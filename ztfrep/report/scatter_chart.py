"""Charts of points of classes on a plane."""

from collections.abc import Sequence

from ztfrep.report.chart_colours import class_colour
from ztfrep.report.html_elements import Html, element, table
from ztfrep.report.number_text import format_count, format_number
from ztfrep.report.svg_drawing import WIDTH, Scale, drawing, figure, legend

# Points of a chart; the page stays small enough to be sent.
MAX_POINTS = 2000
_HEIGHT, _MARGIN = 320, 10
Point = tuple[float, float, str]


def scatter_chart(
    name: str, title: str, points: Sequence[Point], classes: list[str], *, note: str
) -> Html:
    """Draw points (x, y, class), at least one; `classes` are those with a colour, in order.

    Of more than MAX_POINTS some are drawn, evenly spaced in their order.
    """
    if len(points) > MAX_POINTS:
        step = len(points) / MAX_POINTS
        note += f" {MAX_POINTS:,} of {len(points):,} points are drawn."
        points = [points[int(index * step)] for index in range(MAX_POINTS)]
    horizontal, vertical = _scales(points)
    labels = sorted({label for *_, label in points}, key=lambda label: _order(label, classes))
    content = [
        element("rect", x=0.5, y=0.5, width=WIDTH - 1.0, height=_HEIGHT - 1.0, class_="plane")
    ]
    for label in labels:
        # A line of no length with round ends is a dot.
        dots = "".join(
            f"M{horizontal(x):.1f} {vertical(y):.1f}h0" for x, y, own in points if own == label
        )
        content.append(element("path", d=dots, class_="dots", stroke=class_colour(label, classes)))
    counts = {label: sum(own == label for *_, own in points) for label in labels}
    description = f"{format_count(len(points))} points: " + ", ".join(
        f"{format_count(count)} {label}" for label, count in counts.items()
    )
    data = table(
        ["class", "x", "y"],
        [(label, format_number(x, 2), format_number(y, 2)) for x, y, label in points],
        title,
    )
    keys = [
        ("dot", class_colour(label, classes), f"{label} ({format_count(count)})")
        for label, count in counts.items()
    ]
    svg = drawing(name, title, f"{description}.", _HEIGHT, content)
    return figure(title, svg, legend(keys), data=data, note=note)


def _scales(points: Sequence[Point]) -> tuple[Scale, Scale]:
    """Return scales with the same unit for both directions."""
    xs, ys = [x for x, *_ in points], [y for _, y, _ in points]
    width, height = WIDTH - 2 * _MARGIN, _HEIGHT - 2 * _MARGIN
    unit = max((max(xs) - min(xs)) / width, (max(ys) - min(ys)) / height) or 1.0
    x, y = (max(xs) + min(xs)) / 2, (max(ys) + min(ys)) / 2
    return (
        Scale(x - unit * width / 2, x + unit * width / 2, _MARGIN, WIDTH - _MARGIN),
        Scale(y - unit * height / 2, y + unit * height / 2, _HEIGHT - _MARGIN, _MARGIN),
    )


def _order(label: str, classes: list[str]) -> tuple[int, str]:
    return (classes.index(label) if label in classes else len(classes), label)
