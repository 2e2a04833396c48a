"""The command `ztfrep report`."""

import pytest

from tests.isolation import outside_a_repository
from tests.report.small_runs import write_run
from ztfrep import cli


def run(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["ztfrep", "report", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return stop.value.code


def test_the_page_is_written_where_the_command_says(tmp_path, monkeypatch, capsys):
    write_run(tmp_path)
    with outside_a_repository(tmp_path):
        assert run(monkeypatch, "--out", "pages/one.html") == 0
        assert capsys.readouterr().out == f"{(tmp_path / 'pages/one.html').resolve()}\n"
        assert (tmp_path / "pages/one.html").read_text().startswith("<!doctype html>")
        # The folders may be anywhere.
        (tmp_path / "metrics").rename(tmp_path / "other")
        assert run(monkeypatch, "--metrics", "other", "--figures", "none") == 0
        assert "<img" not in (tmp_path / "report.html").read_text()


def test_an_error_is_one_line_and_the_page_before_remains(tmp_path, monkeypatch):
    write_run(tmp_path)
    page = tmp_path / "report.html"
    page.write_text("before")
    with outside_a_repository(tmp_path):
        for arguments in (("--against", "main"), ("--metrics", "none"), ("--params", "none")):
            code = run(monkeypatch, *arguments)
            assert code.startswith("error: ")
            assert "\n" not in code
    assert page.read_text() == "before"
    assert [path.name for path in tmp_path.glob(".*")] == []
