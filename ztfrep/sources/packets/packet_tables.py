"""A writer of alert packets as alert tables: each alert once, objects in time order, all counted.

Packets are read into a batch store on disk. DuckDB removes duplicates and sorts the rows there, so
that memory does not grow with the number of alerts.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
from tqdm import tqdm

from ztfrep.data.alert_schema import ROW_GROUP, UNLABELLED
from ztfrep.data.alert_writer import AlertWriter
from ztfrep.data.files import scratch_folder
from ztfrep.data.splits import SPLITS, Splitting, split_objects
from ztfrep.parallel.open_workers import open_workers
from ztfrep.sources.base import Counts
from ztfrep.sources.packets.archives import ArchiveReader
from ztfrep.sources.packets.batch_store import (
    MAX_BATCH_PACKETS,
    TABLE_INFO,
    StoredPixels,
    fill_batch_store,
    open_batch_store,
)
from ztfrep.sources.packets.entries import IgnoredEntry
from ztfrep.sources.packets.label_matches import match_labels
from ztfrep.sources.packets.labels import Labels
from ztfrep.sources.packets.observation_queries import create_observations
from ztfrep.sources.packets.packet_counts import count_contents
from ztfrep.sources.packets.unread import list_unread

# The stamps table has the alerts, each with its own label; the series table has all observations,
# with the label of their object. Stamps are most of the bytes, and are in the stamps table alone.
_STAMPS = """
SELECT observations.*, true AS has_stamps, split, labelled_alerts.label AS label FROM observations
JOIN splits USING (object_id) LEFT JOIN labelled_alerts USING (candid)
WHERE batch IS NOT NULL ORDER BY split, object_id, detection
"""
_SERIES = """
SELECT observations.* EXCLUDE (batch, row), batch IS NOT NULL AS has_stamps, split,
  splits.label AS label
FROM observations
JOIN splits USING (object_id) ORDER BY split, object_id, detection
"""


def write_packet_tables(
    readers: Sequence[ArchiveReader],
    labels: Labels,
    stamps_path: Path,
    series_path: Path,
    failures_path: Path,
    *,
    splitting: Splitting,
    max_bad_fraction: float,
    threads: int,
    source: str,
    broken_archives: str = "stop",
    ignored: Sequence[IgnoredEntry] = (),
    max_batch_packets: int = MAX_BATCH_PACKETS,
) -> Counts:
    """Write the alerts of packets as the stamps table and the series table; return all counts.

    `ignored` are the files that no reader reads. `failures_path` becomes a CSV of what is not
    read: name, reason, detail. Raises InputError if an archive is broken and `broken_archives` is
    `stop`, if more than `max_bad_fraction` of the packets cannot be read, if no alert can be read,
    or if labels match none of the alerts; the CSV is written then, and the tables are not.
    """
    # As large as the packets. The folders of killed runs are removed first.
    with scratch_folder(stamps_path.with_name("batch_store")) as folder:
        with open_workers(threads, "reading packets") as workers:
            read = fill_batch_store(readers, folder, workers, max_batch_packets)
        with open_batch_store(folder, threads) as database:
            unread = list_unread(database, ignored, failures_path)
            unread.validate(
                read["alerts"],
                source,
                stop=broken_archives == "stop",
                max_bad_fraction=max_bad_fraction,
            )
            create_observations(database)
            label_counts = match_labels(database, labels)
            rare_objects = _create_splits(database, splitting)
            with ThreadPoolExecutor(threads) as pool:
                tasks = [
                    pool.submit(_write_stamps, stamps_path, database.cursor(), folder),
                    pool.submit(_write_series, series_path, database.cursor()),
                ]
                for task in tasks:
                    task.result()
            counts = count_contents(database, read, unread.failures, label_counts)
            counts["labels"]["objects_of_too_rare_classes"] = rare_objects
            return unread.count(read) | counts


def _create_splits(database: duckdb.DuckDBPyConnection, splitting: Splitting) -> int:
    """Create the table `splits`; return the number of objects of classes too rare to be split."""
    objects = database.sql(
        "SELECT object_id, CASE WHEN classes = 1 THEN label END AS label FROM objects "
        "ORDER BY object_id"
    ).df()
    labels = objects["label"].fillna(UNLABELLED).to_numpy(np.int8)
    classes, counts = np.unique(labels, return_counts=True)
    rare = np.isin(labels, classes[(counts < 3) & (classes != UNLABELLED)])
    split = np.zeros(len(labels), dtype=np.int8)
    # Labelled and unlabelled objects are split separately: the former may need a larger fraction.
    for mask, min_test_objects in (
        ((labels != UNLABELLED) & ~rare, splitting.min_test_objects),
        (labels == UNLABELLED, 1),
    ):
        rows = np.flatnonzero(mask)
        if len(rows) >= 3:
            parts = split_objects(
                labels[rows],
                test_fraction=splitting.test_fraction,
                min_test_objects=min_test_objects,
                seed=splitting.seed,
            )
            for index, part in enumerate(parts):
                split[rows[part]] = index
    table = pd.DataFrame({"object_id": objects["object_id"], "label": labels, "split": split})
    database.register("split_objects", table)
    database.execute("CREATE TABLE splits AS FROM split_objects")
    return int(rare.sum())


def _write_stamps(path: Path, database: duckdb.DuckDBPyConnection, batch_store: Path) -> None:
    pixels = StoredPixels(batch_store)
    with AlertWriter(path, TABLE_INFO) as writer:
        for columns in _row_groups(database, _STAMPS, "stamps"):
            batch, row = (columns.pop(name).to_numpy() for name in ("batch", "row"))
            writer.write(columns | {"stamps": pixels.read(batch, row)})


def _write_series(path: Path, database: duckdb.DuckDBPyConnection) -> None:
    with AlertWriter(path, replace(TABLE_INFO, stamp_location="by_candid")) as writer:
        for columns in _row_groups(database, _SERIES, "series"):
            writer.write(columns)


def _row_groups(
    database: duckdb.DuckDBPyConnection, query: str, description: str
) -> Iterator[dict[str, Any]]:
    """Yield the columns of every row group."""
    ((total,),) = database.sql(f"SELECT count(*) FROM ({query})").fetchall()
    with tqdm(total=total, desc=description, unit=" rows", disable=None) as bar:
        for table in _resize(database.sql(query).to_arrow_reader(ROW_GROUP)):
            columns = {name: table[name].combine_chunks() for name in table.column_names}
            label = columns["label"].fill_null(UNLABELLED)
            yield columns | {
                "split": [SPLITS[index] for index in columns["split"].to_pylist()],
                "label": label.to_numpy(zero_copy_only=False),
                "n_copies": np.ones(len(table), np.int32),
            }
            bar.update(len(table))


def _resize(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Yield the rows as tables of ROW_GROUP rows: a database's batches depend on its threads."""
    waiting: pa.Table | None = None
    for batch in batches:
        table = pa.Table.from_batches([batch])
        waiting = table if waiting is None else pa.concat_tables([waiting, table])
        while len(waiting) >= ROW_GROUP:
            yield waiting[:ROW_GROUP]
            waiting = waiting[ROW_GROUP:]
    if waiting:
        yield waiting
