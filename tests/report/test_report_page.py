"""The page of a run: what is in it, that it is safe, whole and always the same."""

import json
import re
from collections import Counter

import pytest

from tests.report.small_runs import CLASSES, parse, write_csv, write_page, write_run
from ztfrep.errors import InputError
from ztfrep.report.flat_tables import flatten, without_ends
from ztfrep.report.number_text import format_score

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
def folder(tmp_path):
    write_run(tmp_path)
    return tmp_path


@pytest.fixture
def page(folder):
    return parse(write_page(folder))


def charts(element):
    return [svg for svg in element.all("svg") if svg.attributes.get("role") == "img"]


def section(page, name):
    return next(s for s in page.all("section") if s.attributes["id"] == name)


def test_every_chart_has_a_title_a_description_and_its_data_as_a_table(page):
    figures = [figure for figure in page.all("figure") if charts(figure)]
    assert len(figures) > 15
    assert sum(len(charts(figure)) for figure in figures) == len(charts(page))
    for figure in figures:
        for svg in charts(figure):
            title, description = next(svg.all("title")), next(svg.all("desc"))
            assert title.text()
            assert len(description.text()) > 20
            names = f"{title.attributes['id']} {description.attributes['id']}"
            assert svg.attributes["aria-labelledby"] == names
        (details,) = figure.all("details")
        (table,) = details.all("table")
        assert len(table.rows()) > 1
        assert next(table.all("caption")).text()


def test_headings_and_anchors_lead_through_the_page(page):
    (root,) = page.all("html")
    assert root.attributes["lang"] == "en"
    levels = [int(e.name[1]) for e in page.every() if re.fullmatch("h[1-6]", e.name)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in zip(levels, levels[1:], strict=False))
    ids = Counter(e.attributes["id"] for e in page.every() if "id" in e.attributes)
    assert set(ids.values()) == {1}
    (contents,) = page.all("nav")
    targets = [a.attributes["href"] for a in contents.all("a")]
    assert len(targets) > 20
    assert {target.removeprefix("#") for target in targets} <= set(ids)
    names = {e.attributes["aria-labelledby"] for e in page.all("section")}
    assert names <= set(ids)


def test_pictures_have_alt_texts_and_those_drawn_as_charts_are_left_out(page):
    pictures = list(page.all("img"))
    assert len(pictures) == 2
    assert all(len(picture.attributes["alt"]) > 20 for picture in pictures)


def test_nothing_is_requested_and_no_script_runs(folder):
    text = write_page(folder)
    page = parse(text)
    for element in page.every():
        assert element.name not in ("script", "link", "iframe", "object", "form")
        assert not any(name.startswith("on") for name in element.attributes)
        assert element.attributes.get("href", "#").startswith("#")
        assert element.attributes.get("src", "data:image/png").startswith("data:image/png")
    assert "url(" not in text
    assert "@import" not in text
    assert "://" not in text


def test_names_of_classes_are_text_whatever_is_in_them(folder):
    write_run(folder, classes=("AGN", HOSTILE, "VS"))
    text = write_page(folder)
    assert HOSTILE not in text
    page = parse(text)
    assert len(list(page.all("img"))) == 2
    confusion = next(t for t in page.all("table") if f"predicted {HOSTILE}" in t.text())
    assert [HOSTILE, "1", "0", "0", "1", "0.000"] in [
        [row[0], row[1], *row[3:]] for row in confusion.rows()
    ]


def test_the_same_run_is_the_same_bytes(folder):
    assert write_page(folder) == write_page(folder)


def test_every_number_of_the_metrics_is_in_the_page(folder, page):
    cells = Counter(cell.text() for cell in section(page, "all-numbers").all("td"))
    for name in ("stamps", "series"):
        metrics = flatten(json.loads((folder / f"metrics/{name}.json").read_text()))
        shown = Counter(format_score(metrics, key) for key in without_ends(metrics))
        # Once for test and once for validation rows, which are the same here.
        for text, count in shown.items():
            assert cells[text] >= 2 * count, text


def test_the_data_of_the_charts_are_the_metrics(page):
    methods = next(t for t in page.all("table") if "Balanced accuracy of alerts" in t.text())
    assert methods.rows()[1:] == [
        ["classifier head", "0.912", "0.862 to 0.962", "ours"],
        ["forest on metadata", "0.802", "0.752 to 0.852", "baseline"],
    ]
    confusion = next(t for t in page.all("table") if "predicted SN" in t.text())
    assert confusion.rows()[1:] == [
        ["AGN", "1", "0", "0", "1", "1.000"],
        ["SN", "1", "0", "0", "1", "0.000"],
        ["VS", "0", "0", "1", "1", "1.000"],
    ]
    bins = next(t for t in page.all("table") if "bin of confidence" in t.text())
    assert bins.rows()[1][:4] == ["before", "0.60 to 0.67", "0.630", "0.900"]
    curves = next(t for t in page.all("table") if "Curves of the autoencoder" in t.text())
    assert curves.rows()[2] == ["1", "1.250", "1.250"]
    early = next(t for t in page.all("table") if t.rows()[0][0] == "detections")
    assert [row[0] for row in early.rows()[1:]] == ["1", "3", "10"]
    forecast = next(t for t in page.all("table") if "Error of the next magnitude" in t.text())
    assert [row[:2] for row in forecast.rows()[1:]] == [
        ["recurrent network", "0.361"],
        ["last magnitude", "0.379"],
        ["Gaussian process", "0.500"],
    ]
    # Positive is better, as everywhere.
    better = next(t for t in page.all("table") if "Differences of the errors" in t.text())
    assert better.rows()[1] == [
        "last magnitude − recurrent network", "+0.018", "0.008 to 0.028", "ours"
    ]  # fmt: skip


def test_it_is_said_which_differences_are_shown(page):
    sentences = [li.text() for li in section(page, "alerts-paired-differences").all("li")]
    shown = next(s for s in sentences if s.startswith("classifier head"))
    assert "+0.110 (+0.090 to +0.130), better: shown" in shown
    other = next(s for s in sentences if s.startswith("k nearest"))
    assert "+0.010 (−0.010 to +0.030), no difference shown" in other
    early = section(page, "objects-early-classification").text()
    assert "linear probe of mean vector after 3, 10 detections" in early


def test_what_the_figures_cannot_show_is_near_the_top(page):
    first = next(page.all("section"))
    assert first.attributes["id"] == "what-these-figures-cannot-show"
    text = first.text()
    assert "The sky is simulated" in text
    assert "sources.sample.scale is 0.03" in text
    assert "Few labelled test alerts of some classes: AGN 1, SN 1, VS 1" in text
    assert "another seed of training (7 here)" in text


def test_labels_of_alerts_are_called_weak_and_an_absent_class_is_named(folder):
    params = (folder / "params.yaml").read_text().replace("source: sample", "source: alerts")
    (folder / "params.yaml").write_text(params)
    write_csv(folder / "metrics/plots/recurrent.csv", "actual,predicted", [("AGN", "AGN")] * 60)
    data = json.loads((folder / "metrics/data.json").read_text())
    data["series"] = {"train": {"objects_AGN": 60, "objects_SN": 3, "objects": 63}}
    (folder / "metrics/data.json").write_text(json.dumps(data))
    text = section(parse(write_page(folder)), "what-these-figures-cannot-show").text()
    assert "The labels are weak" in text
    assert "simulated" not in text
    assert "No labelled test objects of SN" in text


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("metrics/data.json", "data"),
        ("metrics/stamps.json", "alerts-classes"),
        ("metrics/series.json", "objects-early-classification"),
        ("metrics/autoencoder/plots/metrics/train/loss.tsv", None),
        ("metrics/plots/calibration_alerts.csv", None),
        ("metrics/plots/classifier_head.csv", None),
        ("metrics/plots/alerts_tsne.csv", None),
        ("data/models/autoencoder/model.json", None),
        ("data/figures/stamps/reconstruction.png", None),
    ],
)
def test_a_missing_file_is_missing_in_the_page_alone(folder, name, place):
    (folder / name).unlink()
    page = parse(write_page(folder))
    if place:
        assert "Not evaluated" in section(page, place).text()
    assert "Key numbers" in page.text()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("stamps.json", '{"alerts": 500, "classif', "broken JSON"),
        ("stamps.json", '{"alerts": NaN}', "NaN is not a number"),
        ("stamps.json", '{"knn": {"accuracy": 1e999}}', "'knn.accuracy': found a number that is"),
        ("series.json", "[]", "found a list"),
        # As deep as Python's parser refuses.
        ("series.json", '{"a":' * 100_000, "broken JSON"),
        ("series.json", '{"a":' * 30 + "1" + "}" * 30, "more than 20 objects in one another"),
        ("series.json", '{"retrieval": 3}', "content of another form"),
        ("plots/recurrent.csv", "actual\nSN\n", "no column predicted"),
        ("plots/recurrent.csv", "actual,predicted\nSN\n", "1 fields in line 2"),
        ("plots/alerts_pca.csv", "x,y,label\n1,nan,SN\n", "alerts_pca.csv: y: found 'nan'"),
        ("plots/alerts_pca.csv", b"x,y,label\n1,2,\xff\n", "broken CSV"),
        ("recurrent/plots/metrics/train/loss.tsv", "step\tloss\n0\tinf\n", "loss: found 'inf'"),
    ],
)
def test_a_broken_file_is_one_line_and_no_page_is_written(folder, name, content, message):
    data = content if isinstance(content, bytes) else content.encode()
    (folder / "metrics" / name).write_bytes(data)
    with pytest.raises(InputError, match=re.escape(message)) as error:
        write_page(folder)
    assert "\n" not in str(error.value)
    assert "dvc repro" in str(error.value)
    assert not (folder / "report.html").exists()


def test_a_picture_that_is_none_is_refused(folder):
    (folder / "data/figures/stamps/reconstruction.png").write_bytes(b"<svg onload=...>")
    with pytest.raises(InputError, match="found no PNG"):
        write_page(folder)


def test_a_folder_without_metrics_is_refused_with_a_remedy(folder):
    (folder / "metrics").rename(folder / "other")
    with pytest.raises(InputError, match="make them with dvc repro"):
        write_page(folder)


def test_a_page_of_many_points_and_large_pictures_stays_below_5_mb(folder):
    points = [(i % 317, i % 1009, CLASSES[i % 3]) for i in range(100_000)]
    for rows in ("alerts", "objects"):
        for method in ("pca", "tsne"):
            write_csv(folder / f"metrics/plots/{rows}_{method}.csv", "x,y,label", points)
    picture = (folder / "data/figures/series/alert.png").read_bytes()
    for number in range(5):
        name = folder / f"data/figures/series/panel_{number}.png"
        name.write_bytes(picture + bytes(600_000))
    text = write_page(folder)
    assert len(text.encode()) < 5_000_000
    assert "2,000 of 100,000 points are drawn" in text
    assert "Too large for this page: data/figures/series/panel_2.png" in text
