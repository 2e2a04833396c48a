"""Charts of values with intervals: a dot and a line for each, sorted."""

from collections.abc import Sequence
from dataclasses import dataclass

from ztfrep.report.chart_colours import BASELINE, NEUTRAL, OURS
from ztfrep.report.html_elements import Html, element, table
from ztfrep.report.number_text import MISSING, decimals_of, format_interval, format_number
from ztfrep.report.svg_drawing import (
    GAP,
    LINE,
    WIDTH,
    Scale,
    bottom_axis,
    drawing,
    figure,
    line,
    round_ticks,
    text,
)

_ROW, _TWO_LINES = 22, 36
_LABELS, _NUMBERS = 174, 46
_COLOURS = {"ours": OURS, "baseline": BASELINE, "not shown": NEUTRAL}


@dataclass(frozen=True)
class IntervalRow:
    """A row: its label, its value, the ends of its interval, if there is one, and its kind.

    The kind is a word that says what its colour means: "ours", "baseline" or "not shown".
    """

    label: str
    value: float
    low: float | None
    high: float | None
    kind: str

    @property
    def ends(self) -> tuple[float, float]:
        """The ends of the interval, both the value without one."""
        if self.low is None or self.high is None:
            return self.value, self.value
        return self.low, self.high


def interval_chart(
    name: str,
    title: str,
    rows: Sequence[IntervalRow],
    *,
    quantity: str,
    differences: bool = False,
    lower_is_better: bool = False,
    note: str | None = None,
) -> Html:
    """Draw values with their 95 % intervals, the best at the top.

    With `differences` the labels have a line of their own, and 0 is marked. There is at least one
    row.
    """
    ordered = sorted(rows, key=lambda row: row.value if lower_is_better else -row.value)
    ends = [end for row in ordered for end in row.ends] + ([0.0] if differences else [])
    # The marks differ in position, so the axis need not begin at 0.
    ticks = round_ticks(min(ends), max(ends), 4)
    left = LINE if differences else _LABELS
    scale = Scale(ticks[0], ticks[-1], left + LINE, WIDTH - _NUMBERS - LINE)
    pitch = _TWO_LINES if differences else _ROW
    bottom = GAP + pitch * len(ordered)
    decimals = decimals_of(*ends)
    marks = bottom_axis(scale, ticks, GAP, bottom)
    if differences:
        marks.append(line(scale(0), GAP, scale(0), bottom, "zero"))
    for place, row in enumerate(ordered):
        y = GAP + pitch * place + pitch / 2 + (LINE / 2 if differences else 0)
        marks += _row(row, y, scale, decimals, differences)
    marks.append(
        text((scale.start + scale.end) / 2, bottom + 30, quantity, class_="axis",
             text_anchor="middle")
    )  # fmt: skip
    best = ordered[0]
    description = (
        f"{len(ordered)} rows, the best first: {best.label} "
        f"{format_number(float(best.value), decimals, sign=differences)}. "
        "The dots are values, the lines their 95 % intervals."
    )
    data = table(
        ["", quantity, "95 % interval", "kind"],
        [
            (
                row.label,
                format_number(float(row.value), decimals, sign=differences),
                MISSING if row.low is None else format_interval(*row.ends, decimals),
                row.kind,
            )
            for row in ordered
        ],
        title,
        texts=(3,),
    )
    svg = drawing(name, title, description, bottom + 36, marks)
    return figure(title, svg, data=data, note=note)


def _row(row: IntervalRow, y: float, scale: Scale, decimals: int, differences: bool) -> list[Html]:
    colour = _COLOURS.get(row.kind, NEUTRAL)
    low, high = row.ends
    if differences:
        label = text(2, y - LINE, row.label, class_="label")
    else:
        label = text(_LABELS - GAP, y + 4, row.label, class_="label", text_anchor="end")
    x = scale(row.value)
    if row.kind == "ours":
        mark = element("circle", cx=x, cy=y, r=4.5, fill=colour)
    else:
        # Another shape too: colours are lost in print.
        mark = element("rect", x=x - 4, y=y - 4, width=8, height=8, fill=colour)
    value = format_number(float(row.value), decimals, sign=differences)
    return [
        label,
        element(
            "line", x1=scale(low), y1=y, x2=scale(high), y2=y, class_="interval", stroke=colour
        ),
        mark,
        text(WIDTH - 2, y + 4, value, class_="value", text_anchor="end"),
    ]
