"""Sections of series alone: classification after the first detections, forecasts of magnitudes."""

import re
from collections.abc import Mapping
from typing import Any

from ztfrep.report.chart_colours import series_colour
from ztfrep.report.classification_sections import METRICS, difference_chart, methods_of, verdict
from ztfrep.report.html_elements import Content, element, table
from ztfrep.report.interval_chart import interval_chart
from ztfrep.report.line_chart import LineSeries, line_chart
from ztfrep.report.method_names import method_title
from ztfrep.report.method_rows import method_rows
from ztfrep.report.number_text import format_score, words_of
from ztfrep.report.page_sections import Section, not_evaluated, paragraph
from ztfrep.report.run_files import Run
from ztfrep.report.svg_drawing import figure, legend

_ERROR = "mean_absolute_error"


def series_sections(run: Run) -> list[Section]:
    """Return the sections of early classification and of forecasts."""
    scores = run.scores("series.json")
    return [
        Section("Early classification", _early(_by_count(scores))),
        Section("Forecast", _forecast(scores.get("forecast_magnitude"))),
    ]


def _by_count(scores: Mapping[str, Any]) -> dict[int, Mapping[str, Any]]:
    found = {}
    for key, part in scores.get("early_classification", {}).items():
        number = re.fullmatch(r"after_(\d{1,6})", key)
        if number and isinstance(part, Mapping) and methods_of(part):
            found[int(number[1])] = part
    return dict(sorted(found.items()))


def _early(by_count: Mapping[int, Mapping[str, Any]]) -> list[Content]:
    if not by_count:
        why = "It takes labelled test objects and a trained network."
        return [not_evaluated("classification after the first detections", why)]
    methods = list(methods_of(next(iter(by_count.values()))))
    keys = [
        (LineSeries("", "", [], dash=place).classes, series_colour(place), method_title(method))
        for place, method in enumerate(methods)
    ]
    charts = [_early_chart(by_count, methods, metric) for metric in METRICS]
    return [
        paragraph(
            "Each object is classified by its observations until its first, second, ... detection; "
            "one with fewer by all that it has, so that all points are of the same objects. The "
            "band is the network's 95 % interval."
        ),
        legend(keys),
        element("div", *charts, class_="charts"),
        paragraph(_early_in_words(by_count)),
    ]


def _early_chart(
    by_count: Mapping[int, Mapping[str, Any]], methods: list[str], metric: str
) -> Content:
    lines = []
    for place, method in enumerate(methods):
        scored = {n: part[method] for n, part in by_count.items() if metric in part.get(method, {})}
        if scored:
            ends = (f"{metric}_low", f"{metric}_high")
            has_ends = all(end in part for part in scored.values() for end in ends)
            lines.append(
                LineSeries(
                    method_title(method),
                    series_colour(place),
                    [(float(count), part[metric]) for count, part in scored.items()],
                    [(part[ends[0]], part[ends[1]]) for part in scored.values()]
                    if has_ends and not place
                    else (),
                    dash=place,
                )
            )
    quantity = words_of(metric)
    title = f"{quantity[0].upper()}{quantity[1:]} after n detections"
    svg = line_chart(
        f"early-{metric}", title, lines, across="detections", logarithmic=True, height=250
    )
    rows = [
        (str(count), *(format_score(part.get(method, {}), metric) for method in methods))
        for count, part in by_count.items()
    ]
    head = ["detections", *map(method_title, methods)]
    return figure(title, svg, data=table(head, rows, title))


def _early_in_words(by_count: Mapping[int, Mapping[str, Any]]) -> str:
    """Return after how many detections the network is shown to be better than each baseline."""
    shown: dict[str, list[str]] = {}
    for count, part in by_count.items():
        for pair, scores in part.get("paired_differences", {}).items():
            counts = shown.setdefault(pair.partition("_minus_")[2], [])
            ends = (scores.get(f"{METRICS[0]}{end}") for end in ("_low", "_high"))
            if verdict(*ends) == "better: shown":
                counts.append(str(count))
    if not shown:
        return ""
    return (
        "Paired differences of the balanced accuracy show the network to be better than the "
        + "; than the ".join(
            f"{method_title(baseline)} after {', '.join(counts) or 'no number of'} "
            f"detection{'' if counts == ['1'] else 's'}"
            for baseline, counts in shown.items()
        )
        + "."
    )


def _forecast(forecast: Mapping[str, Any] | None) -> list[Content]:
    if not forecast:
        why = "It takes series with times and magnitudes, and a network with a forecast."
        return [not_evaluated("the forecast of the next magnitude", why)]
    rows = method_rows(forecast, _ERROR)
    quantity = "mean absolute error, mag"
    charts = [
        interval_chart(
            "forecast", "Error of the next magnitude", rows, quantity=quantity,
            lower_is_better=True,
        ) if rows else None,
        difference_chart(
            "pairs-forecast", "Differences of the errors", _reversed(forecast), _ERROR,
            "error of the baseline minus ours, mag",
        ),
    ]  # fmt: skip
    return [
        paragraph(
            "Every detection but an object's first is forecast from its time and filter and from "
            "the observations before. Objects are drawn again as a whole for the intervals."
        ),
        element("div", *charts, class_="charts"),
    ]


def _reversed(forecast: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the paired differences with the other sign: positive is better."""
    found = {}
    for pair, part in forecast.get("paired_differences", {}).items():
        if {_ERROR, f"{_ERROR}_low", f"{_ERROR}_high"} <= set(part):
            method, _, baseline = pair.partition("_minus_")
            found[f"{baseline}_minus_{method}"] = {
                _ERROR: -part[_ERROR],
                f"{_ERROR}_low": -part[f"{_ERROR}_high"],
                f"{_ERROR}_high": -part[f"{_ERROR}_low"],
            }
    return found
