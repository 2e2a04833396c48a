"""A reader of ZTF alert packets: batches of alerts and observations from the bytes of packets."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ztfrep.data.alert_schema import CHANNELS
from ztfrep.sources.packets.alert_fields import (
    ALERT_FIELDS,
    OBSERVATION_SLOTS,
    PRIOR_OBSERVATIONS,
    read_object_id,
    read_stamps,
)
from ztfrep.sources.packets.avro_program import Program
from ztfrep.sources.packets.avro_schemas import compile_schema
from ztfrep.sources.packets.containers import Header, open_container
from ztfrep.sources.packets.cutouts import STAMP_SIZE, AlertError
from ztfrep.sources.packets.observations import (
    OBSERVATION_FIELDS,
    Observations,
    compute_observations,
    is_usable_observation,
)
from ztfrep.sources.packets.other_surveys import describe_other_survey, describe_wire_form
from ztfrep.sources.packets.record_decoder import FieldValues, RecordDecoder, RefusedRecordError

# A batch with this number of alerts or of prior observations is complete.
_MAX_ALERTS, _MAX_OBSERVATIONS = 1024, 20_000


class Packet(NamedTuple):
    """A file of one alert or more, and its name for messages."""

    name: str
    data: bytes


class Failure(NamedTuple):
    """A packet that cannot be read: its name, the reason that is counted, and a description."""

    name: str
    reason: str
    detail: str


@dataclass(frozen=True)
class PacketBatch:
    """The m alerts of a batch of packets, their prior observations, and the failures.

    `object_id` `(m,)`; `stamps` float32 `(m, 3, 63, 63)` in counts, NaN where not observed.
    `counts` are those of missing features and masked pixels, by reason.
    """

    object_id: list[str]
    stamps: np.ndarray
    alerts: Observations
    prior_observations: Observations
    failures: list[Failure]
    counts: Counter[str]


def decode_packets(packets: Iterable[Packet]) -> PacketBatch:
    """Decode packets into one batch; an error in a packet costs no other packet."""
    builder = _BatchBuilder()
    for packet in packets:
        builder.add_packet(packet)
    return builder.build()


def decode_batches(packets: Iterable[Packet]) -> Iterator[PacketBatch]:
    """Decode packets into batches of bounded size; at least one batch."""
    builder = _BatchBuilder()
    for packet in packets:
        if builder.is_full():
            yield builder.build()
            builder = _BatchBuilder()
        builder.add_packet(packet)
    yield builder.build()


class _BatchBuilder:
    """Decodes packets one after the other into a batch."""

    def __init__(self) -> None:
        self._decoder = RecordDecoder(len(ALERT_FIELDS), len(OBSERVATION_FIELDS))
        self._header: Header | None = None
        self._failures: list[Failure] = []
        self._counts: Counter[str] = Counter()
        # Of every usable alert: its object, its record, and the rows of its prior observations.
        self._object_id: list[str] = []
        self._records: list[int] = []
        self._rows: list[range] = []
        self._stamps = np.empty((_MAX_ALERTS, len(CHANNELS), STAMP_SIZE, STAMP_SIZE), np.float32)

    def is_full(self) -> bool:
        """Return True if the next packet belongs to another batch."""
        return len(self._records) >= _MAX_ALERTS or self._decoder.n_rows >= _MAX_OBSERVATIONS

    def add_packet(self, packet: Packet) -> None:
        """Decode the alerts of a packet.

        A file that is damaged anywhere is one failure, and none of its alerts is used. An alert
        that cannot be used, in a file that is not damaged, is one failure.
        """
        decoder = self._decoder
        n_records, n_rows, n_alerts = decoder.n_records, decoder.n_rows, len(self._records)
        failures: list[Failure] = []
        counts: list[Counter[str]] = []
        decoder.begin_file()
        try:
            wire_form = describe_wire_form(packet.data)
            if wire_form:
                raise AlertError("wire", wire_form)
            self._header, blocks = open_container(packet.data, self._header)
            for block, record, rows in _decode_records(self._header.schema, blocks, decoder):
                try:
                    counts.append(self._add_alert(block, record, rows))
                except AlertError as error:
                    failures.append(Failure(packet.name, error.reason, str(error)))
        except MemoryError:
            raise
        except Exception as error:  # Untrusted bytes make a decoder raise almost anything.
            failures = [Failure(packet.name, *_failure_reason(error))]
            counts.clear()
            decoder.truncate(n_records, n_rows)
            del self._object_id[n_alerts:], self._records[n_alerts:], self._rows[n_alerts:]
        self._failures += failures
        for masked in counts:
            if masked:
                self._counts.update(masked)

    def _add_alert(self, block: bytes, record: int, rows: range) -> Counter[str]:
        alert = len(self._records)
        if alert == len(self._stamps):
            larger = np.empty((2 * alert, *self._stamps.shape[1:]), np.float32)
            larger[:alert] = self._stamps
            self._stamps = larger
        object_id = read_object_id(self._decoder.records, record, block)
        masked = read_stamps(self._decoder.records, record, block, self._stamps[alert])
        self._object_id.append(object_id)
        self._records.append(record)
        self._rows.append(rows)
        return masked

    def build(self) -> PacketBatch:
        """Return the batch; the builder cannot be used any more."""
        decoder, counts = self._decoder, self._counts
        records = np.array(self._records, dtype=np.intp)
        own = FieldValues(*(part[records, OBSERVATION_SLOTS] for part in decoder.records))
        alerts = compute_observations(own, np.arange(len(records)), counts)
        alert_of_row = np.repeat(alerts.alert, [len(rows) for rows in self._rows])
        rows = np.concatenate(
            [np.zeros(0, np.intp), *(np.arange(r.start, r.stop) for r in self._rows)]
        )
        usable = is_usable_observation(decoder.rows, rows, counts)
        prior = FieldValues(*(part[rows[usable]] for part in decoder.rows))
        # Missing features are counted for alerts alone.
        prior_observations = compute_observations(prior, alert_of_row[usable], Counter())
        stamps = self._stamps[: len(records)]
        return PacketBatch(
            self._object_id, stamps, alerts, prior_observations, self._failures, counts
        )


def _failure_reason(error: Exception) -> tuple[str, str]:
    """Return the reason that is counted for a file that cannot be read, and a description."""
    if isinstance(error, AlertError):
        return error.reason, str(error)
    if isinstance(error, RefusedRecordError):
        return "fields", str(error)
    if isinstance(error, ValueError):
        return "avro", str(error)[:200]
    return "error", f"{type(error).__name__}"


class _CompiledSchema(NamedTuple):
    """A program; if it is None, the reason and the description of the failure of its records."""

    program: Program | None
    refusal: tuple[str, str]


# The packets of a night have one schema or two. A refused schema is cached too.
@lru_cache(maxsize=32)
def _compile(schema: bytes) -> _CompiledSchema:
    try:
        program = compile_schema(schema, ALERT_FIELDS, PRIOR_OBSERVATIONS, OBSERVATION_FIELDS)
    except ValueError as error:
        return _CompiledSchema(None, ("avro", str(error)))
    refusal = describe_other_survey(program.name, program.fields)
    return _CompiledSchema(None if refusal else program, ("survey", refusal or ""))


def _decode_records(
    schema: bytes, blocks: Iterator[tuple[int, bytes]], decoder: RecordDecoder
) -> Iterator[tuple[bytes, int, range]]:
    """Yield the block of every record, its index in `decoder.records`, and those of its rows."""
    program, refusal = _compile(schema)
    if program is None:
        raise AlertError(*refusal)
    n_records = 0
    for count, block in blocks:
        end = 0
        for number in range(1, count + 1):
            n_rows = decoder.n_rows
            end = decoder.decode(program, block, end)
            if number == count and end != len(block):
                raise ValueError(f"{len(block) - end} bytes after the last record")
            n_records += 1
            yield block, decoder.n_records - 1, range(n_rows, decoder.n_rows)
    if not n_records:
        raise ValueError("no record")
