"""Templates of DVC's plots in `.dvc/plots`, which replace DVC's own of the same name."""

import json
from pathlib import Path

import pytest
import yaml
from dvc_render.vega import VegaRenderer

from ztfrep.data.alert_schema import CLASSES
from ztfrep.palette import COLOURS, INK, LIGHT, SHARES, UNLABELLED, class_colour, shade, text_colour

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".dvc" / "plots"
ROWS = {
    "scatter": [
        {"x": 1.0, "y": 2.0, "label": "SN", "rev": "a"},
        {"x": 1.5, "y": 1.0, "label": "unlabelled", "rev": "b"},
    ],
    "calibration": [{"confidence": 0.7, "accuracy": 0.8, "label": "before", "rev": "a"}],
    "confusion": [{"actual": "SN", "predicted": "AGN", "rev": "a"}],
    "linear": [{"step": 1, "loss": 2.0, "rev": "a"}, {"step": 1, "loss": 1.0, "rev": "b"}],
}


def values_of(spec, key):
    """Return all values of a key in a specification, however deep."""
    if isinstance(spec, list):
        return [value for item in spec for value in values_of(item, key)]
    if not isinstance(spec, dict):
        return []
    own = [spec[key]] if key in spec else []
    return own + values_of(list(spec.values()), key)


def filled(name, rows):
    """Return the specification that DVC makes of a template and rows of a plot."""
    x, y = [column for column in rows[0] if column not in ("rev", "label")]
    properties = {"x": x, "y": y, "title": "Title", "revs_with_datapoints": ["a", "b"]}
    template = {"template": name, "template_dir": str(FOLDER)}
    return VegaRenderer(rows, "plot.csv", **properties, **template).get_filled_template()


def test_every_template_of_the_pipeline_is_one_of_ours():
    # DVC draws plots without a template as `linear`.
    entries = [
        options.get("template", "linear")
        for stage in yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"].values()
        for entry in stage.get("plots", [])
        if isinstance(entry, dict)
        for options in entry.values()
    ]
    assert set(entries) == {path.stem for path in FOLDER.glob("*.json")} == set(ROWS)


@pytest.mark.parametrize("name", ROWS)
def test_dvc_fills_a_template(name):
    spec = filled(name, ROWS[name])
    assert "<DVC_METRIC" not in json.dumps(spec)
    assert spec["data"]["values"] == ROWS[name] and spec["title"]["text"] == "Title"
    assert set(ROWS[name][0]) <= set(values_of(spec, "field"))


def test_points_have_the_colour_of_their_class_as_in_figures():
    (scale,) = (s for s in values_of(filled("scatter", ROWS["scatter"]), "scale") if "range" in s)
    colours = dict(zip(scale["domain"], scale["range"], strict=True))
    expected = {name: class_colour(index) for index, name in enumerate(CLASSES)}
    assert colours == expected | {"unlabelled": UNLABELLED}


def test_bins_of_confidence_have_the_colours_of_the_report():
    spec = filled("calibration", ROWS["calibration"])
    (scale,) = (s for s in values_of(spec, "scale") if "range" in s)
    assert dict(zip(scale["domain"], scale["range"], strict=True)) == {
        "before": COLOURS[1],
        "after": COLOURS[0],
    }


def test_cells_have_the_shades_and_text_of_figures():
    spec = filled("confusion", ROWS["confusion"])
    (scale,) = values_of(spec, "scale")
    assert tuple(scale["range"]) == SHARES and scale["domain"] == [0, 1]
    (text,) = (layer for layer in spec["spec"]["layer"] if layer["mark"] == "text")
    color = text["encoding"]["color"]
    assert (color["condition"]["value"], color["value"]) == (LIGHT, INK)
    limit = float(color["condition"]["test"].rpartition(">")[2])
    assert text_colour(shade(SHARES, limit - 0.02)) == INK
    assert text_colour(shade(SHARES, limit + 0.02)) == LIGHT


def test_lines_of_revisions_have_the_colours_of_the_palette():
    spec = filled("linear", ROWS["linear"])
    ranges = [scale["range"] for scale in values_of(spec, "scale") if "range" in scale]
    assert ranges == [list(COLOURS)] * 3
