"""A stream of alerts: packets from topics of Kafka in, predictions out, at least once.

The offsets of a batch are committed after its predictions are written and after its unreadable
messages are set aside. A consumer that is killed in between is delivered the batch again.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa
from tqdm import tqdm

from ztfrep.sources.packets.packet_reader import (
    Failure,
    Packet,
    PacketBatch,
    decode_batches,
    decode_packets,
)
from ztfrep.streams.kafka_clients import Settings, open_consumer
from ztfrep.streams.message_batches import MessageReader, StreamLimits
from ztfrep.streams.stream_outputs import DeadLetter, DeadLetters, OffsetRange, PredictionSink

if TYPE_CHECKING:
    from confluent_kafka import Message

PredictBatch = Callable[[PacketBatch], pa.Table]


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
        reader = MessageReader(consumer, topics, limits, stop)
        sink.refresh()
        while messages := reader.read_batch(counts.read):
            if reader.take_reassignment():
                sink.refresh()
            counts = _process(messages, predict_batch, sink, dead_letters, counts)
            reader.commit(messages)
            if not bar.disable:
                bar.set_postfix(lag=reader.lag(), set_aside=counts.set_aside, refresh=False)
            bar.update(len(messages))
    return counts


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
