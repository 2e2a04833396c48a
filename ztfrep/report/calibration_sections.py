"""Content of sections of calibration: reliability diagrams, errors, prediction sets."""

from collections.abc import Mapping, Sequence
from typing import Any

from ztfrep.report.file_readers import Rows
from ztfrep.report.html_elements import Content, element, table
from ztfrep.report.number_text import format_number
from ztfrep.report.page_sections import paragraph
from ztfrep.report.reliability_chart import Bin, reliability_chart
from ztfrep.report.score_cells import score_cell


def calibration_content(rows: str, plot: Rows, scores: Mapping[str, Any]) -> list[Content]:
    """Return the reliability diagram of alerts or objects, errors, and prediction sets.

    `rows` is their name, `plot` has their bins of confidence, and `scores` are their metrics.
    """
    bins: dict[str, list[Bin]] = {}
    for row in plot:
        low, high, confidence, accuracy, count = (float(row[key]) for key in Bin._fields)
        one = Bin(low, high, confidence, accuracy, int(count))
        if one.rows > 0:
            bins.setdefault(row["label"], []).append(one)
    content: list[Content] = []
    if "before" in bins or "after" in bins:
        title = f"Confidence and accuracy of {rows}"
        note = (
            "Lines are 95 % intervals of the accuracy of a bin; on the diagonal it is calibrated."
        )
        content.append(reliability_chart(f"calibration-{rows}", title, bins, note=note))
    lines = [
        (name, *(score_cell(scores[key], metric) for metric in ("ece", "brier", "temperature")))
        for key, name in (("calibration", "before"), ("calibrated", "after"))
        if key in scores
    ]
    tables: list[Content] = []
    if lines:
        head = ["calibration", "expected error", "Brier score", "temperature"]
        tables.append(table(head, lines, "Errors of the probabilities, 95 % intervals"))
        tables.append(
            paragraph(
                "Resampled rows have a larger expected calibration error than the rows themselves, "
                "so that its interval can be above the value.",
                class_="note",
            )
        )
    sets = scores.get("prediction_sets")
    if sets:
        tables += _prediction_sets(sets)
    content.append(element("div", *tables) if tables else None)
    return [element("div", *content, class_="charts")] if bins or tables else []


def _prediction_sets(sets: Mapping[str, Any]) -> list[Content]:
    stated = sets.get("stated_coverage", 0.9)
    rows: list[Sequence[Content]] = [
        ("all rows", score_cell(sets, "coverage"), score_cell(sets, "mean_size"), None),
        ("mean of the classes", score_cell(sets, "mean_class_coverage"), None, None),
    ]
    for name, part in sets.get("by_class", {}).items():
        rows.append(
            (
                name,
                score_cell(part, "coverage"),
                score_cell(part, "mean_size"),
                format_number(part.get("rows")),
            )
        )
    sentence = (
        f"Prediction sets that should have the class of {stated:.0%} of the rows of each class; "
        f"{sets.get('single', 0):.1%} of them have one class, {sets.get('empty', 0):.1%} none."
    ).replace("%", " %")
    head = ["class", "coverage", "classes in a set", "rows"]
    return [paragraph(sentence), table(head, rows, "Prediction sets, 95 % intervals")]
