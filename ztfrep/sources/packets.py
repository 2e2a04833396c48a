"""ZTF alert packets: Avro bytes to the rows of an alert table.

The features are those that ALeRCE's stamp classifier computes (Carrasco-Davis et al. 2021), in
physical units and before any clipping.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import astropy.units as u
import numpy as np
from astropy.coordinates import BarycentricTrueEcliptic, Galactic, SkyCoord

from ztfrep import features
from ztfrep.alerts import CHANNELS
from ztfrep.sources import avro
from ztfrep.sources.containers import Header, open_container
from ztfrep.sources.cutouts import SIZE, AlertError, place, read_cutout
from ztfrep.sources.schemas import INTEGER, NUMBER, SCALAR, TEXT, Field, compile_schema
from ztfrep.sources.surveys import describe_other_survey, describe_wire_form
from ztfrep.stamps import is_usable

# Why a pixel is masked, why a feature is missing, and why an epoch before an alert is left out.
MASKED = ("outside", "nan", "infinite", "no_data")
MISSING = ("sentinel", "absent", "unreadable", "out_of_range")
LEFT_OUT = ("jd", "candid")
# The survey's word for "there is none".
SENTINEL = -999.0
_JD_OF_MJD_0 = 2_400_000.5
# From the year of ZTF's first light to far behind its end; what is of other days is no date.
_FIRST_JD, _LAST_JD = 2_457_754.5, 2_500_000.0
_FILTERS = (1, 2, 3)
# A batch is handed over when it is as large as this, whatever its files hold.
_MOST_ALERTS, _MOST_EPOCHS = 1024, 20_000

_COMPUTED = ("ecl_lat", "ecl_long", "gal_lat", "gal_long", "non_detections")
_MEASURED = tuple(name for name in features.NAMES if name not in _COMPUTED)
_TYPES = {"isdiffpos": SCALAR}
_EPOCH = (
    Field("candid", INTEGER, required=True),
    Field("jd", NUMBER, required=True),
    Field("fid", NUMBER, required=True),
    *(Field(name, _TYPES.get(name, NUMBER)) for name in _MEASURED),
)
_SLOT = {field.path: slot for slot, field in enumerate(_EPOCH)}
_CUTOUTS = tuple(f"cutout{channel.capitalize()}.stampData" for channel in CHANNELS)
_PLACE = ("candidate.xpos", "candidate.ypos")
_FIELDS = (
    Field("objectId", TEXT, required=True),
    _EPOCH[0],
    *(field._replace(path=f"candidate.{field.path}") for field in _EPOCH[1:]),
    *(Field(path, TEXT, required=True) for path in _CUTOUTS),
    *(Field(path, NUMBER) for path in _PLACE),
    Field("candidate.candid", INTEGER, required=True),
)
_AT = {field.path: slot for slot, field in enumerate(_FIELDS)}
# An alert's own epoch stands behind objectId as one of its history stands in a row.
_OWN_EPOCH = slice(1, 1 + len(_EPOCH))

# A faded source has isdiffpos f, 0 or -1, a brightened one t or 1; the feature is 1 for the faded.
_SIGNS = {0.0: 1.0, -1.0: 1.0, 1.0: 0.0}
_SIGN_WORDS = {"f": 1.0, "false": 1.0, "0": 1.0, "-1": 1.0, "0.0": 1.0, "-1.0": 1.0}
_SIGN_WORDS |= {"t": 0.0, "true": 0.0, "1": 0.0, "+1": 0.0, "1.0": 0.0}


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


def read_packets(packets: Iterable[Packet]) -> Batch:
    """Read packets; what is wrong with one costs that one only."""
    collector = _Collector()
    for packet in packets:
        collector.add(packet)
    return collector.batch()


def read_batches(packets: Iterable[Packet]) -> Iterator[Batch]:
    """Read packets into batches of bounded size, whatever their files hold; at least one batch."""
    collector = _Collector()
    for packet in packets:
        if collector.full():
            yield collector.batch()
            collector = _Collector()
        collector.add(packet)
    yield collector.batch()


class _Collector:
    """Reads packets one after the other, and makes a batch of what they hold."""

    def __init__(self) -> None:
        self._reader = avro.Reader(len(_FIELDS), len(_EPOCH))
        self._header: Header | None = None
        self._failures: list[Failure] = []
        self._counts: Counter[str] = Counter()
        self._object_id: list[str] = []
        self._kept: list[int] = []
        self._rows: list[range] = []
        self._stamps = np.empty((_MOST_ALERTS, len(CHANNELS), SIZE, SIZE), np.float32)

    def full(self) -> bool:
        """Return whether the next packet belongs to another batch."""
        return len(self._kept) >= _MOST_ALERTS or self._reader.n_rows >= _MOST_EPOCHS

    def add(self, packet: Packet) -> None:
        """Read a packet's alerts.

        A file that is damaged anywhere gives none of them, and is one failure; an alert that cannot
        be used, of a file that can, is one of its own.
        """
        reader = self._reader
        alerts, rows, kept = reader.n_alerts, reader.n_rows, len(self._kept)
        failures: list[Failure] = []
        counts: list[Counter[str]] = []
        reader.begin_file()
        try:
            wire = describe_wire_form(packet.data)
            if wire:
                raise AlertError("wire", wire)
            self._header, blocks = open_container(packet.data, self._header)
            for block, alert, epochs in _records(self._header.schema, blocks, reader):
                try:
                    counts.append(self._add_alert(block, alert, epochs))
                except AlertError as error:
                    failures.append(Failure(packet.name, error.reason, str(error)))
        except MemoryError:
            raise
        except Exception as error:  # Whatever a stranger's bytes make a reader raise.
            failures = [Failure(packet.name, *_reason(error))]
            counts.clear()
            reader.drop(alerts, rows)
            del self._object_id[kept:], self._kept[kept:], self._rows[kept:]
        self._failures += failures
        for masked in counts:
            if masked:
                self._counts.update(masked)

    def _add_alert(self, block: bytes, alert: int, epochs: range) -> Counter[str]:
        row = len(self._kept)
        if row == len(self._stamps):
            more = np.empty((2 * row, *self._stamps.shape[1:]), np.float32)
            more[:row] = self._stamps
            self._stamps = more
        identity = _identity(self._reader.alerts, alert, block)
        masked = _read_stamps(self._reader.alerts, alert, block, self._stamps[row])
        self._object_id.append(identity)
        self._kept.append(alert)
        self._rows.append(epochs)
        return masked

    def batch(self) -> Batch:
        """Make the batch; the collector cannot be used any more."""
        reader, counts = self._reader, self._counts
        kept = np.array(self._kept, dtype=np.intp)
        own = avro.Values(*(part[kept, _OWN_EPOCH] for part in reader.alerts))
        alerts = _epochs(own, np.arange(len(kept)), counts)
        owner = np.repeat(alerts.owner, [len(rows) for rows in self._rows])
        before = np.concatenate(
            [np.zeros(0, np.intp), *(np.arange(r.start, r.stop) for r in self._rows)]
        )
        usable = _usable(reader.rows, before, counts)
        told = avro.Values(*(part[before[usable]] for part in reader.rows))
        history = _epochs(told, owner[usable], Counter())
        stamps = self._stamps[: len(kept)]
        return Batch(self._object_id, stamps, alerts, history, self._failures, counts)


def _reason(error: Exception) -> tuple[str, str]:
    """Return the word that a file which gives no alert is counted by, and the detail."""
    if isinstance(error, AlertError):
        return error.reason, str(error)
    if isinstance(error, avro.RefusedError):
        return "fields", str(error)
    if isinstance(error, ValueError):
        return "avro", str(error)
    return "error", f"{type(error).__name__}"


class _Schema(NamedTuple):
    """A compiled schema, or the reason and the detail of why its records cannot be read."""

    program: avro.Program | None
    refusal: tuple[str, str]


# A night has packets of one schema or two. A schema that is refused is remembered as well.
@lru_cache(maxsize=32)
def _compile(schema: bytes) -> _Schema:
    try:
        program = compile_schema(schema, _FIELDS, "prv_candidates", _EPOCH)
    except ValueError as error:
        return _Schema(None, ("avro", str(error)))
    other = describe_other_survey(program.name, program.fields)
    return _Schema(None if other else program, ("survey", other or ""))


def _records(
    schema: bytes, blocks: Iterator[tuple[int, bytes]], reader: avro.Reader
) -> Iterator[tuple[bytes, int, range]]:
    """Read every record: its block, its place in `reader.alerts`, and those in `reader.rows`."""
    program, refusal = _compile(schema)
    if program is None:
        raise AlertError(*refusal)
    n_records = 0
    for count, block in blocks:
        end = 0
        for number in range(1, count + 1):
            before = reader.n_rows
            end = reader.read(program, block, end)
            if number == count and end != len(block):
                raise ValueError(f"{len(block) - end} bytes behind the last record")
            n_records += 1
            yield block, reader.n_alerts - 1, range(before, reader.n_rows)
    if not n_records:
        raise ValueError("no record")


def _identity(alerts: avro.Values, alert: int, block: bytes) -> str:
    """Return an alert's objectId; raise AlertError for one that has no identity or no date."""
    name = _bytes(alerts, alert, "objectId", block)
    text = name.decode("ascii", "replace") if name else ""
    if not text.isprintable() or not 0 < len(text) <= 64:
        raise AlertError("fields", "no objectId")
    candid, numbers = alerts.spans[alert, :, 0], alerts.numbers[alert]
    number = int(candid[_AT["candid"]])
    if number <= 0:
        absent = np.isnan(numbers[_AT["candid"]])
        raise AlertError("fields", "no candid" if absent else f"candid is {number}")
    if number != candid[_AT["candidate.candid"]] and not np.isnan(numbers[_AT["candidate.candid"]]):
        again = candid[_AT["candidate.candid"]]
        raise AlertError("fields", f"candid is {number}, and candidate.candid is {again}")
    jd = float(numbers[_AT["candidate.jd"]])
    if not _FIRST_JD <= jd < _LAST_JD:
        raise AlertError("fields", _describe_date(jd))
    return text


def _describe_date(jd: float) -> str:
    if np.isnan(jd):
        return "no candidate.jd"
    if _FIRST_JD <= jd + _JD_OF_MJD_0 < _LAST_JD:
        return f"candidate.jd is {jd:.10g}, a modified Julian date, not a Julian date"
    return f"candidate.jd is {jd:.10g}, no Julian date of ZTF's years"


def _usable(rows: avro.Values, places: np.ndarray, counts: Counter[str]) -> np.ndarray:
    """Return which epochs have a date, and an id if they are detections; count the others."""
    jd = rows.numbers[places, _SLOT["jd"]]
    candid = rows.numbers[places, _SLOT["candid"]]
    dated = (jd >= _FIRST_JD) & (jd < _LAST_JD)
    # Some write an upper limit's as 0 or -1.
    nameless = (candid <= 0) & ~np.isnan(rows.numbers[places, _SLOT["magpsf"]])
    counts["epochs.jd"] += int((~dated).sum())
    counts["epochs.candid"] += int((dated & nameless).sum())
    return dated & ~nameless


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
    fid = numbers[:, _SLOT["fid"]]
    metadata = np.full((len(numbers), len(features.NAMES)), np.nan)
    unreadable = np.zeros(metadata.shape, dtype=bool)
    for name in _MEASURED:
        column = features.NAMES.index(name)
        metadata[:, column] = numbers[:, _SLOT[name]]
        unreadable[:, column] = values.spans[:, _SLOT[name], 1] == avro.UNREADABLE
    sign = features.NAMES.index("isdiffpos")
    metadata[:, sign], unknown = _read_signs(values, _SLOT["isdiffpos"])
    unreadable[:, sign] |= unknown
    _mask_missing(metadata, unreadable, counts)
    _compute(metadata)
    candid = values.spans[:, _SLOT["candid"], 0]
    return Epochs(
        owner=owner,
        candid=np.where(candid > 0, candid, -1),
        mjd=numbers[:, _SLOT["jd"]] - _JD_OF_MJD_0,
        fid=np.where(np.isin(fid, _FILTERS), fid, np.nan),
        metadata=metadata,
    )


@lru_cache(maxsize=1)
def _sign_codes() -> dict[float, float]:
    return {avro.word_code(word): sign for word, sign in _SIGN_WORDS.items()}


def _read_signs(values: avro.Values, slot: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the feature of every isdiffpos, NaN of an unknown one, and which are unknown."""
    stored, size = values.numbers[:, slot], values.spans[:, slot, 1]
    text = size >= 0
    signs = np.full(len(stored), np.nan)
    for codes, where in ((_SIGNS, ~text), (_sign_codes(), text)):
        for code, sign in codes.items():
            signs[where & (stored == code)] = sign
    # A number that is none and a text of blanks are absent, the sentinel is one.
    signs[~text & (stored == SENTINEL)] = SENTINEL
    absent = np.where(text, stored == avro.word_code(""), np.isnan(stored))
    return signs, np.isnan(signs) & ~absent


def _mask_missing(metadata: np.ndarray, unreadable: np.ndarray, counts: Counter[str]) -> None:
    """Make what is no measurement NaN, in place, and count it by reason."""
    measured = [features.NAMES.index(name) for name in _MEASURED]
    ra, dec = features.NAMES.index("ra"), features.NAMES.index("dec")
    impossible = np.zeros(metadata.shape, dtype=bool)
    impossible[:, ra] = np.abs(metadata[:, ra] - 180) > 180
    impossible[:, dec] = np.abs(metadata[:, dec]) > 90
    sentinel = metadata == SENTINEL
    # The table holds float32.
    impossible |= np.abs(metadata) > np.finfo(np.float32).max
    absent = np.isnan(metadata) & ~unreadable
    wrong = (sentinel, absent, unreadable, impossible & ~sentinel)
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
