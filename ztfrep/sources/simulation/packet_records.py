"""The records of packets: an alert, the observations before it, and its stamps."""

import io
from collections.abc import Iterator, Sequence
from typing import Any

import fastavro
import numpy as np

from ztfrep.sources.simulation import image_fields, packet_stamps
from ztfrep.sources.simulation.measurements import Columns, Measurements
from ztfrep.sources.simulation.packet_schema import (
    CANDIDATE_FIELDS,
    PRIOR_FIELDS,
    SCHEMA,
    SCHEMA_VERSION,
)
from ztfrep.sources.simulation.packet_stamps import Stamps
from ztfrep.sources.simulation.schedule import GREEN, JD_OF_NIGHT_0, Schedule
from ztfrep.sources.simulation.survey_objects import HISTORY, SurveyObjects

PUBLISHER = "ztfrep, simulated"
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_PUBLIC = 1  # programid
# The same in every packet, so that the same record is the same bytes.
_SYNC_MARKER = b"ztfrep simulated"
_PARSED_SCHEMA = fastavro.parse_schema(SCHEMA)
_CONSTANTS: dict[str, Any] = {
    "programpi": None,
    "programid": _PUBLIC,
    "rbversion": "simulated",
    "drbversion": "simulated",
    "exptime": 30.0,
    "tooflag": 0,
    "nmatches": 1000,
    "zpclrcov": -1e-5,
    "zpmed": 26.2,
    "clrmed": 0.7,
    "clrrms": 0.2,
}
# The survey looks for asteroids at alerts alone.
_NULL_BEFORE = {"ssdistnr": None, "ssmagnr": None, "ssnamenr": None}
_UPPER_LIMIT = dict.fromkeys(PRIOR_FIELDS) | _CONSTANTS


class Packets:
    """Makes the packets of detections."""

    def __init__(self, objects: SurveyObjects, schedule: Schedule, measured: Measurements) -> None:
        self._objects, self._schedule, self._measured = objects, schedule, measured
        self._sign = measured.columns["sign"].copy()
        self._jd = schedule.jd[objects.observations.exposure]

    def object_ids(self, detections: np.ndarray) -> list[str]:
        """Return the ids of the objects of detections `(n,)`, such as ZTF20aaaaaab."""
        owner = self._objects.observations.object[self._measured.observation[detections]]
        years = self._measured.columns["year"][detections]
        return [_object_id(*pair) for pair in zip(years.tolist(), owner.tolist(), strict=True)]

    def candids(self, detections: np.ndarray, sign: np.ndarray) -> list[int]:
        """Return the candids of detections `(n,)` of these signs."""
        columns = self._measured.columns
        candid = image_fields.candids(
            columns["pid"][detections], sign, columns["tblid"][detections]
        )
        return [int(value) for value in candid]

    def records(self, detections: np.ndarray, stamps: Stamps) -> Iterator[dict[str, Any]]:
        """Yield the record of each detection `(n,)`, as the schema of packets has it.

        Detections come in the order of time, so that the signs of an artefact's earlier stamps,
        which are known only when they are rendered, are those in the records of later ones.
        """
        self._sign[detections] = stamps.sign
        candids = self.candids(detections, stamps.sign)
        candidates = _to_records(
            self._columns(detections, stamps.sign), CANDIDATE_FIELDS, _CONSTANTS
        )
        for object_id, candid, candidate, prior, images in zip(
            self.object_ids(detections),
            candids,
            candidates,
            self._prior_records(detections),
            stamps.images,
            strict=True,
        ):
            yield {
                "schemavsn": SCHEMA_VERSION,
                "publisher": PUBLISHER,
                "objectId": object_id,
                "candid": candid,
                "candidate": candidate,
                "prv_candidates": prior or None,
                "fp_hists": None,
            } | _cutouts(candid, candidate["pid"], images)

    def _columns(self, detections: np.ndarray, sign: np.ndarray) -> dict[str, list[Any]]:
        """Return the fields of detections as lists of Python's types, by name."""
        columns: Columns = {
            name: values[detections] for name, values in self._measured.columns.items()
        }
        lists = {name: values.tolist() for name, values in columns.items()}
        lists["candid"] = self.candids(detections, sign)
        lists["isdiffpos"] = ["f" if s < 0 else "t" for s in sign.tolist()]
        lists["ssnamenr"] = [str(name) if name > 0 else "null" for name in lists["ssname"]]
        for rank in (1, 2, 3):
            name = f"objectidps{rank}"
            lists[name] = [identifier or None for identifier in lists[name]]
        lists["pdiffimfilename"] = _image_names(lists)
        return lists

    def _prior_records(self, detections: np.ndarray) -> Iterator[list[dict[str, Any]]]:
        """Yield the observations of the 30 days before each detection, in order of time."""
        table, rows = self._objects.observations, self._measured.observation[detections]
        first = np.searchsorted(table.object, table.object[rows])
        parts = []
        for start, row in zip(first, rows, strict=True):
            before = np.arange(start, row)
            parts.append(before[self._jd[before] >= self._jd[row] - HISTORY])
        records = iter(self._records_of(np.concatenate(parts)) if parts else [])
        for part in parts:
            yield [next(records) for _ in part]

    def _records_of(self, observations: np.ndarray) -> list[dict[str, Any]]:
        """Return the records of observations `(n,)` before an alert."""
        table = self._objects.observations
        images = image_fields.describe_images(
            self._objects, self._schedule, table.object[observations], table.exposure[observations]
        )
        limits = {name: values.tolist() for name, values in images.items()}
        limits["pdiffimfilename"] = _image_names(limits)
        names = tuple(limits)
        records: list[dict[str, Any]] = [
            _UPPER_LIMIT | dict(zip(names, values, strict=True))
            for values in zip(*limits.values(), strict=True)
        ]
        detection = self._measured.detection[observations]
        detected = np.flatnonzero(detection >= 0)
        sign = self._sign[detection[detected]]
        measured = _to_records(
            self._columns(detection[detected], sign), PRIOR_FIELDS, _CONSTANTS | _NULL_BEFORE
        )
        for index, record in zip(detected, measured, strict=True):
            records[index] = record
        return records


def encode_packet(record: dict[str, Any]) -> bytes:
    """Return a record as an Avro file; the same record is the same bytes."""
    file = io.BytesIO()
    fastavro.writer(file, _PARSED_SCHEMA, [record], sync_marker=_SYNC_MARKER)
    return file.getvalue()


def _to_records(
    columns: dict[str, list[Any]], names: Sequence[str], constants: dict[str, Any]
) -> list[dict[str, Any]]:
    varying = [name for name in names if name not in constants]
    fixed = {name: constants[name] for name in names if name in constants}
    return [
        fixed | dict(zip(varying, values, strict=True))
        for values in zip(*(columns[name] for name in varying), strict=True)
    ]


def _object_id(year: int, index: int) -> str:
    letters = ""
    for _ in range(7):
        index, letter = divmod(index, len(_LETTERS))
        letters = _LETTERS[letter] + letters
    return f"ZTF{year}{letters}"


def night_date(nid: int) -> str:
    """Return the date of a night, UT, as YYYYMMDD."""
    day = np.datetime64("2017-01-01") + np.timedelta64(int(nid), "D")
    return str(day).replace("-", "")


def _image_names(columns: dict[str, list[Any]]) -> list[str]:
    names = []
    for nid, jd, field, fid, rcid in zip(
        *(columns[name] for name in ("nid", "jd", "field", "fid", "rcid")), strict=True
    ):
        fraction = int((jd - JD_OF_NIGHT_0) % 1 * 1e6)
        band = "g" if fid == GREEN else "r"
        names.append(
            f"ztf_{night_date(nid)}{fraction:06d}_{field:06d}_z{band}_c{rcid // 4 + 1:02d}_o_"
            f"q{rcid % 4 + 1}_scimrefdiffimg.fits"
        )
    return names


def _cutouts(candid: int, pid: int, images: np.ndarray) -> dict[str, dict[str, Any]]:
    image = f"candid{candid}_pid{pid}_targ"
    files = f"{image}_sci", f"candid{candid}_ref", f"{image}_refmsci"
    return {
        f"cutout{channel}": {
            "fileName": f"{name}.fits.gz",
            "stampData": packet_stamps.to_fits(pixels),
        }
        for channel, name, pixels in zip(
            ("Science", "Template", "Difference"), files, images, strict=True
        )
    }
