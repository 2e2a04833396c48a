"""Time and memory of the simulated survey, and of only pickling and writing the same arrays.

python -m benchmarks.survey --scale 1.0 --folder /absolute/folder
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from benchmarks.measuring import measure, save
from ztfrep.sources.simulation.survey import SERIES, STAMPS

SAMPLE = "from ztfrep.cli import main; main()"
# The usual way: all arrays in memory, then pickle.dump. Its reading is not counted as its time.
BASELINE = """
import json, os, pickle, sys, time
content = [pickle.load(open(path, "rb")) for path in sys.argv[2:]]
start = time.perf_counter()
for part, path in zip(content, sys.argv[2:]):
    with open(path + ".copy", "wb") as file:
        pickle.dump(part, file, protocol=4)
        os.fsync(file.fileno())
json.dump(time.perf_counter() - start, open(sys.argv[1], "w"))
"""


def main() -> None:
    """Simulate once, and write the same arrays once, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="1.0 writes 5 GB, twice")
    parser.add_argument("--folder", type=Path, help="of a disk with that much space")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        command = ["sample", str(folder), "--scale", str(options.scale)]
        ours = measure([sys.executable, "-c", SAMPLE, *command])
        paths = [folder / name for name in (STAMPS, SERIES)]
        seconds = folder / "seconds.json"
        usual = measure([sys.executable, "-c", BASELINE, str(seconds), *map(str, paths)])
        written = json.loads(seconds.read_text(encoding="utf-8"))
        is_same = all(path.stat().st_size == Path(f"{path}.copy").stat().st_size for path in paths)
        save(
            "survey",
            {
                "scale": options.scale,
                "pickles_mib": round(sum(path.stat().st_size for path in paths) / 2**20),
                "survey_seconds": ours.seconds,
                "survey_peak_anonymous_mib": ours.peak_mib,
                "pickle_dump_seconds": round(written, 2),
                "pickle_dump_peak_anonymous_mib": usual.peak_mib,
                "time_ratio": round(ours.seconds / written, 2),
                "memory_ratio": round(ours.peak_mib / usual.peak_mib, 3),
                "same_length": is_same,
            },
        )


if __name__ == "__main__":
    main()
