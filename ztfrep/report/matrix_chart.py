"""Charts of confusion matrices: counts, and shares of the rows of a class as shades."""

from collections.abc import Sequence

from ztfrep.report.chart_colours import OURS
from ztfrep.report.html_elements import Html, element, table
from ztfrep.report.number_text import format_count, format_number
from ztfrep.report.svg_drawing import WIDTH, drawing, figure, text

_LEFT, _TOP = 82, 40
# The darkest shade, on which dark text is legible on a light page, and light text on a dark one.
_DARKEST = 0.68


def count_confusions(pairs: Sequence[tuple[str, str]], classes: Sequence[str]) -> list[list[int]]:
    """Count pairs of an actual and a predicted class: a row per actual class."""
    index = {name: place for place, name in enumerate(classes)}
    counts = [[0] * len(classes) for _ in classes]
    for actual, predicted in pairs:
        counts[index[actual]][index[predicted]] += 1
    return counts


def matrix_chart(
    name: str, title: str, counts: Sequence[Sequence[int]], classes: Sequence[str], *, note: str
) -> Html:
    """Draw a confusion matrix: a row per actual class with its counts and their shares."""
    size = (WIDTH - _LEFT) / len(classes)
    height = min(size, 46)
    content = [
        text(_LEFT + (WIDTH - _LEFT) / 2, 12, "predicted", class_="axis", text_anchor="middle"),
        text(2, _TOP - 8, "actual", class_="axis"),
    ]
    for place, label in enumerate(classes):
        x, y = _LEFT + size * (place + 0.5), _TOP + height * (place + 0.5)
        content.append(text(x, _TOP - 8, _short(label, size), class_="label", text_anchor="middle"))
        content.append(text(2, y + 4, _short(label, _LEFT), class_="label"))
    for row, of_class in enumerate(counts):
        for column, count in enumerate(of_class):
            share = count / max(sum(of_class), 1)
            content += _cell(_LEFT + size * column, _TOP + height * row, size, height, count, share)
    right = sum(counts[place][place] for place in range(len(classes)))
    total = sum(map(sum, counts))
    description = (
        f"{format_count(right)} of {format_count(total)} rows are on the diagonal, where the "
        "predicted class is the actual one. Recall: "
        + ", ".join(
            f"{label} {_percent(of_class[place] / max(sum(of_class), 1))}"
            for place, (label, of_class) in enumerate(zip(classes, counts, strict=True))
        )
        + "."
    )
    data = table(
        ["actual", *(f"predicted {label}" for label in classes), "rows", "recall"],
        [
            (
                label,
                *map(format_count, of_class),
                format_count(sum(of_class)),
                format_number(of_class[place] / sum(of_class)) if sum(of_class) else None,
            )
            for place, (label, of_class) in enumerate(zip(classes, counts, strict=True))
        ],
        title,
    )
    svg = drawing(name, title, description, _TOP + height * len(classes) + 2, content)
    return figure(title, svg, data=data, note=note)


def _cell(x: float, y: float, width: float, height: float, count: int, share: float) -> list[Html]:
    shade = element(
        "rect", x=x + 1, y=y + 1, width=width - 2, height=height - 2, rx=2, fill=OURS,
        fill_opacity=0.03 + _DARKEST * share,
    )  # fmt: skip
    middle = x + width / 2
    class_ = "value" if count else "tick"
    parts = [shade, text(middle, y + height / 2 - 1, format_count(count), class_=class_,
                         text_anchor="middle")]  # fmt: skip
    if count:
        parts.append(
            text(middle, y + height / 2 + 12, _percent(share), class_="share", text_anchor="middle")
        )
    return parts


def _percent(share: float) -> str:
    return "< 1 %" if 0 < share < 0.005 else f"{100 * share:.0f} %"


def _short(label: str, width: float) -> str:
    """Return the part of a label that a width has room for."""
    length = max(int(width / 6.4), 3)
    return label if len(label) <= length else f"{label[: length - 1]}…"
