import json
import os
import signal
import subprocess
import sys

import pytest
import typer

from ztfrep import cli
from ztfrep.sources.simulation import survey, survey_objects


def run(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["ztfrep", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return stop.value.code


def test_the_sample_can_be_written_anywhere(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(survey, "_TEST_PER_CLASS", 2)
    monkeypatch.setattr(survey, "series_counts", lambda scale: {0: 2, 1: 2, 2: 2})
    assert run(monkeypatch, "sample", tmp_path / "a" / "b", "--scale", 0.001) == 0
    written = sorted(path.name for path in (tmp_path / "a" / "b").iterdir())
    assert written == ["recurrent_dataset.pk", "td_ztf_stamp_17_06_20.pkl"]
    assert str(tmp_path / "a" / "b" / written[0]) in capsys.readouterr().out


def test_the_sample_can_be_written_as_packets(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(survey_objects, "_MIN_OBJECTS", 1)
    folder = tmp_path / "nights"
    assert run(monkeypatch, "sample", "--packets", folder, "--scale", 0.0001) == 0
    out = capsys.readouterr().out
    assert " alerts of 5 objects in " in out
    assert str(folder / "labels.csv") in out
    assert list(folder.glob("ztf_public_2020????.tar.gz"))
    # The folder is not written twice.
    code = run(monkeypatch, "sample", "--packets", folder, "--scale", 0.0001)
    assert code.startswith(f"error: {folder}: found a folder with files; expected a folder that is")
    assert "\n" not in code


def test_a_wrong_scale_of_packets_is_one_line(tmp_path, monkeypatch):
    code = run(monkeypatch, "sample", "--packets", tmp_path / "nights", "--scale", 0)
    assert code.startswith("error: sources.survey.scale: found 0.0")
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_scale_is_one_line(tmp_path, monkeypatch):
    code = run(monkeypatch, "sample", tmp_path, "--scale", 7)
    assert code.startswith("error: sources.sample.scale: found 7.0")
    assert "\n" not in code


def test_the_summary_prints_each_method(tmp_path, monkeypatch, capsys):
    method = {
        "accuracy": 0.5, "balanced_accuracy": 0.61, "balanced_accuracy_low": 0.4,
        "balanced_accuracy_high": 0.7, "macro_f1": 0.52,
    }  # fmt: skip
    reconstruction = {"reconstruction": {"mse": 0.01, "psnr": 20.0}}
    sets = {
        "prediction_sets": {
            "stated_coverage": 0.9, "coverage": 0.914, "coverage_low": 0.886,
            "coverage_high": 0.937, "mean_size": 1.05,
        }
    }  # fmt: skip
    (tmp_path / "stamps.json").write_text(
        json.dumps({"alerts": 500, "linear_probe": method, **reconstruction, **sets})
    )
    (tmp_path / "series.json").write_text(json.dumps({"objects": 2055, "network": method}))
    assert run(monkeypatch, "summary", "--metrics", tmp_path) == 0
    out = capsys.readouterr().out
    assert "500 test alerts" in out
    assert "linear probe" in out
    assert "0.610   0.400 - 0.700     0.520" in out
    assert "MSE 0.01000, PSNR 20.00 dB" in out
    assert "coverage 0.914 (0.886 - 0.937) of 0.9 stated, 1.05 classes" in out


def test_a_summary_without_metrics_has_a_remedy(tmp_path, monkeypatch):
    assert "make them with dvc repro" in run(monkeypatch, "summary", "--metrics", tmp_path)


def test_ctrl_c_is_one_line(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(
        survey, "write_survey", lambda *_, **__: os.kill(os.getpid(), signal.SIGINT)
    )
    assert run(monkeypatch, "sample", tmp_path) == 130
    assert capfd.readouterr().err.strip() == "interrupted; run the same command again to go on"


def test_too_little_memory_is_one_line(tmp_path, monkeypatch):
    def large(*_, **__):
        raise MemoryError

    monkeypatch.setattr(survey, "write_survey", large)
    assert run(monkeypatch, "sample", tmp_path).startswith("error: not enough memory")


COMMANDS = typer.main.get_command(cli.app).commands


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_has_an_example(name):
    command = COMMANDS[name]
    assert f"ztfrep {name} " in command.help
    assert all(parameter.help for parameter in command.params)


def test_the_shell_completes_commands():
    completed = subprocess.run(
        [sys.executable, "-c", "from ztfrep.cli import app; app(prog_name='ztfrep')"],
        env=os.environ
        | {"_ZTFREP_COMPLETE": "complete_bash", "COMP_WORDS": "ztfrep e", "COMP_CWORD": "1"},
        capture_output=True,
        text=True,
    )
    assert completed.stdout.split() == ["encode", "explore", "export"]
