"""Sections of classification: methods, paired differences, confusion, calibration."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from ztfrep.report.calibration_sections import calibration_content
from ztfrep.report.caveats import FEW_ROWS, rows_of_classes
from ztfrep.report.chart_colours import BASELINE, NEUTRAL, OURS
from ztfrep.report.html_elements import Content, element, table
from ztfrep.report.interval_chart import IntervalRow, interval_chart
from ztfrep.report.matrix_chart import count_confusions, matrix_chart
from ztfrep.report.method_names import method_title, pair_title
from ztfrep.report.method_rows import method_rows
from ztfrep.report.number_text import (
    format_count,
    format_number,
    format_score,
    plural,
    words_of,
)
from ztfrep.report.page_sections import Section, not_evaluated, paragraph
from ztfrep.report.run_files import Run
from ztfrep.report.svg_drawing import legend

METRICS = ("balanced_accuracy", "macro_f1")


class Rows(NamedTuple):
    """Alerts or objects: their name, their file of metrics, the plot of confusions, the network."""

    name: str
    file: str
    confusions: str
    network: str


ALERTS = Rows("alerts", "stamps.json", "classifier_head", "classifier_head")
OBJECTS = Rows("objects", "series.json", "recurrent", "network")


def methods_of(scores: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the scores of the classifiers in a file of metrics, by method."""
    return {
        name: part
        for name, part in scores.items()
        if isinstance(part, Mapping) and METRICS[0] in part
    }


def classification_sections(run: Run, rows: Rows) -> list[Section]:
    """Return the sections of the classification of alerts or objects."""
    scores = run.scores(rows.file)
    methods = methods_of(scores)
    if not methods:
        why = "There is no labelled test row, or no class to learn from."
        return [Section("Classes", [not_evaluated(f"the classes of {rows.name}", why)])]
    parts = [
        Section("Ours beside the baselines", _methods(rows, methods, scores.get(rows.name))),
        Section("Paired differences", _differences(rows, scores.get("paired_differences", {}))),
        Section("Confusion and recall", _confusion(run, rows, scores)),
        Section(
            "Calibration",
            calibration_content(rows.name, run.plots.get(f"calibration_{rows.name}", []), scores),
        ),
    ]
    return [part for part in parts if part]


def _methods(
    rows: Rows, methods: Mapping[str, Mapping[str, Any]], count: int | None
) -> list[Content]:
    charts = []
    for metric in METRICS:
        lines = method_rows(methods, metric)
        if lines:
            quantity = words_of(metric)
            title = f"{quantity[0].upper()}{quantity[1:]} of {rows.name}"
            charts.append(
                interval_chart(f"methods-{rows.name}-{metric}", title, lines, quantity=quantity)
            )
    number = f"{format_count(count)} " if isinstance(count, int) else ""
    keys = [("dot", OURS, "ours"), ("square", BASELINE, "baseline")]
    return [
        paragraph(
            f"Scores of {number}labelled test {rows.name}, with 95 % intervals. Two intervals that "
            "overlap do not say that two methods are equal: the paired differences below do."
        ),
        legend(keys),
        element("div", *charts, class_="charts"),
    ]


def verdict(low: float | None, high: float | None) -> str:
    """Return in words what the interval of a difference shows, where positive is better."""
    if low is None or high is None:
        return "no interval"
    if low > 0:
        return "better: shown"
    return "worse: shown" if high < 0 else "not shown"


def difference_chart(
    name: str, title: str, differences: Mapping[str, Mapping[str, Any]], metric: str, quantity: str
) -> Content:
    """Return a chart of paired differences of one metric, None without any."""
    lines = []
    for pair, part in differences.items():
        if metric in part:
            low, high = part.get(f"{metric}_low"), part.get(f"{metric}_high")
            kind = "not shown" if verdict(low, high) in ("not shown", "no interval") else "ours"
            lines.append(IntervalRow(pair_title(pair), part[metric], low, high, kind))
    if not lines:
        return None
    return interval_chart(name, title, lines, quantity=quantity, differences=True)


def _differences(rows: Rows, differences: Mapping[str, Mapping[str, Any]]) -> list[Content]:
    pairs = {pair: part for pair, part in differences.items() if METRICS[0] in part}
    if not pairs:
        return []
    charts = [
        difference_chart(
            f"pairs-{rows.name}-{metric}",
            f"Differences in {words_of(metric)}",
            pairs,
            metric,
            f"difference in {words_of(metric)}",
        )
        for metric in METRICS
    ]
    sentences = [
        element(
            "li", element("strong", pair_title(pair)), ": ",
            "; ".join(f"{words_of(m)} {_in_words(part, m)}" for m in METRICS if m in part), ".",
        )
        for pair, part in pairs.items()
    ]  # fmt: skip
    keys = [("dot", OURS, "shown: 0 is outside"), ("square", NEUTRAL, "not shown: 0 is inside")]
    return [
        paragraph(
            "Differences on the same rows. A difference is shown if 0 is outside its 95 % interval."
        ),
        element("ul", *sentences, class_="sentences"),
        legend(keys),
        element("div", *charts, class_="charts"),
    ]


def _in_words(part: Mapping[str, Any], metric: str) -> str:
    words = verdict(part.get(f"{metric}_low"), part.get(f"{metric}_high"))
    score = format_score(part, metric, sign=True)
    if words == "not shown":
        return f"{score}, no difference shown"
    return f"{score}, {words}"


def _confusion(run: Run, rows: Rows, scores: Mapping[str, Any]) -> list[Content]:
    pairs = [(row["actual"], row["predicted"]) for row in run.plots.get(rows.confusions, [])]
    recall = scores.get(rows.network, {}).get("recall", {})
    if not pairs:
        return []
    classes = class_order(run, rows)
    counts = count_confusions(pairs, classes)
    title = (
        f"{method_title(rows.network).capitalize()}: {plural(len(pairs), f'test {rows.name[:-1]}')}"
    )
    note = "Counts, and shares of the rows of the actual class."
    matrix = matrix_chart(f"confusion-{rows.name}", title, counts, classes, note=note)
    lines: list[tuple[str, ...]] = []
    for name, count in rows_of_classes(run, rows.name).items():
        value = recall.get(name)
        remark = "no rows" if not count else "few rows" if count < FEW_ROWS else ""
        lines.append((name, format_number(value if count else None), format_count(count), remark))
    head = ["class", "recall", "test rows", "remark"]
    if not any(remark for *_, remark in lines):
        head, lines = head[:3], [line[:3] for line in lines]
    by_class = table(head, lines, f"Recall of {rows.name}", texts=(3,))
    return [element("div", matrix, by_class, class_="charts")]


def class_order(run: Run, rows: Rows) -> list[str]:
    """Return the classes of alerts or objects in the order of the network, then any others."""
    network = {"alerts": "autoencoder", "objects": "recurrent"}[rows.name]
    own = [str(name) for name in run.cards.get(network, {}).get("classes", [])]
    other = run.cards.get("autoencoder", {}).get("classes", [])
    seen = {row["actual"] for row in run.plots.get(rows.confusions, [])}
    seen |= {row["predicted"] for row in run.plots.get(rows.confusions, [])}
    # Without a card the order is that of all classes where they are known, then that of the names.
    known = own or [str(name) for name in other if name in seen]
    return list(dict.fromkeys([*known, *sorted(seen)]))
