"""The commands of docs/parameters.md, by DVC's own functions and by DVC itself."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from dvc.parsing import DataResolver
from dvc.repo import Repo
from dvc.utils.hydra import apply_overrides, get_hydra_sweeps

from ztfrep.errors import InputError
from ztfrep.params import read_params

ROOT = Path(__file__).parents[1]
DOCS = (ROOT / "docs/parameters.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `(/.*?)` \| `(-S .*)` \|$", DOCS, re.MULTILINE)


@pytest.fixture
def params(tmp_path):
    return Path(shutil.copy(ROOT / "params.yaml", tmp_path))


def override(path, *overrides):
    """Change a file of parameters as `dvc exp run -S` does."""
    (each,) = get_hydra_sweeps({str(path): list(overrides)})
    apply_overrides(path, each[str(path)])
    return read_params(path)


def quoted(path):
    """Quote a path by the rules of the docs."""
    path = re.sub(r'(\\*)("|\$\{)', r"\1\1\\\2", path)
    path = re.sub(r"(\\+)$", r"\1\1", path)
    return f'sources.alerts.path="{path}"'


def test_the_docs_show_every_kind_of_character():
    assert len(ROWS) >= 12
    shown = "".join(path for path, _ in ROWS)
    assert set(" =,[](){}\"'#$%\\:;&~*?!é") - set(shown) <= {"é"}
    assert not shown.isascii()


@pytest.mark.parametrize(("path", "command"), ROWS)
def test_a_path_arrives_by_the_documented_command(params, path, command):
    option, argument = shlex.split(command)
    assert option == "-S"
    assert argument == quoted(path)
    assert override(params, argument).sources.alerts.path == path


def test_the_documented_line_of_the_file_is_the_path_it_shows(params):
    (line,) = re.findall(r"^    path: '.*'$", DOCS, re.MULTILINE)
    text = params.read_text().replace("    path: data/none", line, 1)
    params.write_text(text)
    expected = """/data/night=3, [a], "b", it's, ${field}, 50%"""
    assert read_params(params).sources.alerts.path == expected


PRINTABLE = [chr(code) for code in range(32, 127) if chr(code) != "/"]


@pytest.mark.parametrize("characters", [PRINTABLE[start::8] for start in range(8)], ids="".join)
def test_every_printable_character_of_ascii_arrives(params, characters):
    """At the beginning and the end of a name, alone and twice."""
    path = "".join(f"/{c}a{c}{c}b {c}" for c in characters)
    assert override(params, quoted(path)).sources.alerts.path == path


@pytest.mark.parametrize("end", ["\\", "\\\\", '"', '\\"', "'", " ", "${", "\\${a}", "$", "}"])
def test_every_end_of_a_path_arrives(params, end):
    assert override(params, quoted(f"/data/{end}")).sources.alerts.path == f"/data/{end}"


def test_the_documented_message_is_the_one_that_is_printed(tmp_path, params):
    (line,) = re.findall(r"^error: (params\.yaml: .*)$", DOCS, re.MULTILINE)
    with pytest.raises(InputError) as error:
        override(params, "autoencoder.invariant.latent_dim=10000000")
    assert str(error.value) == f"{tmp_path}/{line}"


@pytest.mark.parametrize("character", ["\t", "\n", "\x7f"], ids=ascii)
def test_a_control_character_is_refused(params, character):
    with pytest.raises(InputError, match="sources.alerts.path: found text with the character"):
        override(params, quoted(f"/data/{character}a"))


@pytest.mark.parametrize(
    ("argument", "rate"),
    [("0.00001", 1e-5), ("1e-05", 1e-5), ("1e-5", 1e-5), ("1.0e-5", 1e-5), ("1", 1.0)],
)
def test_a_small_number_arrives_as_a_number(params, argument, rate):
    """DVC writes 0.00001 as 1e-05."""
    changed = override(params, f"autoencoder.invariant.learning_rate={argument}")
    assert changed.autoencoder.invariant.learning_rate == rate


@pytest.mark.parametrize("column", ["on", "yes", "12:30", '"1e5"', '"null"', '"7"', '"a, b=c"'])
def test_a_name_that_looks_like_something_else_arrives_as_text(params, column):
    changed = override(params, f"sources.alerts.label_column={column}")
    assert changed.sources.alerts.label_column == column.strip('"')


def test_dvc_depends_on_the_path_as_it_is(tmp_path, monkeypatch, params):
    """`deps: ["${sources.alerts.path}"]` uses the value, and does not parse it again."""
    monkeypatch.chdir(tmp_path)
    definition = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["fetch"]
    assert "${sources.alerts.path}" in definition["deps"]
    with Repo.init(no_scm=True) as repo:
        for path, _ in ROWS:
            shutil.copy(ROOT / "params.yaml", params)
            override(params, quoted(path))
            resolver = DataResolver(repo, str(tmp_path), {"stages": {"fetch": definition}})
            assert path in resolver.resolve_one("fetch")["fetch"]["deps"]


def test_dvc_runs_the_documented_command_from_a_shell(tmp_path, params):
    path, command = max(ROWS, key=lambda row: len(set(row[0])))
    folder = tmp_path / "data"
    # The command of the docs, with another folder.
    command = command.replace("/data/", f"{folder}/")
    path = path.replace("/data/", f"{folder}/")
    Path(path).mkdir(parents=True)
    (Path(path) / "night.avro").write_bytes(b"")
    (tmp_path / "dvc.yaml").write_text(
        "stages:\n  fetch:\n    cmd: echo ran\n    params: [sources.alerts.path]\n"
        "    deps: ['${sources.alerts.path}']\n"
    )
    dvc = f"{shlex.quote(sys.executable)} -m dvc"
    git = "git -c user.name=a -c user.email=a@b"
    done = subprocess.run(
        ["bash", "-ec", f"git init -q\n{dvc} init -q\ngit add .dvc dvc.yaml params.yaml\n"
         f"{git} commit -qm a\n{dvc} exp run {command}\n"],
        cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "HOME": str(tmp_path), "DVC_NO_ANALYTICS": "1",
             "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b",
             "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lock = yaml.safe_load((tmp_path / "dvc.lock").read_text())["stages"]["fetch"]
    assert lock["params"]["params.yaml"]["sources.alerts.path"] == path
    assert (tmp_path / lock["deps"][0]["path"]).resolve() == Path(path)
