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


def test_seeds_are_averaged_and_the_widest_interval_is_kept():
    runs = [run(0.9, 0.88, 0.93), run(0.94, 0.9, 0.95), run(0.92, 0.91, 0.94)]
    found = study._summary(runs, "balanced_accuracy")
    assert found["mean"] == pytest.approx(0.92)
    assert (found["low"], found["high"]) == (0.88, 0.95)
    assert found["of_seeds"] == [0.9, 0.94, 0.92]
    assert set(study._summary(runs, "mse")) == {"mean", "of_seeds"}


def test_the_table_stands_between_its_marks_and_nothing_else_changes(tmp_path, monkeypatch):
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{study._BEGIN}\nold\n{study._END}\nafter\n")
    monkeypatch.setattr(study, "README", readme)
    table = {
        "probe": {"ours": {"mean": 0.95, "low": 0.93, "high": 0.97}, "published": {"mean": 0.8}},
        "MSE": {"ours": {"mean": 0.00512}},
    }
    for _ in range(2):
        study._write_readme(study._markdown(table, "the command", {"alerts": 500, "objects": 2055}))
    text = readme.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    assert text.count("| probe | 0.950 (0.930 - 0.970) | 0.800 |") == 1
    assert "| MSE | 0.00512 |  |" in text
    assert "`the command`" in text
    assert "2,055 test objects" in text


def test_every_setting_of_the_study_is_a_parameter():
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    for settings in (study._SHARED, *study.VARIANTS.values()):
        for key in settings:
            table = params
            for part in key.split("."):
                assert part in table, key
                table = table[part]
    assert study._BEGIN in (ROOT / "README.md").read_text()
    assert study._END in (ROOT / "README.md").read_text()
