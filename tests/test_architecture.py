"""Imports point one way."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LEAVES = {"errors", "files", "filetypes", "features", "stamps"}
# What a module or package of ours may import of ours; the stages and cli may import anything.
ALLOWED = {
    "__init__": set(),
    "errors": set(),
    "files": set(),
    "filetypes": set(),
    "frames": {"errors", "files"},
    "features": set(),
    "stamps": set(),
    "curation": set(),
    "models": set(),
    "evaluation": set(),
    "figures": set(),
    "representation": set(),
    "sampling": set(),
    "params": {"errors", "features"},
    "alert_schema": LEAVES,
    "alert_checks": {"alert_schema", *LEAVES},
    "thrift": set(),
    "parquet_files": LEAVES,
    "parquet_layout": {"parquet_files", "thrift", *LEAVES},
    "checksums": {"parquet_files"},
    "alert_table": {
        "alert_schema",
        "alert_checks",
        "checksums",
        "parquet_files",
        "parquet_layout",
        "frames",
        *LEAVES,
    },
    "alerts": {"alert_schema", "alert_checks", "alert_table", "checksums", *LEAVES},
    "training": {"files"},
    "encoding": {"errors", "files", "frames"},
    "checkpoints": {"errors", "files"},
    "sources": {"alerts", "curation", *LEAVES},
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
    "path", sorted((ROOT / "ztfrep").rglob("*.py")), ids=lambda path: path.stem
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
