"""The command explore: its one line for bad input, its sentence when it is ready, its end."""

import os
import re
import signal
import subprocess
import sys
import urllib.request

import numpy as np
import pytest

from tests.catalogues.small_catalogues import write_small_catalogue
from tests.test_cli import run
from ztfrep.errors import InputError
from ztfrep.explorer.map_server import MapServer


def test_the_folder_is_written_and_its_size_is_printed(alerts, tmp_path, monkeypatch, capsys):
    arguments = ("explore", alerts, "--projection", "pca", "--folder", tmp_path / "map")
    assert run(monkeypatch, *arguments) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert re.fullmatch(rf"{alerts}: 40 alerts, \d+\.\d MB", first)
    assert second == str(tmp_path / "map/index.html")
    images = sorted(path.name for path in (tmp_path / "map/stamps").iterdir())
    assert images == ["0.png", "1.png"]


def test_a_folder_that_cannot_be_used_is_refused_before_any_work(alerts, tmp_path, monkeypatch):
    (tmp_path / "mine.txt").write_text("text")
    message = run(monkeypatch, "explore", alerts, "--projection", "pca", "--folder", tmp_path)
    assert "found a folder with other files" in message and "\n" not in message
    assert not alerts.with_suffix(".projections").exists()


def test_the_map_is_served_until_ctrl_c(alerts):
    command = ["explore", str(alerts), "--projection", "pca", "--port", "0"]
    with subprocess.Popen(
        [sys.executable, "-c", "from ztfrep.cli import main; main()", *command],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:  # fmt: skip
        line = process.stdout.readline()
        url = re.fullmatch(
            rf"{alerts}: 40 alerts at (http://127\.0\.0\.1:\d+/) until Ctrl-C\n", line
        )[1]
        with urllib.request.urlopen(f"{url}data/map.js", timeout=10) as answer:
            assert answer.read().startswith(b"ztfrepData(")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert out == "" and "Traceback" not in err and len(err.splitlines()) <= 1


def test_bad_input_is_one_line(alerts, tmp_path, monkeypatch, random_vectors):
    (tmp_path / "mine.csv").write_text("candid,class\n1,AGN\n")
    (tmp_path / "text.parquet").write_text("text")
    write_small_catalogue(tmp_path / "nan.parquet", np.full((4, 3), np.nan))
    with pytest.raises(InputError):
        write_small_catalogue(tmp_path / "empty.parquet", np.empty((0, 4)))
    for path, options, text in [
        (tmp_path / "text.parquet", (), "expected a Parquet file"),
        (tmp_path / "empty.parquet", (), "found no rows"),
        (tmp_path / "nan.parquet", (), "without a vector of finite numbers"),
        (alerts, ("--labels", tmp_path / "mine.csv"), "rows that match the catalogue"),
        (alerts, ("--projection", "mds"), "expected one of umap, pca, tsne"),
        (alerts, ("--port", 70_000), "pass another --port, or --port 0"),
    ]:
        message = run(monkeypatch, "explore", path, "--projection", "pca", *options)
        assert message.startswith("error: ") and text in message and "\n" not in message
    assert run(monkeypatch, "explore", alerts, "--seed", -1) == 2


def test_a_second_server_on_the_port_is_one_line(alerts, small_map, monkeypatch):
    with MapServer(small_map, 0) as server:
        port = server.server_port
        message = run(monkeypatch, "explore", alerts, "--projection", "pca", "--port", port)
    assert message.startswith(f"error: port {port}: found another server on it; expected a free")


def test_the_page_is_opened_if_it_is_asked_for(alerts, tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr("typer.launch", opened.append)
    arguments = ("explore", alerts, "--projection", "pca", "--folder", tmp_path / "map")
    run(monkeypatch, *arguments)
    assert opened == []
    run(monkeypatch, *arguments, "--open")
    assert opened == [(tmp_path / "map/index.html").as_uri()]
