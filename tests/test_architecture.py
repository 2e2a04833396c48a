"""Rules of the repository: imports between packages, and dependencies of the stages."""

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

BASE = {"errors", "process", "fields", "registry", "palette"}
# The packages and top-level modules of ztfrep that each may import. None may import cli or stages.
ALLOWED = {
    "errors": set(),
    "process": {"errors"},
    "fields": {"errors"},
    "registry": set(),
    "palette": set(),
    "schema_errors": {"data", *BASE},
    "parallel": BASE,
    "data": BASE,
    "sources": {"parallel", "data", *BASE},
    "models": {"data", *BASE},
    "encoders": {"models", "parallel", "data", *BASE},
    "training": {"encoders", "models", "data", *BASE},
    "evaluation": {"training", "encoders", "models", "data", *BASE},
    "catalogues": {
        "evaluation",
        "training",
        "encoders",
        "sources",
        "parallel",
        "models",
        "data",
        *BASE,
    },
    "streams": {"catalogues", "encoders", "sources", "models", "data", *BASE},
    "report": {"data", *BASE},
    "explorer": {"catalogues", "evaluation", "encoders", "sources", "data", *BASE},
    "params": {"data", "evaluation", "sources", "models", "schema_errors", *BASE},
}


@cache
def imports(path: Path) -> set[str]:
    """Return the modules of the project that a file imports anywhere or has in a registry."""
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
    """Return the files of modules, and the `__init__` files of their packages."""
    modules = set()
    for name in names:
        path = ROOT / name.replace(".", "/")
        packages = [p / "__init__.py" for p in (path, *path.parents) if p != ROOT]
        modules |= {p for p in (path.with_suffix(".py"), *packages) if p.is_file()}
    return modules


def relative(path: Path) -> str:
    """Return the path of a module in the repository, without its suffix."""
    return str(path.relative_to(ROOT).with_suffix(""))


def imported_packages(path: Path) -> set[str]:
    """Return the top-level packages that a file imports anywhere."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("path", STAGES, ids=lambda path: path.stem)
def test_a_stage_is_short_and_imports_no_numerical_package(path):
    assert len(path.read_text().splitlines()) <= 40
    assert not imported_packages(path) & {"numpy", "torch"}


def test_the_command_line_imports_no_numerical_package():
    for path in (ROOT / "ztfrep/cli").glob("*.py"):
        assert not imported_packages(path) & {"numpy", "pandas", "torch"}, path.name


@pytest.mark.parametrize("path", PACKAGE, ids=relative)
def test_imports_between_packages_have_one_direction(path):
    part = path.relative_to(ROOT / "ztfrep").parts[0].removesuffix(".py")
    if part in ("cli", "__init__"):
        return
    parts = {p.stem for p in (ROOT / "ztfrep").iterdir()}
    for name in imports(path):
        top, *rest = name.split(".")
        assert top == "ztfrep", f"imports {name}"
        if rest and rest[0] in parts:
            assert rest[0] in ALLOWED[part] | {part}, f"imports {name}"


def test_modules_have_no_circular_imports():
    def graph(path):
        # Only top-level imports count, and `__init__` files may import their modules.
        top = ast.parse(path.read_text()).body
        nodes = [n for n in top if isinstance(n, ast.ImportFrom) and n.module]
        names = {n.module for n in nodes} | {f"{n.module}.{a.name}" for n in nodes for a in n.names}
        return {p for p in files(names) if p.name != "__init__.py"} - {path}

    TopologicalSorter({path: graph(path) for path in PACKAGE}).prepare()


def test_nothing_imports_the_stages_or_the_command_line():
    for path in [*PACKAGE, *(ROOT / "benchmarks").glob("*.py")]:
        is_command_line = path.is_relative_to(ROOT / "ztfrep/cli")
        for name in imports(path):
            assert name.split(".")[0] != "stages", f"{relative(path)} imports {name}"
            if not is_command_line:
                assert not name.startswith("ztfrep.cli"), f"{relative(path)} imports {name}"


def test_names_of_modules_are_unique():
    names = Counter(path.stem for path in PACKAGE if path.stem not in ("__init__", "base"))
    assert [name for name, count in names.items() if count > 1] == []


def test_architectures_are_only_imported_through_their_registry():
    from ztfrep.models import alert, object

    registered = [*alert.ARCHITECTURES.values(), *object.ARCHITECTURES.values()]
    architectures = {name.partition(":")[0] for name in registered}
    for path in [*PACKAGE, *STAGES]:
        if path.parts[-3] != "models":
            direct = imports(path) & architectures
            assert direct == set(), f"{relative(path)} imports {direct}"


def test_importing_has_no_side_effects(tmp_path):
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in [*PACKAGE, *STAGES]
        if path.name != "__init__.py"
    ]
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n" + "\n".join(
        f"import {module}" for module in modules
    )
    program += "\nimport logging, os; print(logging.getLogger().handlers, os.listdir('.'))"
    completed = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert completed.stdout == "[] []\n"
    assert completed.stderr == ""


# Modules on which no output depends: those of errors, signals and workers, and those that read
# parameters, since `dvc.yaml` has the values of parameters. The registered classes are in folders
# that it has.
NO_DEPENDENCY = {
    *(ROOT / f"ztfrep/{name}.py" for name in ("errors", "process", "fields", "registry")),
    *(ROOT / f"ztfrep/{name}.py" for name in ("params", "schema_errors")),
    ROOT / "ztfrep/__init__.py",
    # Where tasks run: no result depends on it.
    *(ROOT / "ztfrep/parallel").glob("*.py"),
}
# The parameters that methods and properties of `Params` read.
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
    # Its source is in the key of the budget.
    "released_start()": ["autoencoder.weights", "autoencoder.start", "autoencoder.released"],
    # The name of the source is in the interpolated keys and in the manifest.
    "sources": ["sources.${source}"],
    "source": [],
}


def import_closure(path: Path) -> set[Path]:
    """Return the files that a file imports directly or indirectly, without NO_DEPENDENCY."""
    closure, queue = set(), [path]
    while queue:
        path = queue.pop()
        if path not in closure and path not in NO_DEPENDENCY:
            closure.add(path)
            queue += files(imports(path))
    return closure


def parameters(stage: Path) -> set[str]:
    """Return the keys of the parameters that a stage reads, as they are in `dvc.yaml`."""
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
                    name += f"({', '.join(map(ast.unparse, calls[id(node)].args))})"
                names |= set(READ_BY.get(name, [name]))
    return names


def data_files(stage: Path) -> set[str]:
    """Return the paths of `stages.paths` that a stage imports, and the row indices of vectors."""
    names = set()
    for node in ast.walk(ast.parse(stage.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "stages.paths":
            names |= {alias.name for alias in node.names}
    imported = {getattr(paths, name) for name in names - {"CACHE", "CHECKPOINTS"}}
    return {str(path) for path in imported} | {
        str(path.with_suffix(".parquet")) for path in imported if path.suffix == ".npy"
    }


def listed(entries: list) -> list[str]:
    """Return the names of a list in `dvc.yaml`, whose entries may have options."""
    return [name for entry in entries for name in (entry if isinstance(entry, dict) else [entry])]


def missing_dependencies(name: str, stage: dict) -> list[str]:
    """Return what the script of a stage uses and its entry in `dvc.yaml` does not list."""
    script = ROOT / f"stages/{name}.py"
    deps = listed(stage["deps"])
    params = listed(stage.get("params", []))
    outputs = [n for key in ("outs", "metrics", "plots") for n in listed(stage.get(key, []))]
    code = {str(path.relative_to(ROOT)) for path in import_closure(script)}
    missing = [c for c in code if not any(c == d or c.startswith(f"{d}/") for d in deps)]
    missing += [
        p for p in parameters(script) if not any(p == q or p.startswith(f"{q}.") for q in params)
    ]
    # Several stages may write into the same folder of metrics or figures.
    missing += [
        f
        for f in data_files(script)
        if not any(f == d or f.startswith(f"{d}/") for d in deps + outputs)
        and not any(o.startswith(f"{f}/") for o in deps + outputs)
    ]
    return sorted(missing)


@pytest.mark.parametrize("name", sorted(set(PIPELINE) - {"check_params"}))
def test_a_stage_depends_on_the_code_the_parameters_and_the_files_that_it_uses(name):
    assert missing_dependencies(name, PIPELINE[name]) == []


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
    assert (missing or entry) in missing_dependencies(name, stage)
