"""Cells of tables with a score, and its interval below it."""

from collections.abc import Mapping
from typing import Any

from ztfrep.report.html_elements import Html, element, join
from ztfrep.report.number_text import MISSING, decimals_of, format_interval, format_number


def score_cell(scores: Mapping[str, Any], name: str, decimals: int | None = None) -> Html:
    """Return a score, and its 95 % interval if `name_low` and `name_high` exist."""
    value, low, high = (scores.get(f"{name}{end}") for end in ("", "_low", "_high"))
    if value is None:
        return join(MISSING)
    if low is None or high is None:
        return join(format_number(value, decimals))
    places = decimals_of(value, low, high) if decimals is None else decimals
    return join(
        format_number(float(value), places),
        element("span", format_interval(low, high, places), class_="ends"),
    )
