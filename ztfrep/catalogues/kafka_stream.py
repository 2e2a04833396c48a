"""A stream of alerts: packets from topics of Kafka in, predictions out, at least once.

The offsets of a batch are committed after its predictions are written and after its unreadable
messages are set aside. A consumer that is killed in between is delivered the batch again.
"""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa
from tqdm import tqdm

from ztfrep.catalogues.kafka_clients import Settings, import_kafka, kafka_error, open_consumer
from ztfrep.catalogues.stream_outputs import DeadLetter, DeadLetters, OffsetRange, PredictionSink
from ztfrep.sources.packets.packet_reader import (
    Failure,
    Packet,
    PacketBatch,
    decode_batches,
    decode_packets,
)

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

PredictBatch = Callable[[PacketBatch], pa.Table]

# Seconds of a call of the client: a signal is handled after it.
_POLL = 0.2


@dataclass(frozen=True)
class StreamCounts:
    """Messages read = messages written + messages set aside.

    `alerts` is the number of alerts written; `already_stored` that of alerts which were in the
    output already, since their messages were delivered twice.
    """

    read: int = 0
    written: int = 0
    set_aside: int = 0
    alerts: int = 0
    already_stored: int = 0

    def describe(self) -> str:
        """Return the counts as one line."""
        text = (
            f"{self.read:,} messages read = {self.written:,} written ({self.alerts:,} alerts) "
            f"+ {self.set_aside:,} set aside"
        )
        if self.already_stored:
            text += f"; {self.already_stored:,} alerts were stored already"
        return text


@dataclass(frozen=True)
class StreamLimits:
    """When a batch is complete, and when a stream ends.

    Attributes
    ----------
    batch_size : int
        Maximum of messages of a batch.
    max_wait : float
        Seconds from the first message of a batch after which it is processed as it is.
    max_messages : int, optional
        The stream ends after this number of messages.
    idle_exit : float, optional
        The stream ends if this number of seconds passes without a message; counted from the
        assignment of partitions.
    """

    batch_size: int = 256
    max_wait: float = 5.0
    max_messages: int | None = None
    idle_exit: float | None = None


def process_stream(
    server: str,
    settings: Settings,
    topics: Sequence[str],
    predict_batch: PredictBatch,
    sink: PredictionSink,
    dead_letters: DeadLetters,
    *,
    limits: StreamLimits | None = None,
    timeout: float = 30.0,
    stop: Callable[[], bool] = lambda: False,
    progress: bool = False,
) -> StreamCounts:
    """Predict the alerts of topics until `stop` returns True or a limit is reached.

    Parameters
    ----------
    server : str
        `HOST:PORT` of a broker, or several with commas.
    settings : dict
        Settings of librdkafka for the consumer, such as `group.id`; see `open_consumer`.
    topics : sequence of str
        Each message is an Avro container of an alert, as ZTF distributes it.
    predict_batch : callable
        Returns a table with a row per alert of a batch of packets, in order. A ValueError means
        that an alert cannot be predicted: its message is set aside.
    timeout : float
        Seconds to wait for the first answer of the broker.
    stop : callable
        Asked between two messages. The batch at hand is written and committed.
    progress : bool
        Whether a progress bar is drawn, with the number of messages that are not read yet.

    Raises
    ------
    InputError
        If the broker does not answer or refuses, if a topic does not exist, or if the output does
        not store a batch, which is not committed then.
    """
    limits = limits or StreamLimits()
    counts = StreamCounts()
    consumer = open_consumer(server, settings, topics, timeout)
    bar = tqdm(unit=" messages", disable=None if progress else True)
    with closing(consumer), bar:
        reader = _BatchReader(consumer, topics, limits, stop)
        sink.refresh()
        while messages := reader.read_batch(counts.read):
            if reader.take_reassignment():
                sink.refresh()
            counts = _process(messages, predict_batch, sink, dead_letters, counts)
            _commit(consumer, messages)
            bar.set_postfix(lag=_lag(consumer, bar), set_aside=counts.set_aside, refresh=False)
            bar.update(len(messages))
    return counts


class _BatchReader:
    """Reads messages in batches; drops those of a partition that another consumer gets."""

    def __init__(
        self,
        consumer: "Consumer",
        topics: Sequence[str],
        limits: StreamLimits,
        stop: Callable[[], bool],
    ) -> None:
        self._consumer = consumer
        self._limits = limits
        self._stop = stop
        self._batch: list[Message] = []
        self._assigned_at: float | None = None
        self._reassigned = False
        consumer.subscribe(list(topics), on_assign=self._assign, on_revoke=self._revoke)

    def read_batch(self, n_read: int) -> list["Message"]:
        """Return the next messages, at least one; none if the stream ends.

        `n_read` is the number of messages before.
        """
        limits = self._limits
        size = limits.batch_size
        if limits.max_messages is not None:
            size = min(size, limits.max_messages - n_read)
        self._batch = []
        start = time.monotonic()
        while len(self._batch) < size and not self._stop():
            # Not several at once: the batch is exact when partitions are revoked within a call.
            message = self._consumer.poll(_POLL)
            now = time.monotonic()
            if message is None:
                since = max(start, self._assigned_at or now)
                is_idle = limits.idle_exit is not None and now - since >= limits.idle_exit
                if is_idle and not self._batch:
                    break
            elif (error := message.error()) is not None:
                _raise_if_lasting(error)
            else:
                if not self._batch:
                    start = now
                self._batch.append(message)
            if self._batch and now - start >= limits.max_wait:
                break
        return self._batch

    def take_reassignment(self) -> bool:
        """Return True if partitions were assigned since the last call."""
        was_reassigned, self._reassigned = self._reassigned, False
        return was_reassigned

    def _assign(self, consumer: "Consumer", partitions: list["TopicPartition"]) -> None:
        self._assigned_at = time.monotonic()
        self._reassigned = True

    def _revoke(self, consumer: "Consumer", partitions: list["TopicPartition"]) -> None:
        # None of them is written: their next consumer reads them from the committed offset.
        revoked = {(part.topic, part.partition) for part in partitions}
        self._batch[:] = [m for m in self._batch if (m.topic(), m.partition()) not in revoked]


def _process(
    messages: Sequence["Message"],
    predict_batch: PredictBatch,
    sink: PredictionSink,
    dead_letters: DeadLetters,
    counts: StreamCounts,
) -> StreamCounts:
    """Write the predictions of messages, and set aside those that cannot be read."""
    by_name = {f"{m.topic()}[{m.partition()}]@{m.offset()}": m for m in messages}
    packets = [Packet(name, m.value() or b"") for name, m in by_name.items()]
    tables, failures = _predict(packets, predict_batch)
    letters: dict[str, DeadLetter] = {}
    for failure in failures:
        letters.setdefault(
            failure.name, DeadLetter(by_name[failure.name], failure.reason, failure.detail)
        )
    n_alerts, n_stored = 0, 0
    if tables:
        table = pa.concat_tables(tables)
        n_alerts = len(table)
        n_stored = sink.write(table, _ranges(messages))
    if letters:
        dead_letters.write(list(letters.values()))
    return replace(
        counts,
        read=counts.read + len(messages),
        written=counts.written + len(messages) - len(letters),
        set_aside=counts.set_aside + len(letters),
        alerts=counts.alerts + n_stored,
        already_stored=counts.already_stored + n_alerts - n_stored,
    )


def _predict(
    packets: list[Packet], predict_batch: PredictBatch
) -> tuple[list[pa.Table], list[Failure]]:
    """Return the predictions of packets, and the packets that cannot be read or predicted."""
    try:
        return _predict_batches(decode_batches(packets), predict_batch)
    except ValueError as error:
        # One alert must not block the others: each is predicted alone.
        tables: list[pa.Table] = []
        failures: list[Failure] = []
        n_refused = 0
        for packet in packets:
            try:
                table, failure = _predict_batches([decode_packets([packet])], predict_batch)
                tables += table
                failures += failure
            except ValueError as refusal:
                n_refused += 1
                failures.append(Failure(packet.name, "predict", str(refusal)[:200]))
        if n_refused == len(packets) > 1:
            raise error  # Not a fault of the messages.
        return tables, failures


def _predict_batches(
    batches: Iterable[PacketBatch], predict_batch: PredictBatch
) -> tuple[list[pa.Table], list[Failure]]:
    tables: list[pa.Table] = []
    failures: list[Failure] = []
    for batch in batches:
        failures += batch.failures
        if batch.object_id:
            table = predict_batch(batch)
            if len(table) != len(batch.object_id):
                raise RuntimeError(f"{len(table)} predictions of {len(batch.object_id)} alerts")
            tables.append(table)
    return tables, failures


def _ranges(messages: Sequence["Message"]) -> list[OffsetRange]:
    offsets: dict[tuple[str, int], list[int]] = {}
    for message in messages:
        key = (str(message.topic()), int(message.partition() or 0))
        offsets.setdefault(key, []).append(int(message.offset() or 0))
    return [OffsetRange(*key, min(own), max(own)) for key, own in sorted(offsets.items())]


def _commit(consumer: "Consumer", messages: Sequence["Message"]) -> None:
    """Commit the offsets of messages that are written; raise InputError if that is not allowed.

    A commit that fails since the partitions have another consumer, or since the broker is absent,
    is a warning: the messages are delivered again.
    """
    kafka = import_kafka()
    # The last message of each partition: its offset is not the largest if offsets were reset.
    last = {(m.topic(), m.partition()): m for m in messages}
    offsets = [kafka.TopicPartition(*key, (m.offset() or 0) + 1) for key, m in last.items()]
    try:
        committed = consumer.commit(offsets=offsets, asynchronous=False)
        errors = [part.error for part in committed or [] if part.error is not None]
    except kafka.KafkaException as error:
        errors = [error.args[0]]
    if errors:
        _raise_if_lasting(errors[0])
        logging.warning(
            "offsets are not committed: %s; the messages will be delivered again", errors[0].str()
        )


def _raise_if_lasting(error: "KafkaError") -> None:
    """Raise InputError for an error of the consumer that waiting does not end."""
    code = import_kafka().KafkaError
    lasting = (
        code.UNKNOWN_TOPIC_OR_PART,
        code.TOPIC_AUTHORIZATION_FAILED,
        code.GROUP_AUTHORIZATION_FAILED,
        code.INVALID_GROUP_ID,
        code._AUTHENTICATION,
        code._AUTO_OFFSET_RESET,
    )
    if error.fatal() or error.code() in lasting:
        raise kafka_error(
            "the consumer",
            error,
            expected="topics and a group that this user may read",
            remedy="correct the topic, the group or the user",
        )
    if error.code() == code._MAX_POLL_EXCEEDED:
        logging.warning("a batch took longer than max.poll.interval.ms: take smaller batches")


def _lag(consumer: "Consumer", bar: tqdm) -> int | str:
    """Return the number of messages in the consumer's partitions that it has not read."""
    if bar.disable:
        return "?"
    lag = 0
    for part in consumer.position(consumer.assignment()):
        _, high = consumer.get_watermark_offsets(part, cached=True)
        lag += max(0, high - part.offset) if part.offset >= 0 else 0
    return lag
