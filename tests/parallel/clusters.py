"""Clusters by the commands that an operator runs, and the runs that are compared on them."""

import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from tests.alert_packets import CANDID, alert, observation, packet
from tests.alert_tables import alert_rows, write_table
from tests.model_folders import save
from ztfrep.data.alert_schema import SERIES_CLASSES
from ztfrep.data.splits import Splitting
from ztfrep.encoders.vectors_of_tables import encode_alert_table, encode_series_table
from ztfrep.sources.packets.archives import make_readers
from ztfrep.sources.packets.labels import no_labels
from ztfrep.sources.packets.packet_tables import write_packet_tables

ROOT = Path(__file__).parents[2]
DASK = Path(sys.executable).with_name("dask")


@contextmanager
def started(*arguments, path=ROOT):
    """Run a command of dask until the block ends."""
    environment = os.environ | {"PYTHONPATH": str(path)}
    process = subprocess.Popen(
        [DASK, *arguments], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def scheduler(**options):
    """Start a scheduler; yield its address and its process."""
    port = free_port()
    command = ("scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard")
    with started(*command, **options) as process:
        limit = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert time.monotonic() < limit
                time.sleep(0.1)
        yield f"tcp://127.0.0.1:{port}", process


def worker(address, folder, **options):
    """Start a worker of one thread."""
    return started(
        "worker", address, "--nthreads", "1", "--no-dashboard", "--local-directory", str(folder),
        "--death-timeout", "60", **options,
    )  # fmt: skip


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Runs:
    """The input of a conversion and two encodings, and the bytes that they write."""

    def __init__(self, folder):
        self.folder = folder
        self.packets = folder / "packets"
        self.packets.mkdir()
        for number in range(40):
            prior = [observation(2458000.5 + number + day) for day in range(3)]
            record = alert(f"ZTF{number % 30:04d}", candid=CANDID + 1000 + number, prior=prior)
            (self.packets / f"{number:02}.avro").write_bytes(packet(record))
        (self.packets / "damaged.avro").write_bytes(packet(record)[:-100])
        splits = ["train"] * 100 + ["validation"] * 30 + ["test"] * 20
        rows = alert_rows(150, split=splits)
        self.table = write_table(folder / "stamps.parquet", rows).path
        objects = [f"A{row // 3}" for row in range(150)]
        series = alert_rows(
            150, seed=1, object_id=objects, detection=np.arange(150) % 3,
            label=np.arange(150) // 3 % 3, split=["train"] * 90 + ["test"] * 60,
        )  # fmt: skip
        self.series = write_table(folder / "series.parquet", series, classes=SERIES_CLASSES).path
        self.model = folder / "model"
        save(self.model, "alert-invariant")

    def convert(self, output):
        files = sorted(self.packets.iterdir())
        # Several readers, as of several archives.
        groups = [files[start : start + 7] for start in range(0, len(files), 7)]
        counts = write_packet_tables(
            [reader for group in groups for reader in make_readers(group)],
            no_labels(), output / "s.parquet", output / "t.parquet", output / "bad.csv",
            splitting=Splitting(0.1, 2, 1), max_bad_fraction=0.1, threads=1, source="packets",
        )  # fmt: skip
        assert counts["packets"]["bad"] == 1

    def encode(self, output):
        options = {"batch_size": 3, "precision": "float32", "threads": 1}
        encode_alert_table(self.table, self.model, output / "base.npy", **options)
        encode_series_table(
            self.series, self.model, output / "none", output / "series.npy",
            output / "observations.parquet", **options,
        )  # fmt: skip

    def content(self, name):
        """Run all; return the bytes of every file by name."""
        output = self.folder / name
        output.mkdir()
        for run in (self.convert, self.encode):
            run(output)
        return {path.name: path.read_bytes() for path in sorted(output.iterdir())}
