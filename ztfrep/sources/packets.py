"""ZTF alert packets: Avro bytes to the rows of an alert table.

The features are those that ALeRCE's stamp classifier computes (Carrasco-Davis et al. 2021), in
physical units and before any clipping.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import astropy.units as u
import numpy as np
from astropy.coordinates import BarycentricTrueEcliptic, Galactic, SkyCoord

from ztfrep import features
from ztfrep.alerts import CHANNELS, is_time
from ztfrep.sources import avro
from ztfrep.sources.containers import open_container
from ztfrep.sources.cutouts import SIZE, AlertError, place, read_cutout
from ztfrep.stamps import is_usable

# Why a pixel is masked, and why a feature is missing.
MASKED = ("outside", "nan", "infinite", "no_data")
MISSING = ("sentinel", "absent", "out_of_range")
_JD_OF_MJD_0 = 2_400_000.5
_FILTERS = (1, 2, 3)

_COMPUTED = ("ecl_lat", "ecl_long", "gal_lat", "gal_long", "non_detections")
_MEASURED = tuple(name for name in features.NAMES if name not in _COMPUTED)
_CUTOUTS = tuple(f"cutout{channel.capitalize()}.stampData" for channel in CHANNELS)
_PLACE = ("candidate.xpos", "candidate.ypos")
_EPOCH = ("candid", "jd", "fid", *_MEASURED)
_FIELDS = (
    "objectId",
    "candid",
    *(f"candidate.{name}" for name in _EPOCH[1:]),
    *_CUTOUTS,
    *_PLACE,
)
_AT = {name: slot for slot, name in enumerate(_FIELDS)}
# An alert's own epoch stands behind objectId as one of its history stands in a row.
_OWN_EPOCH = slice(1, 1 + len(_EPOCH))

# A faded source has isdiffpos f or 0, a brightened one t or 1; the feature is 1 for the faded.
_SIGNS = {ord("f"): 1.0, ord("0"): 1.0, ord("t"): 0.0, ord("1"): 0.0}


class Packet(NamedTuple):
    """A file of one alert (or more), by the name that a log would give it."""

    name: str
    data: bytes


class Failure(NamedTuple):
    """A packet that gave no alert: its name, the reason that it is counted by, and the detail."""

    name: str
    reason: str
    detail: str


# Gives packets, and what is none, when it is called, which may be in another process.
Reader = Callable[[], Iterable[Packet | Failure]]


class Epochs(NamedTuple):
    """Detections and upper limits, n of them.

    `owner` int64 `(n,)` is the alert whose packet told of it; `candid` int64 `(n,)`, -1 of an upper
    limit; `mjd` float64 `(n,)`, days; `fid` float64 `(n,)`, NaN if unknown; `metadata` float64
    `(n, 26)`, physical units, NaN where there is none.
    """

    owner: np.ndarray
    candid: np.ndarray
    mjd: np.ndarray
    fid: np.ndarray
    metadata: np.ndarray


@dataclass(frozen=True)
class Batch:
    """What a batch of packets holds: m alerts, the epochs before them, and what went wrong.

    `object_id` `(m,)`; `stamps` float32 `(m, 3, 63, 63)` in counts, NaN where not observed.
    `counts` are of missing features and masked pixels, by reason.
    """

    object_id: list[str]
    stamps: np.ndarray
    alerts: Epochs
    history: Epochs
    failures: list[Failure]
    counts: Counter[str]


def read_packets(packets: Sequence[Packet]) -> Batch:
    """Read packets; what is wrong with one costs that one only."""
    reader = avro.Reader(len(_FIELDS), len(_EPOCH))
    failures: list[Failure] = []
    counts: Counter[str] = Counter()
    object_id: list[str] = []
    kept: list[int] = []
    stamps = np.empty((len(packets), len(CHANNELS), SIZE, SIZE), np.float32)
    histories: list[range] = []
    for packet in packets:
        for block, alert, rows in _records(packet, reader, failures):
            if len(kept) == len(stamps):  # A file may hold more than one alert.
                stamps = np.concatenate([stamps, np.empty_like(stamps)])
            try:
                identity = _identity(reader.alerts, alert, block)
                counts += _read_stamps(reader.alerts, alert, block, stamps[len(kept)])
            except AlertError as error:
                failures.append(Failure(packet.name, error.reason, str(error)))
                continue
            object_id.append(identity)
            kept.append(alert)
            histories.append(rows)
    alerts_kept = np.array(kept, dtype=np.intp)
    rows_kept = np.array([row for rows in histories for row in rows], dtype=np.intp)
    own = avro.Values(*(part[alerts_kept, _OWN_EPOCH] for part in reader.alerts))
    told = avro.Values(*(part[rows_kept] for part in reader.rows))
    alerts = _epochs(own, np.arange(len(kept)), counts)
    owner = np.repeat(alerts.owner, [len(rows) for rows in histories])
    history = _epochs(told, owner, Counter())
    return Batch(object_id, stamps[: len(kept)], alerts, history, failures, counts)


@lru_cache(maxsize=256)
def _program(schema: bytes) -> avro.Program:
    return avro.compile_schema(schema, _FIELDS, "prv_candidates", _EPOCH)


def _records(
    packet: Packet, reader: avro.Reader, failures: list[Failure]
) -> Iterator[tuple[bytes, int, range]]:
    """Give of every record its block, its place in `reader.alerts`, and those in `reader.rows`."""
    try:
        schema, blocks = open_container(packet.data)
        program = _program(schema)
        found = 0
        for count, block in blocks:
            end = 0
            for number in range(1, count + 1):
                before = reader.n_rows
                end = reader.read(program, block, end)
                if number == count and end != len(block):
                    raise ValueError(f"{len(block) - end} bytes behind the last record")
                found += 1
                yield block, reader.n_alerts - 1, range(before, reader.n_rows)
        if not found:
            raise ValueError("no record")
    except ValueError as error:
        failures.append(Failure(packet.name, "avro", str(error)))


def _identity(alerts: avro.Values, alert: int, block: bytes) -> str:
    name = _bytes(alerts, alert, "objectId", block)
    text = name.decode("ascii", "replace") if name else ""
    if not text.isprintable() or not 0 < len(text) <= 64:
        raise AlertError("fields", "no objectId")
    if alerts.spans[alert, _AT["candid"], 0] < 0:
        raise AlertError("fields", "no candid")
    if not 0 < alerts.numbers[alert, _AT["candidate.jd"]] < 1e8:
        raise AlertError("fields", "no candidate.jd")
    return text


def _bytes(alerts: avro.Values, alert: int, field: str, block: bytes) -> bytes | None:
    start, size = alerts.spans[alert, _AT[field]]
    return block[start : start + size] if size >= 0 else None


def _read_stamps(alerts: avro.Values, alert: int, block: bytes, pixels: np.ndarray) -> Counter[str]:
    """Read an alert's stamps into `pixels` `(3, 63, 63)`; count what is masked, by reason."""
    images = []
    for field in _CUTOUTS:
        packed = _bytes(alerts, alert, field, block)
        if not packed:
            raise AlertError("no_stamp", f"no {field}")
        images.append(read_cutout(packed))
    shape = images[0].shape
    if any(image.shape != shape for image in images):
        raise AlertError("shape", f"stamps of {[image.shape for image in images]} pixels")
    rows, columns = place(shape, *(float(alerts.numbers[alert, _AT[name]]) for name in _PLACE))
    if shape != (SIZE, SIZE):
        pixels[:] = np.nan
    for channel, image in enumerate(images):
        pixels[channel, rows, columns] = image
    observed = is_usable(pixels)
    if observed.all():
        return Counter()
    if not observed.any():
        raise AlertError("no_stamp", "no observed pixel")
    outside = len(images) * (SIZE * SIZE - shape[0] * shape[1])
    infinite = int(np.isinf(pixels).sum())
    nan = int(np.isnan(pixels).sum()) - outside
    no_data = int((~observed).sum()) - outside - nan - infinite
    pixels[~observed] = np.nan
    found = dict(zip(MASKED, (outside, nan, infinite, no_data), strict=True))
    return Counter({f"pixels.{reason}": n for reason, n in found.items()}) + Counter(
        {"alerts.padded": int(outside > 0)}
    )


def _epochs(values: avro.Values, owner: np.ndarray, counts: Counter[str]) -> Epochs:
    numbers = values.numbers
    fid = numbers[:, _EPOCH.index("fid")]
    mjd = numbers[:, _EPOCH.index("jd")] - _JD_OF_MJD_0
    metadata = np.full((len(numbers), len(features.NAMES)), np.nan)
    for name in _MEASURED:
        metadata[:, features.NAMES.index(name)] = numbers[:, _EPOCH.index(name)]
    letter = numbers[:, _EPOCH.index("isdiffpos")]
    sign = np.full(len(letter), np.nan)
    for code, value in _SIGNS.items():
        sign[letter == code] = value
    metadata[:, features.NAMES.index("isdiffpos")] = sign
    _mask_missing(metadata, counts)
    _compute(metadata)
    return Epochs(
        owner=owner,
        candid=values.spans[:, _EPOCH.index("candid"), 0],
        mjd=np.where(is_time(mjd), mjd, np.nan),
        fid=np.where(np.isin(fid, _FILTERS), fid, np.nan),
        metadata=metadata,
    )


def _mask_missing(metadata: np.ndarray, counts: Counter[str]) -> None:
    """Make what is no measurement NaN, in place, and count it by reason."""
    measured = [features.NAMES.index(name) for name in _MEASURED]
    ra, dec = features.NAMES.index("ra"), features.NAMES.index("dec")
    impossible = np.zeros(metadata.shape, dtype=bool)
    impossible[:, ra] = np.abs(metadata[:, ra] - 180) > 180
    impossible[:, dec] = np.abs(metadata[:, dec]) > 90
    sentinel = metadata == features.SENTINEL
    for column, name in enumerate(features.NAMES):
        impossible[:, column] |= features.is_impossible(name, metadata[:, column])
    wrong = (sentinel, np.isnan(metadata), impossible & ~sentinel)
    for reason, where in zip(MISSING, wrong, strict=True):
        counts[f"features.{reason}"] += int(where[:, measured].sum())
        metadata[where] = np.nan


def _compute(metadata: np.ndarray) -> None:
    """Fill in the features that follow from the others, in place."""
    column = {name: metadata[:, features.NAMES.index(name)] for name in features.NAMES}
    column["non_detections"][:] = column["ncovhist"] - column["ndethist"]
    known = np.isfinite(column["ra"]) & np.isfinite(column["dec"])
    sky = SkyCoord(column["ra"][known] * u.deg, column["dec"][known] * u.deg, frame="icrs")
    ecliptic, galactic = sky.transform_to(BarycentricTrueEcliptic()), sky.transform_to(Galactic())
    column["ecl_lat"][known], column["ecl_long"][known] = ecliptic.lat.deg, ecliptic.lon.deg
    column["gal_lat"][known], column["gal_long"][known] = galactic.b.deg, galactic.l.deg
