"""A Dask cluster as workers. The transport, the order of work and the retries are Dask's."""

import asyncio
import logging
import pickle
import pkgutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any

from ztfrep.errors import InputError, quote
from ztfrep.parallel.cluster_address import LOCAL, VARIABLE
from ztfrep.parallel.remote_task import describe_environment, dump_task, run_task
from ztfrep.parallel.workers import ExecutorWorkers, Result, Workers

# Limits of the wait for a scheduler, and for a worker.
CONNECT_SECONDS, WORKER_SECONDS = 15.0, 60.0
# Dask's default returns the memory of every array to the system, and half of the time of encoding
# goes into getting it again.
_KEEP_MEMORY = {"distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None}
# Ctrl-C reaches the processes of `local` too: this one ends them.
_IGNORE_INTERRUPTS = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"
_COMMANDS = "see docs/performance.md for the commands"


@contextmanager
def open_cluster(address: str, *, threads: int) -> Iterator[Workers]:
    """Yield the workers of a cluster: of an address, or processes of this machine for `local`.

    `threads` is the number of threads that a task computes with. Raises InputError if dask is not
    installed, if the scheduler does not answer, and if it has no worker.
    """
    distributed = _import_distributed()
    with ExitStack() as stack:
        # What goes wrong is one line of this program.
        stack.enter_context(_quiet())
        if address == LOCAL:
            stack.enter_context(import_module("dask.config").set(_KEEP_MEMORY))
            cluster = stack.enter_context(
                distributed.LocalCluster(
                    n_workers=max(1, import_module("dask.system").CPU_COUNT // threads),
                    threads_per_worker=1,
                    # Any free port: a second run may be on this machine.
                    dashboard_address="127.0.0.1:0",
                    silence_logs=logging.CRITICAL,
                    preload=_IGNORE_INTERRUPTS,
                )
            )
            client = stack.enter_context(distributed.Client(cluster))
        else:
            client = stack.enter_context(_connect(distributed, address))
        yield _Cluster(client, address, threads)


def _import_distributed() -> Any:
    try:
        return import_module("distributed")
    except ImportError as error:
        raise InputError(
            f"the environment variable {VARIABLE}",
            found="no package distributed",
            expected="Dask",
            remedy='pip install "ztfrep[cluster]"',
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Stop Dask's own messages: its loggers have a level each."""
    names = [name for name in logging.root.manager.loggerDict if name.startswith("distributed")]
    levels = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def _connect(distributed: Any, address: str) -> Any:
    try:
        # In a thread, since a notebook's has an event loop.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, _probe(distributed, address)).result()
        client = distributed.Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    # Whatever listens at the address may answer with anything.
    except Exception as error:
        raise InputError(
            address,
            found=f"no scheduler that answers in {CONNECT_SECONDS:g} s "
            f"({quote(str(error) or type(error).__name__, 80)})",
            expected="a Dask scheduler",
            remedy=f"start it, or correct {VARIABLE}; {_COMMANDS}",
        ) from error
    try:
        client.wait_for_workers(1, timeout=WORKER_SECONDS)
    except TimeoutError as error:
        client.close()
        raise _no_workers(address) from error
    # A worker without this package would end at its first task: this asks by functions of Python.
    content = client.run(pkgutil.get_data, "ztfrep", "parallel/remote_task.py", on_error="return")
    for worker, found in content.items():
        if not isinstance(found, bytes):
            client.close()
            raise _other_installation(f"the worker {worker}", found)
    return client


def _other_installation(where: str, error: Exception) -> InputError:
    return InputError(
        where,
        found=f"an installation that cannot load a task of ztfrep ({quote(str(error), 80)})",
        expected="the same installation on scheduler, workers and client",
        remedy='pip install "ztfrep[cluster]" of the same version on all of them',
    )


async def _probe(distributed: Any, address: str) -> None:
    """Raise an error if no scheduler answers: a client would wait for its greeting forever."""
    options = distributed.Security().get_connection_args("client")
    connection = distributed.comm.connect(address, timeout=CONNECT_SECONDS, **options)
    (await asyncio.wait_for(connection, CONNECT_SECONDS)).abort()


def _no_workers(address: str) -> InputError:
    return InputError(
        address,
        found=f"a scheduler without a worker for {WORKER_SECONDS:g} s",
        expected="one worker or more",
        remedy=f"start workers; {_COMMANDS}",
    )


class _Cluster(ExecutorWorkers):
    """The workers of a client's cluster."""

    def __init__(self, client: Any, address: str, threads: int) -> None:
        super().__init__(client.get_executor(pure=False), len(client.nthreads()))
        self._client, self._address, self._threads = client, address, threads
        self._last_seen = time.monotonic()

    def count(self) -> int:
        """Return the number of workers now, at least 1; see `ExecutorWorkers.count`."""
        if self._client.status != "running":
            raise self._lost_scheduler()
        try:
            number = len(self._client.nthreads())
        except Exception as error:
            raise self._lost_scheduler() from error
        if number:
            self._last_seen = time.monotonic()
        elif time.monotonic() - self._last_seen > WORKER_SECONDS:
            raise _no_workers(self._address)
        return max(1, number)

    def _prepare(
        self, function: Callable[..., Result], shared: tuple[Any, ...]
    ) -> Callable[..., "Future[Result]"]:
        # Tasks of their own, not scattered: Dask computes a result again if its worker is killed.
        values = [
            self._client.submit(pickle.loads, pickle.dumps(value), pure=False) for value in shared
        ]
        environment = describe_environment()
        return lambda *task: self._executor.submit(
            run_task, dump_task(function, task), environment, self._threads, *values
        )

    def _explain(self, error: Exception) -> Exception:
        if type(error).__name__ == "KilledWorker":
            return InputError(
                self._address,
                found=f"a task whose worker ended {error.args[2] + 1} times",
                expected="workers that do not end",
                remedy="see their logs; the usual reason is too little memory: run fewer on a "
                "machine, or raise --memory-limit",
            )
        if isinstance(error, CancelledError):
            return self._lost_scheduler()
        if isinstance(error, ImportError) or "deserialization" in str(error):
            return _other_installation(self._address, error)
        return error

    def _lost_scheduler(self) -> InputError:
        return InputError(
            self._address,
            found="a scheduler that no longer answers",
            expected="one that runs to the end",
            remedy="start it and its workers again, and run the same command",
        )
