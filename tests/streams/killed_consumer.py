"""A consumer that is killed after it has written a batch, before it commits the batch.

python -m tests.streams.killed_consumer SERVER GROUP TOPIC OUTPUT BATCHES
"""

import os
import signal
import sys

from tests.kafka_broker import SETTINGS, predict_stub
from ztfrep.streams.kafka_stream import process_stream
from ztfrep.streams.message_batches import StreamLimits
from ztfrep.streams.stream_destinations import open_outputs


def main():
    server, group, topic, output, batches = sys.argv[1:]
    sink, letters = open_outputs(server, {}, topic=output, create=True)
    write = sink.write
    written = []

    def write_and_die(*arguments):
        written.append(write(*arguments))
        if len(written) == int(batches):
            os.kill(os.getpid(), signal.SIGKILL)
        return written[-1]

    sink.write = write_and_die
    process_stream(
        server,
        {**SETTINGS, "group.id": group},
        [topic],
        predict_stub,
        sink,
        letters,
        limits=StreamLimits(batch_size=10, max_wait=2),
    )


if __name__ == "__main__":
    main()
