"""Alerts on their way from packets to tables: batches on disk, read by several processes.

A batch is a Parquet file each of its alerts, of the detections and the upper limits before them,
and of what could not be read, and a file of the alerts' pixels. Processes share nothing, so that
none waits for another, and memory does not grow with the number of packets. In every table `batch`
and `row` give the order of reading, whatever process it was that read.
"""

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from loky import ProcessPoolExecutor
from loky.process_executor import BrokenProcessPool
from tqdm import tqdm

from ztfrep.data import features
from ztfrep.data.alert_schema import CHANNELS, CLASSES, TableInfo
from ztfrep.errors import InputError
from ztfrep.sources.packets.archives import Item, Reader
from ztfrep.sources.packets.cutouts import SIZE
from ztfrep.sources.packets.entries import Ignored, printable
from ztfrep.sources.packets.observations import Epochs
from ztfrep.sources.packets.packet_reader import Batch, Failure, Packet, read_batches

# A batch is so many packets, or so many bytes of them: memory is bounded, whatever they hold.
BATCH, _BATCH_BYTES = 512, 1 << 26
INFO = TableInfo(SIZE, SIZE, "counts", features.PHYSICAL, CLASSES)
IGNORED = "ignored_"
_STAMPS = (len(CHANNELS), SIZE, SIZE)
_SCHEMA = INFO.schema()


def _columns(*names: str) -> pa.Schema:
    order = [pa.field("batch", pa.int64()), pa.field("row", pa.int64())]
    return pa.schema([*order, *(_SCHEMA.field(name) for name in names)])


_DETECTIONS = _columns("object_id", "candid", "mjd", "fid", *features.NAMES)
TABLES = {
    "alerts": _DETECTIONS,
    "detections": _DETECTIONS,
    # Of an upper limit only the limit is known, and it is most of what packets tell.
    "limits": _columns("object_id", "mjd", "fid", "diffmaglim"),
    "failures": pa.schema([*_columns(), *(pa.field(n, pa.string()) for n in Failure._fields)]),
}


def fill_spool(
    readers: Sequence[Reader], folder: Path, processes: int, batch: int = BATCH
) -> Counter[str]:
    """Read packets by `processes` into batches in `folder`, at most `batch` packets each.

    Returns how many `alerts` and `epochs` before them were read, and what `read_packets` and the
    readers count. The reason of what is ignored begins with IGNORED.
    """
    # Where there are fewer readers than processes, several go through the same packets, and each
    # reads its share of them.
    shares = -(-processes // len(readers))
    tasks = [
        (folder, number, reader, share, shares, batch)
        for number, reader in enumerate(readers)
        for share in range(shares)
    ]
    counts: Counter[str] = Counter(alerts=0, epochs=0)
    with tqdm(desc="packets", unit=" alerts", disable=None) as bar:
        for found in _in_processes(tasks, processes, lambda: _show(bar, folder)):
            counts.update(found)
    return counts


def _in_processes(
    tasks: list[tuple[Any, ...]], processes: int, show: Callable[[], None]
) -> Iterator[Counter[str]]:
    if processes == 1:
        for task in tasks:
            yield _read(*task)
            show()
        return
    # Not forked: of a process of threads a child may find their locks taken for ever.
    pool = ProcessPoolExecutor(processes, initializer=_follow, initargs=(os.getpid(),))
    with pool:
        waiting: set[Future[Counter[str]]] = {pool.submit(_read, *task) for task in tasks}
        while waiting:
            done, waiting = wait(waiting, timeout=0.5, return_when="FIRST_EXCEPTION")
            show()
            for finished in done:
                try:
                    yield finished.result()
                except BrokenProcessPool as error:
                    raise InputError(
                        "reading packets",
                        found="a process of ours that was killed",
                        expected=f"memory for {processes} processes",
                        remedy="free some, or lower threads in params.yaml",
                    ) from error


def _follow(parent: int) -> None:
    """End when the user interrupts, without a traceback, and soon after the parent."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _show(bar: tqdm, folder: Path) -> None:
    if not bar.disable:
        read = sum(path.stat().st_size for path in folder.glob("pixels-*"))
        bar.update(read // (4 * int(np.prod(_STAMPS))) - bar.n)


def _read(
    folder: Path, number: int, reader: Reader, share: int, shares: int, size: int
) -> Counter[str]:
    """Read every `shares`-th batch of a reader, from `share` on."""
    counts: Counter[str] = Counter()
    for place, items in enumerate(_batches(reader(), size)):
        if place % shares == share:
            failures, counted = _not_packets(items)
            counts.update(counted)
            packets = [item for item in items if isinstance(item, Packet)]
            # Files of many alerts are more than one batch, though never more than there are files.
            for part, read in enumerate(read_batches(packets)):
                read.failures[:0] = failures if part == 0 else []
                counts.update(_write_batch(folder, number << 32 | place << 10 | part, read))
    return counts


def _batches(items: Iterable[Item], most: int) -> Iterator[list[Item]]:
    batch: list[Item] = []
    size, first = 0, True
    for item in items:
        batch.append(item)
        size += len(item.data) if isinstance(item, Packet) else 0
        if len(batch) == most or size > _BATCH_BYTES:
            yield batch
            batch, size, first = [], 0, False
    # The first one even if there is nothing, so that each table has a file.
    if batch or first:
        yield batch


def _not_packets(items: Iterable[Item]) -> tuple[list[Failure], Counter[str]]:
    """Return what is listed as not read, and the counts among the items."""
    failures: list[Failure] = []
    counts: Counter[str] = Counter()
    for item in items:
        if isinstance(item, Ignored):
            failures.append(Failure(item.name, f"{IGNORED}{item.kind}", item.detail))
        elif isinstance(item, Failure):
            failures.append(item)
        elif isinstance(item, Counter):
            counts.update(item)
    return failures, counts


def _write_batch(folder: Path, number: int, found: Batch) -> Counter[str]:
    failures = found.failures
    # An error of `tofile` says neither the path nor that the disk is full.
    _pixels_path(folder, number).write_bytes(np.ascontiguousarray(found.stamps).data)
    object_id = np.array(found.object_id, dtype=object)
    detected = found.history.candid >= 0
    tables = {
        "alerts": _epochs(found.alerts, object_id, np.ones(len(object_id), dtype=bool)),
        "detections": _epochs(found.history, object_id, detected),
        "limits": _epochs(found.history, object_id, ~detected),
        "failures": {
            name: [printable(failure[place]) for failure in failures]
            for place, name in enumerate(Failure._fields)
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
    return found.counts + Counter(alerts=len(object_id), epochs=len(detected))


def _epochs(epochs: Epochs, object_id: np.ndarray, chosen: np.ndarray) -> dict[str, Any]:
    columns = {
        "object_id": object_id[epochs.owner],
        "candid": epochs.candid,
        "mjd": epochs.mjd,
        "fid": epochs.fid,
        **dict(zip(features.NAMES, epochs.metadata.T, strict=True)),
    }
    return {name: values[chosen] for name, values in columns.items()}


def _pixels_path(folder: Path, number: int) -> Path:
    return folder / f"pixels-{number}"


class SpooledPixels:
    """The pixels of a filled spool, by the batch and row of their alerts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._batches: dict[int, np.ndarray] = {}

    def take(self, batch: np.ndarray, row: np.ndarray) -> np.ndarray:
        """Give the stamps of alerts, float32 `(n, 3, 63, 63)`."""
        taken = np.empty((len(batch), *_STAMPS), np.float32)
        order = np.argsort(batch, kind="stable")
        numbers, starts = np.unique(batch[order], return_index=True)
        for number, places in zip(numbers, np.split(order, starts[1:]), strict=True):
            taken[places] = self._of(int(number))[row[places]]
        return taken

    def _of(self, number: int) -> np.ndarray:
        if number not in self._batches:
            pixels = np.memmap(_pixels_path(self._folder, number), np.float32, "r")
            self._batches[number] = pixels.reshape(-1, *_STAMPS)
        return self._batches[number]
