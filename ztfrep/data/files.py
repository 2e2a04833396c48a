"""Files and folders that appear whole or not at all."""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EINVAL, ENOSPC, ENOTSUP
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ztfrep.errors import InputError
from ztfrep.process import FULL_DISK, exit_if_dvc_ended

if TYPE_CHECKING:
    from filelock import BaseFileLock

# Words of a library's error for a full disk. The second are DuckDB's.
_FULL_DISK_WORDS = (os.strerror(ENOSPC), "failed to offload data block")


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path to write to, which replaces `path` when the block ends without error.

    The temporary file does not exist yet. It has the name of `path`, and so the suffix by which
    numpy and matplotlib select a format. The bytes are synced to the disk before the file is
    renamed. Raises OSError with `path` as its filename, and SystemExit if the dvc of this stage has
    ended.
    """
    path = Path(path)
    with scratch_folder(path) as folder:
        temporary = folder / path.name
        yield temporary
        _sync(temporary)
        exit_if_dvc_ended()
        os.replace(temporary, path)
        _sync(path.parent)


@contextmanager
def replacing_folder(path: str | Path) -> Iterator[Path]:
    """Yield the path of a folder to make; it replaces `path` when the block ends without error."""
    path = Path(path)
    with scratch_folder(path) as folder:
        temporary = folder / path.name
        yield temporary
        for part in sorted(temporary.rglob("*"), reverse=True):
            _sync(part)
        _sync(temporary)
        exit_if_dvc_ended()
        with suppress(FileNotFoundError):
            os.rename(path, folder / f"{path.name}.before")
        os.rename(temporary, path)
        _sync(path.parent)


@contextmanager
def scratch_folder(path: str | Path) -> Iterator[Path]:
    """Yield an empty folder beside `path`, private to this user; remove it at the end.

    Its name is not predictable. Folders of the same `path` that killed runs left are removed first,
    unless another process uses them. A full disk raises OSError with `path` as its filename.
    """
    path = Path(path)
    with _as_write_errors(path, path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path)
        folder, lock = _make_folder(path)
    try:
        with _as_write_errors(path, folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()


def write_json(path: str | Path, content: Any) -> None:
    """Write `content` as indented JSON; raises ValueError for NaN and infinity."""
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _make_folder(path: Path) -> tuple[Path, "BaseFileLock"]:
    from filelock import Timeout

    while True:
        # Made by this call, never followed through a link, and open to its owner alone.
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent))
        lock = _folder_lock(folder, path)
        try:
            lock.acquire(timeout=0)
            if not _is_private(folder.lstat()):
                # Another run removed it, and filelock made it again, readable to others.
                shutil.rmtree(folder, ignore_errors=True)
                lock.release()
                continue
        except (Timeout, FileNotFoundError, FileExistsError):
            # Another run of the same output saw it before it was locked, and removes it; filelock
            # raises FileExistsError if the folder disappears while it makes sure that it exists.
            continue
        except (OSError, NotImplementedError):
            # A file system without locks, or a full one, on which writing will fail. Without locks
            # no leftover is removed.
            pass
        return folder, lock


def _remove_leftovers(path: Path) -> None:
    """Remove the scratch folders of `path` that belong to this user and that no process uses."""
    from filelock import Timeout

    pattern = re.compile(rf"\.{re.escape(path.name)}\.[a-z0-9_]{{8}}\.tmp")
    # A folder may be writable without being readable.
    with suppress(PermissionError), os.scandir(path.parent) as entries:
        for entry in entries:
            if not pattern.fullmatch(entry.name) or not entry.is_dir(follow_symlinks=False):
                continue
            # Another process may remove it, or use it.
            with suppress(OSError, Timeout, NotImplementedError):
                if not _is_private(entry.stat(follow_symlinks=False)):
                    continue
                with _folder_lock(Path(entry.path), path).acquire(timeout=0):
                    shutil.rmtree(entry.path, ignore_errors=True)


def _is_private(status: os.stat_result) -> bool:
    """Return True for what belongs to this user and is open to nobody else."""
    return status.st_uid == os.getuid() and not status.st_mode & 0o077


def _folder_lock(folder: Path, path: Path) -> "BaseFileLock":
    from filelock import FileLock  # Slow to import.

    return FileLock(folder / f"{path.name}.lock", thread_local=False)


def _sync(path: Path) -> None:
    """Sync the bytes of a file, or the names in a folder, to the disk."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except PermissionError:
        # A folder may be writable without being readable.
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems cannot.
        if error.errno not in (EINVAL, ENOTSUP):
            raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        os.close(descriptor)


@contextmanager
def _as_write_errors(path: Path, folder: Path) -> Iterator[None]:
    """Raise errors of files in `folder`, and those of a full disk, as errors of writing `path`."""
    try:
        yield
    except InputError:
        raise
    except OSError as error:
        if error.filename is None:
            is_output = error.errno in FULL_DISK
        else:
            is_output = str(error.filename).startswith(str(folder))
        if not is_output:
            raise
        raise _write_error(path, error.errno or ENOSPC) from error
    except Exception as error:
        # Libraries of C++ and Rust have errors of their own.
        if not any(words in str(error) for words in _FULL_DISK_WORDS):
            raise
        raise _write_error(path, ENOSPC) from error


def _write_error(path: Path, code: int) -> OSError:
    return OSError(code, f"writing failed: {os.strerror(code)}", str(path))
