"""Batches of messages of a Kafka consumer, and the commits of their offsets."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ztfrep.streams.kafka_clients import import_kafka, kafka_error

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

# Seconds of a call of the client: a signal is handled after it.
_POLL = 0.2


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


class MessageReader:
    """Reads the messages of topics in batches, and commits the offsets of batches.

    The messages of a partition that another consumer gets are dropped from the batch at hand.
    """

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

    def commit(self, messages: Sequence["Message"]) -> None:
        """Commit the offsets of messages that are written; raise InputError if that is not allowed.

        A commit that fails since the partitions have another consumer, or since the broker is
        absent, is a warning: the messages are delivered again.
        """
        kafka = import_kafka()
        # The last message of each partition: its offset is not the largest if offsets were reset.
        last = {(m.topic(), m.partition()): m for m in messages}
        offsets = [kafka.TopicPartition(*key, (m.offset() or 0) + 1) for key, m in last.items()]
        try:
            committed = self._consumer.commit(offsets=offsets, asynchronous=False)
            errors = [part.error for part in committed or [] if part.error is not None]
        except kafka.KafkaException as error:
            errors = [error.args[0]]
        if errors:
            _raise_if_lasting(errors[0])
            logging.warning(
                "offsets are not committed: %s; the messages will be delivered again",
                errors[0].str(),
            )

    def lag(self) -> int:
        """Return the number of messages in the partitions of this consumer that it has not read."""
        lag = 0
        for part in self._consumer.position(self._consumer.assignment()):
            _, high = self._consumer.get_watermark_offsets(part, cached=True)
            lag += max(0, high - part.offset) if part.offset >= 0 else 0
        return lag

    def _assign(self, consumer: "Consumer", partitions: list["TopicPartition"]) -> None:
        self._assigned_at = time.monotonic()
        self._reassigned = True

    def _revoke(self, consumer: "Consumer", partitions: list["TopicPartition"]) -> None:
        # Until partitions are assigned again, the consumer is not idle but waits.
        self._assigned_at = None
        # None of them is written: their next consumer reads them from the committed offset.
        revoked = {(part.topic, part.partition) for part in partitions}
        self._batch[:] = [m for m in self._batch if (m.topic(), m.partition()) not in revoked]


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
