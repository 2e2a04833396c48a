"""What is slow to import is imported where it is used: a property of modules, not of time."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
STAGES = sorted(
    f"stages.{path.stem}"
    for path in (ROOT / "stages").glob("*.py")
    if path.stem not in ("__init__", "paths")
)
# Stages that compute with no network, and what every user imports.
LIGHT = ["stages.check_params", "stages.fetch", "stages.convert", "ztfrep"]
NETWORKS = [name for name in STAGES if name not in LIGHT]
# What a stage may not need, or needs late.
LATE = {"sklearn", "scipy", "matplotlib", "duckdb", "dvclive", "onnx", "onnxruntime", "numba"}
LATE |= {"astropy", "loky", "fastavro", "gdown", "requests", "torch.onnx", "torch._dynamo"}


def imported(modules: list[str]) -> set[str]:
    """Return the names of the modules that a new process has loaded after some imports."""
    program = "import json, sys\n" + "\n".join(f"import {name}" for name in modules)
    program += "\nprint(json.dumps(sorted(sys.modules)))"
    completed = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(completed.stdout))


def test_stages_without_a_network_load_neither_torch_nor_tables():
    assert imported(LIGHT) & ({"torch", "pandas", "pyarrow", "tqdm"} | LATE) == set()


def test_stages_with_a_network_load_no_package_that_they_need_late():
    loaded = imported(NETWORKS)
    assert "torch" in loaded
    assert loaded & LATE == set()


def test_the_command_line_loads_no_torch_before_a_command_needs_it():
    assert imported(["ztfrep.cli"]) & ({"torch", "pandas"} | LATE) == set()
