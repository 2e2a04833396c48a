"""Nights of alert packets as alert tables: every alert once, objects in time order, all counted.

Packets are read into a spool on disk. DuckDB finds the duplicates and the order there, so that
memory does not grow with the number of alerts.
"""

import glob
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
from tqdm import tqdm

from ztfrep.data.alert_schema import CLASSES, ROW_GROUP, SPLITS, UNLABELLED
from ztfrep.data.alert_writer import AlertWriter
from ztfrep.data.files import scratch_folder
from ztfrep.data.splits import split_objects
from ztfrep.sources.packets.archives import Reader
from ztfrep.sources.packets.batch_store import BATCH, INFO, TABLES, SpooledPixels, fill_spool
from ztfrep.sources.packets.entries import Ignored
from ztfrep.sources.packets.label_matches import match_labels
from ztfrep.sources.packets.labels import Labels
from ztfrep.sources.packets.observations import LEFT_OUT, MISSING
from ztfrep.sources.packets.packet_reader import MASKED
from ztfrep.sources.packets.unread import list_unread

Counts = dict[str, Any]

# What a packet can be refused for; see `packets` and `archives`.
REASONS = (
    "archive",
    "unreadable",
    "too_large",
    "wire",
    "survey",
    "avro",
    "fields",
    "no_stamp",
    "gzip",
    "fits",
    "shape",
    "error",
)
_DATABASE_MEMORY = "512MB"
# An alert's first packet is kept, and of the epochs that packets tell of each once: a detection
# unless it came as an alert, an upper limit unless there was a detection. `batch` and `row` are the
# order of reading, so that the choice does not depend on the database's; of an alert that was kept
# they are the place of its pixels too.
_ORDER = """
CREATE TABLE kept AS
  FROM alerts QUALIFY row_number() OVER (PARTITION BY candid ORDER BY batch, row) = 1;
CREATE TABLE told AS
  FROM detections WHERE candid NOT IN (SELECT candid FROM kept)
  QUALIFY row_number() OVER (PARTITION BY candid ORDER BY batch, row) = 1;
CREATE TABLE undetected AS
  FROM limits AS l
  WHERE NOT EXISTS (FROM kept AS k WHERE k.object_id = l.object_id AND k.mjd = l.mjd)
    AND NOT EXISTS (FROM told AS t WHERE t.object_id = l.object_id AND t.mjd = l.mjd)
  QUALIFY row_number() OVER (PARTITION BY object_id, mjd, fid ORDER BY batch, row) = 1;
"""
# Once the alerts have their labels. An object has the label that the table gives it, or else that
# on which its alerts agree.
_OBJECTS = """
CREATE TABLE objects AS
  SELECT object_id,
    CASE own.label WHEN -1 THEN 2 ELSE if(own.label IS NULL, agreed.classes, 1) END AS classes,
    coalesce(own.label, agreed.label) AS label
  FROM (
    SELECT object_id, count(DISTINCT label) AS classes, min(label) AS label
    FROM (SELECT DISTINCT object_id FROM kept) LEFT JOIN labelled USING (object_id)
    GROUP BY object_id
  ) AS agreed LEFT JOIN object_labels AS own USING (object_id);
CREATE TABLE epochs AS
  SELECT *, row_number() OVER (
    PARTITION BY object_id ORDER BY mjd, candid NULLS LAST, fid
  ) - 1 AS detection
  FROM (
    FROM kept
    UNION ALL BY NAME SELECT * EXCLUDE (batch, row) FROM told
    UNION ALL BY NAME SELECT * EXCLUDE (batch, row) FROM undetected
  );
"""
# The stamps table has the alerts, each with its own label; the series table all epochs, with their
# object's. Stamps are most of the bytes, and stand in the former alone.
_STAMPS = """
SELECT epochs.*, true AS has_stamps, split, labelled.label AS label FROM epochs
JOIN splits USING (object_id) LEFT JOIN labelled USING (candid)
WHERE batch IS NOT NULL ORDER BY split, object_id, detection
"""
_SERIES = """
SELECT epochs.* EXCLUDE (batch, row), batch IS NOT NULL AS has_stamps, split, splits.label AS label
FROM epochs
JOIN splits USING (object_id) ORDER BY split, object_id, detection
"""


@dataclass(frozen=True)
class Splitting:
    """How objects are split; see `splits.split_objects`."""

    held_out: float
    at_least: int
    seed: int


def write_nights(
    readers: Sequence[Reader],
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
    ignored: Sequence[Ignored] = (),
    batch: int = BATCH,
) -> Counts:
    """Write the alerts of packets as the stamps table and the series table, and count everything.

    `ignored` are the files that no reader reads. `failures_path` becomes a CSV of what was not
    read: name, reason, detail. Raises InputError if an archive is broken and `broken_archives` is
    `stop`, if what cannot be read is more than `max_bad_fraction` of the packets, or all of them,
    or if labels match none of the alerts; the CSV is there then, and the tables are not.
    """
    # As large as the packets: what a killed run left is removed first.
    with scratch_folder(stamps_path.with_name("spool")) as folder:
        settings: dict[str, str | bool | int | float | list[str]] = {
            "threads": threads,
            "memory_limit": _DATABASE_MEMORY,
            "temp_directory": str(folder / "database"),
            "preserve_insertion_order": False,
        }
        read = fill_spool(readers, folder, threads, batch)
        with duckdb.connect(":memory:", config=settings) as database:
            for table in TABLES:
                files = str(Path(glob.escape(str(folder))) / f"{table}-*.parquet")
                database.read_parquet(files).create_view(table)
            unread = list_unread(database, ignored, failures_path)
            unread.refuse(
                read["alerts"], source, stop=broken_archives == "stop", most=max_bad_fraction
            )
            database.execute(_ORDER)
            matched = match_labels(database, labels)
            database.execute(_OBJECTS)
            rare = _split(database, splitting)
            with ThreadPoolExecutor(threads) as pool:
                writing = [
                    pool.submit(_write_stamps, stamps_path, database.cursor(), folder),
                    pool.submit(_write_series, series_path, database.cursor()),
                ]
                for task in writing:
                    task.result()
            counts = unread.account(read) | _counts(database, read, unread.bad, matched)
            counts["labels"]["objects_too_rare_to_hold_out"] = rare
            return counts


def _split(database: duckdb.DuckDBPyConnection, how: Splitting) -> int:
    """Split the objects into the table `splits`; count those of classes too rare to hold out."""
    objects = database.sql(
        "SELECT object_id, CASE WHEN classes = 1 THEN label END AS label FROM objects "
        "ORDER BY object_id"
    ).df()
    labels = objects["label"].fillna(UNLABELLED).to_numpy(np.int8)
    known, members = np.unique(labels, return_counts=True)
    rare = np.isin(labels, known[(members < 3) & (known != UNLABELLED)])
    split = np.zeros(len(labels), dtype=np.int8)
    # Apart: labelled objects may have to be held out in a larger share.
    for chosen, at_least in (
        ((labels != UNLABELLED) & ~rare, how.at_least),
        (labels == UNLABELLED, 1),
    ):
        rows = np.flatnonzero(chosen)
        if len(rows) >= 3:
            parts = split_objects(
                labels[rows],
                test_fraction=how.held_out,
                min_test_objects=at_least,
                seed=how.seed,
            )
            for place, part in enumerate(parts):
                split[rows[part]] = place
    table = pd.DataFrame({"object_id": objects["object_id"], "label": labels, "split": split})
    database.register("split_objects", table)
    database.execute("CREATE TABLE splits AS FROM split_objects")
    return int(rare.sum())


def _write_stamps(path: Path, database: duckdb.DuckDBPyConnection, spool: Path) -> None:
    pixels = SpooledPixels(spool)
    with AlertWriter(path, INFO) as writer:
        for columns in _rows(database, _STAMPS, "stamps"):
            place = [columns.pop(name).to_numpy() for name in ("batch", "row")]
            writer.write(columns | {"stamps": pixels.take(*place)})


def _write_series(path: Path, database: duckdb.DuckDBPyConnection) -> None:
    with AlertWriter(path, replace(INFO, stamp_location="by_candid")) as writer:
        for columns in _rows(database, _SERIES, "series"):
            writer.write(columns)


def _rows(
    database: duckdb.DuckDBPyConnection, query: str, progress: str
) -> Iterator[dict[str, Any]]:
    """Give the columns of a row group after the other."""
    ((total,),) = database.sql(f"SELECT count(*) FROM ({query})").fetchall()
    with tqdm(total=total, desc=progress, unit=" rows", disable=None) as bar:
        for table in _even(database.sql(query).to_arrow_reader(ROW_GROUP)):
            columns = {name: table[name].combine_chunks() for name in table.column_names}
            label = columns["label"].fill_null(UNLABELLED)
            yield columns | {
                "split": [SPLITS[place] for place in columns["split"].to_pylist()],
                "label": label.to_numpy(zero_copy_only=False),
                "n_copies": np.ones(len(table), np.int32),
            }
            bar.update(len(table))


def _even(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Cut batches anew: a database's depend on its threads, and the row groups follow them."""
    waiting: pa.Table | None = None
    for batch in batches:
        table = pa.Table.from_batches([batch])
        waiting = table if waiting is None else pa.concat_tables([waiting, table])
        while len(waiting) >= ROW_GROUP:
            yield waiting[:ROW_GROUP]
            waiting = waiting[ROW_GROUP:]
    if waiting:
        yield waiting


def _counts(
    database: duckdb.DuckDBPyConnection, read: Counter[str], bad: Counter[str], matched: Counts
) -> Counts:
    def rows(query: str) -> list[tuple[Any, ...]]:
        return database.sql(query).fetchall()

    ((kept,),) = rows("SELECT count(*) FROM kept")
    ((detections,),) = rows("SELECT count(*) FROM told")
    ((limits,),) = rows("SELECT count(*) FROM undetected")
    ((labelled, contradictory),) = rows(
        "SELECT count(*) FILTER (classes = 1), count(*) FILTER (classes > 1) FROM objects"
    )
    ((labelled_alerts,),) = rows("SELECT count(*) FROM labelled")

    left_out = {f"left_out_{reason}": read[f"epochs.{reason}"] for reason in LEFT_OUT}
    counts: Counts = {
        # An alert is one, and so is a file that gives none because it is damaged.
        "packets": {
            "read": read["alerts"] + bad.total(),
            "written": kept,
            "duplicates": read["alerts"] - kept,
            "bad": bad.total(),
            **{f"bad_{reason}": bad[reason] for reason in REASONS},
        },
        "history": {
            "read": read["epochs"] + sum(left_out.values()),
            **left_out,
            "repeated": read["epochs"] - detections - limits,
            "kept_detections": detections,
            "kept_upper_limits": limits,
        },
        "padded_stamps": read["alerts.padded"],
        "masked_pixels": {reason: read[f"pixels.{reason}"] for reason in MASKED},
        "missing_features": {reason: read[f"features.{reason}"] for reason in MISSING},
        "labels": {
            **matched,
            "alerts": labelled_alerts,
            "objects": labelled,
            "contradictory_objects": contradictory,
        },
        "stamps": {},
        "series": {},
    }
    for place, split in enumerate(SPLITS):
        in_split = f"JOIN splits USING (object_id) WHERE split = {place}"
        ((alerts,),) = rows(f"SELECT count(*) FROM kept {in_split}")
        ((objects, epochs),) = rows(
            f"SELECT count(DISTINCT object_id), count(*) FROM epochs {in_split}"
        )
        classes = dict(rows(f"SELECT labelled.label, count(*) FROM labelled {in_split} GROUP BY 1"))
        # An object is in the series table by the one label that its alerts agree on.
        of_objects = dict(
            rows(f"SELECT label, count(*) FROM splits WHERE split = {place} GROUP BY 1")
        )
        counts["stamps"][split] = {
            "kept": alerts,
            **{f"kept_{name}": classes.get(label, 0) for label, name in enumerate(CLASSES)},
        }
        counts["series"][split] = {
            "kept_objects": objects,
            "kept_epochs": epochs,
            "kept_alerts": alerts,
            **{f"kept_objects_{name}": of_objects.get(n, 0) for n, name in enumerate(CLASSES)},
        }
    return counts
