"""Encoding of alert packets into a catalogue of alerts and one of objects."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tqdm import tqdm

import ztfrep
from ztfrep.catalogues.catalogue import objects_path
from ztfrep.catalogues.catalogue_store import CatalogueStore
from ztfrep.catalogues.partial_folder import describe, partial_folder
from ztfrep.data.files import scratch_folder
from ztfrep.encoders.encoder import Encoder
from ztfrep.sources.packets.archives import ArchiveReader, make_readers
from ztfrep.sources.packets.entries import IgnoredEntry
from ztfrep.sources.packets.observation_queries import create_observations
from ztfrep.sources.packets.packet_alerts import find_files_at
from ztfrep.sources.packets.piped_packets import read_pipe
from ztfrep.sources.packets.unread import list_unread


@dataclass(frozen=True)
class EncodingCounts:
    """The counts of an encoding, in which read = alerts + duplicates + bad, and its files.

    Attributes
    ----------
    read : int
        Alerts that were read, and packets and archives that cannot be read.
    alerts, objects : int
        Rows of the catalogues.
    duplicates : int
        Alerts that had been read before.
    bad : int
        Packets and archives that cannot be read.
    files : list of path
        The files that were written.
    """

    read: int
    alerts: int
    objects: int
    duplicates: int
    bad: int
    files: list[Path]


def unread_path(out: Path) -> Path:
    """Return the path of the list of what could not be read: `NAME.unread.csv`."""
    return out.with_name(f"{out.stem}.unread.csv")


def encode_packets(
    encoder: Encoder,
    paths: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    previews: bool = True,
    processes: int | None = None,
) -> EncodingCounts:
    """Encode packets into a catalogue of alerts at `out` and one of objects beside it.

    Parameters
    ----------
    encoder : Encoder
    paths : path or paths
        Packet files, archives of packets, and folders of either.
    out : path
        `NAME.parquet`. The catalogue of objects is `NAME.objects.parquet`, and what cannot be read
        is listed in `NAME.unread.csv`.
    previews : bool
        Write previews of the stamps, some 11 kB for each alert; see `ztfrep.data.stamp_previews`.
    processes : int
        Processes that decode packets beside this one, which encodes them; 1 decodes in this one.
        By default as many as there are cores. The catalogues do not depend on it.

    An interrupted run goes on where it stopped if it is started again with the same arguments; what
    it has done is in the folder `NAME.parquet.partial`. Memory does not grow with the number of
    packets. Raises InputError if a path does not exist or if no alert can be read.
    """
    files, ignored = find_files_at(as_paths(paths))
    identity = {
        "files": [describe(file) for file in files],
        "model": encoder.checksum,
        "ztfrep": ztfrep.__version__,
        "previews": previews,
    }
    with partial_folder(Path(out), identity) as folder:
        store = CatalogueStore(folder, encoder, previews=previews, processes=processes)
        return encode_readers(store, make_readers(files), Path(out), ignored=ignored)


def encode_pipe(
    encoder: Encoder, pipe: BinaryIO, out: str | Path, *, previews: bool = True
) -> EncodingCounts:
    """Encode the packets of a pipe, see `read_pipe`, as `encode_packets` does.

    A run that is interrupted leaves nothing.
    """
    out = Path(out)
    with scratch_folder(out) as folder:
        store = CatalogueStore(folder / "store", encoder, previews=previews)
        return encode_readers(store, [lambda: read_pipe(pipe)], out)


def as_paths(paths: str | Path | Sequence[str | Path]) -> list[Path]:
    """Return a path, or several, as a list of paths."""
    return [Path(paths)] if isinstance(paths, str | Path) else [Path(path) for path in paths]


def encode_readers(
    store: CatalogueStore,
    readers: Sequence[ArchiveReader],
    out: Path,
    *,
    ignored: Sequence[IgnoredEntry] = (),
    first_reader: int = 0,
) -> EncodingCounts:
    """Encode the packets of readers into the catalogues at `out`; see `encode_packets`.

    The first reader has the number `first_reader`; the alerts of readers that the store has already
    are not written again.
    """
    with tqdm(desc="encode", unit=" alerts", disable=None) as bar:
        store.add(readers, first_reader, bar)
    with store.open(first_reader) as database:
        create_observations(database)
        unread = list_unread(database, ignored, unread_path(out))
        ((read,),) = database.sql(
            f"SELECT count(*) FROM alerts WHERE batch >> 32 >= {first_reader}"
        ).fetchall()
        # Logs what was ignored; raises InputError if no alert can be read.
        unread.validate(read, str(out), stop=False, max_bad_fraction=1)
        alerts, objects = store.write(database, out, objects_path(out), first_reader)
    files = [out, *([] if objects is None else [objects_path(out)])]
    if unread.failures or unread.files or unread.members:
        files.append(unread.path)
    else:
        unread.path.unlink()
    bad = unread.failures.total()
    return EncodingCounts(read + bad, alerts, objects or 0, read - alerts, bad, files)
