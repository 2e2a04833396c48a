"""The schema of the packets: the fields of ZTF's alerts of version 4.02, their types and order."""

from typing import Any

_VERSION = "4.02"

# Fields of an observation, in order: of detections, and of detections before an alert.
_EXPOSURE = (
    "jd:double fid:int pid:long diffmaglim:float? pdiffimfilename:string? programpi:string? "
    "programid:int"
)
_MEASURED = (
    "tblid:long? nid:int? rcid:int? field:int? xpos:float? ypos:float? ra:double dec:double "
    "magpsf:float sigmapsf:float chipsf:float? magap:float? sigmagap:float? distnr:float? "
    "magnr:float? sigmagnr:float? chinr:float? sharpnr:float? sky:float? magdiff:float? "
    "fwhm:float? classtar:float? mindtoedge:float? magfromlim:float? seeratio:float? aimage:float? "
    "bimage:float? aimagerat:float? bimagerat:float? elong:float? nneg:int? nbad:int? rb:float? "
    "ssdistnr:float? ssmagnr:float? ssnamenr:string? sumrat:float? magapbig:float? "
    "sigmagapbig:float? ranr:double decnr:double"
)
_CALIBRATION = "magzpsci:float? magzpsciunc:float? magzpscirms:float?"


def _catalogue_source(rank: int) -> str:
    bands = " ".join(f"s{band}mag{rank}:float?" for band in "griz")
    return f"{bands} sgscore{rank}:float? distpsnr{rank}:float?"


_CANDIDATE = (
    f"{_EXPOSURE} candid:long isdiffpos:string {_MEASURED} {_catalogue_source(1)} ndethist:int "
    "ncovhist:int jdstarthist:double? jdendhist:double? scorr:double? tooflag:int? "
    f"objectidps1:long? objectidps2:long? {_catalogue_source(2)} objectidps3:long? "
    f"{_catalogue_source(3)} nmtchps:int rfid:long jdstartref:double jdendref:double "
    f"nframesref:int rbversion:string dsnrms:float? ssnrms:float? dsdiff:float? {_CALIBRATION} "
    "nmatches:int clrcoeff:float? clrcounc:float? zpclrcov:float? zpmed:float? clrmed:float? "
    "clrrms:float? neargaia:float? neargaiabright:float? maggaia:float? maggaiabright:float? "
    "exptime:float? drb:float? drbversion:string"
)
# An upper limit has no position and no brightness.
_MEASURED_OR_NULL = " ".join(field.rstrip("?") + "?" for field in _MEASURED.split())
_PRIOR = (
    f"{_EXPOSURE} candid:long? isdiffpos:string? {_MEASURED_OR_NULL} scorr:double? {_CALIBRATION} "
    "clrcoeff:float? clrcounc:float? rbversion:string"
)
# Photometry at the position of an alert on images before it; the simulation has none.
_FORCED = (
    "field:int? rcid:int? fid:int pid:long rfid:long sciinpseeing:float? scibckgnd:float? "
    f"scisigpix:float? {_CALIBRATION} clrcoeff:float? clrcounc:float? exptime:float? "
    "adpctdif1:float? adpctdif2:float? diffmaglim:float? programid:int jd:double "
    "forcediffimflux:float? forcediffimfluxunc:float? procstatus:string? distnr:float? "
    "ranr:double decnr:double magnr:float? sigmagnr:float? chinr:float? sharpnr:float?"
)


def _names(fields: str) -> tuple[str, ...]:
    return tuple(field.split(":")[0] for field in fields.split())


CANDIDATE_FIELDS, PRIOR_FIELDS = _names(_CANDIDATE), _names(_PRIOR)
# Fields of 32 bits: a value in them is a float32.
FLOAT32_FIELDS = frozenset(field.split(":")[0] for field in _CANDIDATE.split() if ":float" in field)


def _record(name: str, fields: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "record", "name": name, "version": _VERSION, "fields": fields}


def _fields(text: str) -> list[dict[str, Any]]:
    """Return the fields of a text of `name:type`, with a question mark for one that may be null."""
    fields: list[dict[str, Any]] = []
    for field in text.split():
        name, _, kind = field.partition(":")
        if not kind.endswith("?"):
            fields.append({"name": name, "type": kind})
        else:
            fields.append({"name": name, "type": ["null", kind[:-1]], "default": None})
    return fields


def _optional(name: str, kind: Any) -> dict[str, Any]:
    return {"name": name, "type": ["null", kind], "default": None}


def _array(record: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": record}


SCHEMA: dict[str, Any] = _record(
    "ztf.alert",
    [
        *_fields("schemavsn:string publisher:string objectId:string candid:long"),
        {"name": "candidate", "type": _record("ztf.alert.candidate", _fields(_CANDIDATE))},
        _optional("prv_candidates", _array(_record("ztf.alert.prv_candidate", _fields(_PRIOR)))),
        _optional("fp_hists", _array(_record("ztf.alert.fp_hist", _fields(_FORCED)))),
        _optional(
            "cutoutScience",
            _record("ztf.alert.cutout", _fields("fileName:string stampData:bytes")),
        ),
        _optional("cutoutTemplate", "ztf.alert.cutout"),
        _optional("cutoutDifference", "ztf.alert.cutout"),
    ],
)
SCHEMA_VERSION = _VERSION
