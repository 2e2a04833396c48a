"""Archives of alert packets to Parquet, beside the usual loop of fastavro and astropy.

python -m benchmarks.packets /absolute/folder/of/archives --copies 4

The packets are repeated under new names, so that the run is long enough to be measured; the usual
loop reads the same archives into the same values, one packet after the other, and writes nothing.
"""

import argparse
import io
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import fastavro
from tqdm import tqdm

from benchmarks.measuring import measure, save
from ztfrep.sources.archives import find_files, read_files
from ztfrep.sources.packets import Packet

OURS = """
import sys, logging
from pathlib import Path
from ztfrep.sources.archives import find_files, read_files
from ztfrep.sources.labels import no_labels
from ztfrep.sources.nights import Splitting, write_nights
folder, out, threads = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
counts = write_nights(
    read_files(find_files(folder)), no_labels(), out / "stamps.parquet", out / "series.parquet",
    out / "bad.csv", splitting=Splitting(0.05, 40, 7), max_bad_fraction=0.01, threads=threads,
    source=str(folder),
)
assert counts["packets"]["bad"] == 0, counts["packets"]
"""
# What most notebooks do: every packet's schema is parsed anew, and astropy opens every stamp.
USUAL = """
import gzip, io, sys, tarfile
from pathlib import Path
import fastavro, numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
for path in sorted(Path(sys.argv[1]).iterdir()):
    with tarfile.open(path) as archive:
        for member in archive:
            for alert in fastavro.reader(io.BytesIO(archive.extractfile(member).read())):
                stamps = []
                for name in ("Science", "Template", "Difference"):
                    packed = alert["cutout" + name]["stampData"]
                    with gzip.open(io.BytesIO(packed)) as unpacked:
                        with fits.open(io.BytesIO(unpacked.read())) as units:
                            stamps.append(np.array(units[0].data, dtype=np.float32))
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
        packets = _repeat(options.archives, folder / "many", options.copies)
        few = _repeat(options.archives, folder / "few", 1)
        once = [sys.executable, "-c", OURS, str(folder / "few"), name, str(options.threads)]
        measure(once)  # Compiles, and brings the files into memory.
        small = measure(once)
        ours, usual = [], []
        for _ in range(options.repeats):
            ours.append(measure([sys.executable, "-c", OURS, str(folder / "many"), name, once[-1]]))
            usual.append(measure([sys.executable, "-c", USUAL, str(folder / "many")]))
    seconds, usual_seconds = (min(m.seconds for m in runs) for runs in (ours, usual))
    save(
        "packets",
        {
            "packets": packets,
            "threads": options.threads,
            "seconds": [m.seconds for m in ours],
            "packets_per_second": round(packets / seconds),
            "packets_per_second_beyond_start": round((packets - few) / (seconds - small.seconds)),
            "usual_seconds": [m.seconds for m in usual],
            "usual_packets_per_second": round(packets / usual_seconds),
            "ratio": round(usual_seconds / seconds, 2),
            "peak_anonymous_mib": {few: small.peak_mib, packets: max(m.peak_mib for m in ours)},
        },
    )


def _repeat(archives: Path, folder: Path, copies: int) -> int:
    """Write the packets `copies` times as tar.gz archives, under new candids and objects; count."""
    folder.mkdir()
    written = 0
    for copy in range(copies):
        with tarfile.open(folder / f"ztf_public_{copy}.tar.gz", "w:gz", compresslevel=1) as archive:
            packets = (p for p in read_files(find_files(archives)) if isinstance(p, Packet))
            for packet in tqdm(packets, desc=f"copy {copy + 1} of {copies}", disable=None):
                data = _renamed(packet.data, copy)
                member = tarfile.TarInfo(Path(packet.name.rpartition(":")[2]).name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
                written += 1
    return written


def _renamed(data: bytes, copy: int) -> bytes:
    reader = fastavro.reader(io.BytesIO(data))
    alert: Any = next(iter(reader))
    # In front: copies side by side in a table would compress as no real alerts do.
    alert["objectId"] = f"{copy}_{alert['objectId']}"
    for epoch in (alert, alert["candidate"], *(alert["prv_candidates"] or [])):
        # A candid's last three digits number the alerts of one image: there is room above them.
        if epoch.get("candid") is not None:
            epoch["candid"] += 100_000_000_000_000_000 * copy
    file = io.BytesIO()
    fastavro.writer(file, reader.writer_schema, [alert])
    return file.getvalue()


if __name__ == "__main__":
    main()
