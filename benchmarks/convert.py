"""Memory and time of `convert` on pickles of full size, with pickle.load as the baseline.

ztfrep sample /absolute/folder --scale 1.0
python -m benchmarks.convert /absolute/folder
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.measuring import measure, save
from ztfrep.sources.simulation.survey import SERIES, STAMPS

ROOT = Path(__file__).parents[1]
BASELINE = "import pickle, sys; [pickle.load(open(path, 'rb')) for path in sys.argv[1:]]"


def main() -> None:
    """Convert once, and load once, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="holds the two pickles of `ztfrep sample`")
    paths = [parser.parse_args().folder.resolve() / name for name in (STAMPS, SERIES)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "data/raw").mkdir(parents=True)
        shutil.copy(ROOT / "params.yaml", folder)
        manifest: dict[str, object] = {"source": "local"} | {
            table: {"path": str(path), "bytes": path.stat().st_size}
            for table, path in zip(("stamps", "series"), paths, strict=True)
        }
        (folder / "data/raw/manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        ours = measure([sys.executable, "-m", "stages.convert"], cwd=folder, env=environment)
        tables = sum(path.stat().st_size for path in (folder / "data/parquet").iterdir())
    baseline = measure([sys.executable, "-c", BASELINE, *map(str, paths)])
    save(
        "convert",
        {
            "pickles_mib": round(sum(path.stat().st_size for path in paths) / 2**20),
            "tables_mib": round(tables / 2**20),
            "convert_seconds": ours.seconds,
            "convert_peak_anonymous_mib": ours.peak_mib,
            "pickle_load_seconds": baseline.seconds,
            "pickle_load_peak_anonymous_mib": baseline.peak_mib,
            "memory_ratio": round(ours.peak_mib / baseline.peak_mib, 3),
        },
    )


if __name__ == "__main__":
    main()
