"""Alert packets: a folder, an archive or a packet, and a table of labels."""

import logging
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from ztfrep.data.splits import SPLITS, Splitting
from ztfrep.errors import InputError
from ztfrep.fields import FilePath, Table, resolve_path
from ztfrep.sources.base import Counts, Manifest, Source, TablePaths, require_path
from ztfrep.sources.manifest import describe_file, unchanged_path


class PacketConfig(Table):
    """Alert packets, and a table of labels, as absolute paths."""

    path: FilePath
    """/absolute/path of a folder, an archive (*.tar.gz, *.zip, ...) or a packet (*.avro)."""
    labels: FilePath
    """/absolute/path of a CSV or Parquet table with candid or object_id, and a class."""
    label_column: Annotated[str, Field(min_length=1, max_length=200)]
    """Name of the column of the class."""
    class_map: FilePath
    """/absolute/path of a YAML file that maps a catalogue's classes onto ours, before the
    shipped map does."""
    broken_archives: Literal["stop", "keep"]
    """stop: the alerts after the break are lost, so convert stops |
    keep: go on, with a warning, with what could be read."""
    max_bad_fraction: Annotated[float, Field(ge=0, le=1)]
    """Fraction of packets that cannot be read beyond which convert stops."""


class PacketSource(Source[PacketConfig]):
    """Alert packets."""

    Config = PacketConfig

    def fetch(self, config: PacketConfig, raw_folder: Path, cache_folder: Path) -> Manifest:
        """Return the manifest of the files at the path and of the labels, which are not copied."""
        from ztfrep.sources.packets.folders import behind_links, find_files  # Slow to import.

        path = require_path("sources.alerts.path", config.path, "alert packets", folder=True)
        files = find_files(path)
        if linked := behind_links(path, files.packets):
            logging.warning(
                "%d files are in linked folders, the first is %s: DVC does not notice when these "
                "change; run dvc repro --force fetch then",
                len(linked),
                linked[0],
            )
        manifest: Manifest = {
            "packets": [describe_file(file) for file in files.packets],
            "ignored": [file._asdict() for file in files.ignored],
        }
        for name in ("labels", "class_map"):
            file = resolve_path(f"sources.alerts.{name}", getattr(config, name))
            if file is not None:
                manifest[name] = describe_file(file)
        return manifest

    def convert(
        self,
        manifest: Manifest,
        config: PacketConfig,
        tables: TablePaths,
        *,
        splitting: Splitting,
        threads: int,
    ) -> Counts:
        """Convert the packets: each alert once, objects split and in time order."""
        # Slow to import.
        from ztfrep.data.alert_schema import CLASSES
        from ztfrep.data.class_map import read_class_map
        from ztfrep.sources.label_coverage import count_packets, warn_of_unscored
        from ztfrep.sources.packets.archives import make_readers
        from ztfrep.sources.packets.entries import IgnoredEntry
        from ztfrep.sources.packets.label_reader import read_labels
        from ztfrep.sources.packets.labels import no_labels
        from ztfrep.sources.packets.packet_tables import write_packet_tables

        class_map = read_class_map()
        if "class_map" in manifest:
            path = unchanged_path(manifest["class_map"])
            class_map = read_class_map(path, classes=CLASSES, default=True)
        labels = no_labels()
        if "labels" in manifest:
            path = unchanged_path(manifest["labels"])
            labels = read_labels(path, config.label_column, class_map)
        counts: Counts = write_packet_tables(
            make_readers(unchanged_path(record) for record in manifest["packets"]),
            labels,
            tables.stamps,
            tables.series,
            tables.failures,
            splitting=splitting,
            max_bad_fraction=config.max_bad_fraction,
            threads=threads,
            source=config.path,
            broken_archives=config.broken_archives,
            ignored=[IgnoredEntry(**file) for file in manifest["ignored"]],
        )
        objects = {split: counts["series"][split]["objects"] for split in SPLITS}
        if not all(objects.values()):
            raise InputError(
                config.path,
                found=", ".join(f"{n} {split} objects" for split, n in objects.items()),
                expected="objects in every split: three or more of a class, or without a label",
                remedy="give more alerts",
            )
        warn_of_unscored(*count_packets(counts))
        return counts
