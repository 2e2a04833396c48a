"""Comparison with other revisions: commits, branches, tags and experiments of a repository."""

import json
import os
import re
import subprocess

import pytest

from tests.isolation import outside_a_repository
from tests.report.small_runs import parse, write_page, write_run
from ztfrep.errors import InputError
from ztfrep.report.revisions import find_revision


def git(folder, *arguments):
    identity = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    done = subprocess.run(
        ["git", *identity, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        env={k: v for k, v in os.environ.items() if not k.startswith("GIT")},
    )
    return done.stdout.strip()


def commit(folder, message="run"):
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", message, "--allow-empty")
    return git(folder, "rev-parse", "HEAD")


def set_seed(folder, seed):
    path = folder / "params.yaml"
    path.write_text(re.sub(r"(?m)^seed: \d+", f"seed: {seed}", path.read_text()))


def set_score(folder, value):
    path = folder / "metrics/stamps.json"
    content = json.loads(path.read_text())
    content["classifier_head"]["balanced_accuracy"] = value
    path.write_text(json.dumps(content))


@pytest.fixture
def folder(tmp_path):
    git(tmp_path, "init", "-q", "-b", "main")
    write_run(tmp_path)
    commit(tmp_path)
    return tmp_path


def what_differs(page):
    return next(s for s in parse(page).all("section") if s.attributes["id"] == "what-differs")


def test_a_clean_tree_has_the_same_page_in_every_commit_and_in_a_clone(folder, tmp_path):
    page = write_page(folder)
    assert "All parameters and metrics are those of HEAD." in page
    second = commit(folder, "nothing")
    assert write_page(folder) == page
    assert second[:7] not in page
    git(folder, "clone", "-q", str(folder), str(tmp_path / "clone"))
    assert write_page(tmp_path / "clone") == page


def test_a_changed_parameter_is_the_first_table_with_both_values(folder):
    head = git(folder, "rev-parse", "HEAD")
    set_seed(folder, 1)
    set_score(folder, 0.8)
    page = write_page(folder)
    assert f"Compared with HEAD (commit {head[:10]})" in page
    parameters, metrics = list(what_differs(page).all("table"))
    assert parameters.rows() == [["parameter", "HEAD", "this run"], ["seed", "7", "1"]]
    first = next(parse(page).all("table"))
    assert first.rows() == parameters.rows()
    assert metrics.rows()[1] == [
        "alerts, classifier head, balanced accuracy",
        "0.9120.862 to 0.962",
        "0.800",
        "−0.112",
        "worse",
        "outside",
    ]
    assert "1 main metric on test rows differs, 1 of them by more" in page


def test_branches_tags_hashes_and_experiments_are_compared_with(folder):
    first = git(folder, "rev-parse", "HEAD")
    git(folder, "tag", "-a", "v1", "-m", "x")
    git(folder, "branch", "other")
    set_seed(folder, 1)
    second = commit(folder)
    git(folder, "update-ref", f"refs/exps/{first[:2]}/{first[2:]}/shady-name", first)
    for name in ("v1", "other", first, first[:8], "HEAD~1", "shady-name"):
        found = find_revision(name, folder / "metrics", optional=False)
        assert found.commit == first, name
        table = next(what_differs(write_page(folder, against=name)).all("table"))
        assert table.rows()[1] == ["seed", "7", "1"]
    # Two experiments of one name: that of the commit that is checked out comes first.
    git(folder, "update-ref", f"refs/exps/{second[:2]}/{second[2:]}/shady-name", second)
    assert find_revision("shady-name", folder, optional=False).commit == second
    third = commit(folder, "nothing")
    assert third != second
    with pytest.raises(InputError, match="2 experiments of the name 'shady-name'"):
        find_revision("shady-name", folder, optional=False)


@pytest.mark.parametrize(
    "name", ["nonsense", "--help", "--since=1", "HEAD~9", "HEAD:params.yaml", "", "x\ny"]
)
def test_a_revision_that_is_none_is_one_line(folder, name):
    before = sorted(folder.rglob("*"))
    with pytest.raises(InputError, match="^--against: found ") as error:
        find_revision(name, folder, optional=False)
    assert "\n" not in str(error.value)
    assert sorted(folder.rglob("*")) == before


def test_without_a_repository_there_is_nothing_to_compare_with(tmp_path):
    write_run(tmp_path)
    with outside_a_repository(tmp_path):
        page = write_page(tmp_path)
        with pytest.raises(InputError, match="found no Git repository; expected one with HEAD"):
            write_page(tmp_path, against="HEAD")
    assert "There is nothing to compare with: no Git repository with a commit." in page


def test_without_a_commit_and_without_git_there_is_nothing_to_compare_with(tmp_path, monkeypatch):
    git(tmp_path, "init", "-q")
    write_run(tmp_path)
    assert "There is nothing to compare with" in write_page(tmp_path)
    commit(tmp_path)
    monkeypatch.setenv("PATH", "/nonexistent")
    assert "There is nothing to compare with" in write_page(tmp_path)


def test_a_commit_without_metrics_is_named_and_the_parameters_are_compared(folder):
    git(folder, "rm", "-rq", "--cached", "metrics")
    git(folder, "commit", "-qm", "without")
    set_seed(folder, 2)
    page = write_page(folder)
    assert "HEAD has no metrics/stamps.json, metrics/series.json" in page
    assert next(what_differs(page).all("table")).rows()[1] == ["seed", "7", "2"]


def test_broken_metrics_of_a_commit_are_one_line_that_names_it(folder):
    path = folder / "metrics/stamps.json"
    content = path.read_text()
    path.write_text("{")
    commit(folder)
    path.write_text(content)
    with pytest.raises(InputError, match="^HEAD: metrics/stamps.json: found broken JSON"):
        write_page(folder)


def test_values_of_another_revision_are_escaped(folder):
    path = folder / "params.yaml"
    text = path.read_text()
    path.write_text(text.replace("label_column: class", "label_column: '<script>x</script>'"))
    commit(folder)
    path.write_text(text)
    page = write_page(folder)
    assert "<script" not in page
    assert "&lt;script&gt;x&lt;/script&gt;" in page
