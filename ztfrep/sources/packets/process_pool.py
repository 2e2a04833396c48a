"""A pool of processes that end with their parent; the loss of one is an InputError."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from typing import Any, TypeVar

from loky import ProcessPoolExecutor
from loky.process_executor import BrokenProcessPool

from ztfrep.errors import InputError

Result = TypeVar("Result")


def run_in_processes(
    function: Callable[..., Result],
    tasks: Sequence[tuple[Any, ...]],
    processes: int,
    show_progress: Callable[[], None],
) -> Iterator[Result]:
    """Yield the results of a function for the arguments in `tasks`, in any order.

    If `processes` is 1, the function runs in this process. `show_progress` is called repeatedly.
    Raises InputError if a process was killed.
    """
    if processes == 1:
        for task in tasks:
            yield function(*task)
            show_progress()
        return
    # Processes are not forked: a fork of a process with threads may wait for their locks forever.
    pool = ProcessPoolExecutor(processes, initializer=_end_with_parent, initargs=(os.getpid(),))
    with pool:
        waiting: set[Future[Result]] = {pool.submit(function, *task) for task in tasks}
        while waiting:
            done, waiting = wait(waiting, timeout=0.5, return_when="FIRST_EXCEPTION")
            show_progress()
            for finished in done:
                try:
                    yield finished.result()
                except BrokenProcessPool as error:
                    raise InputError(
                        "reading packets",
                        found="a worker process that was killed",
                        expected=f"memory for {processes} processes",
                        remedy="free some, or lower threads in params.yaml",
                    ) from error


def _end_with_parent(parent: int) -> None:
    """End this process on an interrupt, without a traceback, and soon after its parent."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
