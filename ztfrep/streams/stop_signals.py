"""Signals that end a long service after the work at hand."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stop_on_signals() -> Iterator[Callable[[], bool]]:
    """Yield a function that returns True after Ctrl-C or SIGTERM; a second one ends the process.

    For the main thread: Python lets no other handle signals.
    """
    received: list[int] = []

    def receive(number: int, _: object) -> None:
        received.append(number)
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        # Not through `sys.stderr`, whose `write` this may have interrupted.
        os.write(2, b"\nfinishing the batch; once more ends at once\n")

    previous = {number: signal.signal(number, receive) for number in _SIGNALS}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
