"""A pool of processes that end with their parent; the loss of one is an InputError."""

import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from itertools import chain, islice
from queue import SimpleQueue
from typing import Any

from loky import ProcessPoolExecutor
from loky.process_executor import BrokenProcessPool

from ztfrep.errors import InputError
from ztfrep.parallel.workers import ExecutorWorkers, Result, ThisProcess, Workers


class LostProcessError(InputError):
    """A process of a pool that was killed, most likely for its memory."""


@contextmanager
def open_processes(number: int, work: str) -> Iterator[Workers]:
    """Yield the workers of a number of processes; 1 is this process.

    `work` is what they do, for messages, such as "reading packets".
    """
    if number == 1:
        yield ThisProcess()
        return
    with _make_pool(number) as pool:
        yield _Processes(pool, number, work)


class _Processes(ExecutorWorkers):
    """The processes of a pool."""

    def __init__(self, pool: ProcessPoolExecutor, number: int, work: str) -> None:
        super().__init__(pool, number)
        self._work = work

    def _explain(self, error: Exception) -> Exception:
        lost = isinstance(error, BrokenProcessPool)
        return _lost_process(self._work, self.number) if lost else error


def map_ahead(
    function: Callable[..., Result],
    tasks: Iterable[tuple[Any, ...]],
    processes: int,
    ahead: int,
    work: str,
) -> Generator[Result, None, None]:
    """Yield the results of a function for the arguments in `tasks`, in their order.

    A thread takes the tasks, so that making them, the function, and what the caller does with a
    result overlap; at most `ahead` tasks were taken whose results were not. If `processes` is 1,
    or for a single task, the function runs in this process, one task after the other. Raises what
    `tasks` raises, and LostProcessError if a process was killed. Close the iterator if it is not
    exhausted: the processes end. `work` is as in `open_processes`.
    """
    tasks = iter(tasks)
    first = list(islice(tasks, 2))
    if processes == 1 or len(first) < 2:
        for task in chain(first, tasks):
            yield function(*task)
        return
    submitted: SimpleQueue[Future[Result] | BaseException | None] = SimpleQueue()
    places, closed = threading.Semaphore(ahead), threading.Event()
    pool = _make_pool(processes)

    def submit() -> None:
        try:
            for task in chain(first, tasks):
                places.acquire()
                if closed.is_set():
                    return
                submitted.put(pool.submit(function, *task))
            submitted.put(None)
        except BaseException as error:
            submitted.put(error)

    # A daemon: it may wait for a pipe that does not end.
    threading.Thread(target=submit, name="submit tasks", daemon=True).start()
    try:
        while (future := submitted.get()) is not None:
            if isinstance(future, BaseException):
                raise future
            yield _result(future, work, processes)
            places.release()
    except BaseException:
        closed.set()
        places.release()
        pool.shutdown(kill_workers=True)
        raise
    pool.shutdown()


def _make_pool(processes: int) -> ProcessPoolExecutor:
    # Processes are not forked: a fork of a process with threads may wait for their locks forever.
    return ProcessPoolExecutor(processes, initializer=_end_with_parent, initargs=(os.getpid(),))


def _result(finished: "Future[Result]", work: str, processes: int) -> Result:
    try:
        return finished.result()
    except BrokenProcessPool as error:
        raise _lost_process(work, processes) from error


def _lost_process(work: str, processes: int) -> LostProcessError:
    return LostProcessError(
        work,
        found="a worker process that was killed",
        expected=f"memory for {processes} processes",
        remedy="free some, or lower threads in params.yaml",
    )


def _end_with_parent(parent: int) -> None:
    """End this process on an interrupt, without a traceback, and soon after its parent."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
