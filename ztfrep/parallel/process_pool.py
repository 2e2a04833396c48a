"""A pool of processes that end with their parent; the loss of one is an InputError."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from loky import ProcessPoolExecutor
from loky.process_executor import BrokenProcessPool

from ztfrep.errors import InputError
from ztfrep.parallel.workers import ExecutorWorkers, ThisProcess, Workers


@contextmanager
def open_processes(number: int, work: str) -> Iterator[Workers]:
    """Yield the workers of a number of processes; 1 is this process.

    `work` is what they do, for messages, such as "reading packets".
    """
    if number == 1:
        yield ThisProcess()
        return
    # Processes are not forked: a fork of a process with threads may wait for their locks forever.
    pool = ProcessPoolExecutor(number, initializer=_end_with_parent, initargs=(os.getpid(),))
    with pool:
        yield _Processes(pool, number, work)


class _Processes(ExecutorWorkers):
    """The processes of a pool."""

    def __init__(self, pool: ProcessPoolExecutor, number: int, work: str) -> None:
        super().__init__(pool, number)
        self._work = work

    def _explain(self, error: Exception) -> Exception:
        if not isinstance(error, BrokenProcessPool):
            return error
        return InputError(
            self._work,
            found="a worker process that was killed",
            expected=f"memory for {self.number} processes",
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
