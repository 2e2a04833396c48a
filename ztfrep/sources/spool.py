"""Alerts on their way from packets to tables: metadata in a database, pixels in a file beside it.

Packets are read in parallel and put away in any order, so that memory does not grow with their
number; a column `sequence` keeps the order of reading.
"""

import csv
import os
import threading
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

import duckdb
import numpy as np
import pyarrow as pa
from tqdm import tqdm

from ztfrep import features
from ztfrep.alerts import CHANNELS, CLASSES, TableInfo
from ztfrep.files import replacing
from ztfrep.sources.cutouts import SIZE
from ztfrep.sources.packets import Epochs, Failure, Packet, read_packets

# A batch is so many packets, or so many bytes of them: memory is bounded, whatever they hold.
_BATCH, _BATCH_BYTES = 512, 1 << 26
INFO = TableInfo(SIZE, SIZE, "counts", features.PHYSICAL, CLASSES)
_SCHEMA = INFO.schema()
_SQL_TYPES = {
    pa.float32(): "FLOAT",
    pa.float64(): "DOUBLE",
    pa.int64(): "BIGINT",
    pa.int8(): "TINYINT",
    pa.string(): "VARCHAR",
}


def _table(*names: str) -> dict[str, str]:
    """Declare the columns of a database's table, typed as the alert table's are."""
    types = {name: _SQL_TYPES[_SCHEMA.field(name).type] for name in names}
    return {name: f"{name} {kind}" for name, kind in {"sequence": "BIGINT", **types}.items()}


_EPOCH = ("object_id", "candid", "mjd", "fid")
_DETECTIONS = _table(*_EPOCH, *features.NAMES)
_TABLES = {
    "alerts": _DETECTIONS | {"slot": "slot BIGINT"},
    "detections": _DETECTIONS,
    # Of an upper limit only the limit is known, and it is most of what packets tell.
    "limits": _table("object_id", "mjd", "fid", "diffmaglim"),
}


class FailureLog:
    """The CSV of what could not be read."""

    def __init__(self, path: Path) -> None:
        self.reasons: Counter[str] = Counter()
        self._replacing = replacing(path)

    def __enter__(self) -> "FailureLog":
        self._file = self._replacing.__enter__().open("w", encoding="utf-8", newline="")
        self._rows = csv.writer(self._file)
        self._rows.writerow(Failure._fields)
        return self

    def add(self, failure: Failure) -> None:
        """Write a failure down, and count it by its reason."""
        self.reasons[failure.reason] += 1
        self._rows.writerow(" ".join(part.split()) for part in failure)

    def __exit__(self, *error: Any) -> bool | None:
        self._file.close()
        return self._replacing.__exit__(*error)


class _Spool:
    """Alerts on disk in any order: metadata in a database's tables, pixels in a file of slots."""

    def __init__(self, database: duckdb.DuckDBPyConnection, pixels: BinaryIO) -> None:
        self.database, self.pixels = database, pixels
        self.slots = 0
        self._taking_slots = threading.Lock()
        for table, columns in _TABLES.items():
            database.execute(f"CREATE TABLE {table} ({', '.join(columns.values())})")

    def add(self, number: int, packets: list[Packet]) -> tuple[list[Failure], Counter[str]]:
        """Read the packets of batch `number` and put them away; give failures and counts."""
        batch = read_packets(packets)
        alerts, history = len(batch.object_id), len(batch.history.mjd)
        if not alerts:
            return batch.failures, batch.counts
        with self._taking_slots:
            first, self.slots = self.slots, self.slots + alerts
        _write_at(self.pixels, batch.stamps, first * batch.stamps[:1].nbytes)
        object_id = np.array(batch.object_id, dtype=object)
        detected = batch.history.candid >= 0
        # Batches are put away in any order, and their numbers give the order of reading.
        sequence = number << 32
        cursor = self.database.cursor()
        own = _columns(batch.alerts, object_id, sequence) | {"slot": first + np.arange(alerts)}
        told = _columns(batch.history, object_id, sequence)
        _insert(cursor, "alerts", own, np.ones(alerts, dtype=bool))
        _insert(cursor, "detections", told, detected)
        _insert(cursor, "limits", told, ~detected)
        return batch.failures, batch.counts + Counter(alerts=alerts, epochs=history)


def _write_at(file: BinaryIO, pixels: np.ndarray, offset: int) -> None:
    content = memoryview(pixels.data).cast("B")
    while content:
        written = os.pwrite(file.fileno(), content, offset)
        content, offset = content[written:], offset + written


def _columns(epochs: Epochs, object_id: np.ndarray, sequence: int) -> dict[str, np.ndarray]:
    return {
        "sequence": sequence + np.arange(len(epochs.mjd)),
        "object_id": object_id[epochs.owner],
        "candid": epochs.candid,
        "mjd": epochs.mjd,
        "fid": epochs.fid,
        **dict(zip(features.NAMES, epochs.metadata.T, strict=True)),
    }


def _insert(
    cursor: duckdb.DuckDBPyConnection,
    table: str,
    columns: Mapping[str, np.ndarray],
    chosen: np.ndarray,
) -> None:
    # NaN is no number to a database that sorts by it: it becomes null.
    rows = pa.table(
        {name: pa.array(columns[name][chosen], from_pandas=True) for name in _TABLES[table]}
    )
    cursor.register("rows_read", rows)
    cursor.execute(f"INSERT INTO {table} FROM rows_read")


def fill_spool(
    packets: Iterable[Packet | Failure],
    database: duckdb.DuckDBPyConnection,
    pixels: Path,
    log: FailureLog,
    threads: int,
) -> Counter[str]:
    """Read packets by `threads` into the database and the file `pixels`; count them."""
    counts: Counter[str] = Counter(alerts=0, epochs=0)
    with (
        pixels.open("wb") as file,
        ThreadPoolExecutor(threads) as pool,
        tqdm(desc="packets", unit=" alerts", disable=None) as bar,
    ):
        spool = _Spool(database, file)
        waiting: deque[Future[tuple[list[Failure], Counter[str]]]] = deque()

        def finish(most_waiting: int) -> None:
            while len(waiting) > most_waiting:
                failures, found = waiting.popleft().result()
                for failure in failures:
                    log.add(failure)
                counts.update(found)
                bar.update(found["alerts"])

        for number, batch in enumerate(_batches(packets, log)):
            waiting.append(pool.submit(spool.add, number, batch))
            # So many batches are in memory at once, whatever the archives hold.
            finish(threads + 1)
        finish(0)
    return counts


def map_pixels(path: Path, alerts: int) -> np.ndarray:
    """Map the file `pixels` of a filled spool: float32 `(slots, 3, 63, 63)`."""
    return np.memmap(path, np.float32, "r", shape=(alerts, len(CHANNELS), SIZE, SIZE))


def _batches(packets: Iterable[Packet | Failure], log: FailureLog) -> Iterator[list[Packet]]:
    batch: list[Packet] = []
    size = 0
    for packet in packets:
        if isinstance(packet, Failure):
            log.add(packet)
            continue
        batch.append(packet)
        size += len(packet.data)
        if len(batch) == _BATCH or size > _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
