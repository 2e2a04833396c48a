"""Archives of real packets, repeated under new ids: a run that is long enough to be measured."""

import io
import tarfile
from pathlib import Path
from typing import Any

import fastavro
from tqdm import tqdm

from ztfrep.sources.packets.archives import read_files
from ztfrep.sources.packets.folders import find_files
from ztfrep.sources.packets.packet_reader import Packet


def repeat_packets(archives: Path, folder: Path, copies: int) -> int:
    """Write the packets of a folder `copies` times, with new ids; return their number.

    The new folder has a tar.gz archive for each copy.
    """
    folder.mkdir()
    written = 0
    for copy in range(copies):
        with tarfile.open(folder / f"ztf_public_{copy}.tar.gz", "w:gz", compresslevel=1) as archive:
            packets = (p for p in read_files(find_files(archives).packets) if isinstance(p, Packet))
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
    # A prefix, not a suffix: adjacent copies in a table would compress better than real alerts.
    alert["objectId"] = f"{copy}_{alert['objectId']}"
    for record in (alert, alert["candidate"], *(alert["prv_candidates"] or [])):
        # The leading digits of a candid are changed: the last ones number the alerts of an image.
        if record.get("candid") is not None:
            record["candid"] += 100_000_000_000_000_000 * copy
    file = io.BytesIO()
    fastavro.writer(file, reader.writer_schema, [alert])
    return file.getvalue()
