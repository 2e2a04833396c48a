"""The process of a stage or command: it ends when its dvc ends, and prints errors in one line."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EDQUOT, EFBIG, ENOSPC
from typing import Any, NoReturn

from ztfrep.errors import InputError

FULL_DISK = (ENOSPC, EDQUOT, EFBIG)
# Seconds between two checks that dvc still runs; a new dvc takes longer to start.
_INTERVAL = 0.2
_INTERRUPTED = 130
_ORPHANED = "error: the dvc that started this stage has ended; its outputs are left as they were"

# Pairs of a process and its parent at the start, from this process to dvc. A shell may be between.
_links: list[tuple[int, int]] = []


def follow_dvc() -> None:
    """End this process soon after the dvc that started it.

    A killed dvc leaves its stage running, and the stage would overwrite the outputs of the next
    run. Does nothing in a process that dvc did not start: a stage run by hand may outlive its
    shell. Raises SystemExit if dvc has ended already.
    """
    stage = os.environ.get("DVC_STAGE")
    if stage is None or _links:
        return
    _links.extend(_links_to_dvc(stage))
    threading.Thread(target=_watch, name="follow dvc", daemon=True).start()


def exit_if_dvc_ended() -> None:
    """Raise SystemExit if this process follows a dvc that has ended; call it before publishing."""
    if _dvc_ended():
        _exit_without_dvc()


def _exit_without_dvc() -> NoReturn:
    sys.exit(_ORPHANED)


def _links_to_dvc(stage: str) -> list[tuple[int, int]]:
    import psutil  # Slow to import, and only needed under dvc.

    links = []
    try:
        process = psutil.Process()
        while parent := process.parent():
            links.append((process.pid, parent.pid))
            if not _belongs_to(parent, stage):
                if _is_adopted(parent.pid):
                    break
                return links
            process = parent
    except (psutil.NoSuchProcess, ProcessLookupError):
        pass
    _exit_without_dvc()


def _belongs_to(process: Any, stage: str) -> bool:
    """Return True if dvc started the process for this stage: the stage itself or a shell."""
    import psutil

    try:
        return bool(process.environ().get("DVC_STAGE") == stage)
    except psutil.AccessDenied:
        return False


def _is_adopted(parent: int) -> bool:
    """Return True if init, or a process like it, adopted this process after the end of dvc.

    A stage is in the session of its dvc, and in its process group if dvc is a container's first
    process.
    """
    same_group = os.getpgid(parent) == os.getpgrp()
    return not same_group and (parent == 1 or os.getsid(parent) != os.getsid(0))


def _dvc_ended() -> bool:
    # The parent of a process changes as soon as the old one ends, reaped or not.
    return any(_parent(process) != parent for process, parent in _links)


def _parent(process: int) -> int | None:
    if process == os.getpid():
        return os.getppid()
    import psutil

    try:
        return int(psutil.Process(process).ppid())
    except psutil.NoSuchProcess:
        return None


def _watch() -> None:
    while not _dvc_ended():
        time.sleep(_INTERVAL)
    # The terminal may be closed too.
    with suppress(OSError):
        os.write(2, f"{_ORPHANED}\n".encode())
    # The main thread may be in a long call, which an exception would wait for.
    os._exit(1)


def exit_when_interrupted() -> None:
    """Make Ctrl-C raise SystemExit 130 after one line, and a second one end the process at once.

    Does nothing in a process that ignores Ctrl-C, such as one in the background of a script.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _exit_interrupted)


def _exit_interrupted(*_: object) -> NoReturn:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # Not through `sys.stderr`, whose `write` this may have interrupted; below a progress bar.
    start = "\n" if os.isatty(2) else ""
    os.write(2, f"{start}interrupted; run the same command again to go on\n".encode())
    raise SystemExit(_INTERRUPTED)


@contextmanager
def exiting_in_one_line() -> Iterator[None]:
    """Exit with a message of one line for errors that the user can correct.

    The status is 1 for input that cannot be used, a file that cannot be read or written, and too
    little memory; 130 for Ctrl-C. Other exceptions are raised.
    """
    previous_handler = signal.getsignal(signal.SIGINT)
    exit_when_interrupted()
    try:
        yield
    except KeyboardInterrupt:
        _exit_interrupted()
    except Exception as error:
        if (
            previous_handler is not signal.SIG_DFL
            and signal.getsignal(signal.SIGINT) is signal.SIG_DFL
        ):
            # A library caught the exit in an interrupted call, and raised this error instead.
            sys.exit(_INTERRUPTED)
        text = _explain(error)
        if text is None:
            raise
        sys.exit(f"error: {' '.join(text.split())}")
    finally:
        if previous_handler is signal.default_int_handler:
            signal.signal(signal.SIGINT, previous_handler)


def _explain(error: Exception) -> str | None:
    """Return the message of an error that the user can correct, or None for another error."""
    if isinstance(error, InputError):
        return str(error)
    # PyTorch's own errors are RuntimeErrors.
    if (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error))
    ):
        text = str(error)[:200]
        return f"not enough memory{f' ({text})' if text else ''}; free some, or take less data"
    if not isinstance(error, OSError):
        return None
    remedy = "; make room on its disk, then run it again" if error.errno in FULL_DISK else ""
    if error.filename is None or error.filename2 is not None or error.strerror is None:
        return f"{error}{remedy}"
    return f"{os.fsdecode(str(error.filename))}: {error.strerror}{remedy}"
