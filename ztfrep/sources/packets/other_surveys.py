"""Recognition of packets that are not read: of other surveys, or in the alert stream's form."""

import re

# Surveys by the first part of a schema's full name. Some have ZTF's fields, with other filters and
# other pixels.
_SURVEYS = {
    "lsst": "LSST",
    "elasticc": "ELAsTiCC, simulated for LSST",
    "atlas": "ATLAS",
    "decam": "DECam",
    "winter": "WINTER",
    "pgir": "Gattini-IR",
    "alerce": "ALeRCE's own form",
}
_LSST_FIELDS = {"diaSource", "diaSourceId"}
_REMEDY = "remove it, only ZTF's alerts are read"
# The schemas of a stream are numbered from 1; other files that begin with a zero byte have larger
# numbers after it.
_MAX_SCHEMA_NUMBER = 1 << 24


def describe_other_survey(name: str, fields: tuple[str, ...]) -> str | None:
    """Return the reason that a record of a schema is no alert of ZTF; None if it may be one.

    `name` is the record's with its namespace, `fields` are the names of its fields.
    """
    parts = name.lower().split(".")
    survey = _SURVEYS.get(parts[0]) if len(parts) > 1 else None
    if survey is None and _LSST_FIELDS & set(fields):
        survey = _SURVEYS["lsst"]
    if survey:
        version = re.search(r"\.v(\d{1,4})(?:_(\d{1,4}))?(?:\.|_|$)", name.lower())
        schema = f", schema {'.'.join(filter(None, version.groups()))}" if version else ""
        return f"an alert packet of another survey ({survey}{schema}); {_REMEDY}"
    if {"objectId", "candidate"} <= set(fields):
        return None
    shown = "".join(c if c.isprintable() else "?" for c in name[:60])
    missing = " and ".join(f for f in ("objectId", "candidate") if f not in fields)
    return f"a record {shown!r} without {missing}, no alert of ZTF; {_REMEDY}"


def describe_wire_form(data: bytes) -> str | None:
    """Return a description of a packet in the alert stream's form; None for any other bytes.

    In this form (Confluent's wire format) a zero byte and the number of a schema, 4 bytes,
    big-endian, precede the record.
    """
    number = int.from_bytes(data[1:5], "big")
    if data[:1] != b"\0" or not 0 < number < _MAX_SCHEMA_NUMBER or len(data) <= 5:
        return None
    return (
        f"a packet in the stream's form (schema number {number}), without its schema; "
        "save the alert as an Avro file with its schema, as the ZTF archive does"
    )
