"""Time and memory of `convert` on pickles of full size, beside copying bytes and pickle.load.

The copy reads every byte of the two pickles and writes as many of them as the tables have, synced
to the disk as the tables are. Before each run the pickles are read once, and what other runs wrote
is on the disk.

ztfrep sample /absolute/folder --scale 1.0
python -m benchmarks.convert /absolute/folder
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.measuring import Measured, measure, save
from ztfrep.sources.simulation.survey import SERIES, STAMPS

ROOT = Path(__file__).parents[1]
LOAD = "import pickle, sys; [pickle.load(open(path, 'rb')) for path in sys.argv[1:]]"
COPY = """
import os, sys
left = int(sys.argv[2])
with open(sys.argv[1], "wb") as copy:
    for path in sys.argv[3:]:
        with open(path, "rb") as file:
            while block := file.read(1 << 22):
                left -= copy.write(block[:left])
    os.fsync(copy.fileno())
"""


def main() -> None:
    """Convert and copy in turn, then load once, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="holds the two pickles of `ztfrep sample`")
    parser.add_argument("--rounds", type=int, default=3, help="medians of so many are written")
    parser.add_argument("--outputs", type=Path, help="folder of a disk with 7 GB of space")
    options = parser.parse_args()
    paths = [options.folder.resolve() / name for name in (STAMPS, SERIES)]
    converted, copied = [], []
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory(dir=options.outputs) as name:
            folder = Path(name)
            ours = _convert(folder, paths)
            tables = sum(path.stat().st_size for path in (folder / "data/parquet").iterdir())
            converted.append(ours)
            arguments = [str(folder / "copy"), str(tables), *map(str, paths)]
            copied.append(_run([sys.executable, "-c", COPY, *arguments], paths))
    loaded = _run([sys.executable, "-c", LOAD, *map(str, paths)], paths)
    pickles = sum(path.stat().st_size for path in paths)
    seconds = statistics.median(run.seconds for run in converted)
    copy_seconds = statistics.median(run.seconds for run in copied)
    peak = max(run.peak_mib for run in converted)
    save(
        "convert",
        {
            "pickles_mib": round(pickles / 2**20),
            "tables_mib": round(tables / 2**20),
            "rounds": options.rounds,
            "convert_seconds": seconds,
            "convert_mib_per_second": round(pickles / 2**20 / seconds),
            "convert_peak_anonymous_mib": peak,
            "copy_seconds": copy_seconds,
            "fraction_of_the_rate_of_copying": round(copy_seconds / seconds, 2),
            "pickle_load_seconds": loaded.seconds,
            "pickle_load_peak_anonymous_mib": loaded.peak_mib,
            "memory_ratio": round(peak / loaded.peak_mib, 3),
        },
    )


def _convert(folder: Path, paths: Sequence[Path]) -> Measured:
    (folder / "data/raw").mkdir(parents=True)
    shutil.copy(ROOT / "params.yaml", folder)
    manifest: dict[str, object] = {"source": "local"} | {
        table: {"path": str(path), "bytes": path.stat().st_size}
        for table, path in zip(("stamps", "series"), paths, strict=True)
    }
    (folder / "data/raw/manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "stages.convert"]
    return _run(command, paths, cwd=folder, env=environment)


def _run(command: Sequence[str], inputs: Sequence[Path], **options: Any) -> Measured:
    """Measure a command whose inputs the system has just read."""
    for path in inputs:
        with path.open("rb") as file:
            while file.read(1 << 22):
                pass
    os.sync()
    return measure(command, **options)


if __name__ == "__main__":
    main()
