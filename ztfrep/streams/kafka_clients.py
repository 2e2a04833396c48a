"""Clients of a Kafka broker: their settings, the first connection, and errors in one line."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ztfrep.errors import InputError, quote

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError, Producer

Settings = Mapping[str, str | int | bool]

# Settings on which the guarantees rest, by the client that has them.
_CONSUMER_RULES: Settings = {"enable.auto.commit": False, "enable.auto.offset.store": False}
_PRODUCER_RULES: Settings = {"acks": "all", "enable.idempotence": True}
# A set-aside message may be larger than the 1 MB that librdkafka sends by default; the broker has
# a limit of its own. Errors are reported by the callback, not by librdkafka's log.
_CONSUMER_DEFAULTS: Settings = {
    "group.id": "ztfrep",
    "auto.offset.reset": "earliest",
    "log_level": 0,
}
_PRODUCER_DEFAULTS: Settings = {"message.max.bytes": 64 << 20, "linger.ms": 5, "log_level": 0}
# Parts of the names of settings whose values are never printed.
_SECRETS = ("password", "secret", "username", "token", "pem", "oauthbearer.config")
_MAX_SETTINGS_BYTES = 1 << 20
# Seconds between two warnings that no broker can be reached.
_WARNING_INTERVAL = 60.0


def parse_settings(pairs: Sequence[str], where: str = "--set") -> dict[str, str]:
    """Return settings of librdkafka from texts `key=value`.

    Raises InputError for a text without a key, and for a setting that would void the guarantees. No
    error quotes a value, since it may be a secret.
    """
    settings: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        key = key.strip()
        if not equals or not key:
            raise InputError(
                where,
                found=f"{quote(key)} without a value" if key and not equals else "no key",
                expected="key=value",
                remedy="see the list of librdkafka's settings, such as session.timeout.ms=6000",
            )
        if key in {**_CONSUMER_RULES, **_PRODUCER_RULES}:
            raise InputError(
                f"{where}: {key}",
                found="a value for a setting that cannot be changed",
                expected="other settings: offsets are committed after the write",
                remedy="remove it",
            )
        settings[key] = value.strip()
    return settings


def read_settings(path: Path) -> dict[str, str]:
    """Read settings from a file with a line `key=value` each; lines that begin with # are comments.

    Raises InputError for a file that cannot be read, and as `parse_settings` does.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_SETTINGS_BYTES + 1).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        found = error.strerror if isinstance(error, OSError) else "bytes that are no text"
        raise InputError(
            path, found=str(found), expected="lines of key=value", remedy="correct the path"
        ) from error
    if len(text) > _MAX_SETTINGS_BYTES:
        expected = f"at most {_MAX_SETTINGS_BYTES:,} bytes of settings"
        raise InputError(path, found="a larger file", expected=expected, remedy="correct the path")
    lines = [line.strip() for line in text.splitlines()]
    return parse_settings([line for line in lines if line and line[0] != "#"], str(path))


def open_consumer(
    server: str, settings: Settings, topics: Sequence[str], timeout: float
) -> "Consumer":
    """Return a consumer of a broker, not yet subscribed to the topics, which exist.

    A topic that begins with `^` is a pattern, which need not match anything yet. Raises InputError
    if the broker does not answer within `timeout` seconds, refuses the user or lacks a topic, or if
    a setting is wrong.
    """
    kafka = import_kafka()
    settings = {**_CONSUMER_DEFAULTS, **settings, **_CONSUMER_RULES}
    with _refused_settings(settings):
        errors = _ErrorLog(server, settings)
        consumer = kafka.Consumer({**settings, "bootstrap.servers": server, "error_cb": errors.add})
    try:
        names = [name for name in topics if not name.startswith("^")]
        errors.check(consumer, names, timeout, "correct the name of the topic")
    except BaseException:
        consumer.close()
        raise
    return consumer


def open_producer(
    server: str, settings: Settings, topics: Sequence[str], timeout: float
) -> "Producer":
    """Return a producer for topics of a broker, which exist; raises as `open_consumer` does."""
    kafka = import_kafka()
    settings = {**_PRODUCER_DEFAULTS, **settings, **_PRODUCER_RULES}
    with _refused_settings(settings):
        errors = _ErrorLog(server, settings)
        producer = kafka.Producer({**settings, "bootstrap.servers": server, "error_cb": errors.add})
    errors.check(producer, topics, timeout, "create it, or pass --create-topics")
    return producer


def create_topics(server: str, settings: Settings, topics: Sequence[str], timeout: float) -> None:
    """Create the topics that do not exist, with the broker's own partitions and replication.

    Raises InputError if the broker does not answer or does not let this user create one.
    """
    kafka = import_kafka()
    producer = open_producer(server, settings, (), timeout)
    existing = producer.list_topics(timeout=timeout).topics
    admin = import_module("confluent_kafka.admin")
    client = admin.AdminClient({"log_level": 0, **settings, "bootstrap.servers": server})
    new = [admin.NewTopic(topic) for topic in topics if topic not in existing]
    for topic, created in (client.create_topics(new) if new else {}).items():
        try:
            created.result(timeout)
        except kafka.KafkaException as error:
            if error.args[0].code() != kafka.KafkaError.TOPIC_ALREADY_EXISTS:
                raise kafka_error(
                    f"{server}: topic {topic}",
                    error.args[0],
                    expected="a topic that can be created",
                    remedy="ask whoever runs the broker to create it",
                ) from error


def import_kafka() -> Any:
    """Return the module confluent_kafka; raises InputError with the command that installs it."""
    try:
        return import_module("confluent_kafka")
    except ImportError as error:
        raise InputError(
            "ztfrep stream",
            found="no package confluent-kafka",
            expected="the client of Kafka",
            remedy='pip install "ztfrep[stream]"',
        ) from error


def kafka_error(where: str, error: "KafkaError", *, expected: str, remedy: str) -> InputError:
    """Return the InputError for an error of librdkafka, by its name and its own words."""
    found = f"{error.name()} ({quote(error.str(), 200)[1:-1]})"
    return InputError(where, found=found, expected=expected, remedy=remedy)


@contextmanager
def _refused_settings(settings: Settings) -> Iterator[None]:
    """Convert the error for a setting that librdkafka refuses to InputError, without secrets."""
    kafka = import_kafka()
    try:
        yield
    except kafka.KafkaException as error:
        raise InputError(
            "the settings of the broker",
            found=_without_secrets(error.args[0].str(), settings),
            expected="settings of librdkafka",
            remedy="correct --set or the file of --settings",
        ) from None


def _without_secrets(text: str, settings: Settings) -> str:
    for key, value in settings.items():
        if any(part in key for part in _SECRETS) and value:
            text = text.replace(str(value), "***")
    return " ".join(text.split())[:300]


class _ErrorLog:
    """The errors that a client reports by its callback, about brokers that it cannot reach."""

    def __init__(self, server: str, settings: Settings) -> None:
        self._server = server
        self._settings = settings
        # Of the first connection; then None, and errors are warnings.
        self._first: KafkaError | None = None
        self._connected = False
        self._warned_at = -_WARNING_INTERVAL

    def add(self, error: "KafkaError") -> None:
        """Keep the first error until the client is connected; then log it, if it lasts."""
        if not self._connected:
            self._first = self._first or error
        elif (now := time.monotonic()) - self._warned_at > _WARNING_INTERVAL:
            self._warned_at = now
            text = _without_secrets(error.str(), self._settings)
            logging.warning("%s: %s (%s); trying again", self._server, error.name(), text)

    def check(self, client: Any, topics: Sequence[str], timeout: float, remedy: str) -> None:
        """Raise InputError if the broker does not answer, or if it lacks one of the topics."""
        kafka = import_kafka()
        deadline = time.monotonic() + timeout
        while True:
            left = deadline - time.monotonic()
            try:
                # Of all topics: to ask for one by name may create it. In parts, since a refused
                # user is reported by the callback, and librdkafka would try until the end.
                existing = client.list_topics(timeout=max(0.01, min(left, 1.0))).topics
                break
            except kafka.KafkaException as error:
                client.poll(0)
                first = self._first
                refused = first is not None and first.code() in (
                    kafka.KafkaError._AUTHENTICATION,
                    kafka.KafkaError._SSL,
                )
                if left > 1.0 and not refused:
                    continue
                cause = first or error.args[0]
                raise InputError(
                    self._server,
                    found=f"{cause.name()} ({_without_secrets(cause.str(), self._settings)})",
                    expected=f"an answer of a Kafka broker within {timeout:g} s",
                    remedy="correct --server or the user and password in --settings, or start the "
                    "broker",
                ) from error
        self._connected = True
        for topic in topics:
            if topic not in existing or existing[topic].error is not None:
                raise InputError(
                    f"{self._server}: topic {quote(topic, 250)[1:-1]}",
                    found=f"no such topic among {len(existing)}",
                    expected="a topic that exists and that this user may read or write",
                    remedy=remedy,
                )
