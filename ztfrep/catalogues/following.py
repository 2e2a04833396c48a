"""Encoding of the archives of a folder as they land, each once."""

import json
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ztfrep
from ztfrep.catalogues.catalogue_store import CatalogueStore
from ztfrep.catalogues.packet_encoding import EncodingCounts, encode_readers
from ztfrep.catalogues.partial_folder import describe, locked_folder
from ztfrep.data.files import write_json
from ztfrep.encoders.encoder import Encoder
from ztfrep.errors import InputError
from ztfrep.parallel.process_pool import LostProcessError
from ztfrep.sources.packets.archives import make_readers
from ztfrep.sources.packets.entries import kind_by_name

# Seconds without a change after which an archive is complete, and between two looks at the folder.
SETTLED, INTERVAL = 10.0, 5.0
_STORE, _RECORD = ".encoding", "archives.json"
_SUFFIXES = {".tar", ".gz", ".bz2", ".xz"}


def follow_folder(
    encoder: Encoder,
    folder: str | Path,
    out: str | Path,
    *,
    previews: bool = True,
    settled: float = SETTLED,
    interval: float = INTERVAL,
    wait: Callable[[float], None] = time.sleep,
) -> Iterator[tuple[Path, EncodingCounts]]:
    """Encode each archive that is in a folder, or lands there; yield it with its counts.

    Parameters
    ----------
    encoder : Encoder
    folder : path
        The folder of archives, with its subfolders. Other files are not read.
    out : path
        The folder to write to. The catalogues of an archive are `NUMBER-NAME.parquet` and
        `NUMBER-NAME.objects.parquet`; `read_catalogue` reads the folder as one.
    previews : bool
        See `ztfrep.catalogues.packet_encoding.encode_packets`.
    settled : float
        Seconds without a change after which an archive is complete.
    interval : float
        Seconds between two looks at the folder.
    wait : function
        Waits for a number of seconds.

    An alert is written once, whatever archives have it. Objects are those of an archive's alerts,
    with their observations in all archives so far. A run that is started again goes on where it
    stopped; an archive that cannot be read is logged and not read again, unless it changes. Raises
    InputError if the folder does not exist, or if `out` is of another model or another run writes
    to it.
    """
    folder, out = Path(folder), Path(out)
    if not folder.is_dir():
        raise InputError(
            folder, found="no folder", expected="a folder of archives", remedy="correct the path"
        )
    with locked_folder(out / _STORE):
        store = CatalogueStore(out / _STORE, encoder, previews=previews)
        record = _Record(store.folder / _RECORD, {"model": encoder.checksum, "previews": previews})
        while True:
            for archive in _settled_archives(folder, settled):
                number = record.number(archive)
                if number is None:
                    continue
                counts = _encode(store, archive, out, number)
                store.remove_previews()
                record.finish(number)
                if counts is not None:
                    yield archive, counts
            wait(interval)


def _encode(store: CatalogueStore, archive: Path, out: Path, number: int) -> EncodingCounts | None:
    """Encode an archive; return None if no alert of it can be read."""
    name = archive.name
    while Path(name).suffix.lower() in _SUFFIXES:
        name = Path(name).stem
    target = out / f"{number:06d}-{Path(name).stem}.parquet"
    try:
        return encode_readers(store, make_readers([archive]), target, first_reader=number)
    except LostProcessError:
        raise
    except InputError as error:
        logging.error("%s", error)
        return None


class _Record:
    """The archives that were read, in a JSON file: the number of an archive is that of its reader.

    An archive is identified by its path, size and time.
    """

    def __init__(self, path: Path, identity: dict[str, Any]) -> None:
        self._path = path
        identity = {**identity, "ztfrep": ztfrep.__version__}
        self._content: dict[str, Any] = {"identity": identity, "archives": []}
        if path.exists():
            content = json.loads(path.read_text(encoding="utf-8"))
            if content["identity"] != identity:
                raise InputError(
                    path.parents[1],
                    found="catalogues of another model, version or kind",
                    expected="those of this encoder",
                    remedy="write to another folder",
                )
            self._content = content

    def number(self, archive: Path) -> int | None:
        """Return the number of an archive, a new one if it is new, or None if it is finished."""
        archives, identity = self._content["archives"], describe(archive)
        for number, entry in enumerate(archives):
            if entry["archive"] == identity:
                return None if entry["finished"] else number
        archives.append({"archive": identity, "finished": False})
        write_json(self._path, self._content)
        return len(archives) - 1

    def finish(self, number: int) -> None:
        """Note that an archive was encoded."""
        self._content["archives"][number]["finished"] = True
        write_json(self._path, self._content)


def _settled_archives(folder: Path, settled: float) -> list[Path]:
    """Return the archives that have not changed for some seconds, in the order of their names."""
    archives = []
    for path in sorted(folder.rglob("*")):
        if kind_by_name(path.name) != "archive" or not path.is_file():
            continue
        status = path.stat()
        # Copying with its times kept changes the time of the status.
        if time.time() - max(status.st_mtime, status.st_ctime) >= settled:
            archives.append(path)
    return archives
