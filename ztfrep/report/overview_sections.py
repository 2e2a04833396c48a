"""The sections at the top and at the end: what was run, the key numbers, all numbers."""

from collections.abc import Iterable, Mapping
from typing import Any

from ztfrep.report.caveats import SOURCES, list_caveats
from ztfrep.report.classification_sections import ALERTS, OBJECTS, Rows, methods_of
from ztfrep.report.flat_tables import flatten, without_ends
from ztfrep.report.html_elements import Content, bullets, details, element, table
from ztfrep.report.method_names import is_baseline, method_title, table_title
from ztfrep.report.number_text import (
    MISSING,
    decimals_of,
    format_count,
    format_interval,
    format_number,
    format_score,
    words_of,
)
from ztfrep.report.page_sections import Section, paragraph
from ztfrep.report.run_files import NETWORKS, Run

_SPLITS = (
    ("Alerts", "stamps.json", "stamps_validation.json"),
    ("Objects", "series.json", "series_validation.json"),
)


def facts(run: Run) -> Content:
    """Return what was run as a list of names and values."""
    cards = [run.cards[name] for name in NETWORKS if name in run.cards]
    names = [
        ("Source", f"{run.source}: {SOURCES.get(run.source, 'alerts')}"),
        *((network.capitalize(), _network(run, network)) for network in NETWORKS),
        (
            "Test rows",
            ", ".join(
                f"{format_count(count)} {rows.name}"
                for rows in (ALERTS, OBJECTS)
                if isinstance(count := run.scores(rows.file).get(rows.name), int)
            ),
        ),
        ("Seed, threads, precision", ", ".join(str(run.params.get(key, MISSING)) for key in (
            "seed", "threads", "precision"))),
        ("Versions", _versions(cards)),
    ]  # fmt: skip
    return element(
        "dl",
        (
            element("div", element("dt", name), element("dd", value))
            for name, value in names
            if value
        ),
        class_="facts",
    )


def _network(run: Run, network: str) -> str:
    table = run.params.get(network)
    parts = [str(table.get("architecture", ""))] if isinstance(table, Mapping) else []
    metrics = run.scores(f"{network}/metrics.json")
    if "best_epoch" in metrics and "epochs" in metrics:
        parts.append(f"epoch {metrics['best_epoch']} of {metrics['epochs']}")
    start = run.cards.get(network, {}).get("start_weights")
    if start not in (None, "data/none"):
        parts.append(f"started from {start}")
    return ", ".join(parts)


def _versions(cards: Iterable[Mapping[str, Any]]) -> str:
    versions = {
        f"{package} {card[package]}": None
        for card in cards
        for package in ("ztfrep", "torch")
        if package in card
    }
    return ", ".join(versions)


def caveat_section(run: Run) -> Section:
    """Return the section of what the figures cannot show."""
    return Section("What these figures cannot show", [bullets(list_caveats(run), class_="caveats")])


def key_section(run: Run) -> Section:
    """Return the section of the numbers that matter most, as cards."""
    cards = [card for card in _cards(run) if card is not None]
    if not cards:
        return Section("Key numbers", [paragraph("No score was computed in this run.")])
    return Section("Key numbers", [element("ul", cards, class_="cards")])


def _cards(run: Run) -> Iterable[Content]:
    alerts, objects = run.scores("stamps.json"), run.scores("series.json")
    yield _class_card(alerts, ALERTS, "Classes of alerts")
    yield _class_card(objects, OBJECTS, "Classes of objects")
    if "reconstruction" in alerts:
        yield _card(
            "Reconstruction",
            alerts["reconstruction"],
            "mse",
            "MSE of scaled pixels",
            f"PCA {format_score(alerts.get('pca_reconstruction', {}), 'mse')}",
        )
    forecast = objects.get("forecast_magnitude", {})
    if "network" in forecast:
        error = "mean_absolute_error"
        other = f"last magnitude {format_score(forecast.get('last_detection', {}), error)}"
        yield _card("Forecast", forecast["network"], error, "mean absolute error, mag", other)
    for scores, rows in ((alerts, "alerts"), (objects, "objects")):
        if "calibrated" in scores:
            before = format_number(scores.get("calibration", {}).get("ece"))
            # Without its interval, which may be above it: resampled rows have a larger error.
            value = {"ece": scores["calibrated"].get("ece")}
            other = f"before calibration {before}"
            yield _card(f"Calibration of {rows}", value, "ece", "error of the confidence", other)
    for scores, rows in ((alerts, "alerts"), (objects, "objects")):
        if "retrieval" in scores:
            anomalies = format_score(scores.get("anomaly_detection", {}), "auroc_mean")
            yield _card(
                f"Search by {rows}",
                scores["retrieval"],
                "precision_at_10",
                "precision at 10",
                f"anomalies: AUROC {anomalies}",
            )


def _class_card(scores: Mapping[str, Any], rows: Rows, title: str) -> Content:
    methods = methods_of(scores)
    if rows.network not in methods:
        return None
    metric = "balanced_accuracy"
    baselines = {name: part[metric] for name, part in methods.items() if is_baseline(name)}
    best = max(baselines, key=lambda name: baselines[name], default=None)
    other = (
        f"best baseline {format_score(methods[best], metric)}: {method_title(best)}"
        if best
        else None
    )
    return _card(title, methods[rows.network], metric, "balanced accuracy", other)


def _card(
    title: str, scores: Mapping[str, Any], metric: str, quantity: str, other: Content
) -> Content:
    if metric not in scores:
        return None
    value, low, high = (scores.get(f"{metric}{end}") for end in ("", "_low", "_high"))
    decimals = decimals_of(*(float(v) for v in (value, low, high) if v is not None))
    interval = (
        element("p", format_interval(low, high, decimals), class_="interval-text")
        if low is not None and high is not None
        else None
    )
    return element(
        "li",
        element("h3", title),
        element("p", format_number(value, decimals), class_="big"),
        interval,
        element("p", quantity, class_="quantity"),
        element("p", other, class_="other") if other else None,
    )


def number_section(run: Run) -> Section:
    """Return the section of every number of the metrics, on test and validation rows."""
    content: list[Content] = [
        paragraph("Every number of the files of metrics. Those of validation are to choose by.")
    ]
    for title, test, validation in _SPLITS:
        if run.scores(test) or run.scores(validation):
            content.append(_both(title, run.scores(test), run.scores(validation)))
    for name in ("autoencoder/metrics.json", "recurrent/metrics.json", "data.json"):
        flat = flatten(run.scores(name))
        if flat:
            rows = [(_title(key), format_number(value)) for key, value in flat.items()]
            content.append(details(f"metrics/{name}", table(["", "value"], rows, name)))
    return Section("All numbers", content)


def _both(title: str, test: Mapping[str, Any], validation: Mapping[str, Any]) -> Content:
    parts = [flatten(test), flatten(validation)]
    keys = dict.fromkeys(key for part in parts for key in without_ends(part))
    rows = [(_title(key), *(format_score(part, key) for part in parts)) for key in keys]
    head = ["", "test (95 % interval)", "validation (95 % interval)"]
    return details(f"{title}: {len(keys)} numbers", table(head, rows, f"All numbers of {title}"))


def _title(key: str) -> str:
    *tables, last = key.split(".")
    return ", ".join([*map(table_title, tables), words_of(last)])
