"""Imports point one way, importing does nothing, and a stage depends on what it imports."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
BASE = {"errors", "process", "fields"}
# What a package or top-level module of ours may import of ours; nothing imports cli or stages.
ALLOWED = {
    "__init__": set(),
    "errors": set(),
    "process": {"errors"},
    "fields": {"errors"},
    "data": {*BASE},
    "strict_yaml": {"data", *BASE},
    "schema_errors": {"data", *BASE},
    "params": {"data", "sources", "schema_errors", "strict_yaml", *BASE},
    "sources": {"data", *BASE},
    "models": {"data", *BASE},
    "encoders": {"data", "models", "params", *BASE},
    "training": {"data", "models", "encoders", *BASE},
    "evaluation": {"data", "models", "encoders", "training", *BASE},
}


def imported(path: Path) -> set[str]:
    """Modules of the project that a file imports, as `package.module`."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.split(".")[0] in ("ztfrep", "stages")}


@pytest.mark.parametrize(
    "path",
    sorted((ROOT / "ztfrep").rglob("*.py")),
    ids=lambda path: str(path.relative_to(ROOT).with_suffix("")),
)
def test_imports_point_one_way(path):
    part = path.relative_to(ROOT / "ztfrep").parts[0].removesuffix(".py")
    if part == "cli":
        return
    known = {p.stem for p in (ROOT / "ztfrep").iterdir()}
    for name in imported(path):
        top, *rest = name.split(".")
        assert top == "ztfrep", f"{path.name} imports {name}"
        if rest and rest[0] in known:
            assert rest[0] in ALLOWED[part] | {part}, f"{path.name} imports {name}"


# Parameters are dependencies by their values, and an error is no output.
NO_DEPENDENCY = {
    "errors.py",
    "process.py",
    "fields.py",
    "params.py",
    "schema_errors.py",
    "strict_yaml.py",
    "__init__.py",
}


def import_closure(path: Path) -> set[Path]:
    """Files of the project that a file imports, and those import."""
    found, waiting = set(), [path]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            # What defines the parameters changes a stage by their values alone.
            if path.name == "params.py":
                continue
            names = (ROOT / name.replace(".", "/") for name in imported(path))
            files = [f for n in names for f in (n.with_suffix(".py"), n / "__init__.py")]
            waiting += [file for file in files if file.is_file()]
    return found


def test_a_stage_depends_on_every_file_that_it_imports():
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    for name in set(stages) - {"check_params"}:
        deps = [ROOT / dep for dep in stages[name]["deps"]]
        for path in import_closure(ROOT / f"stages/{name}.py"):
            if path.name not in (*NO_DEPENDENCY, "paths.py"):
                assert any(path == dep or dep in path.parents for dep in deps), f"{name}: {path}"


def test_nobody_imports_the_command_line_or_the_stages():
    for path in [*(ROOT / "ztfrep").rglob("*.py"), *(ROOT / "stages").glob("*.py")]:
        names = imported(path)
        assert not any(name.startswith("ztfrep.cli") for name in names)
        if path.parent.name != "stages":
            assert not any(name.startswith("stages") for name in names)


def test_importing_does_nothing(tmp_path):
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in [*(ROOT / "ztfrep").rglob("*.py"), *(ROOT / "stages").glob("*.py")]
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
