"""Queries of a batch store: each alert and each observation once, and their order in time."""

import duckdb

# Of several rows of an alert the first that was read is used. The observations before alerts are
# used once each: a detection unless it is an alert, an upper limit unless there is a detection at
# its time. `batch` and `row` are the order of reading, so that the result does not depend on the
# order of the database; of an alert they are the index of its pixels too.
_UNIQUE = """
CREATE TABLE unique_alerts AS
  FROM alerts QUALIFY row_number() OVER (PARTITION BY candid ORDER BY batch, row) = 1;
CREATE TABLE prior_detections AS
  FROM detections WHERE candid NOT IN (SELECT candid FROM unique_alerts)
  QUALIFY row_number() OVER (PARTITION BY candid ORDER BY batch, row) = 1;
CREATE TABLE upper_limits AS
  FROM limits AS l
  WHERE NOT EXISTS (FROM unique_alerts AS a WHERE a.object_id = l.object_id AND a.mjd = l.mjd)
    AND NOT EXISTS (FROM prior_detections AS d WHERE d.object_id = l.object_id AND d.mjd = l.mjd)
  QUALIFY row_number() OVER (PARTITION BY object_id, mjd, fid ORDER BY batch, row) = 1;
"""
_OBSERVATIONS = """
CREATE TABLE observations AS
  SELECT *, row_number() OVER (
    PARTITION BY object_id ORDER BY mjd, candid NULLS LAST, fid
  ) - 1 AS detection
  FROM (
    FROM unique_alerts
    UNION ALL BY NAME SELECT * EXCLUDE (batch, row) FROM prior_detections
    UNION ALL BY NAME SELECT * EXCLUDE (batch, row) FROM upper_limits
  );
"""
# The order within an object is that of the series table.
_OBSERVATIONS_OF_ALERTS = """
SELECT object_id, candid, mjd, fid, magpsf, sigmapsf, diffmaglim, coalesce(alert, -1) AS alert
FROM observations LEFT JOIN (
  SELECT candid, row_number() OVER (ORDER BY batch, row) - 1 AS alert FROM unique_alerts
) USING (candid)
{selected} ORDER BY object_id, detection
"""


def create_observations(database: duckdb.DuckDBPyConnection) -> None:
    """Create the tables of unique observations in a database of `open_batch_store`.

    `unique_alerts` and `prior_detections` have the columns of `batch_store.TABLES["alerts"]`, and
    `upper_limits` those of "limits". `observations` has the rows of all three and `detection`, the
    0-based index of a row in the series of its object; `batch` and `row` are null unless the row is
    an alert.
    """
    database.execute(_UNIQUE)
    database.execute(_OBSERVATIONS)


def query_observations(
    database: duckdb.DuckDBPyConnection, first_reader: int = 0
) -> duckdb.DuckDBPyRelation:
    """Return the observations after `create_observations`, by object and in time order.

    The columns are those of `ztfrep.data.alerts.Alerts.history` and `candid`. `alert` is the row in
    the unique alerts in the order of reading. Only objects with an alert of the readers from
    `first_reader` on are in the result.
    """
    selected = ""
    if first_reader:
        selected = (
            "WHERE object_id IN (SELECT object_id FROM unique_alerts "
            f"WHERE batch >> 32 >= {int(first_reader)})"
        )
    return database.sql(_OBSERVATIONS_OF_ALERTS.format(selected=selected))
