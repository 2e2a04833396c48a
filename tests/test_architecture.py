"""The rules of the house: what may import what, and that a stage depends on what it uses."""

import ast
import re
import subprocess
import sys
from collections import Counter
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
import yaml

from stages import paths

ROOT = Path(__file__).parents[1]
PACKAGE = sorted((ROOT / "ztfrep").rglob("*.py"))
STAGES = sorted(p for p in (ROOT / "stages").glob("*.py") if p.stem not in ("__init__", "paths"))
PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]

BASE = {"errors", "process", "fields", "registry"}
# What a package or top-level module may import of ours; nothing imports cli or stages.
ALLOWED = {
    "errors": set(),
    "process": {"errors"},
    "fields": {"errors"},
    "registry": set(),
    "strict_yaml": {"data", *BASE},
    "schema_errors": {"data", *BASE},
    "data": BASE,
    "sources": {"data", *BASE},
    "models": {"data", *BASE},
    "encoders": {"models", "data", *BASE},
    "training": {"encoders", "models", "data", *BASE},
    "evaluation": {"training", "encoders", "models", "data", *BASE},
    "params": {"data", "evaluation", "sources", "models", "schema_errors", "strict_yaml", *BASE},
}


@cache
def imports(path: Path) -> set[str]:
    """Modules of the project that a file imports anywhere, or names in a registry as text."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names |= set(re.findall(r"^(ztfrep(?:\.\w+)+)(?::\w+)?$", node.value))
    return {name for name in names if name.split(".")[0] in ("ztfrep", "stages", "benchmarks")}


def files(names: set[str]) -> set[Path]:
    """The files of modules, and the `__init__` of the packages around them."""
    modules = set()
    for name in names:
        path = ROOT / name.replace(".", "/")
        packages = [p / "__init__.py" for p in (path, *path.parents) if p != ROOT]
        modules |= {p for p in (path.with_suffix(".py"), *packages) if p.is_file()}
    return modules


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT).with_suffix(""))


def third_party(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("path", STAGES, ids=lambda path: path.stem)
def test_a_stage_only_wires(path):
    assert len(path.read_text().splitlines()) <= 40
    assert not third_party(path) & {"numpy", "torch"}


def test_the_command_line_only_wires():
    assert not third_party(ROOT / "ztfrep/cli.py") & {"numpy", "torch"}


@pytest.mark.parametrize("path", PACKAGE, ids=relative)
def test_imports_point_one_way(path):
    part = path.relative_to(ROOT / "ztfrep").parts[0].removesuffix(".py")
    if part in ("cli", "__init__"):
        return
    modules = {p.stem for p in (ROOT / "ztfrep").iterdir()}
    for name in imports(path):
        top, *rest = name.split(".")
        assert top == "ztfrep", f"imports {name}"
        if rest and rest[0] in modules:
            assert rest[0] in ALLOWED[part] | {part}, f"imports {name}"


def test_modules_do_not_import_each_other_in_a_circle():
    def graph(path):
        # Inside a function an import may be late, and a package may name what is in it.
        top = ast.parse(path.read_text()).body
        nodes = [n for n in top if isinstance(n, ast.ImportFrom) and n.module]
        names = {n.module for n in nodes} | {f"{n.module}.{a.name}" for n in nodes for a in n.names}
        return {p for p in files(names) if p.name != "__init__.py"} - {path}

    TopologicalSorter({path: graph(path) for path in PACKAGE}).prepare()


def test_nothing_imports_the_stages_or_the_command_line():
    for path in [*PACKAGE, *(ROOT / "benchmarks").glob("*.py")]:
        for name in imports(path):
            assert name.split(".")[0] != "stages", f"{relative(path)} imports {name}"
            assert not name.startswith("ztfrep.cli"), f"{relative(path)} imports {name}"


def test_no_two_modules_have_one_name():
    names = Counter(path.stem for path in PACKAGE if path.stem not in ("__init__", "base"))
    assert [name for name, count in names.items() if count > 1] == []


def test_architectures_are_imported_through_their_registry_alone():
    from ztfrep.models import alert, object

    registered = [*alert.ARCHITECTURES.values(), *object.ARCHITECTURES.values()]
    architectures = {name.partition(":")[0] for name in registered}
    for path in [*PACKAGE, *STAGES]:
        if path.parts[-3] != "models":
            named = {name for name in imports(path) if name in architectures}
            assert named == set(), f"{relative(path)} imports {named}"


def test_importing_does_nothing(tmp_path):
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in [*PACKAGE, *STAGES]
        if path.name != "__init__.py"
    ]
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n" + "\n".join(
        f"import {module}" for module in modules
    )
    program += "\nimport logging, os; print(logging.getLogger().handlers, os.listdir('.'))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[] []\n"
    assert done.stderr == ""


# Parameters are dependencies by their values. Errors and signals do not change an output. The
# classes of a registry are in folders that are listed. The package imports its public names on
# first use.
NO_DEPENDENCY = {
    *(ROOT / f"ztfrep/{name}.py" for name in ("errors", "process", "fields", "registry")),
    *(ROOT / f"ztfrep/{name}.py" for name in ("params", "schema_errors", "strict_yaml")),
    ROOT / "ztfrep/__init__.py",
}
# What methods and properties of `Params` read.
READ_BY = {
    "autoencoder.config": ["autoencoder.${autoencoder.architecture}"],
    "recurrent.config": ["recurrent.${recurrent.architecture}"],
    "epochs('autoencoder')": [
        "autoencoder.${autoencoder.architecture}",
        "budget.${source}.autoencoder_epochs",
    ],
    "epochs('recurrent')": [
        "recurrent.${recurrent.architecture}",
        "budget.${source}.recurrent_epochs",
    ],
    "start_weights('autoencoder')": ["autoencoder.weights"],
    "start_weights('recurrent')": ["recurrent.weights"],
    # Which source it is follows from the interpolation, and from the manifest.
    "sources": ["sources.${source}"],
    "source": [],
}


def import_closure(path: Path) -> set[Path]:
    """Files of the project that a file imports, and those import, without NO_DEPENDENCY."""
    closure, waiting = set(), [path]
    while waiting:
        path = waiting.pop()
        if path not in closure and path not in NO_DEPENDENCY:
            closure.add(path)
            waiting += files(imports(path))
    return closure


def parameters(stage: Path) -> set[str]:
    """The parameters that a stage reads, as `dvc.yaml` would name them."""
    tree = ast.parse(stage.read_text())
    calls = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and id(node) not in inner:
            chain, part = [], node
            while isinstance(part, ast.Attribute):
                chain.insert(0, part.attr)
                part = part.value
            if isinstance(part, ast.Name) and part.id == "params":
                name = ".".join(chain).removesuffix(".model_dump")
                if id(node) in calls and chain[-1] != "model_dump":
                    name += f"({ast.unparse(calls[id(node)].args[0])})"
                names |= set(READ_BY.get(name, [name]))
    return names


def data_files(stage: Path) -> set[str]:
    """The paths of the pipeline that a stage names; a vector file has its row index beside it."""
    names = set()
    for node in ast.walk(ast.parse(stage.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "stages.paths":
            names |= {alias.name for alias in node.names}
    named = {getattr(paths, name) for name in names - {"CACHE", "CHECKPOINTS"}}
    return {str(path) for path in named} | {
        str(path.with_suffix(".parquet")) for path in named if path.suffix == ".npy"
    }


def listed(entries: list) -> list[str]:
    return [name for entry in entries for name in (entry if isinstance(entry, dict) else [entry])]


def not_covered(name: str, stage: dict) -> list[str]:
    """What the script of a stage uses and its entry of `dvc.yaml` does not list."""
    script = ROOT / f"stages/{name}.py"
    deps = listed(stage["deps"])
    params = listed(stage.get("params", []))
    outputs = [n for key in ("outs", "metrics", "plots") for n in listed(stage.get(key, []))]
    code = {str(path.relative_to(ROOT)) for path in import_closure(script)}
    missing = [c for c in code if not any(c == d or c.startswith(f"{d}/") for d in deps)]
    missing += [
        p for p in parameters(script) if not any(p == q or p.startswith(f"{q}.") for q in params)
    ]
    # A folder of metrics or figures is written in part by each of several stages.
    missing += [
        f
        for f in data_files(script)
        if not any(f == d or f.startswith(f"{d}/") for d in deps + outputs)
        and not any(o.startswith(f"{f}/") for o in outputs)
    ]
    return sorted(missing)


@pytest.mark.parametrize("name", sorted(set(PIPELINE) - {"check_params"}))
def test_a_stage_depends_on_the_code_the_parameters_and_the_files_that_it_uses(name):
    assert not_covered(name, PIPELINE[name]) == []


@pytest.mark.parametrize(
    ("name", "key", "entry", "missing"),
    [
        ("train_autoencoder", "deps", "ztfrep/data", "ztfrep/data/features.py"),
        ("evaluate_series", "deps", "data/encoded/baseRecurrente.parquet", None),
        ("evaluate_stamps", "params", "encode", "encode.batch_size"),
        ("evaluate_stamps", "params", "precision", None),
        ("train_recurrent", "params", "budget.${source}.recurrent_epochs", None),
        ("encode_stamps", "deps", "ztfrep/models", "ztfrep/models/alert/invariant.py"),
    ],
)
def test_a_dependency_that_is_not_listed_is_reported(name, key, entry, missing):
    stage = PIPELINE[name] | {key: [e for e in PIPELINE[name][key] if e != entry]}
    assert stage != PIPELINE[name]
    assert (missing or entry) in not_covered(name, stage)
