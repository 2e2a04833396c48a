"""A task as a worker of a cluster runs it, in the environment of its client.

The scheduler imports this module, so it imports little.
"""

import hashlib
import pickle
import socket
from collections.abc import Callable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import ztfrep
from ztfrep.errors import InputError

# The packages that compute numbers: other versions may compute other bytes.
_PACKAGES = ("numpy", "pyarrow", "torch")


class Environment(NamedTuple):
    """The versions that results depend on, and the checksum of this package's code."""

    versions: tuple[tuple[str, str], ...]
    code: str


@cache
def describe_environment() -> Environment:
    """Return the environment of this process."""
    folder = Path(ztfrep.__file__).parent
    code = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        code.update(f"{path.relative_to(folder)}\n".encode())
        code.update(path.read_bytes())
    versions = [("ztfrep", ztfrep.__version__), *((name, _version(name)) for name in _PACKAGES)]
    return Environment(tuple(versions), code.hexdigest())


def dump_task(function: Callable[..., Any], arguments: tuple[Any, ...]) -> bytes:
    """Return a function and its arguments as bytes, so that the scheduler need not import them."""
    return pickle.dumps((function, arguments), protocol=5)


def run_task(task: bytes, client: Environment, threads: int, *shared: Any) -> Any:
    """Run a task of `dump_task` on a worker, with a number of threads; return its result.

    Raises InputError if the worker has other versions than the client, or runs several tasks at
    once: they would share the number of threads, on which the rounding of sums depends.
    """
    _validate_worker(client)
    from threadpoolctl import threadpool_limits

    function, arguments = pickle.loads(task)
    # Not restored: the process is a worker, and every task sets it.
    threadpool_limits(limits=threads)
    return function(*shared, *arguments)


def _validate_worker(client: Environment) -> None:
    from distributed import get_worker

    worker = get_worker()
    where = f"the worker {worker.address} on {socket.gethostname()}"
    if worker.state.nthreads != 1:
        raise InputError(
            where,
            found=f"{worker.state.nthreads} threads",
            expected="1: a worker runs a task at a time",
            remedy="start it with --nthreads 1, and several with --nworkers",
        )
    own = describe_environment()
    differences = set(client.versions) - set(own.versions)
    if own == client:
        return
    raise InputError(
        where,
        found=" and ".join(f"{n} {v}" for n, v in own.versions if n in dict(differences))
        or "another code of ztfrep, of the same version",
        expected=" and ".join(f"{n} {v}" for n, v in client.versions if n in dict(differences))
        or "the code that this client has",
        remedy="install the same on the workers as on the client, and restart them",
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
