"""Labels joined to the alerts of packets: counted, and refused where they match none of them."""

import logging
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from ztfrep.data.filetypes import quote
from ztfrep.errors import InputError
from ztfrep.sources.packets.identifiers import look_rounded
from ztfrep.sources.packets.labels import Labels

# An alert's own label comes before that of its object, also where it says that rows contradict
# each other (-1): such an alert has none.
_JOIN = """
CREATE TABLE labelled AS
  SELECT candid, object_id, label, unlike FROM (
    SELECT kept.candid, kept.object_id, coalesce(alert.label, object.label) AS label,
      alert.label >= 0 AND object.label >= 0 AND alert.label != object.label AS unlike
    FROM kept
    LEFT JOIN alert_labels AS alert USING (candid)
    LEFT JOIN object_labels AS object USING (object_id)
  ) WHERE label >= 0;
"""
_KEYS = {"alert_labels": "candid", "object_labels": "object_id"}
# Candids by which rounding is recognised beyond doubt, and as many as are tested at all.
_CERTAIN, _TESTED = 20, 1000
_ROUNDED = "these candids were rounded by a spreadsheet or a float64 column"
_AS_TEXT = "write them as text with all their digits, or label objects by object_id"


def match_labels(database: duckdb.DuckDBPyConnection, labels: Labels) -> dict[str, Any]:
    """Create the table `labelled` (candid, object_id, label) of `kept`, and count the rows used.

    Logs how many rows match, with a warning if fewer than half do. Raises InputError if rows are
    given and none matches, or if few match because candids were rounded: those may name other
    alerts.
    """
    for name, table in (("alert_labels", labels.alerts), ("object_labels", labels.objects)):
        database.register(name, table)
    database.execute(_JOIN)

    def rows(query: str) -> list[tuple[Any, ...]]:
        return database.sql(query).fetchall()

    matched = 0
    for name, key in _KEYS.items():
        ((count,),) = rows(
            f"SELECT coalesce(sum(rows), 0)::BIGINT FROM {name} SEMI JOIN kept USING ({key})"
        )
        matched += count
    ((alerts, objects, unlike),) = rows(
        "SELECT count(*), count(DISTINCT object_id), count(*) FILTER (unlike) FROM labelled"
    )
    usable = labels.counts["rows_labelled"]
    if matched < usable:
        _say_unmatched(database, labels, matched)
    if usable:
        logging.info(
            "%s: %d of %d rows match; they label %d alerts of %d objects",
            labels.source,
            matched,
            usable,
            alerts,
            objects,
        )
    if unlike:
        logging.warning(
            "%s: %d alerts have a label of their own, unlike their object's; their own counts",
            labels.source,
            unlike,
        )
    return labels.counts | {
        "rows_matched": matched,
        "rows_unmatched": usable - matched,
        "alerts_unlike_their_object": unlike,
        "other_classes_by_name": labels.other_classes,
    }


def _say_unmatched(database: duckdb.DuckDBPyConnection, labels: Labels, matched: int) -> None:
    """Warn of rows that match no alert, or raise InputError if the table cannot be used."""
    examples, own = [], []
    unmatched: list[int] = []
    for name, key in _KEYS.items():
        others = f"{name} ANTI JOIN kept USING ({key})"
        first = database.sql(f"SELECT line, {key} FROM {others} ORDER BY line LIMIT 1").fetchall()
        for line, value in first:
            examples.append((line, f"line {line}: {key} {quote(str(value))}"))
            ((alert,),) = database.sql(f"SELECT min({key}) FROM kept").fetchall()
            own.append(f"{key} {quote(str(alert))}")
        if key == "candid":
            unmatched = _some(database.sql(f"SELECT candid FROM {others}").to_arrow_table())
    rounded = look_rounded(unmatched)
    usable = labels.counts["rows_labelled"]
    few = 2 * matched < usable
    if not few and not (rounded and len(unmatched) >= _CERTAIN):
        return
    number = f"only {matched} of {usable} rows" if matched else f"none of {usable} rows"
    found = (
        f"{number} with a class that match an alert; the first that does not: "
        f"{min(examples)[1]}, where the alerts have {' and '.join(own)}"
    )
    if rounded:
        found += f"; {_ROUNDED}"
    # Of candids that are all rounded even one that matches may be another alert's.
    wrong = few and len(labels.alerts) >= _CERTAIN and look_rounded(_some(labels.alerts))
    if not matched or wrong:
        raise InputError(
            labels.source,
            found=found,
            expected="labels of the alerts in sources.alerts.path",
            remedy=_AS_TEXT if rounded else "give those alerts, or set sources.alerts.labels",
        )
    logging.warning("%s: %s", labels.source, found)


def _some(table: pa.Table) -> list[int]:
    """Return some of the candids of a table, evenly spaced."""
    places = np.linspace(0, len(table) - 1, min(len(table), _TESTED)).astype(int)
    some: list[int] = table["candid"].to_numpy()[places].tolist()
    return some
