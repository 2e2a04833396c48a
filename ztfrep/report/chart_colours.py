"""The colours of the report, as names of variables of its style sheet; see `page_style`."""

from ztfrep.palette import COLOURS

OURS, BASELINE = "var(--colour-0)", "var(--colour-1)"
NEUTRAL = "var(--unlabelled)"


def series_colour(index: int) -> str:
    """Return the colour of a line, or of a class by its index; colours repeat after seven."""
    return f"var(--colour-{index % len(COLOURS)})"


def class_colour(name: str, classes: list[str]) -> str:
    """Return the colour of a class by its place among all; grey for a name that is none."""
    return series_colour(classes.index(name)) if name in classes else NEUTRAL
