"""Archives of packets to vectors by `ztfrep encode`, with the usual loop as baseline.

python -m benchmarks.encode_packets /absolute/folder/of/archives --copies 8

The usual loop reads a packet after the other with fastavro, opens its stamps with astropy, and
encodes 128 alerts at a time with the same network; it writes a Parquet file of vectors. It finds no
duplicates, computes no series of objects, probabilities or scores, and excludes alerts whose stamps
are not 63 x 63. `reading` decodes the packets as ours does, in one process, and uses nothing of it.

The packets are repeated under new names, so that the run is long enough to be measured. Python
takes seconds to start: the difference of two runs of different sizes is the rate without the start.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.measuring import child_seconds, measure, save
from benchmarks.repeated_packets import repeat_packets

OURS = "import sys; from ztfrep.cli import main; sys.argv[0] = 'ztfrep'; main()"
USUAL = """
import sys
from pathlib import Path
import numpy as np, pyarrow as pa, pyarrow.parquet as pq
import ztfrep
from benchmarks.usual_packets import read_usually
from ztfrep.data.features import ALERCE_FEATURES
encoder = ztfrep.load()
candids, vectors = [], []

def encode(alerts):
    stamps = np.stack([stamps for _, stamps in alerts])
    candidates = [alert["candidate"] for alert, _ in alerts]
    metadata = {
        name: np.array([np.nan if c[name] is None else c[name] for c in candidates], float)
        for name in ALERCE_FEATURES.names if name in candidates[0] and name != "isdiffpos"
    }
    metadata["isdiffpos"] = np.array([c["isdiffpos"] in ("f", "0") for c in candidates], float)
    vectors.append(encoder.encode_stamps(stamps, metadata))
    candids.extend(alert["candid"] for alert, _ in alerts)

waiting = []
for alert, stamps in read_usually(Path(sys.argv[1])):
    if all(stamp.shape == (63, 63) for stamp in stamps):
        waiting.append((alert, np.stack(stamps)))
    if len(waiting) == 128:
        encode(waiting)
        waiting = []
if waiting:
    encode(waiting)
flat = pa.array(np.concatenate(vectors).ravel())
vector = pa.FixedSizeListArray.from_arrays(flat, vectors[0].shape[1])
pq.write_table(pa.table({"candid": candids, "vector": vector}), sys.argv[2], compression="zstd")
"""
READING = """
import sys
from pathlib import Path
from ztfrep.sources.packets.archives import read_files
from ztfrep.sources.packets.packet_reader import Packet, decode_batches
packets = (p for p in read_files(sorted(Path(sys.argv[1]).iterdir())) if isinstance(p, Packet))
assert sum(len(batch.object_id) for batch in decode_batches(packets))
"""


class Cost(NamedTuple):
    """The cost of a run: wall-clock seconds, processor seconds, peak anonymous memory in MiB."""

    seconds: float
    processor_seconds: float
    peak_mib: float


def main() -> None:
    """Measure all on the same archives, each in a process of its own, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archives", type=Path, help="holds real alert packets")
    parser.add_argument("--copies", type=int, default=8, help="times that each packet is repeated")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    costs: dict[tuple[str, str], list[Cost]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # Two archives at least: as many as a small machine has cores.
        packets = {
            size: repeat_packets(options.archives, folder / size, copies)
            for size, copies in (("small", 2), ("large", options.copies))
        }
        for _ in range(options.repeats):
            for size in packets:
                for method, command in _commands(folder / size, folder / "out.parquet").items():
                    costs.setdefault((method, size), []).append(_cost(command))
    result: dict[str, Any] = {"packets": list(packets.values())}
    for method in _commands(Path(), Path()):
        result[method] = _summary(packets, costs[method, "small"], costs[method, "large"])
    for key in ("packets_per_second", "packets_per_second_with_start"):
        ratio = result["ours"][key] / result["usual"][key]
        result["ratio" + key.removeprefix("packets_per_second")] = round(ratio, 2)
    save("encode_packets", result)


def _commands(archives: Path, out: Path) -> dict[str, list[str]]:
    python = [sys.executable, "-c"]
    ours = [*python, OURS, "encode", str(archives), "--out", str(out)]
    return {
        "ours": [*ours, "--no-previews"],
        "ours_with_previews": ours,
        "usual": [*python, USUAL, str(archives), str(out)],
        "reading": [*python, READING, str(archives)],
    }


def _cost(command: list[str]) -> Cost:
    before = child_seconds()
    run = measure(command)
    return Cost(run.seconds, round(child_seconds() - before, 2), run.peak_mib)


def _summary(packets: dict[str, int], small: list[Cost], large: list[Cost]) -> dict[str, Any]:
    n = packets["large"] - packets["small"]
    # The first run compiles, and brings the files into memory.
    seconds, processor = (
        [min(cost[column] for cost in costs) for costs in (small, large)] for column in (0, 1)
    )
    return {
        "packets_per_second": round(n / (seconds[1] - seconds[0])),
        "packets_per_second_with_start": round(packets["large"] / seconds[1]),
        "processor_ms_per_packet": round(1000 * (processor[1] - processor[0]) / n, 3),
        "seconds": seconds,
        "processor_seconds": processor,
        "peak_anonymous_mib": [max(cost.peak_mib for cost in costs) for costs in (small, large)],
    }


if __name__ == "__main__":
    main()
