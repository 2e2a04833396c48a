"""Folders of alert packets: the files to read, and the reason to ignore each of the others."""

import os
import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ztfrep.errors import InputError
from ztfrep.sources.packets.entries import (
    SUFFIXES,
    IgnoredEntry,
    describe_entry,
    kind_by_name,
    open_entry,
    printable,
)
from ztfrep.sources.packets.streams import Budget, CorruptDataError, FileStream


class Files(NamedTuple):
    """The files of a folder, sorted by name: those to read, and those to ignore."""

    packets: list[Path]
    ignored: list[IgnoredEntry]


def find_files(path: Path) -> Files:
    """Return the archives and packets at `path`, a file or a folder with all its subfolders.

    Links are followed, and each folder is read once. A file whose name is neither that of a packet
    nor of an archive is recognised by its first bytes. Raises InputError if there is no packet and
    no archive.
    """
    packets: list[Path] = []
    ignored: list[IgnoredEntry] = []
    for file, kind, detail in sorted(_walk(path)):
        name = file.name if file == path else file.relative_to(path).as_posix()
        if not kind:
            kind, detail = _classify(file, name)
        if kind:
            ignored.append(IgnoredEntry(printable(name), kind, printable(detail)))
        else:
            packets.append(file)
    if not packets:
        kinds = ", ".join(f"{n} {kind}" for kind, n in Counter(i.kind for i in ignored).items())
        first = f": {kinds}; the first is {ignored[0].name}, {ignored[0].detail}" if kinds else ""
        raise InputError(
            path,
            found=f"{len(ignored)} files, no alert packets{first}",
            expected=f"files *{', *'.join(SUFFIXES)}, or packed ones",
            remedy="give the folder or the archive that holds them",
        )
    return Files(packets, ignored)


def behind_links(path: Path, files: list[Path]) -> list[Path]:
    """Return those of `files` that are outside the folder `path`, in folders that it links to.

    The path of a single file is in no linked folder.
    """
    if not path.is_dir():
        return []
    root = path.resolve()
    return [file for file in files if not file.parent.resolve().is_relative_to(root)]


def _walk(path: Path) -> Iterator[tuple[Path, str, str]]:
    """Yield every file once, with its kind and description if it is ignored, or empty texts."""
    if not path.is_dir():
        yield path, "", ""
        return
    # Links are followed last: they may lead to a subfolder of `path`.
    visited = {_identity(folder) for folder in (path, *path.resolve().parents)}
    visited.discard(_identity(path))
    folders, links = [path], list[Path]()
    while folders or links:
        if not folders:
            links.sort(reverse=True)
            link = links.pop()
            try:
                status = link.stat()
            except OSError:
                yield link, "link", f"a broken link to {os.readlink(link)}"
                continue
            if not stat.S_ISDIR(status.st_mode):
                yield link, *_special(status.st_mode)
                continue
            if (status.st_dev, status.st_ino) in visited:
                yield link, "link", f"a link to {os.readlink(link)}, which is read already"
                continue
            folders.append(link)
        folder = folders.pop()
        visited.add(_identity(folder))
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            yield folder, "no_access", error.strerror or str(error)
            continue
        for entry in entries:
            if entry.is_symlink():
                links.append(Path(entry.path))
            elif entry.is_dir(follow_symlinks=False):
                folders.append(Path(entry.path))
            elif entry.is_file(follow_symlinks=False):
                yield Path(entry.path), "", ""
            else:
                yield Path(entry.path), "special", "no file"


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _special(mode: int) -> tuple[str, str]:
    return ("", "") if stat.S_ISREG(mode) else ("special", "no file")


def _classify(file: Path, name: str) -> tuple[str, str]:
    """Return the kind and the description of a file to ignore; empty texts for a file to read."""
    kind = kind_by_name(name)
    if kind in ("packet", "archive"):
        return "", ""
    if kind == "system":
        return kind, "left by macOS or Windows"
    try:
        with file.open("rb", buffering=0) as content:
            size = os.fstat(content.fileno()).st_size
            kind, stream = open_entry(name, FileStream(content, size), Budget(size))
            return ("", "") if kind in ("packet", "tar", "zip") else (kind, describe_entry(stream))
    except OSError as error:
        return "no_access", error.strerror or str(error)
    except CorruptDataError as error:
        return "other", f"{error.reason} at {error.position}"
