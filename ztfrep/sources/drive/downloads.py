"""Downloads of Google Drive folders as verified files in a cache.

gdown downloads the bytes. This module selects the files, resumes broken downloads, and converts
every failure to an InputError.
"""

import errno
import glob
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ztfrep.errors import InputError, quote
from ztfrep.sources.drive.file_cache import (
    LOCK,
    MAX_NAME_BYTES,
    RECORD,
    FileCache,
    WantedFile,
    browser_remedy,
    file_count_error,
    is_file_name,
    matching_names,
)

# `drive_source.DriveId` has the same pattern.
_ID = re.compile(r"[A-Za-z0-9_-]{10,100}")
# Number of names of a listing in an error.
_SHOWN_NAMES = 12
_RUN_AGAIN = "run the same command again later"


def download(
    folder_id: str,
    wanted: Mapping[str, WantedFile],
    cache_folder: Path,
    *,
    timeout: float,
    retries: int = 3,
) -> dict[str, Path]:
    """Download the wanted files of a Drive folder to `cache_folder / folder_id`.

    Returns their paths by the keys of `wanted`. A file in that folder is not downloaded again, even
    if the user put it there, and an interrupted download is resumed. `timeout` is the maximum of
    seconds without a byte. Raises InputError for every failure; bytes that were downloaded before
    it stay in the folder.
    """
    # The id becomes the name of a folder.
    if not _ID.fullmatch(folder_id):
        raise InputError(
            "sources.drive",
            found=f"the folder id {quote(folder_id)}",
            expected="10 to 100 letters, digits, - and _",
            remedy="take the last part of the folder's address",
        )
    from filelock import FileLock  # Slow to import.

    folder = cache_folder / folder_id
    with _as_input_errors(f"Drive folder {folder_id}", folder):
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / LOCK):
            cache = FileCache(folder)
            missing = {key: file for key, file in wanted.items() if not cache.has(key, file)}
            if missing:
                listing = _list_folder(folder_id, timeout)
                # All are selected before the first is fetched, so that a wrong folder fails at
                # once.
                selected = {key: _select(listing, file, folder) for key, file in missing.items()}
                for key, (file_id, name) in selected.items():
                    with _as_input_errors(f"Drive file {name}", folder, name):
                        _fetch(file_id, folder / name, timeout, retries)
                        cache.add(key, missing[key], name, fetched=True)
            return {key: cache.verified_path(key, file) for key, file in wanted.items()}


def _list_folder(folder_id: str, timeout: float) -> list[tuple[str, str]]:
    """Return the id and the name of every file in a Drive folder and its subfolders."""
    import gdown  # Slow to import, and needed only for a download.

    files = gdown.download_folder(
        id=folder_id, skip_download=True, quiet=True, use_cookies=False, timeout=timeout
    )
    return [(file.id, Path(file.path).name) for file in files if not isinstance(file, str)]


def _select(listing: list[tuple[str, str]], wanted: WantedFile, folder: Path) -> tuple[str, str]:
    """Return the id and the name of the one file of a listing that matches `wanted`."""
    names = [name for _, name in listing]
    matching = matching_names(names, wanted.pattern)
    for name in matching:
        if not is_file_name(name):
            raise InputError(
                f"Drive folder {folder.name}",
                found=f"a file named {quote(name, 80)}",
                expected=f"a name of at most {MAX_NAME_BYTES} bytes that can be printed",
                remedy=browser_remedy(folder, wanted.pattern),
            )
    if len(matching) != 1:
        browser = browser_remedy(folder, wanted.pattern)
        remedy = f"correct the folder's id in sources.drive, or {browser}"
        shown = matching or names[:_SHOWN_NAMES]
        raise file_count_error(f"Drive folder {folder.name}", shown, wanted, remedy)
    return next((file_id, name) for file_id, name in listing if name == matching[0])


def _fetch(file_id: str, path: Path, timeout: float, retries: int) -> None:
    import gdown
    from gdown.exceptions import DownloadError, FileURLRetrievalError
    from tqdm import tqdm

    partials = _partial_files(path)
    for shorter in partials[:-1]:  # gdown fails if there are several.
        shorter.unlink()
    start = sum(partial.stat().st_size for partial in partials[-1:])
    with tqdm(desc=path.name, initial=start, unit="B", unit_scale=True, disable=None) as bar:

        def progress(done: int, total: int | None) -> None:
            bar.total = total
            bar.update(done - bar.n)

        # A range that was not honored means that the partial file is of another file, or that the
        # server is busy. So the partial file is only discarded after a second attempt.
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
                for partial in _partial_files(path):
                    partial.unlink()


def _raise_for_status(file_id: str, timeout: float) -> None:
    """Raise the HTTP error of a page that gdown could not read.

    The error of gdown names permissions, whatever the status is.
    """
    import requests

    url = f"https://drive.google.com/uc?id={file_id}"
    with requests.get(url, stream=True, timeout=timeout) as response:
        response.raise_for_status()


def _partial_files(path: Path) -> list[Path]:
    """Return the unfinished downloads of a file, ordered by size."""
    # gdown adds eight characters and .part to the name.
    partials = path.parent.glob(glob.escape(path.name) + "?" * 8 + ".part")
    return sorted(partials, key=lambda partial: partial.stat().st_size)


@contextmanager
def _as_input_errors(where: str, folder: Path, name: str = "") -> Iterator[None]:
    """Convert every exception of the block to InputError."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # gdown and its parsers raise almost anything on an odd answer.
        found, remedy = _cause(error, folder, name)
        files = [path for path in folder.glob("*") if path.name not in (RECORD, LOCK)]
        if size := sum(path.stat().st_size for path in files):
            remedy += f"; the {size:,} bytes already in {folder} stay there"
        expected = "the whole file" if name else "its files"
        raise InputError(where, found=found, expected=expected, remedy=remedy) from error


def _cause(error: BaseException, folder: Path, name: str) -> tuple[str, str]:
    """Return what an InputError for `error` has as `found` and `remedy`."""
    import requests

    chain = [error]
    while (inner := chain[-1].__cause__ or chain[-1].__context__) and inner not in chain:
        chain.append(inner)
    texts = [_text_of(part) for part in chain]
    text = " ".join(texts)
    browser = browser_remedy(folder, name)
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
        return f"an error of the server ({code})", f"{_RUN_AGAIN}, or {browser}"
    if "is incomplete" in text:
        return "a download that broke off", f"{_RUN_AGAIN}: it goes on where it broke"
    if "timed out" in text or any(isinstance(part, requests.Timeout) for part in chain):
        return "no answer in time", f"{_RUN_AGAIN}, or raise sources.drive.timeout"
    if any(isinstance(part, requests.ConnectionError) for part in chain):
        remedy = f"check the network, then {_RUN_AGAIN}, or {browser}"
        return "no connection to Google Drive", remedy
    if "permission" in text:
        return "a page that asks for permission", share
    if isinstance(error, OSError) and not isinstance(error, requests.RequestException):
        return texts[0][:300], f"see that {folder} can be written, then run it again"
    found = f"an answer that cannot be used ({type(error).__name__}: {texts[0][:160]})"
    return found, f"{_RUN_AGAIN}, or {browser}"


def _text_of(error: BaseException) -> str:
    # gdown puts the message of Drive between a title and advice that are the same for every error.
    text = " ".join(str(error).split())
    return re.sub("^Failed to retrieve file url: | You may still be able to access .*", "", text)
