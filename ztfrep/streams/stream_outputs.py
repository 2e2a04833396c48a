"""What a stream writes to: predictions, and messages that are set aside.

A method returns when everything that it was given is stored; an error means that none of it may be
counted as stored.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import pyarrow as pa

if TYPE_CHECKING:
    from confluent_kafka import Message


class OffsetRange(NamedTuple):
    """Messages of a partition of a topic, from offset `first` to offset `last`."""

    topic: str
    partition: int
    first: int
    last: int


class DeadLetter(NamedTuple):
    """A message that cannot be read, with the reason that is counted and a description."""

    message: "Message"
    reason: str
    detail: str

    def describe(self) -> dict[str, Any]:
        """Return the reasons and where the message comes from."""
        return {
            "reason": self.reason,
            "detail": self.detail,
            "topic": self.message.topic(),
            "partition": self.message.partition(),
            "offset": self.message.offset(),
        }


class PredictionSink(Protocol):
    """Where predictions are written."""

    def refresh(self) -> None:
        """Take note that other consumers may have written before this one got its partitions."""

    def write(self, predictions: pa.Table, ranges: Sequence[OffsetRange]) -> int:
        """Store the predictions of messages; return the number of alerts that were stored.

        An alert that is stored already may be left out.
        """


class DeadLetters(Protocol):
    """Where messages that cannot be read are set aside."""

    def write(self, letters: Sequence[DeadLetter]) -> None:
        """Store messages with the reasons."""
