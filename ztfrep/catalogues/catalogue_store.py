"""A folder between packets and catalogues, which an interrupted run continues from.

Each batch of packets is decoded and encoded once: its alerts, prior observations and failures are
stored as in a batch store, with the predictions for its alerts in place of their pixels. Catalogues
are written from the folder at the end, each alert once. Memory does not grow with the number of
packets.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from threading import Event

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from loky import cpu_count
from tqdm import tqdm

from ztfrep.catalogues.catalogue import write_catalogue
from ztfrep.catalogues.catalogue_rows import (
    alert_info,
    alert_rows,
    alerts_of_batch,
    object_info,
    object_rows,
    preview_column,
)
from ztfrep.catalogues.packet_decoding import decode_group, previews_path, with_stamps
from ztfrep.data.files import replacing, write_json
from ztfrep.data.frames import to_frame
from ztfrep.encoders.encoder import Encoder
from ztfrep.parallel.process_pool import map_ahead
from ztfrep.sources.packets.archives import ArchiveReader, Item
from ztfrep.sources.packets.batch_store import open_batch_store, split_items
from ztfrep.sources.packets.cutouts import STAMP_SIZE
from ztfrep.sources.packets.observation_queries import query_observations
from ztfrep.sources.packets.packet_reader import PacketBatch

_OBSERVATIONS_PER_FRAME = 50_000


class CatalogueStore:
    """The encoded batches of packets in a folder.

    `previews` adds previews of the stamps to the catalogue of alerts.
    """

    def __init__(
        self, folder: Path, encoder: Encoder, *, previews: bool, processes: int | None = None
    ) -> None:
        self.folder = folder
        self._encoder, self._previews = encoder, previews
        self._processes = cpu_count() if processes is None else processes
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, readers: Sequence[ArchiveReader], first_reader: int, bar: tqdm) -> None:
        """Decode and encode the packets of readers; batches that are stored are not again.

        The readers have the numbers from `first_reader` on. Reading, decoding and encoding overlap:
        a thread reads, other processes decode, this thread encodes the batches in their order.
        """
        decode = partial(decode_group, previews=self._previews)
        tasks = self._groups(readers, first_reader, bar)
        # One group for each process, one that waits for it, one that is read, one that is encoded.
        ahead = 2 * self._processes + 2
        with closing(map_ahead(decode, tasks, self._processes, ahead, "reading packets")) as groups:
            for decoded in groups:
                for number, batch in decoded.batches.items():
                    self._encode(number, with_stamps(self.folder, number, batch))
                    bar.update(len(batch.object_id))
                write_json(self._done_path(decoded.reader, decoded.group), dict(decoded.counts))

    def _groups(
        self, readers: Sequence[ArchiveReader], first_reader: int, bar: tqdm
    ) -> Iterator[tuple[Path, int, int, list[Item]]]:
        """Yield the arguments of `decode_group` for the items that are not stored."""
        for number, reader in enumerate(readers, first_reader):
            for index, items in enumerate(split_items(reader())):
                done = self._done_path(number, index)
                if done.exists():
                    bar.update(json.loads(done.read_text()).get("alerts", 0))
                else:
                    yield self.folder, number, index, items

    def _done_path(self, reader: int, index: int) -> Path:
        return self.folder / f"done-{reader}-{index}.json"

    def counts(self) -> Counter[str]:
        """Return the sum of the counts of all batches; see `batch_store.fill_batch_store`."""
        counts: Counter[str] = Counter(alerts=0, observations=0)
        for path in self.folder.glob("done-*.json"):
            counts.update(json.loads(path.read_text()))
        return counts

    @contextmanager
    def open(self, first_reader: int) -> Iterator[duckdb.DuckDBPyConnection]:
        """Yield the database of all batches, see `open_batch_store`.

        Its view `failures` has those of the readers from `first_reader` on.
        """
        with open_batch_store(self.folder, threads=1) as database:
            failures = f"FROM failures WHERE batch >> 32 >= {int(first_reader)}"
            database.execute(f"CREATE TABLE new_failures AS {failures}")
            database.execute("CREATE OR REPLACE VIEW failures AS FROM new_failures")
            yield database

    def write(
        self, database: duckdb.DuckDBPyConnection, alerts: Path, objects: Path, first_reader: int
    ) -> tuple[int, int | None]:
        """Write the catalogues of the readers from `first_reader` on; return the numbers of rows.

        The database has the tables of `create_observations`. An alert is written once, even if an
        earlier reader had it; objects are those of the written alerts, with their observations in
        all readers. Without a network of objects their catalogue is not written, and None is
        returned.
        """
        query = "SELECT batch, row FROM unique_alerts ORDER BY batch, row"
        unique = to_frame(database.sql(query).to_arrow_table())
        numbers, starts = np.unique(unique["batch"], return_index=True)
        parts = np.split(unique["row"].to_numpy(), starts[1:]) if len(numbers) else []
        rows = dict(zip(map(int, numbers), parts, strict=True))
        # The catalogue of alerts is mostly compression, which a thread does beside the objects.
        stopped = Event()
        with ThreadPoolExecutor(1) as pool:
            written = pool.submit(self._write_alerts, alerts, rows, first_reader, stopped)
            try:
                n_objects = self._write_objects(objects, rows, database, first_reader)
            except BaseException:
                stopped.set()
                raise
            return written.result(), n_objects

    def _write_alerts(
        self, path: Path, rows: Mapping[int, np.ndarray], first_reader: int, stopped: Event
    ) -> int:
        info = alert_info(self._encoder, STAMP_SIZE if self._previews else None)

        def tables() -> Iterator[pa.Table]:
            for number in rows:
                if stopped.is_set():
                    raise InterruptedError("the catalogue of objects was not written")
                if number >> 32 >= first_reader:
                    yield self._read_rows(number, rows[number])

        with replacing(path) as temporary:
            return write_catalogue(temporary, info, tables())

    def _write_objects(
        self,
        path: Path,
        rows: Mapping[int, np.ndarray],
        database: duckdb.DuckDBPyConnection,
        first_reader: int,
    ) -> int | None:
        if self._encoder.object_network is None:
            return None
        frames = _split_by_object(query_observations(database, first_reader))
        tables = object_rows(self._encoder, frames, self._collect_vectors(rows))
        with replacing(path) as temporary:
            return write_catalogue(temporary, object_info(self._encoder), tables)

    def remove_previews(self) -> None:
        """Remove the previews, which are the majority of the bytes, once they are written."""
        for path in self.folder.glob("previews-*.npy"):
            path.unlink()

    def _encode(self, number: int, batch: PacketBatch) -> None:
        """Store the predictions for the alerts of a batch, if it has any."""
        if not len(batch.stamps):
            return
        alerts = alerts_of_batch(batch)
        predictions = self._encoder.predict(alerts)
        rows = alert_rows(self._encoder, alerts, predictions, previews=False)
        pq.write_table(rows, self.folder / f"predictions-{number}.parquet", compression="none")

    def _read_rows(self, number: int, rows: np.ndarray) -> pa.Table:
        """Return rows of a stored batch, with their previews."""
        table = pq.read_table(self.folder / f"predictions-{number}.parquet").take(rows)
        if self._previews:
            previews = np.load(previews_path(self.folder, number), mmap_mode="r")[rows]
            table = table.append_column("preview", preview_column(previews))
        return table

    def _collect_vectors(self, rows: Mapping[int, np.ndarray]) -> np.ndarray:
        """Return the vectors of the rows of all batches, in order, as a file on disk."""
        shape = (sum(map(len, rows.values())), self._encoder.network.config.latent_dim)
        path = self.folder / "vectors.npy"
        vectors = np.lib.format.open_memmap(path, "w+", np.float32, shape)
        start = 0
        for number, part in rows.items():
            column = pq.read_table(
                self.folder / f"predictions-{number}.parquet", columns=["vector"]
            )
            flat = column.column(0).combine_chunks().flatten().to_numpy()
            vectors[start : start + len(part)] = flat.reshape(-1, shape[1])[part]
            start += len(part)
        return vectors


def _split_by_object(observations: duckdb.DuckDBPyRelation) -> Iterator[pd.DataFrame]:
    """Yield the observations in frames of whole objects, of about 50,000 rows."""
    rest = pd.DataFrame()
    for batch in observations.to_arrow_reader(_OBSERVATIONS_PER_FRAME):
        frame = to_frame(pa.Table.from_batches([batch]))
        rest = pd.concat([rest, frame], ignore_index=True) if len(rest) else frame
        last = rest["object_id"] == rest["object_id"].iloc[-1]
        # The last object may go on in the next batch.
        if not last.all():
            yield rest[~last]
            rest = rest[last].reset_index(drop=True)
    if len(rest):
        yield rest
