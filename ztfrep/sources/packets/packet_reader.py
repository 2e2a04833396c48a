"""ZTF alert packets: Avro bytes to the rows of an alert table, each packet for itself."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ztfrep.data.alert_schema import CHANNELS
from ztfrep.data.stamps import is_usable
from ztfrep.sources.packets import avro
from ztfrep.sources.packets import observations as epochs
from ztfrep.sources.packets.avro_schemas import INTEGER, NUMBER, TEXT, Field, compile_schema
from ztfrep.sources.packets.containers import Header, open_container
from ztfrep.sources.packets.cutouts import SIZE, AlertError, place, read_cutout
from ztfrep.sources.packets.observations import FIRST_JD, JD_OF_MJD_0, LAST_JD, Epochs
from ztfrep.sources.packets.other_surveys import describe_other_survey, describe_wire_form

# Why a pixel is masked.
MASKED = ("outside", "nan", "infinite", "no_data")
# A batch is handed over when it is as large as this, whatever its files hold.
_MOST_ALERTS, _MOST_EPOCHS = 1024, 20_000

_CUTOUTS = tuple(f"cutout{channel.capitalize()}.stampData" for channel in CHANNELS)
_PLACE = ("candidate.xpos", "candidate.ypos")
_FIELDS = (
    Field("objectId", TEXT, required=True),
    epochs.FIELDS[0],
    *(field._replace(path=f"candidate.{field.path}") for field in epochs.FIELDS[1:]),
    *(Field(path, TEXT, required=True) for path in _CUTOUTS),
    *(Field(path, NUMBER) for path in _PLACE),
    Field("candidate.candid", INTEGER, required=True),
)
_AT = {field.path: slot for slot, field in enumerate(_FIELDS)}
# An alert's own epoch stands behind objectId as one of its history stands in a row.
_OWN_EPOCH = slice(1, 1 + len(epochs.FIELDS))


class Packet(NamedTuple):
    """A file of one alert (or more), by the name that a log would give it."""

    name: str
    data: bytes


class Failure(NamedTuple):
    """A packet that gave no alert: its name, the reason that it is counted by, and the detail."""

    name: str
    reason: str
    detail: str


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
        self._reader = avro.Reader(len(_FIELDS), len(epochs.FIELDS))
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
            for block, alert, rows_of_it in _records(self._header.schema, blocks, reader):
                try:
                    counts.append(self._add_alert(block, alert, rows_of_it))
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

    def _add_alert(self, block: bytes, alert: int, rows: range) -> Counter[str]:
        row = len(self._kept)
        if row == len(self._stamps):
            more = np.empty((2 * row, *self._stamps.shape[1:]), np.float32)
            more[:row] = self._stamps
            self._stamps = more
        identity = _identity(self._reader.alerts, alert, block)
        masked = _read_stamps(self._reader.alerts, alert, block, self._stamps[row])
        self._object_id.append(identity)
        self._kept.append(alert)
        self._rows.append(rows)
        return masked

    def batch(self) -> Batch:
        """Make the batch; the collector cannot be used any more."""
        reader, counts = self._reader, self._counts
        kept = np.array(self._kept, dtype=np.intp)
        own = avro.Values(*(part[kept, _OWN_EPOCH] for part in reader.alerts))
        alerts = epochs.compute_epochs(own, np.arange(len(kept)), counts)
        owner = np.repeat(alerts.owner, [len(rows) for rows in self._rows])
        before = np.concatenate(
            [np.zeros(0, np.intp), *(np.arange(r.start, r.stop) for r in self._rows)]
        )
        usable = epochs.find_usable(reader.rows, before, counts)
        rows = avro.Values(*(part[before[usable]] for part in reader.rows))
        history = epochs.compute_epochs(rows, owner[usable], Counter())
        stamps = self._stamps[: len(kept)]
        return Batch(self._object_id, stamps, alerts, history, self._failures, counts)


def _reason(error: Exception) -> tuple[str, str]:
    """Return the word that a file which gives no alert is counted by, and the detail."""
    if isinstance(error, AlertError):
        return error.reason, str(error)
    if isinstance(error, avro.RefusedError):
        return "fields", str(error)
    if isinstance(error, ValueError):
        return "avro", str(error)[:200]
    return "error", f"{type(error).__name__}"


class _Schema(NamedTuple):
    """A compiled schema, or the reason and the detail of why its records cannot be read."""

    program: avro.Program | None
    refusal: tuple[str, str]


# A night has packets of one schema or two. A schema that is refused is remembered as well.
@lru_cache(maxsize=32)
def _compile(schema: bytes) -> _Schema:
    try:
        program = compile_schema(schema, _FIELDS, "prv_candidates", epochs.FIELDS)
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
    if not FIRST_JD <= jd < LAST_JD:
        raise AlertError("fields", _describe_date(jd))
    return text


def _describe_date(jd: float) -> str:
    if np.isnan(jd):
        return "no candidate.jd"
    if FIRST_JD <= jd + JD_OF_MJD_0 < LAST_JD:
        return f"candidate.jd is {jd:.10g}, a modified Julian date, not a Julian date"
    return f"candidate.jd is {jd:.10g}, no Julian date of ZTF's years"


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
