"""The command `ztfrep stream`: predictions of the alerts of a Kafka topic."""

from pathlib import Path
from typing import Annotated

import typer

from ztfrep.errors import InputError


def stream(
    topics: Annotated[
        list[str],
        typer.Argument(help="The topics to read; one that begins with ^ is a pattern of names."),
    ],
    server: Annotated[str, typer.Option(help="HOST:PORT of a broker, or several with commas.")],
    to: Annotated[str | None, typer.Option(help="The topic to write predictions to.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="The folder to write Parquet files to, in place of --to.")
    ] = None,
    dead_letters: Annotated[
        str | None,
        typer.Option(
            help="The topic for messages that cannot be read. By default TO.dead-letters with "
            "--to, files in OUT/_dead_letters with --out."
        ),
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="The folder of an encoder; by default the released one.")
    ] = None,
    group: Annotated[
        str, typer.Option(help="The consumer group: its consumers share the partitions.")
    ] = "ztfrep",
    settings: Annotated[
        Path | None,
        typer.Option(help="A file of librdkafka's settings, key=value a line, such as a password."),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting of librdkafka as key=value; may be repeated."),
    ] = None,
    to_server: Annotated[
        str | None, typer.Option(help="The broker to write to, if it is another one.")
    ] = None,
    to_settings: Annotated[
        Path | None, typer.Option(help="The file of settings for --to-server.")
    ] = None,
    create_topics: Annotated[
        bool, typer.Option("--create-topics", help="Create the topics to write to, if absent.")
    ] = False,
    batch_size: Annotated[int, typer.Option(min=1, max=10_000, help="Messages of a batch.")] = 256,
    max_wait: Annotated[
        float, typer.Option(min=0, help="Seconds after which a batch is processed as it is.")
    ] = 5.0,
    max_messages: Annotated[
        int | None, typer.Option(min=1, help="Stop after this number of messages.")
    ] = None,
    idle_exit: Annotated[
        float | None, typer.Option(min=0, help="Stop after this number of seconds without one.")
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds to wait for the broker's first answer.")
    ] = 30.0,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda or cuda:N; a GPU if there is one.")
    ] = None,
) -> None:
    """Predict the alerts of a Kafka topic as they arrive.

    A message is one alert packet, as ZTF distributes it. Offsets are committed after the
    predictions are stored: an alert may be written twice after a crash, but none is lost.

    \b
    ztfrep stream ztf_20200101_programid1 --server localhost:9092 --to ztf_vectors
    ztfrep stream '^ztf_.*' --server HOST:9092 --settings broker.conf --out vectors/
    """
    if (to is None) == (out is None):
        raise InputError(
            "ztfrep stream",
            found="neither --to nor --out" if to is None else "both --to and --out",
            expected="one of them",
            remedy="pass --to TOPIC or --out FOLDER",
        )
    # Slow to import.
    from ztfrep.streams.kafka_clients import parse_settings, read_settings
    from ztfrep.streams.kafka_stream import process_stream
    from ztfrep.streams.message_batches import StreamLimits
    from ztfrep.streams.stop_signals import stop_on_signals
    from ztfrep.streams.stream_destinations import open_outputs
    from ztfrep.streams.stream_predictor import load_predictor

    own = {**(read_settings(settings) if settings else {}), **parse_settings(set_ or [])}
    theirs = own if to_server is None else {}
    sink, letters = open_outputs(
        to_server or server,
        {**theirs, **(read_settings(to_settings) if to_settings else {})},
        topic=to,
        folder=out,
        dead_letter_topic=dead_letters,
        create=create_topics,
        timeout=timeout,
    )
    predict_batch = load_predictor(model, device=device)
    with stop_on_signals() as stop:
        counts = process_stream(
            server,
            {"group.id": group, **own},
            topics,
            predict_batch,
            sink,
            letters,
            limits=StreamLimits(batch_size, max_wait, max_messages, idle_exit),
            timeout=timeout,
            stop=stop,
            progress=True,
        )
    typer.echo(counts.describe())
