"""A writer of the simulated survey as nightly archives of alert packets, and a table of classes."""

import csv
import gzip
import io
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from ztfrep.data.alert_schema import CLASSES
from ztfrep.data.files import replacing_folder
from ztfrep.errors import InputError
from ztfrep.sources.simulation.measurements import Measurements, draw_measurements
from ztfrep.sources.simulation.packet_records import Packets, encode_packet, night_date
from ztfrep.sources.simulation.packet_stamps import render_stamps
from ztfrep.sources.simulation.schedule import Schedule, draw_schedule
from ztfrep.sources.simulation.survey_objects import SurveyObjects, draw_objects

LABELS = "labels.csv"
_BATCH = 200  # Alerts that are rendered at once


class NightArchives(NamedTuple):
    """What was written: the archives in order of time, the labels, and numbers of contents."""

    archives: list[Path]
    labels: Path
    alerts: int
    objects: int


class _Alert(NamedTuple):
    night: int
    object_id: str
    candid: int
    label: str
    packet: bytes


def write_night_archives(
    folder: str | Path, *, scale: float, seed: int, progress: bool = True
) -> NightArchives:
    """Simulate the survey, and write its alerts as a folder of one archive per night.

    The archives are `ztf_public_YYYYMMDD.tar.gz`, and hold an Avro file of ZTF's schema 4.02 per
    alert. `labels.csv` has the columns candid, object_id and class, a row per alert. Light curves
    are in memory, 300 MB at `scale` 1.0 (72,500 alerts); packets are not. The same scale and seed
    write the same bytes. The folder appears whole or not at all. Raises InputError for a scale
    outside (0, 1], and for a path that is in use.
    """
    folder = Path(folder)
    if not 0 < scale <= 1:
        raise InputError(
            "sources.survey.scale", found=f"{scale}", expected="more than 0, at most 1",
            remedy="1.0 is 72,500 alerts",
        )  # fmt: skip
    _require_unused(folder)
    schedule = draw_schedule(np.random.default_rng([seed, 4]))
    objects = draw_objects(schedule, scale=scale, seed=seed, progress=progress)
    measured = draw_measurements(objects, schedule, seed=seed)
    with replacing_folder(folder) as temporary:
        temporary.mkdir()
        alerts = _simulate(objects, schedule, measured, seed, progress)
        names = _write(temporary, alerts)
        # Another process may have used the path in the meantime.
        _require_unused(folder)
    return NightArchives(
        [folder / name for name in names],
        folder / LABELS,
        int(objects.observations.has_packet.sum()),
        len(objects.scenes),
    )


def _require_unused(folder: Path) -> None:
    if folder.is_symlink() or folder.exists():
        used = not folder.is_dir() or folder.is_symlink() or any(folder.iterdir())
        if used:
            raise InputError(
                folder,
                found="a folder with files" if folder.is_dir() else "a file",
                expected="a folder that is new or empty",
                remedy="write the packets to another folder",
            )


def _simulate(
    objects: SurveyObjects,
    schedule: Schedule,
    measured: Measurements,
    seed: int,
    progress: bool,
) -> Iterator[_Alert]:
    """Yield the alerts in order of nights, and of candids on a night."""
    packets = Packets(objects, schedule, measured)
    # Candids of a night grow with time, but for the signs of those of one image.
    order = np.lexsort((measured.columns["jd"], measured.columns["nid"]))
    order = order[objects.observations.has_packet[measured.observation[order]]]
    labels = objects.scenes.label[objects.observations.object[measured.observation]]
    with tqdm(
        total=len(order),
        desc="write packets",
        unit=" alerts",
        disable=None if progress else True,
    ) as bar:
        for batch, start in enumerate(range(0, len(order), _BATCH)):
            rows = order[start : start + _BATCH]
            # Each batch has its own random numbers, and does not depend on the others.
            stamps = render_stamps(
                objects,
                schedule,
                measured.observation[rows],
                measured.pixel[rows],
                seed=seed,
                rng=np.random.default_rng([seed, 9, batch]),
            )
            for row, record in zip(rows, packets.records(rows, stamps), strict=True):
                yield _Alert(
                    int(measured.columns["nid"][row]),
                    record["objectId"],
                    record["candid"],
                    CLASSES[labels[row]],
                    encode_packet(record),
                )
                bar.update()


def _write(folder: Path, alerts: Iterator[_Alert]) -> list[str]:
    """Write an archive per night and the labels; return the names of the archives."""
    names: list[str] = []
    night = None
    with ExitStack() as files:
        table = files.enter_context((folder / LABELS).open("w", newline="", encoding="utf-8"))
        rows = csv.writer(table, lineterminator="\n")
        rows.writerow(["candid", "object_id", "class"])
        archive = ExitStack()
        files.push(archive)
        for alert in alerts:
            if alert.night != night:
                archive.close()
                night = alert.night
                names.append(f"ztf_public_{night_date(night)}.tar.gz")
                tar = _open_archive(folder / names[-1], archive)
            member = tarfile.TarInfo(f"{alert.candid}.avro")
            member.size = len(alert.packet)
            tar.addfile(member, io.BytesIO(alert.packet))
            rows.writerow([alert.candid, alert.object_id, alert.label])
    return names


def _open_archive(path: Path, files: ExitStack) -> tarfile.TarFile:
    """Open an archive whose bytes depend on its members alone: without a name and a date."""
    file = files.enter_context(path.open("wb"))
    # Stamps are compressed already.
    compressed = files.enter_context(
        gzip.GzipFile(filename="", mode="wb", compresslevel=1, fileobj=file, mtime=0)
    )
    return files.enter_context(
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.USTAR_FORMAT)
    )
