"""The charts: positions, numbers, and what they say in words."""

import math
import re

import numpy as np
import pytest
from scipy.stats import binomtest

from tests.report.small_runs import parse
from ztfrep.evaluation import alert_protocol, object_protocol
from ztfrep.report.html_elements import Html, element, join, table
from ztfrep.report.interval_chart import IntervalRow, interval_chart
from ztfrep.report.line_chart import LineSeries, line_chart
from ztfrep.report.matrix_chart import count_confusions, matrix_chart
from ztfrep.report.method_names import is_known
from ztfrep.report.number_text import format_number, format_score
from ztfrep.report.reliability_chart import wilson_interval
from ztfrep.report.scatter_chart import MAX_POINTS, scatter_chart
from ztfrep.report.svg_drawing import Scale, round_ticks, tick_text


def test_text_and_attributes_are_escaped_and_html_is_not():
    made = element("p", "<b>", element("b", "&"), class_='"x"', data_n=1.0, hidden=True, id=None)
    assert made == '<p class="&quot;x&quot;" data-n="1" hidden>&lt;b&gt;<b>&amp;</b></p>'
    assert join("<", Html("<br>"), None, ["a", ("b",)]) == "&lt;<br>ab"
    assert "<script>" not in table(["<script>"], [["<script>", "<script>"]], "<script>")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.9124, "0.912"), (12.345, "12.35"), (1234.5, "1,234.5"), (0.0057566, "0.00576"),
        (-0.0004, "−0.000400"), (0.0, "0.000"), (1234567, "1,234,567"), (None, "–"), (True, "true"),
    ],
)  # fmt: skip
def test_numbers_are_rounded_in_one_way(value, text):
    assert format_number(value) == text


def test_a_score_has_its_interval_with_the_same_decimals():
    scores = {"mse": 0.0098, "mse_low": 0.0091, "mse_high": 0.0105}
    assert format_score(scores, "mse") == "0.010 (0.009 to 0.011)"
    assert format_number(-1e-9, 3, sign=True) == "+0.000"


@pytest.mark.parametrize(
    ("low", "high"), [(0.71, 0.94), (-0.01, 0.001), (3, 3), (0, 1e6), (1e-7, 2e-7)]
)
def test_ticks_are_round_and_enclose_the_values(low, high):
    ticks = round_ticks(low, high)
    assert ticks[0] <= low <= high <= ticks[-1]
    assert 2 <= len(ticks) <= 8
    texts = [tick_text(tick, ticks) for tick in ticks]
    assert len(set(texts)) == len(texts)
    for text, tick in zip(texts, ticks, strict=True):
        assert float(text.replace("−", "-").replace(",", "")) == pytest.approx(tick, abs=1e-9)


def test_a_scale_maps_its_ends_and_a_logarithmic_one_ratios():
    assert [Scale(0, 10, 100, 0)(v) for v in (0, 5, 10)] == [100, 50, 0]
    assert Scale(1, 100, 0, 2, logarithmic=True)(10) == pytest.approx(1)
    assert Scale(3, 3, 0, 10)(3) == 5


def test_the_interval_of_a_share_is_wilsons():
    for right, rows in ((0, 1), (1, 1), (7, 25), (339, 339)):
        expected = binomtest(right, rows).proportion_ci(method="wilson")
        assert wilson_interval(right / rows, rows) == pytest.approx(expected, abs=1e-6)


ROWS = [
    IntervalRow("low", 0.5, 0.4, 0.6, "baseline"),
    IntervalRow("high", 0.9, 0.8, 0.95, "ours"),
    IntervalRow("without", 0.7, None, None, "ours"),
]


def test_intervals_are_sorted_and_drawn_where_their_numbers_are():
    page = parse(interval_chart("a", "Title", ROWS, quantity="score"))
    assert [row[0] for row in next(page.all("table")).rows()[1:]] == ["high", "without", "low"]
    lines = [e for e in page.all("line") if e.attributes["class"] == "interval"]
    ends = [(float(e.attributes["x1"]), float(e.attributes["x2"])) for e in lines]
    ticks = [t for t in page.all("text") if t.attributes["class"] == "tick"]
    places = {float(t.text()): float(t.attributes["x"]) for t in ticks}
    unit = (places[1.0] - places[0.4]) / 0.6
    for (x1, x2), (low, high) in zip(ends, [(0.8, 0.95), (0.7, 0.7), (0.4, 0.6)], strict=True):
        assert x1 == pytest.approx(places[0.4] + unit * (low - 0.4), abs=0.02)
        assert x2 == pytest.approx(places[0.4] + unit * (high - 0.4), abs=0.02)
    # Kinds differ in their shape.
    assert (len(list(page.all("circle"))), len(list(page.all("rect")))) == (2, 1)


def test_of_errors_the_lowest_is_first_and_of_differences_zero_is_marked():
    page = parse(interval_chart("a", "T", ROWS, quantity="x", lower_is_better=True))
    assert next(page.all("table")).rows()[1][0] == "low"
    page = parse(interval_chart("a", "T", ROWS, quantity="x", differences=True))
    assert [e.attributes["class"] for e in page.all("line")].count("zero") == 1
    assert next(page.all("table")).rows()[1][1] == "+0.900"


def test_lines_are_within_the_drawing_and_their_ends_are_in_words():
    lines = [LineSeries("a", "red", [(1.0, 5.0), (20.0, 7.0)], [(4.0, 6.0), (6.0, 9.0)])]
    svg = line_chart("l", "T", lines, across="n", logarithmic=True, marked=1.0)
    page = parse(svg)
    assert "a: 5 at n 1, 7 at 20" in next(page.all("desc")).text()
    numbers = [
        float(n)
        for e in (*page.all("polyline"), *page.all("polygon"))
        for n in re.findall(r"[\d.]+", e.attributes["points"])
    ]
    assert min(numbers) > 0
    assert max(numbers) < 380
    # A single epoch has no extent.
    line_chart("l", "T", [LineSeries("a", "red", [(0.0, 1.0)])], across="epoch")


def test_a_confusion_matrix_counts_every_pair_and_its_shades_are_shares():
    pairs = [("a", "a")] * 3 + [("a", "b")] + [("b", "b")] * 2
    counts = count_confusions(pairs, ["a", "b", "c"])
    assert counts == [[3, 1, 0], [0, 2, 0], [0, 0, 0]]
    page = parse(matrix_chart("m", "T", counts, ["a", "b", "c"], note=""))
    shades = [float(e.attributes["fill-opacity"]) for e in page.all("rect")]
    assert np.argsort(shades[:3]).tolist() == [2, 1, 0]
    assert max(shades) == shades[4]
    assert "5 of 6 rows are on the diagonal" in next(page.all("desc")).text()
    assert "75 %" in page.text()


def test_every_point_is_a_dot_of_its_class():
    points = [(i, -i, "ab"[i % 2]) for i in range(7)] + [(0, 0, "other")]
    page = parse(scatter_chart("s", "T", points, ["a", "b"], note=""))
    dots = [e.attributes["d"].count("M") for e in page.all("path")]
    assert dots == [4, 3, 1]
    places = [float(n) for e in page.all("path") for n in re.findall(r"[\d.]+", e.attributes["d"])]
    assert all(map(math.isfinite, places))
    assert len(next(page.all("table")).rows()) == 9
    many = [(i, i, "a") for i in range(5 * MAX_POINTS)]
    page = parse(scatter_chart("s", "T", many, ["a"], note=""))
    assert next(page.all("path")).attributes["d"].count("M") == MAX_POINTS


def test_equal_points_are_drawn():
    page = parse(scatter_chart("s", "T", [(0.0, 0.0, "a")] * 3, ["a"], note=""))
    assert next(page.all("path")).attributes["d"].startswith("M190.0 160.0h0")


def test_every_method_of_the_evaluation_has_a_title():
    methods = {*alert_protocol.PROBES, *object_protocol.PROBES, alert_protocol.CLASSIFIER_HEAD}
    methods |= {object_protocol.NETWORK, "network_balanced", alert_protocol.PCA_RECONSTRUCTION}
    methods |= {alert_protocol.RECONSTRUCTION, alert_protocol.DENOISED}
    methods |= {"last_detection", "gaussian_process"}
    assert [name for name in methods if not is_known(name)] == []
