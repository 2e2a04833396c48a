"""The study's bookkeeping: what runs, what it comes to, what the README says."""

import pytest
import yaml

from benchmarks import study
from tests.test_pipeline import ROOT


def run(score, low=None, high=None):
    found = {"balanced_accuracy": score, "mse": score / 100}
    if low is not None:
        found |= {"balanced_accuracy_low": low, "balanced_accuracy_high": high}
    return found


def test_the_median_of_the_seeds_and_all_that_they_span():
    runs = [run(0.9, 0.88, 0.93), run(0.94, 0.9, 0.95), run(0.92, 0.91, 0.94)]
    found = study._summary(runs, "balanced_accuracy")
    assert found["median"] == 0.92
    assert (found["low"], found["high"]) == (0.88, 0.95)
    assert found["of_seeds"] == [0.9, 0.94, 0.92]
    assert set(study._summary(runs, "mse")) == {"median", "of_seeds"}


def test_the_table_stands_between_its_marks_and_nothing_else_changes(tmp_path, monkeypatch):
    readme = tmp_path / "README.md"
    begin, end, first, last = (
        mark.format(name=name)
        for name in ("study-0.2", "study-1")
        for mark in (study._BEGIN, study._END)
    )
    other = f"{first}\nthe other\n{last}\n"
    readme.write_text(f"before\n{other}{begin}\nold\n{end}\nafter\n")
    monkeypatch.setattr(study, "README", readme)
    probe = {
        "ours": {"median": 0.95, "low": 0.93, "high": 0.97},
        "published": {"median": 0.8},
        "a forest": {"median": 0.9},
    }
    table = {
        "probe": {"scores": probe, "verdict": "ahead"},
        "MSE": {"scores": {"ours": {"median": 0.00512}}, "verdict": "behind nobody"},
    }
    for _ in range(2):
        words = study._markdown(table, "the command", {"alerts": 500, "objects": 2055})
        study._write_readme("study-0.2", words)
    text = readme.read_text()
    assert text.startswith(f"before\n{other}")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    line = "| probe | 0.950 (0.930 - 0.970) | 0.800 | a forest 0.900 | ahead |"
    assert text.count(line) == 1
    assert "| MSE | 0.00512 |  |  | behind nobody |" in text
    assert "`the command`" in text
    assert "2,055 test objects" in text
    study._write_readme("study-0.5", words)
    assert readme.read_text() == text


def test_a_table_that_does_not_end_is_told_and_left(tmp_path, monkeypatch):
    readme = tmp_path / "README.md"
    content = f"before\n{study._BEGIN.format(name='study-1')}\nafter\n"
    readme.write_text(content)
    monkeypatch.setattr(study, "README", readme)
    with pytest.raises(SystemExit, match="study-1: end"):
        study._write_readme("study-1", "a table")
    assert readme.read_text() == content


def scores(**rivals):
    ours = {"median": 0.9, "low": 0.88, "high": 0.92}
    names = ("median", "low", "high")
    return {"ours": ours} | {name: dict(zip(names, each)) for name, each in rivals.items()}  # noqa: B905


def test_the_verdict_names_who_is_ahead_and_who_is_near():
    assert study._verdict(scores(far=(0.8, 0.78, 0.82)), False) == "ahead"
    assert study._verdict(scores(far=(0.8, 0.78, 0.82)), True) == "behind far"
    near = scores(near=(0.89, 0.87, 0.91), better=(0.95, 0.94, 0.96))
    assert study._verdict(near, False) == "behind better; ahead within the intervals of near"
    assert study._verdict(scores(told=(0.8,)), False) == "ahead"


def test_a_rival_on_the_same_rows_is_judged_by_the_difference():
    runs = [
        {"stamps": {
            "linear_probe": run(0.9, 0.87, 0.93),
            "forest_on_features": run(0.88, 0.85, 0.91),
            "ahead": {"linear_probe_over_forest_on_features": run(0.02, low, 0.04)},
        }}
        for low in (0.004, 0.01)
    ]  # fmt: skip
    row = study.Row("probe", "stamps", "linear_probe", "balanced_accuracy", (study._FOREST,))
    assert study._compared(row, {"ours": runs})["verdict"] == "ahead"
    runs[1]["stamps"]["ahead"]["linear_probe_over_forest_on_features"] = run(0.02, -0.01, 0.04)
    compared = study._compared(row, {"ours": runs})
    assert compared["verdict"] == "ahead within the intervals of forest on the features"
    table = study._markdown({"probe": compared}, "the command", {"alerts": 1, "objects": 1})
    assert "forest on the features 0.880 (0.850 - 0.910), ours +0.020 (-0.010 - +0.040)" in table


def test_every_setting_of_the_study_is_a_parameter():
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    for settings in (study._SHARED, *study.VARIANTS.values()):
        for key in settings:
            table = params
            for part in key.split("."):
                assert part in table, key
                table = table[part]
    readme = (ROOT / "README.md").read_text()
    assert study._BEGIN.format(name="study-0.2") in readme
    assert study._END.format(name="study-0.2") in readme
