"""Sections of vectors: retrieval, clusters, anomalies, maps; and of reconstructions."""

import base64
from collections.abc import Mapping
from typing import Any

from ztfrep.report.classification_sections import Rows, class_order, difference_chart
from ztfrep.report.html_elements import Content, element, table
from ztfrep.report.method_names import method_title
from ztfrep.report.number_text import decimals_of, format_number, words_of
from ztfrep.report.page_sections import Section, not_evaluated, paragraph
from ztfrep.report.run_files import Run
from ztfrep.report.scatter_chart import scatter_chart
from ztfrep.report.score_cells import score_cell

_MAPS = {"pca": "PCA", "tsne": "t-SNE"}
_RECONSTRUCTIONS = (
    "reconstruction",
    "denoised",
    "reconstruction_without_orientation",
    "pca_reconstruction",
)
RECONSTRUCTION_PICTURE = "stamps/reconstruction.png"
_ALT_TEXTS = {
    RECONSTRUCTION_PICTURE: "Test alerts of each class, one a row: science, template and "
    "difference stamp, each beside what the network makes of its vector and the difference of the "
    "two in units of the noise; and the light curve of its object where there is one.",
}
# Bytes of the pictures of a section, of which there are two; base64 takes a third more.
MAX_PICTURE_BYTES = 1_300_000


def vector_sections(run: Run, rows: Rows) -> list[Section]:
    """Return the sections of what vectors can do without a classifier, and of their maps."""
    scores = run.scores(rows.file)
    parts = [
        Section("Search, clusters, anomalies", _tasks(rows, scores)),
        Section("Maps of the vectors", _maps(run, rows)),
    ]
    return [part for part in parts if part]


def _tasks(rows: Rows, scores: Mapping[str, Any]) -> list[Content]:
    tables: list[Content] = []
    simple = [
        (words_of(key), score_cell(scores[task], key))
        for task in ("retrieval", "clustering")
        for key in scores.get(task, {})
        if not key.endswith(("_low", "_high"))
    ]
    if simple:
        head = ["", "score"]
        tables.append(table(head, simple, f"Search and clusters of {rows.name}"))
    anomalies = scores.get("anomaly_detection", {})
    if anomalies:
        names = [
            key.removeprefix("auroc_")
            for key in anomalies
            if key.startswith("auroc_") and not key.endswith(("_low", "_high"))
        ]
        tops = [10, 50, 100]
        lines = [
            (
                "mean of the classes" if name == "mean" else name,
                score_cell(anomalies, f"auroc_{name}"),
                *(format_number(anomalies.get(f"top_{top}_{name}"), 2) for top in tops),
            )
            for name in names
        ]
        head = ["class left out", "AUROC", *(f"top {top}" for top in tops)]
        tables.append(table(head, lines, f"A class as an anomaly among {rows.name}"))
    if not tables:
        why = "It takes labelled train and test rows of two classes."
        return [not_evaluated(f"search, clusters and anomalies of {rows.name}", why)]
    explanation = (
        "Search: the share of an alert's ten nearest train rows that have its class, and mean "
        "average precision. Clusters: agreement with the classes. Anomalies: each class in turn is "
        "left out of training, and detected by its distance to the others; top 10 is the share of "
        "that class among the ten strangest rows. With 95 % intervals."
    )
    if rows.name == "objects":
        explanation = explanation.replace("an alert's", "an object's")
    return [paragraph(explanation), element("div", *tables, class_="charts")]


def _maps(run: Run, rows: Rows) -> list[Content]:
    charts: list[Content] = []
    classes = class_order(run, rows)
    for method, title in _MAPS.items():
        plot = run.plots.get(f"{rows.name}_{method}", [])
        points = [(float(row["x"]), float(row["y"]), row["label"]) for row in plot]
        if points:
            note = {
                "pca": "The two directions of the largest variance: distances have a meaning, as "
                "far as two directions show them.",
                "tsne": "Only nearness has a meaning: neither distances between groups nor their "
                "sizes have one.",
            }[method]
            charts.append(
                scatter_chart(
                    f"map-{rows.name}-{method}",
                    f"{title} of the vectors of test {rows.name}",
                    points,
                    classes,
                    note=note,
                )
            )
    return [element("div", *charts, class_="charts")] if charts else []


def reconstruction_section(run: Run) -> Section:
    """Return the section of reconstructions and their baseline, in numbers and pictures."""
    scores = run.scores("stamps.json")
    present = [name for name in _RECONSTRUCTIONS if name in scores]
    if not present:
        why = "There are no errors of reconstructions in metrics/stamps.json."
        return Section("Reconstructions", [not_evaluated("reconstructions", why)])
    errors = [scores[name].get(f"mse{end}", 0.0) for name in present for end in ("", "_low")]
    decimals = max(map(decimals_of, errors))
    lines = [
        (
            method_title(name),
            score_cell(scores[name], "mse", decimals),
            *(format_number(scores[name].get(key), 1) for key in _psnr_keys(scores[name])),
        )
        for name in present
    ]
    channels = [key.removeprefix("psnr").replace("_", " ").strip() for key in _psnr_keys(
        scores[present[0]])]  # fmt: skip
    head = ["", "MSE", *(f"PSNR {channel}".strip() for channel in channels)]
    caption = "Errors over observed pixels, scaled to 0 to 1; PSNR in dB"
    chart = difference_chart(
        "pairs-reconstruction",
        "Reduction of the MSE",
        scores.get("paired_differences", {}),
        "mse_reduction",
        "MSE of the PCA minus that of the method",
    )
    explanation = paragraph(
        "The PCA of the pixels has as many components as the vector has numbers. A method whose "
        "reduction is positive, with 0 outside the interval, reconstructs better than the PCA."
    )
    content = [
        explanation,
        table(head, lines, caption),
        element("div", chart, *_magnitudes(scores), class_="charts"),
    ]
    own = {n: data for n, data in run.pictures.items() if n == RECONSTRUCTION_PICTURE}
    return Section("Reconstructions", [*content, *_pictures(own)])


def _psnr_keys(scores: Mapping[str, Any]) -> list[str]:
    return [key for key in scores if key.startswith("psnr")]


def _magnitudes(scores: Mapping[str, Any]) -> list[Content]:
    lines = [
        (name.removeprefix("predicted_"), score_cell(part, "mean_absolute_error"))
        for name, part in scores.items()
        if name.startswith("predicted_")
    ]
    if not lines:
        return []
    head = ["", "mean absolute error, mag"]
    return [table(head, lines, "Magnitudes predicted from the vectors of alerts")]


def picture_section(run: Run) -> Section:
    """Return the section of the pictures that no other section has."""
    others = {name: data for name, data in run.pictures.items() if name != RECONSTRUCTION_PICTURE}
    return Section("Pictures", _pictures(others))


def _pictures(pictures: Mapping[str, bytes]) -> list[Content]:
    """Return pictures, as many as the page has room for, and the names of the others."""
    content: list[Content] = []
    room = MAX_PICTURE_BYTES
    left_out = []
    for name, picture in pictures.items():
        if len(picture) > room:
            left_out.append(f"data/figures/{name}")
            continue
        room -= len(picture)
        content.append(_picture(name, picture))
    if left_out:
        content.append(paragraph(f"Too large for this page: {', '.join(left_out)}."))
    return content


def _picture(name: str, picture: bytes) -> Content:
    title = words_of(name.rpartition("/")[2].removesuffix(".png"))
    alt = _ALT_TEXTS.get(name, f"Picture of the pipeline: {title}.")
    data = base64.b64encode(picture).decode("ascii")
    image = element("img", src=f"data:image/png;base64,{data}", alt=alt)
    box = element(
        "div", image, class_="scroll picture", tabindex="0", role="region", aria_label=title
    )
    return element("figure", element("figcaption", alt), box, class_="wide")
