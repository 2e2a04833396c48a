"""Workers that compute tasks, and their results in the order of the tasks, in bounded memory."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, wait
from itertools import islice
from typing import Any, TypeVar

Result = TypeVar("Result")
# Tasks that are waiting or done, per worker: a slow task, and its repetition if its worker is
# killed, leaves the others with work.
_TASKS_PER_WORKER = 4
_SECONDS_BETWEEN_CHECKS = 0.5


def no_progress() -> None:
    """Show nothing."""


class Workers(ABC):
    """Workers that compute tasks; there are `number` of them at the start."""

    number: int

    @abstractmethod
    def map(
        self,
        function: Callable[..., Result],
        tasks: Iterable[tuple[Any, ...]],
        *,
        shared: tuple[Any, ...] = (),
        show_progress: Callable[[], None] = no_progress,
    ) -> Iterator[Result]:
        """Yield the results of a function for the arguments in `tasks`, in their order.

        The function is one of a module, and depends on its arguments alone. It gets `shared`, large
        values that each worker receives once, before the arguments of a task. `show_progress` is
        called repeatedly. Raises InputError if workers are lost.
        """


class ThisProcess(Workers):
    """This process, which computes a task when its result is asked for."""

    number = 1

    def map(
        self,
        function: Callable[..., Result],
        tasks: Iterable[tuple[Any, ...]],
        *,
        shared: tuple[Any, ...] = (),
        show_progress: Callable[[], None] = no_progress,
    ) -> Iterator[Result]:
        """Yield the results of a function; see `Workers.map`."""
        for task in tasks:
            yield function(*shared, *task)
            show_progress()


class ExecutorWorkers(Workers):
    """The workers of an executor; a subclass explains its errors."""

    def __init__(self, executor: Executor, number: int) -> None:
        self._executor, self.number = executor, number

    def map(
        self,
        function: Callable[..., Result],
        tasks: Iterable[tuple[Any, ...]],
        *,
        shared: tuple[Any, ...] = (),
        show_progress: Callable[[], None] = no_progress,
    ) -> Iterator[Result]:
        """Yield the results of a function; see `Workers.map`."""
        waiting = iter(tasks)
        submit = self._prepare(function, shared)
        pending: deque[Future[Result]] = deque()
        try:
            while True:
                free = max(0, _TASKS_PER_WORKER * self.count() - len(pending))
                pending.extend(submit(*task) for task in islice(waiting, free))
                if not pending:
                    return
                while not wait([pending[0]], _SECONDS_BETWEEN_CHECKS).done:
                    show_progress()
                    self.count()
                    _raise_failures(pending)
                yield pending.popleft().result()
                show_progress()
        except Exception as error:
            explained = self._explain(error)
            if explained is error:
                raise
            raise explained from error
        finally:
            for future in pending:
                future.cancel()

    def count(self) -> int:
        """Return the number of workers now, at least 1; raise InputError if all are lost."""
        return self.number

    def _prepare(
        self, function: Callable[..., Result], shared: tuple[Any, ...]
    ) -> Callable[..., "Future[Result]"]:
        """Return what submits a task."""
        return lambda *task: self._executor.submit(function, *shared, *task)

    @abstractmethod
    def _explain(self, error: Exception) -> Exception:
        """Return the InputError for an error of the executor, and other errors as they are."""


def _raise_failures(pending: Iterable["Future[Any]"]) -> None:
    """Raise the error of a task that has failed, though results before it are not complete."""
    for future in pending:
        if future.done():
            future.result()
