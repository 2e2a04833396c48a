"""Conversion of archives of alert packets, with the usual loop of fastavro and astropy as baseline.

python -m benchmarks.packets /absolute/folder/of/archives --copies 4

The packets are repeated under new names, so that the run is long enough to be measured. The usual
loop reads the same archives, one packet after the other: only schema, metadata and stamps. It
computes no features, finds no duplicates and writes nothing.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.measuring import measure, save
from benchmarks.repeated_packets import repeat_packets

OURS = """
import sys, logging
from pathlib import Path
from ztfrep.sources.packets.archives import make_readers
from ztfrep.sources.packets.folders import find_files
from ztfrep.sources.packets.labels import no_labels
from ztfrep.data.splits import Splitting
from ztfrep.sources.packets.packet_tables import write_packet_tables
folder, out, threads = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
counts = write_packet_tables(
    make_readers(find_files(folder).packets), no_labels(),
    out / "stamps.parquet", out / "series.parquet", out / "bad.csv",
    splitting=Splitting(0.05, 40, 7), max_bad_fraction=0.01, threads=threads,
    source=str(folder),
)
assert counts["packets"]["bad"] == 0, counts["packets"]
"""
USUAL = """
import sys
from pathlib import Path
from benchmarks.usual_packets import read_usually
for _ in read_usually(Path(sys.argv[1])):
    pass
"""


def main() -> None:
    """Measure both on the same archives, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archives", type=Path, help="holds real alert packets")
    parser.add_argument("--copies", type=int, default=4, help="times that each packet is repeated")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        n_large = repeat_packets(options.archives, folder / "large", options.copies)
        n_small = repeat_packets(options.archives, folder / "small", options.threads)
        threads = str(options.threads)
        seconds: dict[tuple[str, str], float] = {}
        peaks: dict[str, float] = {}
        for size in ("small", "large"):
            for method, program in (("ours", OURS), ("usual", USUAL)):
                command = [sys.executable, "-c", program, str(folder / size), name, threads]
                runs = [measure(command) for _ in range(options.repeats)]
                # The first run compiles, and brings the files into memory.
                seconds[method, size] = min(run.seconds for run in runs)
                if method == "ours":
                    peaks[size] = max(run.peak_mib for run in runs)
    # Python takes seconds to start. The difference of two runs is the rate without the start.
    rate = {
        method: (n_large - n_small) / (seconds[method, "large"] - seconds[method, "small"])
        for method in ("ours", "usual")
    }
    save(
        "packets",
        {
            "packets": [n_small, n_large],
            "threads": options.threads,
            "seconds": [seconds["ours", "small"], seconds["ours", "large"]],
            "usual_seconds": [seconds["usual", "small"], seconds["usual", "large"]],
            "packets_per_second": round(rate["ours"]),
            "usual_packets_per_second": round(rate["usual"]),
            "ratio": round(rate["ours"] / rate["usual"], 2),
            "ratio_with_start": round(seconds["usual", "large"] / seconds["ours", "large"], 2),
            "peak_anonymous_mib": [peaks["small"], peaks["large"]],
        },
    )


if __name__ == "__main__":
    main()
