import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.text import Text

from ztfrep.evaluation import figures
from ztfrep.evaluation.alert_light_curves import AlertLightCurve
from ztfrep.evaluation.reconstruction_panel import example_rows, reconstruction_panel
from ztfrep.palette import COLOURS, FILTERS

CLASSES = ("AGN", "SN", "VS", "asteroid", "bogus")
RNG = np.random.default_rng(0)
PIXELS = RNG.random((20, 3, 21, 21)).astype(np.float32)
PIXEL_MASK = RNG.random((20, 3, 21, 21)) > 0.05
PLANE = RNG.normal(size=(300, 2))
MATRIX = RNG.integers(0, 90, (5, 5)) + 200 * np.eye(5, dtype=int)
HISTORY = [{"epoch": 0, "validation_loss": 2.0, "validation_accuracy": 0.2}] + [
    {
        "epoch": epoch,
        "train_loss": 2 / epoch,
        "validation_loss": 2.2 / epoch,
        "train_accuracy": 1 - 0.7 / epoch,
        "validation_accuracy": 1 - 0.8 / epoch,
    }
    for epoch in range(1, 9)
]
# A detection without an error, an upper limit of some real packets, and one before a detection.
CURVE = pd.DataFrame(
    {
        "mjd": [59000.0, 59001.0, 59002.0, 59004.0],
        "fid": [1, 2, 3, 2],
        "magpsf": [np.nan, np.nan, 19.5, 18.5],
        "sigmapsf": [np.nan, np.nan, np.nan, 0.1],
        "diffmaglim": [20.5, -1007.5, 20.0, np.nan],
    }
)
DRAWN = {
    "confusion": lambda: figures.confusion_matrix(
        MATRIX, CLASSES, "Classifier head, 500 alerts"
    ),
    "no row of a class": lambda: figures.confusion_matrix(
        np.diag([3, 0, 2, 0, 1]), CLASSES, "Three classes"
    ),
    "loss": lambda: figures.loss_curves(HISTORY, "Autoencoder", best_epoch=6),
    "no epoch": lambda: figures.loss_curves(HISTORY[:1], "Untrained", best_epoch=0),
    "projection": lambda: figures.projection(
        PLANE, np.arange(300) % 6 - 1, CLASSES, "PCA of 300 alerts"
    ),
    "panel": lambda: reconstruction_panel(
        PIXELS, PIXEL_MASK, 0.1 + 0 * PIXELS, {"reconstruction": PIXELS * 0.9, "denoised": PIXELS},
        CLASSES, ("science", "template", "difference"), "Five alerts",
    ),
    "panel with a light curve": lambda: reconstruction_panel(
        PIXELS, PIXEL_MASK, 0.1 + 0 * PIXELS, {"reconstruction": PIXELS * 0.9},
        CLASSES[:2], ("science", "template", "difference"), "Two alerts",
        curves=[None, AlertLightCurve("ZTF1", CURVE, 59004.0)],
    ),
    "nothing observed": lambda: reconstruction_panel(
        PIXELS, 0 * PIXEL_MASK > 0, 0 * PIXELS, {"pca": PIXELS}, ["VS"],
        ("science", "template", "difference"), "Nothing observed",
    ),
    "methods": lambda: figures.method_comparison(
        {
            "classifier_head": {"f1": 0.8, "f1_low": 0.77, "f1_high": 0.83},
            "forest_on_features": {"f1": 0.91, "f1_low": 0.91, "f1_high": 0.93},
        },
        "f1", "Methods",
    ),
    "early": lambda: figures.early_classification(
        {
            n: dict.fromkeys("ab", {"f1": 1 - 1 / n, "f1_low": 0.9 - 1 / n, "f1_high": 1})
            for n in (2, 3, 5)
        },
        ["f1"], "Classification after n detections",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DRAWN)
def test_the_same_arrays_are_drawn_as_the_same_png(name):
    first = figures.png_bytes(DRAWN[name]())
    assert first.startswith(b"\x89PNG")
    assert figures.png_bytes(DRAWN[name]()) == first


@pytest.mark.parametrize("name", DRAWN)
def test_a_figure_is_rendered_twice_as_the_same_png(name):
    figure = DRAWN[name]()
    assert figures.png_bytes(figure) == figures.png_bytes(figure)


def test_the_accuracy_has_no_panel_without_an_epoch_that_has_it():
    assert len(figures.loss_curves(HISTORY, "", best_epoch=6).axes) == 2
    without_accuracy = [
        {"epoch": r["epoch"], "validation_loss": r["validation_loss"]} for r in HISTORY
    ]
    assert [
        axes.get_ylabel() for axes in figures.loss_curves(without_accuracy, "", best_epoch=6).axes
    ] == ["loss"]


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_a_long_title_stays_within_the_figure(classes):
    title = "Recurrent network on all steps of their series, 3857 objects of the test split"
    figure = figures.confusion_matrix(np.eye(classes, dtype=int), CLASSES[:classes], title)
    figures.png_bytes(figure)
    texts = [text for text in figure.findobj(Text) if "Recurrent" in text.get_text()]
    assert " ".join(texts[0].get_text().split()) == title
    box = texts[0].get_window_extent()
    assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
    assert box.y1 <= figure.bbox.y1


def test_a_class_has_the_same_colour_whichever_others_are_drawn():
    def colours(labels):
        figure = figures.projection(np.zeros((len(labels), 2)), np.array(labels), CLASSES, "")
        axes = figure.axes[0]
        return {c.get_label(): c.get_facecolor()[0].tolist() for c in axes.collections}

    whole = colours([0, 1, 2, 3, 4])
    assert colours([3])["asteroid"] == whole["asteroid"]
    assert len({tuple(colour) for colour in whole.values()}) == 5


def test_cells_have_counts_and_shares_of_their_row():
    figure = figures.confusion_matrix(np.array([[3, 1], [0, 5]]), ("a", "b"), "")
    assert [text.get_text() for text in figure.axes[0].texts] == [
        "3\n75 %", "1\n25 %", "0\n0 %", "5\n100 %",
    ]  # fmt: skip


def test_an_error_is_drawn_in_units_of_the_noise_of_its_pixels():
    noise = np.full_like(PIXELS, 0.5)
    noise[:, :, 0, 0] = 0
    figure = reconstruction_panel(
        PIXELS, PIXEL_MASK, noise, {"reconstruction": 0 * PIXELS, "denoised": PIXELS - 1},
        ["AGN"] * 20, ("science",), "20 alerts",
    )  # fmt: skip
    images = [axes.images[0].get_array() for axes in figure.axes if axes.images][:4]
    shown = np.ma.filled(images[3], np.nan)
    expected = np.where(PIXEL_MASK[0, 0], 2.0, np.nan)
    expected[0, 0] = np.nan
    np.testing.assert_allclose(shown, expected, rtol=1e-5)
    titles = [axes.get_title() for axes in figure.axes[:4]]
    assert titles == ["science", "reconstruction", "denoised", "error"]


def lines_of(axes):
    """Return the marker, colour, hollowness and points of the lines of axes."""
    return [
        (line.get_marker(), to_hex(line.get_color()), line.get_markerfacecolor() == "none",
         line.get_xydata().tolist())
        for line in axes.lines
    ]  # fmt: skip


def test_a_panel_has_the_light_curve_of_a_row_that_has_one():
    figure = DRAWN["panel with a light curve"]()
    without, axes = figure.axes[9], figure.axes[19]
    assert not without.axison and not without.lines
    bottom, top = axes.get_ylim()
    assert bottom > 20.5 > 18.5 > top
    lines = lines_of(axes)
    g, r, i = (to_hex(FILTERS[fid][1]) for fid in (1, 2, 3))
    assert ("v", g, True, [[0.0, 20.5]]) in lines
    assert ("o", r, False, [[4.0, 18.5]]) in lines and ("o", i, False, [[2.0, 19.5]]) in lines
    assert not any(y < 0 for _, _, _, points in lines for _, y in points if points != [])
    rings = [points for marker, _, hollow, points in lines if marker == "o" and hollow]
    assert rings == [[[4.0, 18.5]]]
    assert [text.get_text() for text in figure.legends[0].texts] == [
        "g", "r", "i", "upper limit", "this alert",
    ]  # fmt: skip


def test_a_panel_without_light_curves_has_no_column_for_them():
    assert len(DRAWN["panel"]().axes) == 5 * 12 + 1
    assert DRAWN["panel"]().legends == []


def test_examples_are_two_rows_of_each_class_first_those_of_objects_with_a_light_curve():
    labels = np.array([0, 0, 0, 1, -1, 0])
    assert example_rows(labels, 2, [None] * 6).tolist() == [0, 1, 3]
    first, second = (AlertLightCurve(name, CURVE, 59004.0) for name in ("ZTF1", "ZTF2"))
    curves = [None, None, first, None, None, second]
    assert example_rows(labels, 2, curves).tolist() == [2, 5, 3]
    # Two alerts of an object are not the examples while there is another object.
    curves = [None, first, first, None, None, second]
    assert example_rows(labels, 2, curves).tolist() == [1, 5, 3]
    curves = [None, first, first, None, None, None]
    assert example_rows(labels, 2, curves).tolist() == [1, 2, 3]
    assert example_rows(np.full(20, -1), 2, [None] * 20).tolist() == list(range(10))


def test_the_legend_of_early_classification_covers_no_line():
    figure = DRAWN["early"]()
    figures.png_bytes(figure)
    (legend,) = figure.legends
    box = legend.get_window_extent()
    assert all(not box.overlaps(axes.get_tightbbox()) for axes in figure.axes)
    assert figure.bbox.y0 <= box.y0


def test_more_classes_or_methods_than_colours_are_all_drawn():
    names = [f"class {i}" for i in range(9)]
    figure = figures.projection(np.zeros((9, 2)), np.arange(9), names, "")
    drawn = figure.axes[0].collections
    assert [c.get_label() for c in drawn] == names
    assert to_hex(drawn[8].get_facecolor()[0]) == to_hex(COLOURS[1])
    shapes = [c.get_paths()[0].vertices.tolist() for c in drawn]
    assert shapes[8] != shapes[1] and shapes[1] == shapes[0]
    score = {"f1": 0.5, "f1_low": 0.4, "f1_high": 0.6}
    figure = figures.early_classification({1: dict.fromkeys(names, score)}, ["f1"], "")
    styles = {(line.get_color(), line.get_marker()) for line in figure.axes[0].lines}
    assert len(styles) == 9
