"""Conversion and encoding on a Dask cluster of one worker and of two, and without a cluster.

python -m benchmarks.cluster /absolute/folder/of/archives --copies 4

The schedulers and workers are started by their own commands. All runs have the same input, and
alternate, so that other work on the machine slows each of them. A worker has one thread.
"""

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path

from threadpoolctl import threadpool_limits

import ztfrep
from benchmarks.measuring import save
from benchmarks.repeated_packets import repeat_packets
from ztfrep.data.files import scratch_folder
from ztfrep.data.splits import Splitting
from ztfrep.encoders.vectors_of_tables import encode_alert_table
from ztfrep.parallel.cluster_address import VARIABLE
from ztfrep.parallel.open_workers import open_workers
from ztfrep.sources.packets.archives import make_readers
from ztfrep.sources.packets.batch_store import fill_batch_store
from ztfrep.sources.packets.folders import find_files
from ztfrep.sources.packets.labels import no_labels
from ztfrep.sources.packets.packet_tables import write_packet_tables

MODEL = Path(ztfrep.__file__).parent / "released/autoencoder"
DASK = Path(sys.executable).with_name("dask")
NAMES = ("none", "1 worker", "2 workers")


def main() -> None:
    """Measure reading of packets, conversion and encoding, and compare the bytes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archives", type=Path, help="holds real alert packets")
    parser.add_argument("--copies", type=int, default=4, help="times that each packet is repeated")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        alerts = repeat_packets(options.archives, folder / "packets", options.copies)
        files = find_files(folder / "packets").packets
        addresses = {"none": "none"} | {
            f"{number} worker{'s' * (number > 1)}": stack.enter_context(_cluster(number, folder))
            for number in (1, 2)
        }
        seconds: dict[str, dict[str, float]] = {}
        checksums: dict[str, set[str]] = {}

        def measure(step: str, run: Callable[[Path], None]) -> None:
            times: dict[str, list[float]] = {name: [] for name in NAMES}
            # The first round compiles, and brings the files into memory.
            for _ in range(options.repeats + 1):
                for cluster in NAMES:
                    os.environ[VARIABLE] = addresses[cluster]
                    output = folder / "output"
                    output.mkdir(exist_ok=True)
                    start = time.perf_counter()
                    run(output)
                    times[cluster].append(time.perf_counter() - start)
                    checksums.setdefault(step, set()).add(_checksum(output))
            seconds[step] = {name: round(min(t[1:]), 2) for name, t in times.items()}

        stored = 0

        def read(output: Path) -> None:
            nonlocal stored
            with scratch_folder(output / "store") as store:
                with open_workers(1, "reading") as workers:
                    fill_batch_store(make_readers(files), store, workers)
                stored = sum(path.stat().st_size for path in store.iterdir())

        def convert(output: Path) -> None:
            write_packet_tables(
                make_readers(files), no_labels(), output / "stamps.parquet",
                output / "series.parquet", output / "bad.csv", splitting=Splitting(0.05, 40, 7),
                max_bad_fraction=0.01, threads=1, source="packets",
            )  # fmt: skip

        def encode(output: Path) -> None:
            encode_alert_table(
                output / "stamps.parquet", MODEL, output / "base.npy",
                batch_size=128, precision="float32", threads=1,
            )  # fmt: skip

        with threadpool_limits(limits=1):
            measure("read", read)
            measure("convert", convert)
            measure("encode", encode)
        output = folder / "output"
        tables = [(output / f"{table}.parquet").stat().st_size for table in ("stamps", "series")]
        packets = sum(file.stat().st_size for file in files)
        vectors = (output / "base.npy").stat().st_size
    save(
        "cluster",
        {
            "alerts": alerts,
            "seconds": seconds,
            "same_bytes": all(len(found) == 1 for found in checksums.values()),
            "alerts_per_second_and_worker": {
                step: round(alerts / seconds[step]["1 worker"]) for step in seconds
            },
            "fraction_of_perfect": {
                step: round(s["1 worker"] / (2 * s["2 workers"]), 3) for step, s in seconds.items()
            },
            "bytes_per_alert": {
                "packets": round(packets / alerts),
                "stamps_table": round(tables[0] / alerts),
                "batch_store": round(stored / alerts),
                "series_table": round(tables[1] / alerts),
                "vectors": round(vectors / alerts),
            },
        },
    )


@contextmanager
def _cluster(workers: int, folder: Path) -> Iterator[str]:
    """Start a scheduler and workers by their commands; yield the address."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = str(listener.getsockname()[1])
    address = f"tcp://127.0.0.1:{port}"
    scheduler = ["scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard"]
    worker = ["worker", address, "--nthreads", "1", "--nworkers", str(workers), "--no-dashboard"]
    worker += ["--local-directory", str(folder / f"scratch-{workers}")]
    # As docs/performance.md says.
    name = "DASK_DISTRIBUTED__NANNY__PRE_SPAWN_ENVIRON"
    environment = os.environ | {name: '{"MALLOC_TRIM_THRESHOLD_": None}'}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    processes = [
        subprocess.Popen([DASK, *command], env=environment, **quiet)
        for command in (scheduler, worker)
    ]
    try:
        from distributed import Client

        with Client(address, timeout=60, set_as_default=False) as client:
            client.wait_for_workers(workers, timeout=60)
        yield address
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait(60)


def _checksum(folder: Path) -> str:
    content = sha256()
    for path in sorted(folder.iterdir()):
        if path.is_file():
            content.update(path.name.encode() + path.read_bytes())
    return content.hexdigest()


if __name__ == "__main__":
    main()
