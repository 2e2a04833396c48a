"""The study: which experiments are run, how they are summarised, what the page of results shows."""

import pytest
import yaml

from benchmarks import study, study_table
from tests.test_pipeline import ROOT


def run(score, low=None, high=None):
    scores = {"balanced_accuracy": score, "mse": score / 100}
    if low is not None:
        scores |= {"balanced_accuracy_low": low, "balanced_accuracy_high": high}
    return scores


def test_a_summary_has_the_median_of_the_seeds_and_the_span_of_their_intervals():
    runs = [run(0.9, 0.88, 0.93), run(0.94, 0.9, 0.95), run(0.92, 0.91, 0.94)]
    summary = study_table.summarise(runs, "balanced_accuracy")
    assert summary["median"] == 0.92
    assert (summary["low"], summary["high"]) == (0.88, 0.95)
    assert summary["of_seeds"] == [0.9, 0.94, 0.92]
    assert set(study_table.summarise(runs, "mse")) == {"median", "of_seeds"}


def test_the_table_is_written_between_its_marks_and_nothing_else_changes(tmp_path, monkeypatch):
    page = tmp_path / "results.md"
    begin, end, first, last = (
        mark.format(name=name)
        for name in ("study-0.2", "study-1")
        for mark in (study_table._BEGIN, study_table._END)
    )
    other = f"{first}\nthe other\n{last}\n"
    page.write_text(f"before\n{other}{begin}\nold\n{end}\nafter\n")
    monkeypatch.setattr(study_table, "PAGE", page)
    probe = {
        "ours": {"median": 0.95, "low": 0.93, "high": 0.97},
        "published": {"median": 0.8},
        "a forest": {"median": 0.9},
    }
    table = {
        "probe": {"scores": probe, "verdict": "better"},
        "MSE": {"scores": {"ours": {"median": 0.00512}}, "verdict": "worse than nothing"},
    }
    for _ in range(2):
        text = study_table.format_table(table, "the command", {"alerts": 500, "objects": 2055})
        study_table.write_page("study-0.2", text)
    content = page.read_text()
    assert content.startswith(f"before\n{other}")
    assert content.endswith("\nafter\n")
    assert "old" not in content
    line = "| probe | 0.950 (0.930 - 0.970) | 0.800 | a forest 0.900 | better |"
    assert content.count(line) == 1
    assert "| MSE | 0.00512 |  |  | worse than nothing |" in content
    assert "`the command`" in content
    assert "2,055 test objects" in content
    study_table.write_page("study-0.5", text)
    assert page.read_text() == content


def test_a_mark_without_its_end_is_refused_and_the_page_is_unchanged(tmp_path, monkeypatch):
    page = tmp_path / "results.md"
    content = f"before\n{study_table._BEGIN.format(name='study-1')}\nafter\n"
    page.write_text(content)
    monkeypatch.setattr(study_table, "PAGE", page)
    with pytest.raises(SystemExit, match="study-1: end"):
        study_table.write_page("study-1", "a table")
    assert page.read_text() == content


def scores(**others):
    ours = {"median": 0.9, "low": 0.88, "high": 0.92}
    names = ("median", "low", "high")
    return {"ours": ours} | {name: dict(zip(names, values)) for name, values in others.items()}  # noqa: B905


def test_the_verdict_names_what_is_better_and_what_is_not_clearly_worse():
    assert study_table.describe_verdict(scores(far=(0.8, 0.78, 0.82)), False) == "better"
    assert study_table.describe_verdict(scores(far=(0.8, 0.78, 0.82)), True) == "worse than far"
    near = scores(near=(0.89, 0.87, 0.91), best=(0.95, 0.94, 0.96))
    assert (
        study_table.describe_verdict(near, False) == "worse than best; not clearly better than near"
    )
    assert study_table.describe_verdict(scores(without_interval=(0.8,)), False) == "better"


def test_a_baseline_on_the_same_rows_is_compared_by_the_paired_difference():
    pair = "linear_probe_minus_forest_on_features"
    runs = [
        {"stamps": {
            "linear_probe": run(0.9, 0.87, 0.93),
            "forest_on_features": run(0.88, 0.85, 0.91),
            "paired_differences": {pair: run(0.02, low, 0.04)},
        }}
        for low in (0.004, 0.01)
    ]  # fmt: skip
    row = study_table.Row(
        "probe", "stamps", "linear_probe", "balanced_accuracy", (study_table._FOREST,)
    )
    assert study_table.compare(row, {"ours": runs})["verdict"] == "better"
    runs[1]["stamps"]["paired_differences"][pair] = run(0.02, -0.01, 0.04)
    compared = study_table.compare(row, {"ours": runs})
    assert compared["verdict"] == "not clearly better than forest on the features"
    table = study_table.format_table(
        {"probe": compared}, "the command", {"alerts": 1, "objects": 1}
    )
    cell = "forest on the features 0.880 (0.850 - 0.910), difference +0.020 (-0.010 - +0.040)"
    assert cell in table


def test_a_lower_error_is_compared_by_its_reduction():
    metrics = {
        "reconstruction": {"mse": 0.002, "mse_low": 0.001, "mse_high": 0.003},
        "pca_reconstruction": {"mse": 0.0025, "mse_low": 0.0015, "mse_high": 0.0035},
        "paired_differences": {
            "reconstruction_minus_pca_reconstruction": {
                "mse_reduction": 0.0005, "mse_reduction_low": 0.0004, "mse_reduction_high": 0.0006,
            }
        },
    }  # fmt: skip
    row = next(row for row in study_table.ROWS if row.method == "reconstruction")
    compared = study_table.compare(row, {"ours": [{"stamps": metrics}]})
    assert compared["verdict"] == "better"
    difference = next(iter(reversed(compared["scores"].values())))["paired_difference"]
    assert difference == {"median": 0.0005, "low": 0.0004, "high": 0.0006}


def test_every_setting_of_the_study_is_a_parameter():
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    for settings in (study._SHARED, *study.VARIANTS.values()):
        for key in settings:
            table = params
            for part in key.split("."):
                assert part in table, key
                table = table[part]


def test_the_page_of_results_has_the_marks_of_the_study():
    page = (ROOT / study_table.PAGE).read_text()
    assert study_table._BEGIN.format(name="study-0.2") in page
    assert study_table._END.format(name="study-0.2") in page
