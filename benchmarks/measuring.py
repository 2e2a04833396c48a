"""What every benchmark needs: a child's peak memory, and a result on disk beside its machine."""

import os
import platform
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ztfrep.files import write_json

RESULTS = Path(__file__).parent / "results"


class Measured(NamedTuple):
    """Wall-clock seconds of a command, and its peak anonymous memory in MiB."""

    seconds: float
    peak_mib: float


def measure(command: Sequence[str], **options: Any) -> Measured:
    """Run a command; pages of a mapped file do not count as its memory.

    Raises CalledProcessError if it fails.
    """
    start, peak = time.perf_counter(), 0
    with subprocess.Popen(command, **options) as child:
        while child.poll() is None:
            peak = max(peak, _anonymous_kib(child.pid))
            time.sleep(0.01)
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, command)
    return Measured(round(time.perf_counter() - start, 2), round(peak / 1024, 1))


def _anonymous_kib(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return 0
    return next((int(x.split()[1]) for x in status.splitlines() if x.startswith("RssAnon")), 0)


def save(name: str, result: Mapping[str, Any]) -> None:
    """Write a result, and print it."""
    machine = {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "python": platform.python_version(),
    }
    content = {"machine": machine, **result}
    write_json(RESULTS / f"{name}.json", content)
    for key, value in content.items():
        print(f"{key}: {value}")


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), "unknown")
