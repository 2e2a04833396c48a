"""The style of the report: `report.css`, with the colours of the palette as variables."""

from pathlib import Path

from ztfrep.palette import COLOURS, UNLABELLED
from ztfrep.report.html_elements import Html

_PATH = Path(__file__).with_name("report.css")


def style_sheet() -> Html:
    """Return the style sheet."""
    variables = {f"colour-{index}": colour for index, colour in enumerate(COLOURS)}
    variables["unlabelled"] = UNLABELLED
    text = "".join(f"--{name}:{colour};" for name, colour in variables.items())
    return Html(f":root{{{text}}}\n{_PATH.read_text(encoding='utf-8')}")
