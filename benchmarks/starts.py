"""Seconds of the starts: imports of each stage, of the package and its command, and a no-op repro.

make repro                    # so that nothing is left to do
python -m benchmarks.starts

Each is the least of several runs; they take turns with `import torch` alone, the floor of a stage
that computes with a network, and with `dvc --version`, the floor of `dvc repro`.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.measuring import child_seconds, save

ROOT = Path(__file__).parents[1]
UP_TO_DATE = "Data and pipelines are up to date"
_TORCH, _REPRO, _VERSION = "import torch", "dvc repro", "dvc --version"
# Stages that import no torch.
_WITHOUT_NETWORK = ("stages.check_params", "stages.fetch", "stages.convert")
# What the installed command runs.
_HELP = "import sys; from ztfrep.cli import main; sys.argv[1:] = ['--help']; main()"


def main() -> None:
    """Run every start in turn, several times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=ROOT, help="of the workspace to reproduce")
    arguments = parser.parse_args()
    stages = sorted(p.stem for p in (ROOT / "stages").glob("*.py"))
    imports = [f"stages.{name}" for name in stages if name not in ("__init__", "paths")]
    commands: dict[str, Sequence[str]] = {
        _TORCH: (sys.executable, "-c", _TORCH),
        "import ztfrep": (sys.executable, "-c", "import ztfrep"),
        **{f"import {name}": (sys.executable, "-c", f"import {name}") for name in imports},
        "ztfrep --help": (sys.executable, "-c", _HELP),
        _VERSION: (sys.executable, "-m", "dvc", "--version"),
        _REPRO: (sys.executable, "-m", "dvc", "repro"),
    }
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(arguments.repeats):
        for name, command in commands.items():
            runs[name].append(_time(command, arguments.folder))
    least = {
        name: [round(min(part), 2) for part in zip(*x, strict=True)] for name, x in runs.items()
    }
    networks = [f"import {name}" for name in imports if name not in _WITHOUT_NETWORK]
    seconds, processor = (
        {name: pair[column] for name, pair in least.items()} for column in range(2)
    )
    save(
        "starts",
        {
            "seconds": seconds,
            "processor_seconds": processor,
            "seconds_beyond_torch": _beyond(seconds, networks),
            "processor_seconds_beyond_torch": _beyond(processor, networks),
        },
    )


def _beyond(seconds: Mapping[str, float], networks: Sequence[str]) -> dict[str, float]:
    return {name: round(seconds[name] - seconds[_TORCH], 2) for name in networks}


def _time(command: Sequence[str], folder: Path) -> tuple[float, float]:
    """Return the wall-clock and processor seconds of a command; exit if `dvc repro` has work."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    before, start = child_seconds(), time.perf_counter()
    completed = subprocess.run(
        command, cwd=folder, env=environment, check=True, capture_output=True, text=True
    )
    seconds = time.perf_counter() - start
    if command[-1] == "repro" and UP_TO_DATE not in completed.stdout:
        sys.exit("error: dvc repro ran stages; run this again, now that they are up to date")
    return seconds, child_seconds() - before


if __name__ == "__main__":
    main()
