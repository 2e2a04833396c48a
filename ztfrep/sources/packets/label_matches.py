"""Labels joined to the alerts of packets: counted, and refused if they match none of them."""

import logging
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from ztfrep.errors import InputError, quote
from ztfrep.sources.packets.identifiers import are_rounded
from ztfrep.sources.packets.labels import Labels

# An alert's own label has priority over that of its object, even if it is -1 because its rows
# contradict each other: such an alert has no label.
_LABEL_ALERTS = """
CREATE TABLE labelled_alerts AS
  SELECT candid, object_id, label, contradicts_object FROM (
    SELECT unique_alerts.candid, unique_alerts.object_id,
      coalesce(alert.label, object.label) AS label,
      alert.label >= 0 AND object.label >= 0 AND alert.label != object.label AS contradicts_object
    FROM unique_alerts
    LEFT JOIN alert_labels AS alert USING (candid)
    LEFT JOIN object_labels AS object USING (object_id)
  ) WHERE label >= 0;
"""
# An object has its own label, or else the one on which its alerts agree.
_LABEL_OBJECTS = """
CREATE TABLE objects AS
  SELECT object_id,
    CASE own.label WHEN -1 THEN 2 ELSE if(own.label IS NULL, agreed.classes, 1) END AS classes,
    coalesce(own.label, agreed.label) AS label
  FROM (
    SELECT object_id, count(DISTINCT label) AS classes, min(label) AS label
    FROM (SELECT DISTINCT object_id FROM unique_alerts)
    LEFT JOIN labelled_alerts USING (object_id)
    GROUP BY object_id
  ) AS agreed LEFT JOIN object_labels AS own USING (object_id);
"""
_KEYS = {"alert_labels": "candid", "object_labels": "object_id"}
# Candids by which rounding is recognised with certainty, and the maximum that is tested.
_CERTAIN_CANDIDS, _MAX_TESTED_CANDIDS = 20, 1000
_ROUNDED = "these candids were rounded by a spreadsheet or a float64 column"
_AS_TEXT = "write them as text with all their digits, or label objects by object_id"


def match_labels(database: duckdb.DuckDBPyConnection, labels: Labels) -> dict[str, Any]:
    """Join labels to `unique_alerts`; return the counts of rows.

    Creates the tables `labelled_alerts` (candid, object_id, label) and `objects` (object_id, the
    number of its classes, label). Logs the number of rows that match, with a warning if fewer than
    half do. Raises InputError if there are rows and none matches, or if fewer than half match
    because candids were rounded: these may be the candids of other alerts.
    """
    for name, table in (("alert_labels", labels.alerts), ("object_labels", labels.objects)):
        database.register(name, table)
    database.execute(_LABEL_ALERTS)

    def rows(query: str) -> list[tuple[Any, ...]]:
        return database.sql(query).fetchall()

    matched = 0
    for name, key in _KEYS.items():
        ((count,),) = rows(
            f"SELECT coalesce(sum(rows), 0)::BIGINT FROM {name} SEMI JOIN unique_alerts "
            f"USING ({key})"
        )
        matched += count
    ((alerts, objects, contradicting),) = rows(
        "SELECT count(*), count(DISTINCT object_id), count(*) FILTER (contradicts_object) "
        "FROM labelled_alerts"
    )
    usable = labels.counts["rows_labelled"]
    if matched < usable:
        _report_unmatched(database, labels, matched)
    if usable:
        logging.info(
            "%s: %d of %d rows match; they label %d alerts of %d objects",
            labels.source,
            matched,
            usable,
            alerts,
            objects,
        )
    if contradicting:
        logging.warning(
            "%s: %d alerts have another label than their object; their own is used",
            labels.source,
            contradicting,
        )
    database.execute(_LABEL_OBJECTS)
    return labels.counts | {
        "rows_matched": matched,
        "rows_unmatched": usable - matched,
        "alerts_contradicting_their_object": contradicting,
        "mapped_classes_by_name": labels.mapped_classes,
        "excluded_classes_by_name": labels.excluded_classes,
        "other_classes_by_name": labels.other_classes,
    }


def _report_unmatched(database: duckdb.DuckDBPyConnection, labels: Labels, matched: int) -> None:
    """Log a warning about rows without an alert; raise InputError if the table cannot be used."""
    examples, alert_examples = [], []
    unmatched_candids: list[int] = []
    for name, key in _KEYS.items():
        unmatched = f"{name} ANTI JOIN unique_alerts USING ({key})"
        first = database.sql(f"SELECT line, {key} FROM {unmatched} ORDER BY line LIMIT 1")
        for line, value in first.fetchall():
            examples.append((line, f"{labels.unit} {line}: {key} {quote(str(value))}"))
            ((alert,),) = database.sql(f"SELECT min({key}) FROM unique_alerts").fetchall()
            alert_examples.append(f"{key} {quote(str(alert))}")
        if key == "candid":
            unmatched_candids = _sample_candids(
                database.sql(f"SELECT candid FROM {unmatched}").to_arrow_table()
            )
    rounded = are_rounded(unmatched_candids)
    usable = labels.counts["rows_labelled"]
    is_minority = 2 * matched < usable
    if not is_minority and not (rounded and len(unmatched_candids) >= _CERTAIN_CANDIDS):
        return
    number = f"only {matched} of {usable} rows" if matched else f"none of {usable} rows"
    found = (
        f"{number} with a class that match an alert; the first that does not: "
        f"{min(examples)[1]}, where the alerts have {' and '.join(alert_examples)}"
    )
    if rounded:
        found += f"; {_ROUNDED}"
    # If all candids are rounded, even one that matches may be another alert's.
    all_rounded = (
        is_minority
        and len(labels.alerts) >= _CERTAIN_CANDIDS
        and are_rounded(_sample_candids(labels.alerts))
    )
    if not matched or all_rounded:
        raise InputError(
            labels.source,
            found=found,
            expected="labels of the alerts in sources.alerts.path",
            remedy=_AS_TEXT if rounded else "give those alerts, or set sources.alerts.labels",
        )
    logging.warning("%s: %s", labels.source, found)


def _sample_candids(table: pa.Table) -> list[int]:
    """Return evenly spaced candids of a table, at most _MAX_TESTED_CANDIDS."""
    rows = np.linspace(0, len(table) - 1, min(len(table), _MAX_TESTED_CANDIDS)).astype(int)
    candids: list[int] = table["candid"].to_numpy()[rows].tolist()
    return candids
