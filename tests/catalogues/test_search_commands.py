"""The commands similar, rank and index: what they print and write, and one line for bad input."""

import re

import numpy as np
import pandas as pd
import pytest

from tests.catalogues.small_catalogues import CANDID, write_small_catalogue
from tests.test_cli import run
from ztfrep.catalogues.encoding import encode_paths
from ztfrep.catalogues.result_tables import format_table
from ztfrep.errors import InputError


@pytest.fixture
def alerts(tmp_path):
    path = tmp_path / "v.parquet"
    vectors = np.random.default_rng(0).normal(size=(8, 4))
    write_small_catalogue(path, vectors, preview_size=4)
    return path


def test_similar_prints_a_table_and_writes_csv_and_pictures(alerts, tmp_path, monkeypatch, capsys):
    arguments = ("similar", CANDID + 3, "--in", alerts, "-k", 4)
    files = ("--csv", tmp_path / "s.csv", "--pictures", tmp_path / "s.png")
    assert run(monkeypatch, *arguments, *files) == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.split() == [
        "rank", "object_id", "candid", "predicted_class", "probability", "distance", "link",
    ]  # fmt: skip
    assert rows[4:] == [str(tmp_path / "s.csv"), str(tmp_path / "s.png")]
    table = pd.read_csv(tmp_path / "s.csv")
    assert table["rank"].tolist() == [1, 2, 3, 4] and table["candid"].dtype == "int64"
    assert CANDID + 3 not in table["candid"].tolist()
    assert [row.split()[2] for row in rows[:4]] == [str(candid) for candid in table["candid"]]
    assert (tmp_path / "s.png").read_bytes().startswith(b"\x89PNG")


def test_similar_has_fewer_rows_if_the_catalogue_has_fewer(alerts, monkeypatch, capsys):
    assert run(monkeypatch, "similar", CANDID, "--in", alerts, "-k", 1000) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + 7
    assert run(monkeypatch, "similar", CANDID, "--in", alerts, "--other-objects") == 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + 6


def test_similar_by_the_index_is_similar(alerts, monkeypatch, capsys):
    pytest.importorskip("faiss")
    assert run(monkeypatch, "index", alerts) == 0
    assert capsys.readouterr().out.strip() == str(alerts.with_suffix(".index"))
    arguments = ("similar", CANDID, "--in", alerts)
    assert run(monkeypatch, *arguments) == run(monkeypatch, *arguments, "--index") == 0
    exact_and_index = capsys.readouterr().out.splitlines()
    assert exact_and_index[:8] == exact_and_index[8:]


def test_the_queries_of_an_archive_are_named(models, encoder, night, tmp_path, monkeypatch, capsys):
    archive = night(numbers=range(3))
    encode_paths(encoder, archive, tmp_path / "v.parquet")
    arguments = ("similar", archive, "--in", tmp_path / "v.parquet", "--model", models)
    assert run(monkeypatch, *arguments, "-k", 2, "--csv", tmp_path / "s.csv") == 0
    table = pd.read_csv(tmp_path / "s.csv")
    assert len(table) == 6 and list(table)[:3] == ["query_object_id", "query_candid", "rank"]
    assert (table["query_candid"] != table["candid"]).all()
    message = run(monkeypatch, *arguments, "--pictures", tmp_path / "s.png")
    assert "found 3 queries; expected one" in message


def test_rank_explains_the_score_and_needs_the_model_for_percentiles(
    models, encoder, night, tmp_path, monkeypatch, capsys
):
    path = tmp_path / "v.parquet"
    encode_paths(encoder, night(numbers=range(4)), path)
    assert run(monkeypatch, "rank", path, "--model", models, "--pictures", tmp_path / "r.png") == 0
    header, first, *_ = capsys.readouterr().out.splitlines()
    assert "neighbour_distance reconstruction_error class_entropy" in re.sub(" +", " ", header)
    assert len(re.findall(r"\(\d+ %\)", first)) == 3
    assert run(monkeypatch, "rank", path, "--model", tmp_path / "none", "--top", 2) == 0
    printed = capsys.readouterr()
    assert "%" not in printed.out and len(printed.out.splitlines()) == 3
    assert "no percentiles" in printed.err


def test_rank_by_a_column_in_ascending_order(alerts, tmp_path, monkeypatch, capsys):
    arguments = ("rank", alerts, "--by", "magpsf", "--ascending", "--class", "SN")
    assert run(monkeypatch, *arguments, "--csv", tmp_path / "r.csv") == 0
    assert pd.read_csv(tmp_path / "r.csv")["candid"].tolist() == [
        CANDID + row for row in (7, 5, 3, 1)
    ]
    assert capsys.readouterr().err == ""


def test_text_of_a_catalogue_cannot_control_the_terminal():
    shown = format_table(pd.DataFrame({"object_id": ["\x1b[31m\n\u202ex" + "y" * 500]}))
    assert "\x1b" not in shown and "\u202e" not in shown and len(shown.splitlines()) == 2
    assert len(shown.splitlines()[1]) < 120


@pytest.mark.parametrize("command", [("similar", "ZTF20aaaaaaa", "--in"), ("rank",), ("index",)])
def test_a_file_that_is_no_catalogue_is_one_line(tmp_path, monkeypatch, command):
    (tmp_path / "text.parquet").write_text("no catalogue")
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "other.parquet")
    for name in ("text.parquet", "other.parquet", "none.parquet"):
        message = run(monkeypatch, *command, tmp_path / name)
        assert message.startswith(f"error: {tmp_path / name}: found") and "\n" not in message
    with pytest.raises(InputError):
        write_small_catalogue(tmp_path / "empty.parquet", np.empty((0, 4)))
    assert "found no rows" in run(monkeypatch, *command, tmp_path / "empty.parquet")


def test_bad_arguments_are_one_line(alerts, tmp_path, monkeypatch):
    for arguments, text in [
        (("similar", CANDID + 99, "--in", alerts), "no row of"),
        (("similar", f"{float(CANDID)}", "--in", alerts), "floating-point number"),
        (("similar", CANDID, "--in", alerts, "--index"), "make it with: ztfrep index"),
        (("rank", alerts, "--by", "colour"), "no column 'colour' of numbers"),
        (("rank", alerts, "--class", "QSO"), "no class 'QSO'"),
    ]:
        message = run(monkeypatch, *arguments)
        assert text in message and "\n" not in message
    assert run(monkeypatch, "similar", CANDID, "--in", alerts, "-k", 0) == 2
    assert run(monkeypatch, "rank", alerts, "--top", 0) == 2


def test_vectors_that_are_not_finite_are_one_line(tmp_path, monkeypatch):
    for value in (np.nan, np.inf):
        vectors = np.ones((4, 3))
        vectors[1, 1] = value
        write_small_catalogue(tmp_path / "v.parquet", vectors)
        message = run(monkeypatch, "similar", CANDID, "--in", tmp_path / "v.parquet")
        assert "without a vector of finite numbers" in message and "\n" not in message
