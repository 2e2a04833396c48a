"""What the pages show: their code runs, their commands exist, their links lead somewhere.

CONTRIBUTING.md says what is tested of a code block, by its language.
"""

import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import typer
import yaml
from dvc.utils.hydra import apply_overrides, get_hydra_sweeps

import ztfrep
from tests.isolation import outside_a_repository, restored_torch_settings
from tests.test_api import write_archive
from ztfrep.cli import app
from ztfrep.data.alert_table import AlertTable
from ztfrep.data.splits import Splitting
from ztfrep.encoders.vectors_of_tables import (
    encode_alert_table,
    encode_object_series,
    encode_series_table,
)
from ztfrep.evaluation import alert_protocol, object_protocol
from ztfrep.params import read_params
from ztfrep.sources import get_source
from ztfrep.sources.base import TablePaths
from ztfrep.sources.conversion import convert
from ztfrep.training.alert_training import train_autoencoder
from ztfrep.training.object_training import train_recurrent
from ztfrep.training.training_run import RunSettings

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
DEVELOPMENT = ROOT / "docs/development.md"
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)

LANGUAGES = ("python", "console", "console long", "yaml", "text")
# Words that say something else than they mean, and the standard word in their place.
UNWANTED = {
    r"(fore)?told|foretell\w*": "predicted, forecast",
    r"judged?|judges": "classified, evaluated",
    r"ahead": "better, paired difference",
    r"rivals?": "baseline",
    r"classification branch": "classifier head",
    r"loudness": "scale",
    r"laid|poses?": "orientation",
    r"noting|gathered": "collect",
    r"alike": "constant, equal",
    r"blind": "masked, dropped",
    r"wider view": "context",
}


class Block(NamedTuple):
    """A code block: its info string, its text, and the line of the page that it begins on."""

    info: str
    text: str
    line: int

    @property
    def language(self):
        return re.sub(r" file=\S+$", "", self.info)

    @property
    def file(self):
        match = re.search(r" file=(\S+)$", self.info)
        return match and match[1]

    def commands(self):
        """The commands of a console block, as the shell takes them."""
        text = self.text.replace("\\\n", " ")
        return [line.removeprefix("$ ") for line in text.splitlines() if line.startswith("$ ")]


def blocks(page):
    text = page.read_text(encoding="utf-8")
    matches = re.finditer(r"^```(.*)\n((?:.*\n)*?)```$", text, re.MULTILINE)
    return [Block(m[1], m[2], text.count("\n", 0, m.start()) + 1) for m in matches]


def prose(page):
    """The text of a page without its code."""
    text = re.sub(r"^```.*\n(.*\n)*?```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return re.sub(r"`[^`]*`", "", text)


def headings(page):
    """The anchors of a page's headings."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


@every_page
def test_a_code_block_says_what_is_tested_of_it(page):
    fences = re.findall(r"^```", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(fences) == 2 * len(blocks(page))
    for block in blocks(page):
        assert block.language in LANGUAGES, f"line {block.line}: {block.info!r}"
        if block.file:
            assert page == DEVELOPMENT, f"line {block.line}"
            assert block.language in ("python", "yaml"), f"line {block.line}"
        if block.language.startswith("console"):
            assert block.commands(), f"line {block.line}: no command begins with '$ '"


@every_page
def test_every_link_leads_to_a_file_and_a_heading(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        linked = (page.parent / name).resolve() if name else page
        assert linked.exists(), target
        assert linked.is_relative_to(ROOT), target
        assert not anchor or anchor in headings(linked), target


@every_page
def test_standard_words_are_used(page):
    text = prose(page)
    for pattern, standard in UNWANTED.items():
        match = re.search(rf"\b({pattern})\b", text, re.IGNORECASE)
        assert match is None, f"{match[0]!r}: write {standard}"


def test_the_readme_links_to_every_page():
    links = re.findall(r"\]\((docs/\w+\.md)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert {ROOT / link for link in links} == set((ROOT / "docs").glob("*.md"))


def test_the_readme_has_the_rows_that_a_summary_prints():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.search(r"^<!-- summary -->\n```text\n([^`]*)```\n<!-- summary end -->$", text, re.M)[
        1
    ]
    alerts, objects = shown.split("\n\n")
    assert " test alerts " in alerts.splitlines()[0]
    assert " test objects " in objects.splitlines()[0]
    measured = json.loads((ROOT / "metrics/series.json").read_text(encoding="utf-8"))
    methods = [alert_protocol.CLASSIFIER_HEAD, *alert_protocol.PROBES]
    reconstructions = [alert_protocol.RECONSTRUCTION, alert_protocol.PCA_RECONSTRUCTION]
    names = {
        alerts: [*methods, *reconstructions, "prediction_sets"],
        objects: [
            object_protocol.NETWORK,
            # The sample has no light curves for the others.
            *(name for name in object_protocol.PROBES if name in measured),
            "network_balanced",
            "prediction_sets",
        ],
    }
    for part, expected in names.items():
        rows = [re.match(r"  (\S.*?)   ", line)[1] for line in part.splitlines()[1:]]
        assert rows == [name.replace("_", " ") for name in expected]


def run_pipeline(folder):
    """Write what the pipeline leaves in a folder, of packets of few alerts."""
    night, data = write_archive(folder / "night.tar.gz"), folder / "data"
    objects = [f"ZTF20aaaaaa{letter},{('AGN', 'SN', 'VS')[i % 3]}"
               for i, letter in enumerate("abcdefghi")]  # fmt: skip
    (folder / "labels.csv").write_text("\n".join(["object_id,class", *objects]))
    for name in ("raw", "parquet", "models", "encoded"):
        (data / name).mkdir(parents=True)
    params = read_params(ROOT / "params.yaml")
    source = get_source("alerts")
    config = params.sources.alerts.model_copy(
        update={"path": str(night), "labels": str(folder / "labels.csv")}
    )
    manifest = {"source": "alerts", **source.fetch(config, data / "raw", folder / ".cache")}
    parquet = data / "parquet"
    tables = TablePaths(
        parquet / "stamps.parquet", parquet / "series.parquet", parquet / "bad_packets.csv"
    )
    splitting = Splitting(test_fraction=0.1, min_test_objects=1, seed=7)
    convert(manifest, config, tables, splitting=splitting, threads=1)
    run = RunSettings(
        epochs=1, seed=7, threads=2, precision="float32", start_weights=None,
        checkpoints=folder / ".cache/checkpoints",
    )  # fmt: skip
    settings = {"batch_size": 64, "precision": "float32", "threads": 2}
    alerts, series = data / "models/autoencoder", data / "models/recurrent"
    base, encoded = data / "encoded/base.npy", data / "encoded/baseRecurrente.npy"
    observations = data / "encoded/observations.parquet"
    train_autoencoder(
        tables.stamps, "invariant", params.autoencoder.invariant, run,
        model=alerts, metrics=folder / "metrics/autoencoder",
    )  # fmt: skip
    encode_alert_table(tables.stamps, alerts, base, **settings)
    encode_series_table(tables.series, alerts, base, encoded, observations, **settings)
    train_recurrent(
        encoded, observations, "temporal", params.recurrent.temporal, run,
        model=series, metrics=folder / "metrics/recurrent",
    )  # fmt: skip
    encode_object_series(
        encoded, observations, series, data / "encoded/objects.npy",
        precision="float32", threads=2,
    )  # fmt: skip


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory):
    """A folder as `make repro` leaves it, but tiny."""
    folder = tmp_path_factory.mktemp("reproduced")
    with outside_a_repository(folder), restored_torch_settings():
        run_pipeline(folder)
    return folder


class Copy:
    """A copy of the repository, with the results of `reproduced`, and a shell in it."""

    def __init__(self, folder, reproduced):
        self.folder = folder
        ignore = shutil.ignore_patterns("__pycache__")
        for name in ("ztfrep", "stages", "tests", "benchmarks", "metrics", "docs"):
            shutil.copytree(ROOT / name, folder / name, ignore=ignore)
        for name in ("pyproject.toml", "params.yaml", "dvc.yaml", "Makefile", ".dvc/config"):
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
        shutil.copytree(reproduced / "data", folder / "data")
        shutil.copy(ROOT / "data/none", folder / "data/none")
        # DVCLive asks for the commit of a repository.
        commit = "git -c user.name=a -c user.email=a@b commit -q --allow-empty -m a"
        assert self.run(f"git init -q && {commit}") == (0, "")

    def run(self, *command):
        """Run a command of the shell, or a program and its arguments; return status and output."""
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("DVC", "GIT", "PYTHON"))},
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(self.folder),
            "DVC_SITE_CACHE_DIR": str(self.folder / ".dvc/site"),
            "DVC_NO_ANALYTICS": "1",
            "GIT_CEILING_DIRECTORIES": str(self.folder.parent),
        }
        done = subprocess.run(
            ["bash", "-c", *command] if len(command) == 1 else command,
            cwd=self.folder, env=environment, text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        return done.returncode, done.stdout

    def write(self, block):
        """Write the file of a block; what exists keeps all but the table that the block is."""
        path = self.folder / block.file
        if block.language == "yaml":
            lines = merge(path.read_text().splitlines(), block.text.splitlines())
            path.write_text("\n".join(lines) + "\n")
        elif path.exists():
            (name,) = re.findall(r"^(\w+) = \{$", block.text, re.MULTILINE)
            pattern = rf"^{name} = \{{\n(.*\n)*?\}}\n"
            old = re.search(pattern, path.read_text(), re.MULTILINE)[0]
            assert block.text.count("\n") == old.count("\n") + 1, "one line of the registry"
            assert set(old.splitlines()) < set(block.text.splitlines()), "the others as they are"
            path.write_text(path.read_text().replace(old, block.text))
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(block.text)


def merge(lines, added):
    """Return the lines of YAML with others in it, at the end of the tables that exist."""

    def items(lines):
        """Split into keys, each with the deeper lines below it."""
        depth = len(lines[0]) - len(lines[0].lstrip())
        parts = []
        for line in lines:
            deeper = not line.strip() or len(line) - len(line.lstrip()) > depth
            if parts and deeper:
                parts[-1].append(line)
            else:
                parts.append([line])
        return parts

    parts = items(lines)
    for head, *body in items(added):
        match = next((part for part in parts if part[0] == head and body), None)
        if match:
            match[1:] = merge(match[1:], body)
            continue
        blank = []
        while not parts[-1][-1].strip():
            blank.append(parts[-1].pop())
        parts += [[head, *body, *blank]]
    return [line for part in parts for line in part]


@pytest.fixture(scope="module")
def copy(tmp_path_factory, reproduced):
    return Copy(tmp_path_factory.mktemp("copy"), reproduced)


@pytest.fixture(scope="module")
def extended(tmp_path_factory, reproduced):
    """A copy with the architecture and the source that the page on development adds."""
    extended = Copy(tmp_path_factory.mktemp("extended"), reproduced)
    for block in blocks(DEVELOPMENT):
        if block.file:
            extended.write(block)
    return extended


def run_python(page, namespace):
    """Run the Python of a page as one program; an error is shown with the page's line."""
    for block in blocks(page):
        if block.language == "python" and not block.file:
            code = "\n" * block.line + block.text
            exec(compile(code, str(page), "exec"), namespace)
    return namespace


PYTHON_PAGES = [
    page
    for page in PAGES
    if page != DEVELOPMENT and any(block.language == "python" for block in blocks(page))
]


@pytest.mark.parametrize("page", PYTHON_PAGES, ids=lambda page: page.stem)
def test_the_python_of_a_page_runs(page, reproduced, monkeypatch):
    monkeypatch.chdir(reproduced)
    run_python(page, {"__name__": "page"})


def test_the_readme_shows_the_shapes_that_come_out(reproduced, monkeypatch):
    monkeypatch.chdir(reproduced)
    # The three lines of the first screen come first.
    first, *_ = blocks(ROOT / "README.md")
    assert first.language == "python"
    assert first.line < 10
    assert len([line for line in first.text.splitlines() if " = " in line]) == 3
    n = 14
    names = run_python(ROOT / "README.md", {"__name__": "page"})
    assert names["alerts"].stamps.shape[0] == n
    assert names["object_vectors"].shape == (len(names["ids"]), 64) == (9, 64)
    assert (np.diff(names["ids"].astype(str).argsort()) > 0).all()
    assert names["classes"].columns[:2].tolist() == ["object_id", "candid"]
    assert names["crops"].shape == names["original"].shape == names["observed"].shape
    assert names["crops"].shape == (n, 3, 21, 21)
    assert names["vectors"].shape == (5, 128)
    for name in ("vectors", "object_vectors", "crops", "original"):
        assert names[name].dtype == np.float32, name


def test_the_page_on_data_shows_the_columns_of_a_table(reproduced):
    text = (ROOT / "docs/data.md").read_text(encoding="utf-8")
    section = text[text.index("### Alert tables") :]
    shown = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    identity = AlertTable(reproduced / "data/parquet/stamps.parquet").identity()
    assert shown == [*identity.columns, "stamps"]


def test_an_architecture_and_a_source_are_added_as_the_page_says(extended):
    """The example is trained for an epoch, saved, loaded and used, and so is its source."""
    program = "\n".join(
        block.text for block in blocks(DEVELOPMENT) if block.language == "python" and not block.file
    )
    program += (
        "\nfrom ztfrep.data.alert_table import AlertTable"
        "\nprint(ztfrep.__file__, type(encoder.network).__name__, vectors.shape, vectors.dtype)"
        "\nprint(AlertTable(tables.series).identity()['split'].value_counts().to_dict())"
    )
    status, output = extended.run(sys.executable, "-W", "error", "-c", program)
    assert status == 0, output
    package = extended.folder / "ztfrep/__init__.py"
    assert f"{package} LinearAutoencoder (60, 128) float32" in output
    assert "{'train': 40, 'validation': 10, 'test': 10}" in output


def test_the_example_keeps_the_rules_of_the_house(extended):
    names = [
        "tests/test_params.py::test_the_comments_of_the_file_are_the_descriptions_of_the_types",
        "tests/sources/test_sources.py::test_the_registry_names_every_source_of_the_parameters",
        "tests/test_architecture.py::test_imports_between_packages_have_one_direction[ztfrep/models/alert/linear]",
        "tests/test_architecture.py::test_imports_between_packages_have_one_direction[ztfrep/sources/arrays/array_source]",
    ]
    status, output = extended.run(
        "ruff check -q ztfrep && ruff format --check -q ztfrep && "
        f"python -m pytest -q -p no:cacheprovider {shlex.join(names)}"
    )
    assert status == 0, output


RUN = [(page, b) for page in PAGES for b in blocks(page) if b.language == "console"]
LONG = [(page, b) for page in PAGES for b in blocks(page) if b.language == "console long"]


def position(value):
    return value.stem if isinstance(value, Path) else f"line-{value.line}"


@pytest.mark.parametrize(("page", "block"), RUN, ids=position)
def test_a_command_prints_what_the_page_shows(page, block, copy, extended):
    project = extended if page == DEVELOPMENT else copy
    before = (project.folder / "params.yaml").read_bytes()
    status, output = project.run("\n".join(["set -e", *block.commands()]))
    (project.folder / "params.yaml").write_bytes(before)
    shown = re.sub(r"^\$ .*(\\\n.*)*\n", "", block.text, flags=re.MULTILINE)
    assert (status != 0) == ("error: " in shown), output
    for line in shown.splitlines():
        assert line in output


def check_dvc(arguments, tmp_path):
    """Check the parameters and stages of a `dvc` command without running it."""
    if arguments[:2] != ["exp", "run"]:
        assert arguments[0] in (
            "artifacts",
            "get",
            "repro",
            "metrics",
            "queue",
            "exp",
            "plots",
            "remote",
            "push",
            "pull",
        )
        return
    settings = [value for option, value in zip(arguments, arguments[1:], strict=False)
                if option == "-S"]  # fmt: skip
    path = tmp_path / "params.yaml"
    for sweep in get_hydra_sweeps({str(path): settings}) if settings else []:
        shutil.copy(ROOT / "params.yaml", path)
        apply_overrides(path, sweep[str(path)])
        read_params(path)
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    rest = arguments[2:]
    while rest:
        word = rest.pop(0)
        if word in ("-S", "--name"):
            rest.pop(0)
        else:
            assert word in stages or word in ("--queue", "--temp"), word


@pytest.mark.parametrize(("page", "block"), LONG, ids=position)
def test_a_long_command_names_what_exists(page, block, tmp_path):
    for command in block.commands():
        words = shlex.split(command, comments=True)
        while "=" in words[0]:
            words.pop(0)
        program, *arguments = words
        if program == "dvc":
            check_dvc(arguments, tmp_path)
        elif program == "make":
            makefile = (ROOT / "Makefile").read_text()
            assert re.search(rf"^{arguments[0]}:", makefile, re.MULTILINE), command
        elif program == "ztfrep":
            known = typer.main.get_command(app).commands[arguments[0]].params
            options = {option for parameter in known for option in parameter.opts}
            options |= {option for parameter in known for option in parameter.secondary_opts}
            used = {word.split("=")[0] for word in arguments[1:] if re.match("--?[a-z]", word)}
            assert used <= options, command
        elif program == "python":
            assert arguments[0] == "-m", command
            assert importlib.util.find_spec(arguments[1]), command
            for name in arguments[2:]:
                assert not name.startswith("tests/") or (ROOT / name).exists(), command
        else:
            known = (".", "cat", "cp", "dask", "export", "git", "pip", "pre-commit", "torchrun")
            assert program in known, command


def test_the_citation_is_that_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    required = {"cff-version", "message", "title", "authors", "version", "license", "references"}
    assert required <= set(citation)
    assert citation["version"] == ztfrep.__version__
    assert citation["license"] == "MIT"
    assert citation["references"][0]["doi"] == "10.3847/1538-3881/ac0ef1"


def test_the_hooks_are_the_checks_of_make_test_in_the_environment():
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    (repository,) = config["repos"]
    # No other repository: hooks need no network, and have the versions of requirements.txt.
    assert repository["repo"] == "local"
    hooks = {hook["id"]: hook for hook in repository["hooks"]}
    assert all(hook["language"] == "system" for hook in hooks.values())
    checks = re.search(r"^test: .*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    commands = [line.strip().removesuffix(" .") for line in checks[1].splitlines()]
    entries = [hook["entry"].removesuffix(" --force-exclude") for hook in hooks.values()]
    assert entries == commands[:-1]
    assert commands[-1].startswith("pytest")
    assert hooks["mypy"]["pass_filenames"] is False
