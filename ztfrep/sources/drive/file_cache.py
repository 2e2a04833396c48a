"""A folder of downloaded files, and the record of their sizes and digests."""

import hashlib
import json
import logging
import os
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from ztfrep.data.files import write_json
from ztfrep.data.filetypes import HEAD_BYTES, describe
from ztfrep.errors import InputError, quote

RECORD, LOCK = "files.json", ".lock"
# gdown adds 13 bytes to the name of an unfinished file; a name may have 255.
MAX_NAME_BYTES = 200


class WantedFile(NamedTuple):
    """A file of a folder: a pattern of its name, its first bytes, its sha256 or None.

    `kind` is a description for messages.
    """

    pattern: str
    magic: bytes
    sha256: str | None
    kind: str = ""


class _FileRecord(NamedTuple):
    name: str
    bytes: int
    sha256: str
    mtime_ns: int


class FileCache:
    """The files in a folder of the cache, and the record of their sizes and digests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._records: dict[str, _FileRecord] = {}
        try:
            entries = json.loads((folder / RECORD).read_text("utf-8")).items()
            records = {key: _FileRecord(**entry) for key, entry in entries}
            if all(is_file_name(record.name) for record in records.values()):
                self._records = records
        except (OSError, ValueError, TypeError, AttributeError, RecursionError):
            pass  # Without a record, the files are hashed again.

    def has(self, key: str, wanted: WantedFile) -> bool:
        """Return True if the cache has the whole file, downloaded or put there by the user.

        Removes a downloaded file that has changed. Raises InputError if several files match.
        """
        record = self._records.get(key)
        if (
            record
            and fnmatchcase(record.name, wanted.pattern)
            and (self.folder / record.name).is_file()
        ):
            current = _describe_file(self.folder / record.name, record)
            if current.sha256 in (record.sha256, wanted.sha256):
                self._write(key, current)
                return True
            logging.warning("%s is not what was downloaded: fetched again", record.name)
            (self.folder / record.name).unlink()
        self._write(key, None)
        names = matching_names(filter(is_file_name, os.listdir(self.folder)), wanted.pattern)
        if len(names) > 1:
            raise file_count_error(self.folder, names, wanted, "remove all but one of them")
        if names:
            self.add(key, wanted, names[0], fetched=False)
        return bool(names)

    def add(self, key: str, wanted: WantedFile, name: str, *, fetched: bool) -> None:
        """Record a complete file.

        Raises InputError for one that begins with other bytes, and removes it if it was fetched.
        """
        path = self.folder / name
        head = b""
        if path.is_file():
            with path.open("rb") as file:
                head = file.read(HEAD_BYTES)
        if not head.startswith(wanted.magic):
            found = "a folder" if path.is_dir() else describe(head)
            if fetched:
                path.unlink()
            bytes_expected = f"a file that begins with the bytes {wanted.magic.hex(' ')}"
            raise InputError(
                f"Drive file {path}",
                found=found,
                expected=wanted.kind or bytes_expected,
                remedy=browser_remedy(self.folder, name) + ("" if fetched else ", or remove it"),
            )
        self._write(key, _describe_file(path, None))

    def verified_path(self, key: str, wanted: WantedFile) -> Path:
        """Return the path of a recorded file; raises InputError for another sha256 than wanted."""
        record = self._records[key]
        path = self.folder / record.name
        if wanted.sha256 is None:
            text = "%s: sha256 %s, not checked; to check it, set sources.drive.sha256.%s to that"
            logging.info(text, record.name, record.sha256, key)
        elif wanted.sha256 != record.sha256:
            raise InputError(
                path,
                found=f"sha256 {record.sha256}",
                expected=wanted.sha256,
                remedy=f"correct sources.drive.sha256.{key}, or delete {path} to download it again",
            )
        return path

    def _write(self, key: str, record: _FileRecord | None) -> None:
        previous = dict(self._records)
        self._records.pop(key, None)
        if record:
            self._records[key] = record
        if self._records != previous:
            content = {key: entry._asdict() for key, entry in self._records.items()}
            write_json(self.folder / RECORD, content)


def _describe_file(path: Path, record: _FileRecord | None) -> _FileRecord:
    """Return the current record of a file; reads it unless its size and time are as recorded."""
    status = path.stat()
    if record and (status.st_size, status.st_mtime_ns) == (record.bytes, record.mtime_ns):
        return record
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return _FileRecord(path.name, status.st_size, digest, status.st_mtime_ns)


def is_file_name(name: object) -> bool:
    """Return True if a name of a listing or a record is a safe name for a file of the cache."""
    return (
        isinstance(name, str)
        and name.isprintable()
        and not name.startswith(".")
        and not set("/\\") & set(name)
        and name not in (RECORD, "")
        and len(name.encode("utf-8")) <= MAX_NAME_BYTES
    )


def matching_names(names: Iterable[str], pattern: str) -> list[str]:
    """Return the names that match a pattern; if one has no number, that one alone.

    Drive and browsers add numbers to the names of copies.
    """
    matching = sorted(name for name in names if fnmatchcase(name, pattern))
    unnumbered = [name for name in matching if fnmatchcase(name, pattern.replace("*", ""))]
    return unnumbered if len(unnumbered) == 1 else matching


def file_count_error(
    where: str | Path, names: list[str], wanted: WantedFile, remedy: str
) -> InputError:
    """Return the error for a folder in which no file or several files match a wanted name."""
    found = ", ".join(quote(name, 80)[1:-1] for name in names) or "no file"
    expected = f"one file named {wanted.pattern}"
    return InputError(where, found=found, expected=expected, remedy=remedy)


def browser_remedy(folder: Path, name: str) -> str:
    """Return the remedy of a download with a browser, which is always possible."""
    return f"download it with a browser into {folder}" + (f" under the name {name}" if name else "")
