"""Google Drive folders as verified files in a cache.

gdown does the downloading; what is ours is the choice of files, their verification, and one clear
line for every way in which Drive fails.
"""

import errno
import glob
import hashlib
import json
import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock
from tqdm import tqdm

from ztfrep.data.files import write_json
from ztfrep.data.filetypes import HEAD_BYTES, describe
from ztfrep.errors import InputError, quote

# `ztfrep.params` has the same form for the parameters that are ids.
_ID = re.compile(r"[A-Za-z0-9_-]{10,100}")
# gdown adds 13 bytes to a name for a part of a file; a name may have 255.
_LONGEST_NAME = 200
_RECORD, _LOCK = "files.json", ".lock"
_AGAIN = "run the same command again later"


class Wanted(NamedTuple):
    """A file of a folder: a pattern of its name, its first bytes, its sha256 where it is known.

    `kind` names what it is, for messages.
    """

    pattern: str
    magic: bytes
    sha256: str | None
    kind: str = ""


def download(
    folder_id: str, wanted: Mapping[str, Wanted], cache: Path, *, timeout: float, retries: int = 3
) -> dict[str, Path]:
    """Bring the wanted files of a Drive folder into `cache / folder_id`, and give their paths.

    What is there already is not downloaded again, and a broken download goes on where it broke.
    A file that was put into that folder by hand is taken as it is. `timeout` is in seconds without
    a byte. Raises InputError for every failure; what was down before it is kept.
    """
    # Before a path is made of it.
    if not _ID.fullmatch(folder_id):
        raise InputError(
            "sources.drive",
            found=f"the folder id {quote(folder_id)}",
            expected="10 to 100 letters, digits, - and _",
            remedy="take the last part of the folder's address",
        )
    folder = cache / folder_id
    with _explained(f"Drive folder {folder_id}", folder):
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / _LOCK):
            store = _Store(folder)
            missing = {key: want for key, want in wanted.items() if not store.has(key, want)}
            if missing:
                names = _listed(folder_id, timeout)
                # All are chosen before the first is fetched: a wrong folder is told at once.
                chosen = {key: _chosen(names, want, folder) for key, want in missing.items()}
                for key, (file_id, name) in chosen.items():
                    with _explained(f"Drive file {name}", folder, name):
                        _fetch(file_id, folder / name, timeout, retries)
                        store.take(key, missing[key], name, fetched=True)
            return {key: store.verified(key, want) for key, want in wanted.items()}


class _Known(NamedTuple):
    """What is recorded of a file."""

    name: str
    bytes: int
    sha256: str
    mtime_ns: int


class _Store:
    """The files in a folder of the cache, and the record of what they are."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.record: dict[str, _Known] = {}
        try:
            entries = json.loads((folder / _RECORD).read_text("utf-8")).items()
            record = {key: _Known(**entry) for key, entry in entries}
            if all(_is_name(known.name) for known in record.values()):
                self.record = record
        except (OSError, ValueError, TypeError, AttributeError, RecursionError):
            pass  # Without a record, files are hashed again, as if they had been put here by hand.

    def has(self, key: str, want: Wanted) -> bool:
        """Tell whether a file is here, whole: as it was recorded, or put here by hand."""
        known = self.record.get(key)
        if known and fnmatchcase(known.name, want.pattern) and (self.folder / known.name).is_file():
            now = _look(self.folder / known.name, known)
            if now.sha256 in (known.sha256, want.sha256):
                self._write(key, now)
                return True
            logging.warning("%s is not what was downloaded: fetched again", known.name)
            (self.folder / known.name).unlink()
        self._write(key, None)
        by_hand = _fitting(filter(_is_name, os.listdir(self.folder)), want.pattern)
        if len(by_hand) > 1:
            raise _ambiguous(self.folder, by_hand, want, "remove all but one of them")
        if by_hand:
            self.take(key, want, by_hand[0], fetched=False)
        return bool(by_hand)

    def take(self, key: str, want: Wanted, name: str, *, fetched: bool) -> None:
        """Record a complete file; refuse one of another kind, and remove it if it was fetched."""
        path = self.folder / name
        head = b""
        if path.is_file():
            with path.open("rb") as file:
                head = file.read(HEAD_BYTES)
        if not head.startswith(want.magic):
            found = "a folder" if path.is_dir() else describe(head)
            if fetched:
                path.unlink()
            raise InputError(
                f"Drive file {path}",
                found=found,
                expected=want.kind or f"a file that begins with the bytes {want.magic.hex(' ')}",
                remedy=_by_browser(self.folder, name) + ("" if fetched else ", or remove it"),
            )
        self._write(key, _look(path, None))

    def verified(self, key: str, want: Wanted) -> Path:
        """Give a recorded file's path; refuse one with another sha256 than the wanted one."""
        known = self.record[key]
        path = self.folder / known.name
        if want.sha256 is None:
            text = "%s: sha256 %s, not checked; to check it, set sources.drive.sha256.%s to that"
            logging.info(text, known.name, known.sha256, key)
        elif want.sha256 != known.sha256:
            raise InputError(
                path,
                found=f"sha256 {known.sha256}",
                expected=want.sha256,
                remedy=f"correct sources.drive.sha256.{key}, or delete {path} to download it again",
            )
        return path

    def _write(self, key: str, known: _Known | None) -> None:
        before = dict(self.record)
        self.record.pop(key, None)
        if known:
            self.record[key] = known
        if self.record != before:
            content = {key: entry._asdict() for key, entry in self.record.items()}
            write_json(self.folder / _RECORD, content)


def _look(path: Path, known: _Known | None) -> _Known:
    """Describe a file as it is now; one as big and as old as it is known to be is not read."""
    status = path.stat()
    if known and (status.st_size, status.st_mtime_ns) == (known.bytes, known.mtime_ns):
        return known
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return _Known(path.name, status.st_size, digest, status.st_mtime_ns)


def _listed(folder_id: str, timeout: float) -> list[tuple[str, str]]:
    """List the id and the name of every file in a Drive folder and in the folders within."""
    import gdown  # Slow to import, and needed for a download alone.

    files = gdown.download_folder(
        id=folder_id, skip_download=True, quiet=True, use_cookies=False, timeout=timeout
    )
    return [(file.id, Path(file.path).name) for file in files if not isinstance(file, str)]


def _is_name(name: object) -> bool:
    """Tell whether a name, from elsewhere, may become the name of a file in the cache."""
    return (
        isinstance(name, str)
        and name.isprintable()
        and not name.startswith(".")
        and not set("/\\") & set(name)
        and name not in (_RECORD, "")
        and len(name.encode("utf-8")) <= _LONGEST_NAME
    )


def _fitting(names: Iterable[str], pattern: str) -> list[str]:
    """Of names that fit, the plain one: Drive and browsers put numbers into names of copies."""
    fitting = sorted(name for name in names if fnmatchcase(name, pattern))
    plain = [name for name in fitting if fnmatchcase(name, pattern.replace("*", ""))]
    return plain if len(plain) == 1 else fitting


def _chosen(listed: list[tuple[str, str]], want: Wanted, folder: Path) -> tuple[str, str]:
    names = [name for _, name in listed]
    fitting = _fitting(names, want.pattern)
    for name in fitting:
        if not _is_name(name):
            raise InputError(
                f"Drive folder {folder.name}",
                found=f"a file named {quote(name, 80)}",
                expected=f"a name of at most {_LONGEST_NAME} bytes that can be printed",
                remedy=_by_browser(folder, want.pattern),
            )
    if len(fitting) != 1:
        remedy = f"correct the folder's id in sources.drive, or {_by_browser(folder, want.pattern)}"
        raise _ambiguous(f"Drive folder {folder.name}", fitting or names[:12], want, remedy)
    return next((file_id, name) for file_id, name in listed if name == fitting[0])


def _ambiguous(where: str | Path, names: list[str], want: Wanted, remedy: str) -> InputError:
    found = ", ".join(quote(name, 80)[1:-1] for name in names) or "no file"
    return InputError(where, found=found, expected=f"one file named {want.pattern}", remedy=remedy)


def _fetch(file_id: str, path: Path, timeout: float, retries: int) -> None:
    import gdown
    from gdown.exceptions import DownloadError, FileURLRetrievalError

    partials = _partials(path)
    for shorter in partials[:-1]:  # gdown refuses to choose among them.
        shorter.unlink()
    start = sum(partial.stat().st_size for partial in partials[-1:])
    with tqdm(desc=path.name, initial=start, unit="B", unit_scale=True, disable=None) as bar:

        def progress(done: int, total: int | None) -> None:
            bar.total = total
            bar.update(done - bar.n)

        # gdown says that a range was not honored of a busy server too: ask for it twice before what
        # is here is given up as the beginning of another file.
        for attempt in (1, 2, 3):
            try:
                gdown.download(
                    id=file_id,
                    output=str(path),
                    resume=True,
                    quiet=True,
                    use_cookies=False,
                    timeout=timeout,
                    retries=retries,
                    progress=progress,
                )
                return
            except FileURLRetrievalError:
                _raise_for_status(file_id, timeout)
                raise
            except DownloadError as error:
                if attempt == 3 or "did not honor" not in str(error):
                    raise
            if attempt == 2:
                for partial in _partials(path):
                    partial.unlink()


def _raise_for_status(file_id: str, timeout: float) -> None:
    """Ask for the status of a page that gdown could not read: it blames permissions for each."""
    import requests

    url = f"https://drive.google.com/uc?id={file_id}"
    with requests.get(url, stream=True, timeout=timeout) as response:
        response.raise_for_status()


def _partials(path: Path) -> list[Path]:
    """List the unfinished downloads of a file, the longest last; gdown adds eight characters."""
    found = path.parent.glob(glob.escape(path.name) + "?" * 8 + ".part")
    return sorted(found, key=lambda partial: partial.stat().st_size)


@contextmanager
def _explained(where: str, folder: Path, name: str = "") -> Iterator[None]:
    """Turn whatever is raised within into one line for the user."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # gdown and its parsers raise almost anything on an odd answer.
        found, remedy = _cause(error, folder, name)
        files = [path for path in folder.glob("*") if path.name not in (_RECORD, _LOCK)]
        if kept := sum(path.stat().st_size for path in files):
            remedy += f"; the {kept:,} bytes already in {folder} are kept"
        expected = "the whole file" if name else "its files"
        raise InputError(where, found=found, expected=expected, remedy=remedy) from error


def _cause(error: BaseException, folder: Path, name: str) -> tuple[str, str]:
    """Say what failed, and what to do about it."""
    import requests

    chain = [error]
    while (inner := chain[-1].__cause__ or chain[-1].__context__) and inner not in chain:
        chain.append(inner)
    said = [_said(part) for part in chain]
    text = " ".join(said)
    browser = _by_browser(folder, name)
    share = f"have it shared with anyone who has the link, or {browser}"
    if any(getattr(part, "errno", None) in (errno.ENOSPC, errno.EDQUOT) for part in chain):
        return "a full disk", f"make room on the disk of {folder}, then run it again"
    if "Too many users" in text:
        return "its download quota used up", f"try again in a day, or {browser}"
    if status := re.search(r"status code (\d+)|(\d+) (?:Client|Server) Error", text):
        code = status[1] or status[2]
        if code in ("401", "403"):
            return f"a private file or folder ({code})", share
        if code == "404":
            return "nothing there (404)", f"correct the id in sources.drive, or {browser}"
        return f"an error of the server ({code})", f"{_AGAIN}, or {browser}"
    if "is incomplete" in text:
        return "a download that broke off", f"{_AGAIN}: it goes on where it broke"
    if "timed out" in text or any(isinstance(part, requests.Timeout) for part in chain):
        return "no answer in time", f"{_AGAIN}, or raise sources.drive.timeout"
    if any(isinstance(part, requests.ConnectionError) for part in chain):
        return "no connection to Google Drive", f"look to the network, then {_AGAIN}, or {browser}"
    if "permission" in text:
        return "a page that asks for permission", share
    if isinstance(error, OSError) and not isinstance(error, requests.RequestException):
        return said[0][:300], f"see that {folder} can be written, then run it again"
    odd = f"an answer that cannot be used ({type(error).__name__}: {said[0][:160]})"
    return odd, f"{_AGAIN}, or {browser}"


def _said(error: BaseException) -> str:
    # gdown puts Drive's own words between a title and its own advice, which suits every error.
    said = " ".join(str(error).split())
    return re.sub("^Failed to retrieve file url: | You may still be able to access .*", "", said)


def _by_browser(folder: Path, name: str) -> str:
    return f"download it with a browser into {folder}" + (f" under the name {name}" if name else "")
