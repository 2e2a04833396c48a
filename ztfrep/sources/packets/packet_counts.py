"""Counts of the contents of packets and of the rows written, for the metrics."""

from collections import Counter
from typing import Any

import duckdb

from ztfrep.data.alert_schema import CLASSES
from ztfrep.data.splits import SPLITS
from ztfrep.sources.base import Counts
from ztfrep.sources.packets.alert_fields import MASK_REASONS
from ztfrep.sources.packets.observations import EXCLUSION_REASONS, MISSING_REASONS

# Reasons for a failure; see `packet_reader` and `archives`.
FAILURE_REASONS = (
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


def count_contents(
    database: duckdb.DuckDBPyConnection,
    read: Counter[str],
    failures: Counter[str],
    label_counts: Counts,
) -> Counts:
    """Return the counts of packets, prior observations, pixels, features, labels and table rows.

    `read` are the counts of `fill_batch_store`, `failures` those of failures by reason, and
    `label_counts` those of `match_labels`. The database has the tables of `create_observations`,
    of `match_labels`, and `splits`.
    """

    def rows(query: str) -> list[tuple[Any, ...]]:
        return database.sql(query).fetchall()

    ((alerts,),) = rows("SELECT count(*) FROM unique_alerts")
    ((detections,),) = rows("SELECT count(*) FROM prior_detections")
    ((limits,),) = rows("SELECT count(*) FROM upper_limits")
    ((labelled_objects, contradictory_objects),) = rows(
        "SELECT count(*) FILTER (classes = 1), count(*) FILTER (classes > 1) FROM objects"
    )
    ((labelled_alerts,),) = rows("SELECT count(*) FROM labelled_alerts")
    excluded = {
        f"excluded_{reason}": read[f"observations.{reason}"] for reason in EXCLUSION_REASONS
    }
    return {
        # A packet is an alert, or a damaged file without one.
        "packets": {
            "read": read["alerts"] + failures.total(),
            "written": alerts,
            "duplicates": read["alerts"] - alerts,
            "bad": failures.total(),
            **{f"bad_{reason}": failures[reason] for reason in FAILURE_REASONS},
        },
        "prior_observations": {
            "read": read["observations"] + sum(excluded.values()),
            **excluded,
            "repeated": read["observations"] - detections - limits,
            "prior_detections": detections,
            "upper_limits": limits,
        },
        "padded_stamps": read["alerts.padded"],
        "masked_pixels": {reason: read[f"pixels.{reason}"] for reason in MASK_REASONS},
        "missing_features": {reason: read[f"features.{reason}"] for reason in MISSING_REASONS},
        "labels": {
            **label_counts,
            "alerts": labelled_alerts,
            "objects": labelled_objects,
            "contradictory_objects": contradictory_objects,
        },
        **_count_rows(database),
    }


def _count_rows(database: duckdb.DuckDBPyConnection) -> Counts:
    """Return the counts of the rows of the stamps table and of the series table, by split."""

    def rows(query: str) -> list[tuple[Any, ...]]:
        return database.sql(query).fetchall()

    stamps, series = Counts(), Counts()
    for index, split in enumerate(SPLITS):
        in_split = f"JOIN splits USING (object_id) WHERE split = {index}"
        ((alerts,),) = rows(f"SELECT count(*) FROM unique_alerts {in_split}")
        ((objects, observations),) = rows(
            f"SELECT count(DISTINCT object_id), count(*) FROM observations {in_split}"
        )
        alerts_of = dict(
            rows(f"SELECT l.label, count(*) FROM labelled_alerts AS l {in_split} GROUP BY 1")
        )
        # An object is counted for the one label on which its alerts agree.
        objects_of = dict(
            rows(f"SELECT label, count(*) FROM splits WHERE split = {index} GROUP BY 1")
        )
        stamps[split] = {
            "written": alerts,
            **{f"written_{name}": alerts_of.get(n, 0) for n, name in enumerate(CLASSES)},
        }
        series[split] = {
            "objects": objects,
            "observations": observations,
            "alerts": alerts,
            **{f"objects_{name}": objects_of.get(n, 0) for n, name in enumerate(CLASSES)},
        }
    return {"stamps": stamps, "series": series}
