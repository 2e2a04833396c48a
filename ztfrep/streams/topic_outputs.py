"""Predictions and set-aside messages as messages of Kafka topics."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ztfrep.errors import InputError
from ztfrep.streams.kafka_clients import import_kafka, kafka_error
from ztfrep.streams.prediction_records import prediction_messages
from ztfrep.streams.stream_outputs import DeadLetter, OffsetRange

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message, Producer


class TopicSink:
    """Writes one message per alert to a topic; see `prediction_records`."""

    def __init__(self, producer: "Producer", topic: str) -> None:
        self._producer, self._topic = producer, topic

    def refresh(self) -> None:
        """Do nothing: a redelivered alert is written again, with the same candid."""

    def write(self, predictions: pa.Table, ranges: Sequence[OffsetRange]) -> int:
        """Write the predictions; return when all brokers in sync have them."""
        delivery = _Delivery(self._producer, self._topic)
        for message in prediction_messages(predictions):
            delivery.send(message._asdict())
        for _, error in delivery.wait():
            raise delivery.error(error)
        return len(predictions)


class TopicDeadLetters:
    """Writes messages that cannot be read to a topic, with the original key, bytes and headers.

    Headers `reason`, `detail`, `topic`, `partition` and `offset` are added. A message that is too
    large for the topic is written without its bytes: it must not block the others.
    """

    def __init__(self, producer: "Producer", topic: str) -> None:
        self._producer, self._topic = producer, topic

    def write(self, letters: Sequence[DeadLetter]) -> None:
        """Write the messages; return when all brokers in sync have them."""
        too_large = import_kafka().KafkaError.MSG_SIZE_TOO_LARGE
        delivery = _Delivery(self._producer, self._topic)
        for letter in letters:
            delivery.send(_topic_letter(letter))
        failed = delivery.wait()
        for message, error in failed:
            if error.code() != too_large:
                raise delivery.error(error)
            size = str(len(message["value"])).encode()
            headers = [*message["headers"], ("omitted_bytes", size)]
            delivery.send({**message, "value": None, "headers": headers})
        for _, error in delivery.wait():
            raise delivery.error(error)


def _topic_letter(letter: DeadLetter) -> dict[str, Any]:
    message = letter.message
    headers = list(message.headers() or [])
    headers += [(name, str(value).encode()) for name, value in letter.describe().items()]
    return {"key": message.key(), "value": message.value(), "headers": headers}


class _Delivery:
    """Messages on their way to a topic, and those that did not arrive, with the error."""

    def __init__(self, producer: "Producer", topic: str) -> None:
        self._producer, self._topic = producer, topic
        self._failed: list[tuple[dict[str, Any], KafkaError]] = []

    def send(self, message: dict[str, Any]) -> None:
        """Send a message: the keyword arguments of `produce`."""

        def report(error: "KafkaError | None", _: "Message") -> None:
            if error is not None:
                self._failed.append((message, error))

        while True:
            try:
                self._producer.produce(self._topic, **message, on_delivery=report)
                return
            except BufferError:  # The queue is full.
                self._producer.poll(0.1)
            except import_kafka().KafkaException as error:  # Refused at once, as by its size.
                self._failed.append((message, error.args[0]))
                return

    def wait(self) -> list[tuple[dict[str, Any], "KafkaError"]]:
        """Wait for the answers to all messages; return the messages that failed, and forget them.

        librdkafka gives up on a message after `message.timeout.ms`, 5 minutes by default.
        """
        # In parts, so that a signal is handled.
        while self._producer.flush(0.5):
            pass
        failed, self._failed = self._failed, []
        return failed

    def error(self, error: "KafkaError") -> InputError:
        """Return the error for a message that did not arrive."""
        return kafka_error(
            f"topic {self._topic}",
            error,
            expected="that the broker stores each message",
            remedy="correct the broker, and run the same command again: nothing is lost",
        )
