"""The fields of an alert's record: their paths, and the identity and the stamps in them."""

from collections import Counter

import numpy as np

from ztfrep.data.alert_schema import CHANNELS
from ztfrep.data.stamps import is_usable
from ztfrep.sources.packets.avro_schemas import INTEGER, NUMBER, TEXT, Field
from ztfrep.sources.packets.cutouts import STAMP_SIZE, AlertError, cutout_slices, read_cutout
from ztfrep.sources.packets.observations import (
    FIRST_JD,
    JD_OF_MJD_0,
    LAST_JD,
    OBSERVATION_FIELDS,
)
from ztfrep.sources.packets.record_decoder import FieldValues

# Reasons to mask a pixel.
MASK_REASONS = ("outside", "nan", "infinite", "no_data")

_CUTOUTS = tuple(f"cutout{channel.capitalize()}.stampData" for channel in CHANNELS)
_READOUT_POSITION = ("candidate.xpos", "candidate.ypos")
ALERT_FIELDS = (
    Field("objectId", TEXT, required=True),
    OBSERVATION_FIELDS[0],
    *(field._replace(path=f"candidate.{field.path}") for field in OBSERVATION_FIELDS[1:]),
    *(Field(path, TEXT, required=True) for path in _CUTOUTS),
    *(Field(path, NUMBER) for path in _READOUT_POSITION),
    Field("candidate.candid", INTEGER, required=True),
)
# The slots of the alert's own observation, in the order of OBSERVATION_FIELDS.
OBSERVATION_SLOTS = slice(1, 1 + len(OBSERVATION_FIELDS))
PRIOR_OBSERVATIONS = "prv_candidates"
_SLOT = {field.path: slot for slot, field in enumerate(ALERT_FIELDS)}


def read_object_id(alerts: FieldValues, alert: int, block: bytes) -> str:
    """Return the objectId of an alert; raise AlertError if its identity or date is not valid."""
    name = _bytes(alerts, alert, "objectId", block)
    text = name.decode("ascii", "replace") if name else ""
    if not text.isprintable() or not 0 < len(text) <= 64:
        raise AlertError("fields", "no objectId")
    integers, numbers = alerts.spans[alert, :, 0], alerts.numbers[alert]
    candid = int(integers[_SLOT["candid"]])
    if candid <= 0:
        absent = np.isnan(numbers[_SLOT["candid"]])
        raise AlertError("fields", "no candid" if absent else f"candid is {candid}")
    repeated = integers[_SLOT["candidate.candid"]]
    if candid != repeated and not np.isnan(numbers[_SLOT["candidate.candid"]]):
        raise AlertError("fields", f"candid is {candid}, and candidate.candid is {repeated}")
    jd = float(numbers[_SLOT["candidate.jd"]])
    if not FIRST_JD <= jd < LAST_JD:
        raise AlertError("fields", _describe_date(jd))
    return text


def _describe_date(jd: float) -> str:
    if np.isnan(jd):
        return "no candidate.jd"
    if FIRST_JD <= jd + JD_OF_MJD_0 < LAST_JD:
        return f"candidate.jd is {jd:.10g}, a modified Julian date, not a Julian date"
    return f"candidate.jd is {jd:.10g}, no Julian date of ZTF's years"


def _bytes(alerts: FieldValues, alert: int, field: str, block: bytes) -> bytes | None:
    start, size = alerts.spans[alert, _SLOT[field]]
    return block[start : start + size] if size >= 0 else None


def read_stamps(alerts: FieldValues, alert: int, block: bytes, pixels: np.ndarray) -> Counter[str]:
    """Read the stamps of an alert into `pixels` `(3, 63, 63)`; return masked pixels by reason.

    Raises AlertError if they cannot be used.
    """
    images = []
    for field in _CUTOUTS:
        compressed = _bytes(alerts, alert, field, block)
        if not compressed:
            raise AlertError("no_stamp", f"no {field}")
        images.append(read_cutout(compressed))
    shape = images[0].shape
    if any(image.shape != shape for image in images):
        raise AlertError("shape", f"stamps of {[image.shape for image in images]} pixels")
    position = (float(alerts.numbers[alert, _SLOT[name]]) for name in _READOUT_POSITION)
    rows, columns = cutout_slices(shape, *position)
    if shape != (STAMP_SIZE, STAMP_SIZE):
        pixels[:] = np.nan
    for channel, image in enumerate(images):
        pixels[channel, rows, columns] = image
    observed = is_usable(pixels)
    if observed.all():
        return Counter()
    if not observed.any():
        raise AlertError("no_stamp", "no observed pixel")
    outside = len(images) * (STAMP_SIZE * STAMP_SIZE - shape[0] * shape[1])
    infinite = int(np.isinf(pixels).sum())
    nan = int(np.isnan(pixels).sum()) - outside
    no_data = int((~observed).sum()) - outside - nan - infinite
    pixels[~observed] = np.nan
    masked = dict(zip(MASK_REASONS, (outside, nan, infinite, no_data), strict=True))
    return Counter({f"pixels.{reason}": n for reason, n in masked.items()}) + Counter(
        {"alerts.padded": int(outside > 0)}
    )
