"""Runs of torchrun, as a user starts them."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def environment(**variables):
    """Return the variables of a process on the CPU that finds the modules of the repository."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("DVC")}
    return inherited | {
        "PYTHONPATH": str(ROOT), "ZTFREP_DEVICE": "cpu", "OMP_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "PASSIVE", **variables,
    }  # fmt: skip


def start(folder, processes, *arguments):
    """Start a module in several processes, or with 1 in a process of its own."""
    command = [sys.executable]
    if processes > 1:
        command += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    return subprocess.Popen(
        [*command, "-m", *map(str, arguments)],
        cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def run(folder, processes, *arguments):
    """Run a module in several processes; return its output."""
    process = start(folder, processes, *arguments)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    return output
