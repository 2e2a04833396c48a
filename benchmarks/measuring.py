"""Measurement of a command's time and peak memory, and the result files of the benchmarks."""

import os
import platform
import resource
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ztfrep.data.files import write_json

RESULTS = Path(__file__).parent / "results"
# A process that was started less than so many seconds ago may still have its parent's memory, which
# would count twice: until its own program is loaded.
_YOUNG = 0.2


class Measured(NamedTuple):
    """Wall-clock seconds of a command, and the peak anonymous memory of its processes in MiB."""

    seconds: float
    peak_mib: float


def measure(command: Sequence[str], **options: Any) -> Measured:
    """Run a command; return its time and its memory, without pages of mapped files.

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
    """Return the memory of a process and of all processes that it started."""
    process = Path(f"/proc/{pid}")
    try:
        lines = (process / "status").read_text(encoding="ascii").splitlines()
        threads = [path.read_text(encoding="ascii") for path in process.glob("task/*/children")]
    except OSError:  # It has ended.
        return 0
    own = next((int(line.split()[1]) for line in lines if line.startswith("RssAnon")), 0)
    children = (int(child) for text in threads for child in text.split())
    return own + sum(_anonymous_kib(child) for child in children if _age(child) > _YOUNG)


def _age(pid: int) -> float:
    """Return the seconds since a process was started; 0 for one that has ended."""
    try:
        # The name of the program, in parentheses, may have blanks.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return 0.0
    uptime = float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
    return uptime - int(fields[19]) / os.sysconf("SC_CLK_TCK")


def child_seconds() -> float:
    """Return the processor time, user and system, of all ended processes that this one started.

    Two readings differ by the time of those that ended between them: unlike wall-clock time, it
    hardly depends on other work of the machine.
    """
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def machine() -> dict[str, Any]:
    """Return a description of the machine."""
    return {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "python": platform.python_version(),
    }


def save(name: str, result: Mapping[str, Any], shown: Sequence[str] | None = None) -> None:
    """Write a result with its machine; print it, or only the keys `shown`."""
    content = {"machine": machine(), **result}
    write_json(RESULTS / f"{name}.json", content)
    for key, value in content.items():
        if shown is None or key in shown:
            print(f"{key}: {value}")


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), "unknown")
