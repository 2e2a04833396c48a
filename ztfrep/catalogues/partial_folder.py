"""The folder of an unfinished encoding, which the next run of the same encoding goes on with."""

import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ztfrep.data.files import write_json
from ztfrep.errors import InputError
from ztfrep.parallel.process_pool import LostProcessError

_IDENTITY = "encoding.json"


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Make a folder if it is missing, and hold its lock; raise InputError if another run has it."""
    from filelock import FileLock, Timeout  # Slow to import.

    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.with_name(f".{folder.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise InputError(
            folder,
            found="another run that writes to it",
            expected="one run at a time",
            remedy="wait for its end, or write to another path",
        ) from error
    try:
        yield
    finally:
        lock.release()
        Path(lock.lock_file).unlink(missing_ok=True)


@contextmanager
def partial_folder(out: Path, identity: dict[str, Any]) -> Iterator[Path]:
    """Yield the folder `OUT.partial`, with what an interrupted run of the same identity left in it.

    `identity` is what determines the result, as JSON. The folder is removed at the end, unless the
    block is interrupted: the loss of a process is an interruption, another InputError is not.
    """
    folder = out.with_name(f"{out.name}.partial")
    with locked_folder(folder):
        record = folder / _IDENTITY
        if _read(record) == json.loads(json.dumps(identity)):
            logging.info("%s: going on where the last run stopped", folder)
        else:
            shutil.rmtree(folder)
            folder.mkdir()
            write_json(record, identity)
        try:
            yield folder
        except LostProcessError as error:
            raise error.with_remedy("free some, then run it again: it goes on") from error
        except InputError:
            shutil.rmtree(folder)
            raise
        shutil.rmtree(folder)


def describe(path: Path) -> list[Any]:
    """Return what tells whether a file has changed: its path, size in bytes, and time in ns."""
    status = path.stat()
    return [str(path.resolve()), status.st_size, status.st_mtime_ns]


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
