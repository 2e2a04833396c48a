"""Nights of alert packets as alert tables: every alert once, objects in time order, all counted.

Packets are read in parallel into a spool on disk. DuckDB finds the duplicates and the order there,
so that memory does not grow with the number of alerts.
"""

import logging
import tempfile
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
from tqdm import tqdm

from ztfrep import curation
from ztfrep.alerts import CLASSES, ROW_GROUP, SPLITS, UNLABELLED, AlertWriter
from ztfrep.errors import InputError
from ztfrep.sources.labels import Labels
from ztfrep.sources.packets import MASKED, MISSING, Failure, Packet
from ztfrep.sources.spool import INFO, FailureLog, fill_spool, map_pixels

Counts = dict[str, Any]

# What a packet can be refused for; see `packets` and `archives`.
REASONS = ("archive", "too_large", "avro", "fields", "no_stamp", "gzip", "fits", "shape")
_DATABASE_MEMORY = "512MB"
# An alert's first packet is kept, and of the epochs that packets tell of each once: a detection
# unless it came as an alert, an upper limit unless there was a detection. `sequence` is the order
# of reading, so that the choice does not depend on the database's.
_ORDER = """
CREATE TABLE kept AS
  FROM alerts QUALIFY row_number() OVER (PARTITION BY candid ORDER BY sequence) = 1;
CREATE TABLE told AS
  FROM detections WHERE candid NOT IN (SELECT candid FROM kept)
  QUALIFY row_number() OVER (PARTITION BY candid ORDER BY sequence) = 1;
CREATE TABLE undetected AS
  FROM limits AS l
  WHERE NOT EXISTS (FROM kept AS k WHERE k.object_id = l.object_id AND k.mjd = l.mjd)
    AND NOT EXISTS (FROM told AS t WHERE t.object_id = l.object_id AND t.mjd = l.mjd)
  QUALIFY row_number() OVER (PARTITION BY object_id, mjd, fid ORDER BY sequence) = 1;
CREATE TABLE labelled AS
  SELECT candid, object_id, label FROM kept JOIN labels ON labels.key = kept.{key};
CREATE TABLE objects AS
  SELECT object_id, count(DISTINCT label) AS classes, min(label) AS label
  FROM (SELECT DISTINCT object_id FROM kept) LEFT JOIN labelled USING (object_id)
  GROUP BY object_id;
CREATE TABLE epochs AS
  SELECT * EXCLUDE sequence, row_number() OVER (
    PARTITION BY object_id ORDER BY mjd, candid NULLS LAST, fid, sequence
  ) - 1 AS detection
  FROM (FROM kept UNION ALL BY NAME FROM told UNION ALL BY NAME FROM undetected);
"""
# The stamps table has the alerts, each with its own label; the series table all epochs, with their
# object's.
_STAMPS = """
SELECT epochs.*, split, labelled.label AS label FROM epochs
JOIN splits USING (object_id) LEFT JOIN labelled USING (candid)
WHERE slot IS NOT NULL ORDER BY split, object_id, detection
"""
_SERIES = """
SELECT epochs.*, split, splits.label AS label FROM epochs
JOIN splits USING (object_id) ORDER BY split, object_id, detection
"""


@dataclass(frozen=True)
class Splitting:
    """How objects are split; see `curation.split_objects`."""

    held_out: float
    at_least: int
    seed: int


def write_nights(
    packets: Iterable[Packet | Failure],
    labels: Labels,
    stamps_path: Path,
    series_path: Path,
    failures_path: Path,
    *,
    splitting: Splitting,
    max_bad_fraction: float,
    threads: int,
    source: str,
) -> Counts:
    """Write the alerts of packets as the stamps table and the series table, and count everything.

    `failures_path` becomes a CSV of what could not be read: name, reason, detail. Raises InputError
    if that is more than `max_bad_fraction` of the packets, or all of them; the CSV is there then,
    and the tables are not.
    """
    stamps_path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".spool-", dir=stamps_path.parent) as name:
        folder = Path(name)
        settings: dict[str, str | bool | int | float | list[str]] = {
            "threads": threads,
            "memory_limit": _DATABASE_MEMORY,
            "temp_directory": str(folder),
            "preserve_insertion_order": False,
        }
        with duckdb.connect(":memory:", config=settings) as database:
            with FailureLog(failures_path) as log:
                read = fill_spool(packets, database, folder / "pixels", log, threads)
            _refuse_too_many(log, read["alerts"], max_bad_fraction, source, failures_path)
            pixels = map_pixels(folder / "pixels", read["alerts"])
            database.register("labels", labels.table)
            database.execute(_ORDER.format(key=labels.key))
            rare = _split(database, splitting)
            tables = {
                "stamps": (stamps_path, _STAMPS),
                "series": (series_path, _SERIES),
            }
            with ThreadPoolExecutor(threads) as pool:
                writing = [
                    pool.submit(_write, path, database.cursor(), query, pixels, name)
                    for name, (path, query) in tables.items()
                ]
                for task in writing:
                    task.result()
            counts = _counts(database, read, log.reasons, labels)
            counts["labels"]["objects_too_rare_to_hold_out"] = rare
            return counts


def _refuse_too_many(
    log: FailureLog, alerts: int, most: float, source: str, failures_path: Path
) -> None:
    bad = log.reasons.total()
    reasons = ", ".join(f"{n} {reason}" for reason, n in log.reasons.most_common())
    if not alerts:
        raise InputError(
            source,
            found=f"no alert that can be read ({reasons or 'no packet at all'})",
            expected="ZTF alert packets",
            remedy=f"see {failures_path}",
        )
    if bad > most * (bad + alerts):
        raise InputError(
            source,
            found=f"{bad} of {bad + alerts} packets that cannot be read ({reasons})",
            expected=f"at most {most:.2%}",
            remedy=f"see {failures_path}, or raise sources.alerts.max_bad_fraction",
        )
    if bad:
        logging.warning("%d packets cannot be read (%s); see %s", bad, reasons, failures_path)


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
            parts = curation.split_objects(
                labels[rows], held_out=how.held_out, at_least=at_least, seed=how.seed
            )
            for place, part in enumerate(parts):
                split[rows[part]] = place
    table = pd.DataFrame({"object_id": objects["object_id"], "label": labels, "split": split})
    database.register("split_objects", table)
    database.execute("CREATE TABLE splits AS FROM split_objects")
    return int(rare.sum())


def _write(
    path: Path,
    database: duckdb.DuckDBPyConnection,
    query: str,
    pixels: np.ndarray,
    name: str,
) -> None:
    total = database.sql(f"SELECT count(*) FROM ({query})").fetchall()[0][0]
    with (
        AlertWriter(path, INFO) as writer,
        tqdm(total=total, desc=name, unit=" rows", disable=None) as bar,
    ):
        for batch in database.sql(query).to_arrow_reader(ROW_GROUP):
            rows = {column: batch.column(column) for column in batch.schema.names}
            slots = rows.pop("slot").to_numpy(zero_copy_only=False)
            present = np.isfinite(slots.astype(np.float64))
            writer.write(
                rows
                | {
                    "split": [SPLITS[place] for place in rows["split"].to_pylist()],
                    "label": rows["label"].fill_null(UNLABELLED).to_numpy(zero_copy_only=False),
                    "n_copies": np.ones(len(present), np.int32),
                    "has_stamps": present,
                    "stamps": pixels[slots[present].astype(np.int64)],
                }
            )
            bar.update(len(present))


def _counts(
    database: duckdb.DuckDBPyConnection, read: Counter[str], bad: Counter[str], labels: Labels
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
    ((matched,),) = rows(f"SELECT count(DISTINCT {labels.key}) FROM labelled")

    counts: Counts = {
        "packets": {
            "read": read["alerts"] + bad.total(),
            "written": kept,
            "duplicates": read["alerts"] - kept,
            "bad": bad.total(),
            **{f"bad_{reason}": bad[reason] for reason in REASONS},
        },
        "history": {
            "read": read["epochs"],
            "repeated": read["epochs"] - detections - limits,
            "kept_detections": detections,
            "kept_upper_limits": limits,
        },
        "padded_stamps": read["alerts.padded"],
        "masked_pixels": {reason: read[f"pixels.{reason}"] for reason in MASKED},
        "missing_features": {reason: read[f"features.{reason}"] for reason in MISSING},
        "labels": {
            "alerts": labelled_alerts,
            "objects": labelled,
            "contradictory_objects": contradictory,
            "contradictory_rows": labels.contradictory,
            "of_alerts_not_here": len(labels.table) - matched,
            "other_classes": sum(labels.other.values()),
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
        counts["stamps"][split] = {
            "kept": alerts,
            **{f"kept_{name}": classes.get(label, 0) for label, name in enumerate(CLASSES)},
        }
        counts["series"][split] = {
            "kept_objects": objects,
            "kept_epochs": epochs,
            "kept_alerts": alerts,
        }
    return counts
