"""Predictions as Avro: one file of one record per alert, as ZTF distributes its packets."""

import hashlib
import io
import json
import math
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import pyarrow as pa

from ztfrep.catalogues.catalogue_schema import PROBABILITY
from ztfrep.encoders.reference import ANOMALY_TERMS

# The record of an alert; mjd in days, fid 1 g, 2 r, 3 i.
SCHEMA: dict[str, Any] = {
    "type": "record",
    "name": "prediction",
    "namespace": "ztfrep",
    "fields": [
        {"name": "objectId", "type": "string"},
        {"name": "candid", "type": "long"},
        {"name": "mjd", "type": "double"},
        {"name": "fid", "type": ["null", "int"]},
        {"name": "vector", "type": {"type": "array", "items": "float"}},
        # By class, and by the name of the score. What is unknown is absent.
        {"name": "probabilities", "type": {"type": "map", "values": "float"}},
        {"name": "anomaly_score", "type": ["null", "float"]},
        {"name": "scores", "type": {"type": "map", "values": "float"}},
        {"name": "model", "type": "string"},
        {"name": "version", "type": "string"},
    ],
}
# The mark between blocks: fixed, so that the same prediction is the same bytes.
_SYNC_MARK = hashlib.md5(json.dumps(SCHEMA).encode(), usedforsecurity=False).digest()


class PredictionMessage(NamedTuple):
    """A message of a prediction: its key, its headers and its value, an Avro file of one record."""

    key: bytes
    headers: list[tuple[str, bytes]]
    value: bytes


def prediction_messages(table: pa.Table) -> Iterator[PredictionMessage]:
    """Yield a message for every row of a table of predictions, in order.

    The table has the columns of a catalogue of alerts, and its schema's metadata. The key is the
    objectId, so that the alerts of an object are in one partition, in order; the header `candid`
    identifies the alert without decoding.
    """
    metadata = {
        key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()
    }
    names = [
        field.name
        for field in table.schema
        if field.name in ANOMALY_TERMS or field.name.startswith(PROBABILITY)
    ]
    for row in table.to_pylist():
        floats = {name: row[name] for name in names if _is_known(row[name])}
        candid = row["candid"]
        record = {
            "objectId": row["object_id"],
            "candid": candid,
            "mjd": row["mjd"],
            "fid": row["fid"],
            "vector": row["vector"],
            "probabilities": {
                name.removeprefix(PROBABILITY): value
                for name, value in floats.items()
                if name.startswith(PROBABILITY)
            },
            "anomaly_score": score if _is_known(score := row.get("anomaly_score")) else None,
            "scores": {
                name: value for name, value in floats.items() if not name.startswith(PROBABILITY)
            },
            "model": metadata.get("model", ""),
            "version": metadata.get("ztfrep", ""),
        }
        headers = [("candid", str(candid).encode())]
        yield PredictionMessage(record["objectId"].encode(), headers, _encode(record))


def _is_known(value: float | None) -> bool:
    return value is not None and not math.isnan(value)


def _encode(record: dict[str, Any]) -> bytes:
    import fastavro

    file = io.BytesIO()
    fastavro.writer(file, _parsed_schema(), [record], sync_marker=_SYNC_MARK)
    return file.getvalue()


@cache
def _parsed_schema() -> Any:
    import fastavro

    return fastavro.parse_schema(SCHEMA)
