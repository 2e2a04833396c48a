"""Alerts of packets in memory: those of files and folders, and the series of their objects."""

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import pandas as pd

from ztfrep.data.alerts import Alerts
from ztfrep.data.features import ALERCE_FEATURES, PHYSICAL
from ztfrep.data.frames import to_frame
from ztfrep.errors import InputError
from ztfrep.parallel.process_pool import open_processes
from ztfrep.sources.packets.archives import make_readers
from ztfrep.sources.packets.batch_store import (
    IGNORED_PREFIX,
    StoredPixels,
    fill_batch_store,
    open_batch_store,
)
from ztfrep.sources.packets.entries import IgnoredEntry
from ztfrep.sources.packets.folders import find_files
from ztfrep.sources.packets.observation_queries import create_observations, query_observations
from ztfrep.sources.packets.unread import query_unread

_ALERTS = f"""
SELECT batch, row, object_id, candid, mjd, fid, {", ".join(ALERCE_FEATURES.names)}
FROM unique_alerts ORDER BY batch, row
"""


class PacketContents(NamedTuple):
    """The n alerts of packets, and the m observations of their objects.

    `alerts` has `object_id`, `candid` (int64), `mjd` (days) and `fid`, a row per alert in the order
    of reading. `stamps` is float32 `(n, 3, 63, 63)`, science, template and difference, in counts,
    NaN where not observed. `features` is float64 `(n, features)` in the order of `ALERCE_FEATURES`
    and in physical units, NaN where missing.

    `observations` has `object_id`, `candid` (Int64, null for an upper limit), `mjd` (days), `fid`,
    `magpsf`, `sigmapsf` and `diffmaglim` (mag), and `alert` (int64): the row in `alerts`, -1 for a
    detection without stamps and for an upper limit. It is sorted by object and time.

    `unread` has `name`, `reason` and `detail` of every file, member and packet that was not read;
    the reason of an ignored file begins with `ignored_`.
    """

    alerts: pd.DataFrame
    stamps: np.ndarray
    features: np.ndarray
    observations: pd.DataFrame
    unread: pd.DataFrame


def read_packets(paths: str | Path | Sequence[str | Path], *, threads: int = 1) -> Alerts:
    """Read the alerts at a path or several: packet files, archives of packets, folders of either.

    Returns the alerts in the order of reading, with the observations of their objects as `history`.
    A repeated alert is read once, as are the observations before alerts. `threads` is the number of
    processes; 1 is this process, and a script that asks for more needs the guard
    `if __name__ == "__main__":`. Logs a warning if packets cannot be read. Raises InputError if a
    path does not exist or if no alert can be read.
    """
    contents = read_packet_contents(paths, threads=threads)
    return Alerts(
        identity=contents.alerts,
        stamps=contents.stamps,
        metadata=contents.features,
        feature_unit=PHYSICAL,
        history=contents.observations,
    )


def read_packet_contents(
    paths: str | Path | Sequence[str | Path], *, threads: int = 1
) -> PacketContents:
    """Read the alerts and observations of packets, and the list of what was not read.

    See `read_packets`. The alerts are stored in a temporary folder first, so that the memory is
    that of the result.
    """
    paths = [paths] if isinstance(paths, str | Path) else list(paths)
    files, ignored = find_files_at([Path(path) for path in paths])
    source = ", ".join(map(str, paths))
    with TemporaryDirectory(prefix="ztfrep-packets-") as name:
        folder = Path(name)
        with open_processes(threads, "reading packets") as workers:
            fill_batch_store(make_readers(files), folder, workers)
        with open_batch_store(folder, threads) as database:
            unread = query_unread(database, ignored).df()
            create_observations(database)
            table = to_frame(database.sql(_ALERTS).to_arrow_table())
            _report_unread(unread, len(table), source)
            observations = to_frame(query_observations(database).to_arrow_table())
        stamps = StoredPixels(folder).read(table["batch"].to_numpy(), table["row"].to_numpy())
    return PacketContents(
        alerts=table[["object_id", "candid", "mjd", "fid"]],
        stamps=stamps,
        features=table[list(ALERCE_FEATURES.names)].to_numpy(np.float64),
        observations=observations.astype({"candid": "Int64"}),
        unread=unread,
    )


def find_files_at(paths: Sequence[Path]) -> tuple[list[Path], list[IgnoredEntry]]:
    """Return the files of packets at all paths, and those that are ignored; see `find_files`.

    Raises InputError if a path does not exist or has no packets.
    """
    files: list[Path] = []
    ignored: list[IgnoredEntry] = []
    for path in paths:
        if not path.exists():
            raise InputError(
                path,
                found="no such file or folder",
                expected="alert packets, archives of them, or folders of either",
                remedy="correct the path",
            )
        files_at_path = find_files(path)
        files += files_at_path.packets
        ignored += files_at_path.ignored
    if not files:
        raise InputError(
            "read_packets", found="no path", expected="one or more", remedy="give a path"
        )
    return files, ignored


def _report_unread(unread: pd.DataFrame, alerts: int, source: str) -> None:
    """Log a warning about packets that cannot be read; raise InputError if no alert can be read."""
    failures = unread[~unread["reason"].str.startswith(IGNORED_PREFIX)]
    counts = Counter(failures["reason"])
    reasons = ", ".join(f"{n} {reason}" for reason, n in sorted(counts.items()))
    first = f"{failures['name'].iloc[0]}: {failures['detail'].iloc[0]}" if counts else ""
    if not alerts:
        problem = f"{reasons}; the first is {first}" if counts else "no packet at all"
        raise InputError(
            source,
            found=f"no alert that can be read ({problem})",
            expected="ZTF alert packets",
            remedy="read other files",
        )
    if counts:
        logging.warning(
            "%s: %d packets cannot be read (%s); the first is %s",
            source,
            counts.total(),
            reasons,
            first,
        )
