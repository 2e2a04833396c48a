"""A folder of batches on disk, between packets and tables: alerts, observations, pixels, failures.

A batch has four Parquet files, of alerts, prior detections, upper limits and failures, and a file
of the pixels of its alerts. Processes write their batches independently: none waits for another,
and memory does not grow with the number of packets. In every table the columns `batch` and `row`
are the order of reading, which does not depend on the processes.
"""

import glob
import os
import socket
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from ztfrep.data.alert_schema import CHANNELS, CLASSES, TableInfo
from ztfrep.data.features import ALERCE_FEATURES, PHYSICAL
from ztfrep.errors import InputError
from ztfrep.parallel.workers import Workers
from ztfrep.sources.packets.archives import ArchiveReader, Item
from ztfrep.sources.packets.cutouts import STAMP_SIZE
from ztfrep.sources.packets.entries import IgnoredEntry, printable
from ztfrep.sources.packets.observations import Observations
from ztfrep.sources.packets.packet_reader import Failure, Packet, PacketBatch, decode_batches

# Limits of a batch, which limit memory.
MAX_BATCH_PACKETS, _MAX_BATCH_BYTES = 512, 1 << 26
# NFS lists new files of another machine after up to 60 s.
_LISTING_SECONDS = 120
_DATABASE_MEMORY = "512MB"
TABLE_INFO = TableInfo(STAMP_SIZE, STAMP_SIZE, "counts", PHYSICAL, CLASSES)
# The reason of an ignored entry is this prefix and its kind.
IGNORED_PREFIX = "ignored_"
_STAMP_SHAPE = (len(CHANNELS), STAMP_SIZE, STAMP_SIZE)
_SCHEMA = TABLE_INFO.schema()


def _schema(*names: str) -> pa.Schema:
    order = [pa.field("batch", pa.int64()), pa.field("row", pa.int64())]
    return pa.schema([*order, *(_SCHEMA.field(name) for name in names)])


_DETECTIONS = _schema("object_id", "candid", "mjd", "fid", *ALERCE_FEATURES.names)
# Tables of all rows that were read: an alert or an observation may have several rows.
TABLES = {
    "alerts": _DETECTIONS,
    "detections": _DETECTIONS,
    # Most rows are upper limits, which have one feature.
    "limits": _schema("object_id", "mjd", "fid", "diffmaglim"),
    "failures": pa.schema([*_schema(), *(pa.field(n, pa.string()) for n in Failure._fields)]),
}


def fill_batch_store(
    readers: Sequence[ArchiveReader],
    folder: Path,
    workers: Workers,
    max_packets: int = MAX_BATCH_PACKETS,
) -> Counter[str]:
    """Read packets by workers into batches in `folder`, at most `max_packets` packets each.

    The workers see the folder and the packets at the same paths as this process. Returns the
    numbers of `alerts` and of prior `observations`, and the counts of the readers and of
    `PacketBatch`. The reason of an ignored entry begins with IGNORED_PREFIX.
    """
    # With fewer readers than workers, several workers run the same reader, and each decodes a share
    # of its batches.
    shares = -(-workers.number // len(readers))
    tasks = [
        (folder, number, reader, share, shares, max_packets)
        for number, reader in enumerate(readers)
        for share in range(shares)
    ]
    counts: Counter[str] = Counter(alerts=0, observations=0)
    with tqdm(desc="packets", unit=" alerts", disable=None) as bar:
        for counted, numbers in workers.map(
            _store_share, tasks, show_progress=lambda: _show_progress(bar, folder)
        ):
            counts.update(counted)
            _wait_for_batches(folder, numbers)
    return counts


@contextmanager
def open_batch_store(folder: Path, threads: int) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a database with the views `alerts`, `detections`, `limits` and `failures` of a store.

    Its memory is limited: what exceeds the limit is written to a folder in `folder`.
    """
    settings: dict[str, str | bool | int | float | list[str]] = {
        "threads": threads,
        "memory_limit": _DATABASE_MEMORY,
        "temp_directory": str(folder / "database"),
        "preserve_insertion_order": False,
    }
    with duckdb.connect(":memory:", config=settings) as database:
        for table in TABLES:
            files = str(Path(glob.escape(str(folder))) / f"{table}-*.parquet")
            database.read_parquet(files).create_view(table)
        yield database


def _show_progress(bar: tqdm, folder: Path) -> None:
    if not bar.disable:
        stored = sum(path.stat().st_size for path in folder.glob("pixels-*"))
        bar.update(stored // (4 * int(np.prod(_STAMP_SHAPE))) - bar.n)


def _store_share(
    folder: Path, number: int, reader: ArchiveReader, share: int, shares: int, max_packets: int
) -> tuple[Counter[str], list[int]]:
    """Store every `shares`-th batch of a reader, from number `share` on.

    Returns the counts and the numbers of the batches. A share may be stored twice, even at once, if
    a cluster loses its worker: a file has its name when it is whole, and always the same bytes.
    """
    if not folder.is_dir():
        raise InputError(
            folder,
            found=f"no such folder on {socket.gethostname()}",
            expected="the folder of this run: workers and client share the disk of the tables",
            remedy="mount it on all machines at the same path",
        )
    counts: Counter[str] = Counter()
    numbers = []
    for index, items in enumerate(split_items(reader(), max_packets)):
        if index % shares == share:
            counted, batches = decode_items(items)
            counts.update(counted)
            for part, batch in enumerate(batches):
                numbers.append(batch_number(number, index, part))
                with TemporaryDirectory(dir=folder) as temporary:
                    counts.update(write_batch(Path(temporary), numbers[-1], batch))
                    for file in Path(temporary).iterdir():
                        os.replace(file, folder / file.name)
    return counts, numbers


def _wait_for_batches(folder: Path, numbers: list[int]) -> None:
    """Wait until this machine lists the files of batches; a network file system may lag behind."""
    names = {f"{table}-{number}.parquet" for table in TABLES for number in numbers}
    names |= {_pixels_path(folder, number).name for number in numbers}
    limit = time.monotonic() + _LISTING_SECONDS
    while missing := names - set(os.listdir(folder)):
        if time.monotonic() > limit:
            raise InputError(
                folder / min(missing),
                found=f"no such file {_LISTING_SECONDS} s after a worker wrote it",
                expected="a folder that workers and client share",
                remedy="see how it is mounted",
            )
        time.sleep(1)


def batch_number(reader: int, index: int, part: int) -> int:
    """Return the number of a part of a reader's batch; the numbers are in the order of reading."""
    return reader << 32 | index << 10 | part


def decode_items(items: list[Item]) -> tuple[Counter[str], Iterator[PacketBatch]]:
    """Return the counts of the readers among items, and an iterator of their decoded batches.

    Packets of many alerts become several batches, but not more than there are packets.
    """
    failures, counts = _collect_failures(items)

    def batches() -> Iterator[PacketBatch]:
        packets = [item for item in items if isinstance(item, Packet)]
        for part, batch in enumerate(decode_batches(packets)):
            batch.failures[:0] = failures if part == 0 else []
            yield batch

    return counts, batches()


def split_items(
    items: Iterable[Item], max_packets: int = MAX_BATCH_PACKETS
) -> Iterator[list[Item]]:
    """Yield the items in lists of at most `max_packets` packets and 64 MiB; at least one list."""
    group: list[Item] = []
    size, first = 0, True
    for item in items:
        group.append(item)
        size += len(item.data) if isinstance(item, Packet) else 0
        if len(group) == max_packets or size > _MAX_BATCH_BYTES:
            yield group
            group, size, first = [], 0, False
    # The first group is yielded even if it is empty, so that each table has a file.
    if group or first:
        yield group


def _collect_failures(items: Iterable[Item]) -> tuple[list[Failure], Counter[str]]:
    """Return the failures and ignored entries among the items, and the sum of their counts."""
    failures: list[Failure] = []
    counts: Counter[str] = Counter()
    for item in items:
        if isinstance(item, IgnoredEntry):
            failures.append(Failure(item.name, f"{IGNORED_PREFIX}{item.kind}", item.detail))
        elif isinstance(item, Failure):
            failures.append(item)
        elif isinstance(item, Counter):
            counts.update(item)
    return failures, counts


def write_batch(folder: Path, number: int, batch: PacketBatch) -> Counter[str]:
    """Write the tables of a batch and its stamps; return the counts of its rows."""
    failures = batch.failures
    # An error of `tofile` names neither the path nor a full disk.
    _pixels_path(folder, number).write_bytes(np.ascontiguousarray(batch.stamps).data)
    object_id = np.array(batch.object_id, dtype=object)
    prior = batch.prior_observations
    detected = prior.candid >= 0
    tables = {
        "alerts": _columns(batch.alerts, object_id, np.ones(len(object_id), dtype=bool)),
        "detections": _columns(prior, object_id, detected),
        "limits": _columns(prior, object_id, ~detected),
        "failures": {
            name: [printable(failure[column]) for failure in failures]
            for column, name in enumerate(Failure._fields)
        },
    }
    for name, columns in tables.items():
        schema = TABLES[name]
        rows = len(next(iter(columns.values())))
        columns |= {"batch": np.full(rows, number), "row": np.arange(rows)}
        table = pa.table(
            [pa.array(columns[field.name], field.type, from_pandas=True) for field in schema],
            schema=schema,
        )
        pq.write_table(table, folder / f"{name}-{number}.parquet", compression="none")
    return batch.counts + Counter(alerts=len(object_id), observations=len(detected))


def _columns(observations: Observations, object_id: np.ndarray, mask: np.ndarray) -> dict[str, Any]:
    columns = {
        "object_id": object_id[observations.alert],
        "candid": observations.candid,
        "mjd": observations.mjd,
        "fid": observations.fid,
        **dict(zip(ALERCE_FEATURES.names, observations.metadata.T, strict=True)),
    }
    return {name: values[mask] for name, values in columns.items()}


def _pixels_path(folder: Path, number: int) -> Path:
    return folder / f"pixels-{number}"


def take_pixels(folder: Path, number: int) -> np.ndarray:
    """Return the stamps of a batch, float32 `(n, 3, 63, 63)`, and remove their file."""
    path = _pixels_path(folder, number)
    pixels = np.fromfile(path, np.float32).reshape(-1, *_STAMP_SHAPE)
    path.unlink()
    return pixels


class StoredPixels:
    """The pixels of a filled batch store, by the batch and row of their alerts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._batches: dict[int, np.ndarray] = {}

    def read(self, batch: np.ndarray, row: np.ndarray) -> np.ndarray:
        """Return the stamps of alerts, float32 `(n, 3, 63, 63)`."""
        stamps = np.empty((len(batch), *_STAMP_SHAPE), np.float32)
        order = np.argsort(batch, kind="stable")
        numbers, starts = np.unique(batch[order], return_index=True)
        for number, indices in zip(numbers, np.split(order, starts[1:]), strict=True):
            stamps[indices] = self._batch(int(number))[row[indices]]
        return stamps

    def _batch(self, number: int) -> np.ndarray:
        if number not in self._batches:
            pixels = np.memmap(_pixels_path(self._folder, number), np.float32, "r")
            self._batches[number] = pixels.reshape(-1, *_STAMP_SHAPE)
        return self._batches[number]
