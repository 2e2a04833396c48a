"""A Dask cluster as workers. The transport, the order of work and the retries are Dask's."""

import logging
import pickle
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any

from ztfrep.errors import InputError, quote
from ztfrep.parallel.cluster_address import LOCAL, VARIABLE
from ztfrep.parallel.remote_task import describe_environment, dump_task, run_task
from ztfrep.parallel.workers import ExecutorWorkers, Result, Workers

# Limits of the wait for a scheduler, and for a worker.
CONNECT_SECONDS, WORKER_SECONDS = 15.0, 60.0
_COMMANDS = "see docs/performance.md for the commands"


@contextmanager
def open_cluster(address: str, *, threads: int) -> Iterator[Workers]:
    """Yield the workers of a cluster: of an address, or processes of this machine for `local`.

    `threads` is the number of threads that a task computes with. Raises InputError if dask is not
    installed, if the scheduler does not answer, and if it has no worker.
    """
    distributed = _import_distributed()
    with ExitStack() as stack:
        # What goes wrong is an error of this program; these are lines about it.
        stack.enter_context(_quiet(logging.getLogger("distributed")))
        if address == LOCAL:
            cluster = stack.enter_context(
                distributed.LocalCluster(
                    n_workers=max(1, import_module("dask.system").CPU_COUNT // threads),
                    threads_per_worker=1,
                    # Any free port: a second run may be on this machine.
                    dashboard_address="127.0.0.1:0",
                    silence_logs=logging.CRITICAL,
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
def _quiet(logger: logging.Logger) -> Iterator[None]:
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _connect(distributed: Any, address: str) -> Any:
    try:
        client = distributed.Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    # Whatever listens at the address may answer with anything.
    except Exception as error:
        raise InputError(
            address,
            found=f"no scheduler that answers in {CONNECT_SECONDS:g} s ({quote(str(error), 80)})",
            expected="a Dask scheduler",
            remedy=f"start it, or correct {VARIABLE}; {_COMMANDS}",
        ) from error
    try:
        client.wait_for_workers(1, timeout=WORKER_SECONDS)
    except TimeoutError as error:
        client.close()
        raise _no_workers(address) from error
    return client


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
            cause = f" ({quote(str(error), 80)})" if isinstance(error, ImportError) else ""
            return InputError(
                self._address,
                found=f"a scheduler or worker that cannot load a task of ztfrep{cause}",
                expected="the same installation on scheduler, workers and client",
                remedy='pip install "ztfrep[cluster]" of the same version on all of them',
            )
        return error

    def _lost_scheduler(self) -> InputError:
        return InputError(
            self._address,
            found="a scheduler that no longer answers",
            expected="one that runs to the end",
            remedy="start it and its workers again, and run the same command",
        )
