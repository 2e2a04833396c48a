import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests import model_folders
from tests.alert_packets import CANDID, alert, packet
from tests.kafka_broker import SETTINGS, free_port, packets, predict_stub
from ztfrep import cli
from ztfrep.errors import InputError
from ztfrep.streams import kafka_stream
from ztfrep.streams.folder_outputs import FolderDeadLetters, FolderSink
from ztfrep.streams.kafka_stream import StreamCounts, process_stream
from ztfrep.streams.message_batches import MessageReader, StreamLimits
from ztfrep.streams.stream_destinations import open_outputs
from ztfrep.streams.stream_outputs import OffsetRange

ROOT = Path(__file__).parents[2]


def limits(n, **changes):
    """Limits of a test that reads n messages: a wait that is no part of the test's time."""
    return StreamLimits(**{"batch_size": 10, "max_wait": 1.0, "max_messages": n, **changes})


def run(
    broker, topic, sink, letters, n, *, group="group", predict=predict_stub, stop=None, **changes
):
    return process_stream(
        broker.server,
        {**SETTINGS, "group.id": f"{topic}-{group}"},
        [topic],
        predict,
        sink,
        letters,
        limits=limits(n, **changes),
        stop=stop or (lambda: False),
    )


def record(message):
    """The prediction in a message."""
    (content,) = fastavro.reader(io.BytesIO(message.value()))
    return content


def candids(broker, topic):
    """How many predictions of each candid are in a topic."""
    return Counter(record(message)["candid"] for message in broker.read(topic))


class Message(SimpleNamespace):
    """A message of Kafka without a broker; its fields are methods."""

    def __init__(self, value, offset=0, **fields):
        values = {"topic": "t", "partition": 0, "offset": offset, "value": value, **fields}
        super().__init__(**{name: lambda v=v: v for name, v in values.items()})


class Collected(list):
    """A sink or a place for dead letters that keeps what it is given."""

    def refresh(self):
        pass

    def write(self, content, ranges=None):
        self.append((content, ranges))
        return len(content)


def test_every_alert_is_predicted_and_an_unreadable_message_is_set_aside(broker):
    topic = broker.topic()
    good = packets(24)
    bad = [b"no packet", None, good[3][:-40], packet(alert(candid=CANDID + 500, stamps=[None] * 3))]
    sent = [*good[:6], *bad, *good[6:]]
    broker.send(topic, sent)
    sink, letters = open_outputs(broker.server, {}, topic=f"{topic}.out", create=True)
    counts = run(broker, topic, sink, letters, len(sent))
    assert counts == StreamCounts(read=28, written=24, set_aside=4, alerts=24)
    assert counts.describe() == "28 messages read = 24 written (24 alerts) + 4 set aside"

    predictions = broker.read(f"{topic}.out")
    records = {record(m)["candid"]: record(m) for m in predictions}
    assert sorted(records) == [CANDID + place for place in range(24)]
    for message in predictions:
        content = record(message)
        assert message.key().decode() == content["objectId"]
        assert dict(message.headers())["candid"].decode() == str(content["candid"])
        assert content["vector"] == [content["candid"] % 1000] * 2
        assert content["mjd"] == pytest.approx(59010.0)
    assert records[CANDID] | {"candid": 0} == {
        "objectId": "ZTF20aaaa000", "candid": 0, "mjd": 59010.0, "fid": 1, "vector": [0.0, 0.0],
        "probabilities": {"SN": 0.25}, "anomaly_score": 1.5, "scores": {}, "model": "stub",
        "version": "1",
    }  # fmt: skip

    set_aside = {int(m.key()): m for m in broker.read(f"{topic}.out.dead-letters")}
    assert {place: m.value() for place, m in set_aside.items()} == dict(enumerate(bad, 6))
    headers = dict(set_aside[6].headers())
    assert (headers["sent"], headers["reason"]) == (b"1", b"avro")
    assert (headers["topic"], headers["partition"]) == (topic.encode(), b"0")
    assert headers["offset"] == b"2"
    assert dict(set_aside[9].headers())["reason"] == b"no_stamp"
    assert broker.committed(topic, f"{topic}-group") == 28


def test_a_consumer_that_is_killed_loses_nothing(broker):
    topic = broker.topic()
    broker.send(topic, packets(60))
    arguments = [broker.server, f"{topic}-group", topic, f"{topic}.out", "3"]
    killed = subprocess.run(
        [sys.executable, "-m", "tests.streams.killed_consumer", *arguments], cwd=ROOT
    )
    assert killed.returncode == -signal.SIGKILL
    before = candids(broker, f"{topic}.out")
    assert before.total() == len(before) == 30
    assert broker.committed(topic, f"{topic}-group") == 20

    sink, letters = open_outputs(broker.server, {}, topic=f"{topic}.out")
    run(broker, topic, sink, letters, 40)
    after = candids(broker, f"{topic}.out")
    assert set(after) == {CANDID + place for place in range(60)}
    # The third batch, which was written and not committed, is there twice.
    assert Counter(after.values()) == {1: 50, 2: 10}


def test_a_folder_has_each_alert_once_though_messages_are_delivered_twice(broker, tmp_path):
    topic = broker.topic(partitions=2)
    broker.send(topic, [*packets(25), b"no packet"])
    sink, letters = open_outputs(broker.server, {}, folder=tmp_path / "out")
    assert run(broker, topic, sink, letters, 26).alerts == 25
    # A new group is delivered all messages again, and another consumer does not know the first.
    sink, letters = open_outputs(broker.server, {}, folder=tmp_path / "out")
    counts = run(broker, topic, sink, letters, 26, group="other", batch_size=7)
    assert counts == StreamCounts(read=26, written=25, set_aside=1, alerts=0, already_stored=25)
    assert counts.describe().endswith("+ 1 set aside; 25 alerts were stored already")
    # Readers of a data set skip the folder of dead letters.
    table = pq.read_table(tmp_path / "out")
    assert sorted(table["candid"].to_pylist()) == [CANDID + place for place in range(25)]
    assert table.schema.metadata[b"model"] == b"stub"
    aside = tmp_path / "out" / "_dead_letters"
    assert (aside / f"{topic}-1-12.avro").read_bytes() == b"no packet"
    assert '"reason": "avro"' in (aside / f"{topic}-1-12.json").read_text()
    assert len(list(aside.iterdir())) == 2


def test_nothing_is_committed_if_an_output_fails(broker):
    class Full(Collected):
        def write(self, *_):
            raise OSError("no space")

    def fail(group, sink, letters):
        with pytest.raises(OSError, match="no space"):
            run(broker, topic, sink, letters, 4, group=group)
        failed.append(group)

    topic, failed = broker.topic(partitions=1), []
    broker.send(topic, [*packets(3), b"no packet"])
    # At the same time, since a consumer waits 3 s for its partitions.
    outputs = {"sink": (Full(), Collected()), "letters": (Collected(), Full())}
    in_threads(*(lambda g=group: fail(g, *outputs[g]) for group in outputs))
    assert sorted(failed) == ["letters", "sink"]
    assert [broker.committed(topic, f"{topic}-{group}") for group in outputs] == [0, 0]


def in_threads(*functions):
    threads = [threading.Thread(target=function) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(40)
        assert not thread.is_alive()


def test_a_consumer_that_joins_takes_over_partitions_and_nothing_is_lost(broker):
    topic = broker.topic(partitions=4)
    broker.send(topic, packets(120))
    sink, first_at_work, second_at_work = Collected(), threading.Event(), threading.Event()

    def predict_slowly(batch):
        first_at_work.set()
        second_at_work.wait(0.7)
        return predict_stub(batch)

    def predict_at_once(batch):
        second_at_work.set()
        return predict_stub(batch)

    def written():
        return Counter(candid for table, _ in sink for candid in table["candid"].to_pylist())

    def consume(predict):
        run(
            broker, topic, sink, Collected(), None, predict=predict, batch_size=3,
            stop=lambda: len(written()) == 120,
        )  # fmt: skip

    def join():
        assert first_at_work.wait(20)
        consume(predict_at_once)

    in_threads(lambda: consume(predict_slowly), join)
    assert second_at_work.is_set()
    assert set(written()) == {CANDID + place for place in range(120)}
    # Batches at hand may be delivered to the other consumer, not the whole topic.
    assert written().total() <= 120 + 20


def test_a_dead_letter_that_is_too_large_for_its_topic_keeps_its_headers(broker):
    topic = broker.topic(partitions=1)
    _, letters = open_outputs(
        broker.server, {"message.max.bytes": "2000"}, topic=topic, dead_letter_topic=topic
    )
    fields = {"key": b"k", "headers": None}
    large, small = Message(b"x" * 3000, 5, **fields), Message(b"y", 6, **fields)
    letters.write([kafka_stream.DeadLetter(m, "avro", "no packet") for m in (large, small)])
    stored = {dict(m.headers())["offset"]: m for m in broker.read(topic)}
    assert stored[b"6"].value() == b"y"
    assert stored[b"5"].value() is None
    assert dict(stored[b"5"].headers())["omitted_bytes"] == b"3000"


def test_the_command_ends_with_a_line_after_sigterm(broker, tmp_path, monkeypatch, capsys):
    topic = broker.topic()
    broker.send(topic, [*packets(11), b"no packet"])
    model_folders.save(tmp_path / "model", "alert-invariant")
    out = tmp_path / "out"
    options = ["--server", broker.server, "--out", out, "--model", tmp_path / "model"]
    options += [f"--set={key}={value}" for key, value in SETTINGS.items()]

    def terminate():
        deadline = time.monotonic() + 60
        while broker.committed(topic, "ztfrep") < 12 and time.monotonic() < deadline:
            time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGTERM)

    waiting = threading.Thread(target=terminate)
    waiting.start()
    code = command(monkeypatch, topic, *options, "--max-wait", "0.5")
    waiting.join()
    assert code == 0
    assert capsys.readouterr().out == "12 messages read = 11 written (11 alerts) + 1 set aside\n"
    table = pq.read_table(out)
    assert sorted(table["candid"].to_pylist()) == [CANDID + place for place in range(11)]
    probabilities = [
        table[f"probability_{name}"] for name in ("AGN", "SN", "VS", "asteroid", "bogus")
    ]
    totals = [sum(p[row].as_py() for p in probabilities) for row in range(11)]
    assert totals == pytest.approx([1.0] * 11, abs=1e-5)
    assert table.schema.field("vector").type == pa.list_(pa.float32(), 6)


class Consumer:
    """A consumer whose polls are what a test says: a message, None, or a function to call."""

    def __init__(self, *polls):
        self._polls = list(polls)

    def subscribe(self, topics, on_assign, on_revoke):
        self.assign, self.revoke = on_assign, on_revoke

    def poll(self, _):
        poll = self._polls.pop(0) if self._polls else None
        return poll(self) if callable(poll) else poll


def partitions(*numbers):
    return [SimpleNamespace(topic="t", partition=number) for number in numbers]


def test_the_messages_of_a_partition_that_moves_are_dropped_from_the_batch():
    before = [Message(b"", 3, partition=0, error=None), Message(b"", 8, partition=1, error=None)]
    after = Message(b"", 4, partition=0, error=None)
    consumer = Consumer(*before, lambda c: c.revoke(c, partitions(1)), after)
    reader = MessageReader(consumer, ["t"], StreamLimits(max_wait=0.1), lambda: False)
    batch = reader.read_batch(0)
    assert [(m.partition(), m.offset()) for m in batch] == [(0, 3), (0, 4)]


def test_a_consumer_is_not_idle_until_partitions_are_assigned():
    def wait(_):
        time.sleep(0.05)

    last = Message(b"", 3, error=None)
    moves = [
        lambda c: c.assign(c, partitions(0)),
        lambda c: c.revoke(c, partitions(0)),
        *[wait] * 4,
        lambda c: c.assign(c, partitions(0)),
        last,
    ]
    consumer = Consumer(*moves)
    limits = StreamLimits(max_wait=0, idle_exit=0.1)
    reader = MessageReader(consumer, ["t"], limits, lambda: False)
    assert reader.read_batch(0) == [last]
    assert reader.take_reassignment()
    assert not reader.take_reassignment()
    assert reader.read_batch(1) == []


def test_an_alert_that_the_network_refuses_is_set_aside():
    def refuse(batch):
        if CANDID + 2 in batch.alerts.candid:
            raise ValueError("vectors that are not finite")
        return predict_stub(batch)

    messages = [Message(value, offset) for offset, value in enumerate([*packets(4), b"bad"])]
    sink, letters = Collected(), Collected()
    counts = kafka_stream._process(messages, refuse, sink, letters, StreamCounts())
    assert counts == StreamCounts(read=5, written=3, set_aside=2, alerts=3)
    ((table, ranges),) = sink
    assert table["candid"].to_pylist() == [CANDID, CANDID + 1, CANDID + 3]
    assert ranges == [OffsetRange("t", 0, 0, 4)]
    ((set_aside, _),) = letters
    assert [(each.message.offset(), each.reason) for each in set_aside] == [
        (2, "predict"),
        (4, "avro"),
    ]


def test_a_network_that_refuses_every_alert_is_an_error():
    def refuse(_):
        raise ValueError("broken")

    messages = [Message(value, offset) for offset, value in enumerate(packets(2))]
    letters = Collected()
    with pytest.raises(ValueError, match="broken"):
        kafka_stream._process(messages, refuse, Collected(), letters, StreamCounts())
    assert letters == []


def test_predictions_that_are_fewer_than_the_alerts_are_an_error():
    messages = [Message(value, offset) for offset, value in enumerate(packets(2))]
    with pytest.raises(RuntimeError, match="1 predictions of 2 alerts"):
        kafka_stream._process(
            messages, lambda b: predict_stub(b)[:1], Collected(), Collected(), StreamCounts()
        )


def predictions(*candids, model="stub"):
    return pa.table({"candid": list(candids)}).replace_schema_metadata({"model": model})


def test_a_file_of_the_folder_is_named_by_its_offsets(tmp_path):
    sink = FolderSink(tmp_path)
    sink.refresh()
    ranges = [OffsetRange("t", 0, 3, 5), OffsetRange("t", 2, 1, 1)]
    assert sink.write(predictions(1, 2, 3, 4), ranges) == 4
    assert sink.write(predictions(5), [OffsetRange("t", 0, 6, 6)]) == 1
    # The topic was made again: other alerts have the same offsets.
    assert sink.write(predictions(4, 6), ranges) == 1
    names = ["t-0-3-5-and-1-partitions.2.parquet", "t-0-3-5-and-1-partitions.parquet"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [*names, "t-0-6-6.parquet"]
    assert pq.read_table(tmp_path / names[0])["candid"].to_pylist() == [6]
    metadata = pq.read_schema(tmp_path / names[1]).metadata
    assert metadata[b"offsets"] == (
        b'[{"topic": "t", "partition": 0, "first": 3, "last": 5}, '
        b'{"topic": "t", "partition": 2, "first": 1, "last": 1}]'
    )


def test_a_folder_of_another_model_is_refused(tmp_path):
    sink = FolderSink(tmp_path)
    sink.write(predictions(1), [OffsetRange("t", 0, 0, 0)])
    other = FolderSink(tmp_path)
    other.refresh()
    with pytest.raises(InputError, match="another model"):
        other.write(predictions(2, model="other"), [OffsetRange("t", 0, 1, 1)])
    assert len(list(tmp_path.iterdir())) == 1
    pq.write_table(pa.table({"x": [1]}), tmp_path / "mine.parquet")
    with pytest.raises(InputError, match="mine.parquet"):
        other.refresh()


def test_dead_letters_of_a_folder_replace_those_of_the_same_message(tmp_path):
    letters = FolderDeadLetters(tmp_path / "aside")
    for value in (b"first", None):
        letters.write([kafka_stream.DeadLetter(Message(value, 7), "avro", "no packet")])
    assert (tmp_path / "aside" / "t-0-7.avro").read_bytes() == b""
    assert len(list((tmp_path / "aside").iterdir())) == 2


def command(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["ztfrep", "stream", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return stop.value.code


def test_a_topic_that_does_not_exist_is_one_line(broker, tmp_path, monkeypatch):
    monkeypatch.setattr("ztfrep.streams.stream_predictor.load_predictor", lambda *_, **__: None)
    code = command(monkeypatch, "absent", "--server", broker.server, "--out", tmp_path)
    assert code.startswith(f"error: {broker.server}: topic absent: found no such topic among")
    code = command(monkeypatch, "absent", "--server", broker.server, "--to", "nowhere")
    assert "topic nowhere: found no such topic" in code
    assert "--create-topics" in code
    assert "\n" not in code


@pytest.mark.parametrize("output", ["--out", "--to"])
def test_a_broker_that_does_not_answer_is_one_line_within_the_timeout(
    tmp_path, monkeypatch, output
):
    monkeypatch.setattr("ztfrep.streams.stream_predictor.load_predictor", lambda *_, **__: None)
    server = f"127.0.0.1:{free_port()}"
    target = tmp_path / "out"
    options = ["--server", server, output, target, "--timeout", "0.6"]
    code = command(monkeypatch, "topic", *options, "--set", "sasl.password=hunter2")
    assert code.startswith(f"error: {server}: found _TRANSPORT")
    assert "Connection refused" in code
    assert "expected an answer of a Kafka broker within 0.6 s" in code
    assert "hunter2" not in code


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        # A missing equals sign: the text may be a secret.
        (["--set", "session.timeout.ms"], "'session.timeout.ms' without a value"),
        (["--set", "=5"], "no key"),
        # It would commit before the write.
        (["--set", "enable.auto.commit=true"], "a setting that cannot be changed"),
        # librdkafka has no such setting.
        (["--set", "no.such.setting=1"], 'No such configuration property: "no.such.setting"'),
        (["--set", "sasl.username=me", "--set", "sasl.mechanisms=PLAIN",
          "--set", "security.protocol=SASL_PLAINTEXT"], "must be set"),
        (["--settings", "absent.conf"], "absent.conf: found No such file"),
        (["--to", "topic"], "both --to and --out"),
    ],
)  # fmt: skip
def test_wrong_options_are_one_line(tmp_path, monkeypatch, arguments, expected):
    monkeypatch.setattr("ztfrep.streams.stream_predictor.load_predictor", lambda *_, **__: None)
    options = ["--server", "127.0.0.1:1", "--out", tmp_path, "--timeout", "0.2"]
    code = command(monkeypatch, "topic", *options, *arguments)
    assert expected in code
    assert "\n" not in code


def test_a_secret_is_not_printed(tmp_path, monkeypatch):
    monkeypatch.setattr("ztfrep.streams.stream_predictor.load_predictor", lambda *_, **__: None)
    settings = tmp_path / "broker.conf"
    settings.write_text("# of the broker\n\nsasl.password = hunter2\nsecurity.protocol=hunter2\n")
    code = command(
        monkeypatch, "t", "--server", "127.0.0.1:1", "--out", tmp_path, "--settings", settings
    )
    assert 'Invalid value "***" for configuration property "security.protocol"' in code
    assert "hunter2" not in code


def test_without_the_package_the_command_that_installs_it_is_printed(tmp_path, monkeypatch):
    monkeypatch.setattr("ztfrep.streams.stream_predictor.load_predictor", lambda *_, **__: None)
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    code = command(monkeypatch, "topic", "--server", "127.0.0.1:1", "--out", tmp_path)
    assert 'pip install "ztfrep[stream]"' in code


def test_the_second_signal_ends_the_process():
    from ztfrep.streams.stop_signals import stop_on_signals

    before = signal.getsignal(signal.SIGTERM)
    with stop_on_signals() as stop:
        assert not stop()
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop()
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGTERM) is before
