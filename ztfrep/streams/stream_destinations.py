"""The outputs of a stream by their names: topics of a broker, or a folder."""

from pathlib import Path

from ztfrep.streams.folder_outputs import FolderDeadLetters, FolderSink
from ztfrep.streams.kafka_clients import Settings, create_topics, open_producer
from ztfrep.streams.stream_outputs import DeadLetters, PredictionSink
from ztfrep.streams.topic_outputs import TopicDeadLetters, TopicSink

# The folder of set-aside messages, which readers of data sets skip by its first character.
DEAD_LETTER_FOLDER = "_dead_letters"


def open_outputs(
    server: str,
    settings: Settings,
    *,
    topic: str | None = None,
    folder: Path | None = None,
    dead_letter_topic: str | None = None,
    create: bool = False,
    timeout: float = 30.0,
) -> tuple[PredictionSink, DeadLetters]:
    """Return where predictions and unreadable messages are written: a topic or a folder.

    Set-aside messages are written to `dead_letter_topic`: by default `topic` with `.dead-letters`
    after it, or a subfolder of `folder`. With `create`, absent topics are created. Raises
    InputError as `open_producer` does.
    """
    if topic is not None and dead_letter_topic is None:
        dead_letter_topic = f"{topic}.dead-letters"
    topics = [name for name in (topic, dead_letter_topic) if name is not None]
    if topics and create:
        create_topics(server, settings, topics, timeout)
    producer = open_producer(server, settings, topics, timeout) if topics else None
    sink: PredictionSink
    letters: DeadLetters
    if producer is not None and topic is not None:
        sink = TopicSink(producer, topic)
    elif folder is not None:
        sink = FolderSink(folder)
    else:
        raise ValueError("neither a topic nor a folder")
    if producer is not None and dead_letter_topic is not None:
        letters = TopicDeadLetters(producer, dead_letter_topic)
    elif folder is not None:
        letters = FolderDeadLetters(folder / DEAD_LETTER_FOLDER)
    return sink, letters
