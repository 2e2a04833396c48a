"""Messages per second of the loop of a stream, with raw consumption of the topic as baseline.

python -m benchmarks.kafka_stream --messages 4000

Both read the same topic of a broker on the loopback. The stream decodes each packet (three stamps
of 63 x 63 pixels, no prior observations), and writes a vector of 128 numbers to another topic; the
network is replaced by a function without work. Needs the packages of the tests.
"""

import argparse
import time

import numpy as np
import pyarrow as pa
from confluent_kafka import Consumer

from benchmarks.measuring import save
from tests.kafka_broker import SETTINGS, Broker, packets, predict_stub, running_broker
from ztfrep.sources.packets.packet_reader import PacketBatch
from ztfrep.streams.kafka_stream import process_stream
from ztfrep.streams.message_batches import StreamLimits
from ztfrep.streams.stream_destinations import open_outputs

_DIMENSIONS = 128


def main() -> None:
    """Measure both on the same messages; the time is from the first message to the last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=4000)
    options = parser.parse_args()
    messages = packets(options.messages)
    with running_broker() as broker:
        topic = broker.topic()
        broker.send(topic, messages)
        raw = _consume(broker, topic, options.messages)
        stream = _stream(broker, topic, options.messages)
    save(
        "kafka_stream",
        {
            "messages": options.messages,
            "bytes_per_message": len(messages[0]),
            "dimensions": _DIMENSIONS,
            "raw_messages_per_second": round(options.messages / raw),
            "stream_messages_per_second": round(options.messages / stream),
            "ratio": round(raw / stream, 3),
        },
    )


def _consume(broker: Broker, topic: str, n: int) -> float:
    settings = {**SETTINGS, "bootstrap.servers": broker.server, "group.id": "raw"}
    consumer = Consumer({**settings, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    start, n_read = 0.0, 0
    while n_read < n:
        message = consumer.poll(1)
        start = start or (time.perf_counter() if message is not None else 0.0)
        n_read += message is not None
    seconds = time.perf_counter() - start
    consumer.close()
    return seconds


def _stream(broker: Broker, topic: str, n: int) -> float:
    starts: list[float] = []

    def predict(batch: PacketBatch) -> pa.Table:
        starts.append(time.perf_counter())
        table = predict_stub(batch)
        values = pa.array(np.ones(len(table) * _DIMENSIONS, np.float32))
        vectors = pa.FixedSizeListArray.from_arrays(values, _DIMENSIONS)
        return table.set_column(table.schema.get_field_index("vector"), "vector", vectors)

    sink, letters = open_outputs(broker.server, {}, topic=f"{topic}.out", create=True)
    settings = {**SETTINGS, "group.id": "stream"}
    limits = StreamLimits(max_messages=n)
    counts = process_stream(broker.server, settings, [topic], predict, sink, letters, limits=limits)
    assert counts.alerts == n
    # From batch to batch: the first waits for its partitions and compiles the decoder.
    return (starts[-1] - starts[0]) * n / (limits.batch_size * (len(starts) - 1))


if __name__ == "__main__":
    main()
