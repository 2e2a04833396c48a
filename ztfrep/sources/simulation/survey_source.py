"""The survey: the simulated survey as alert packets, converted as real ones are."""

import shutil
from pathlib import Path
from typing import Annotated

from pydantic import Field

from ztfrep.data.splits import Splitting
from ztfrep.fields import NO_FILE, Seed, Table
from ztfrep.sources.base import Counts, Manifest, Source, TablePaths
from ztfrep.sources.manifest import describe_file
from ztfrep.sources.packets.packet_source import PacketConfig, PacketSource


class SurveyConfig(Table):
    """The simulated survey as alert packets."""

    scale: Annotated[float, Field(gt=0, le=1)]
    """1.0 is 72,500 alerts; no class has fewer than 60 objects."""
    seed: Seed
    """Seed of the simulation: another seed is another sky."""


class SurveySource(Source[SurveyConfig]):
    """The simulated survey as alert packets."""

    Config = SurveyConfig

    def fetch(self, config: SurveyConfig, raw_folder: Path, cache_folder: Path) -> Manifest:
        """Simulate the survey; write its packets and their classes to `raw_folder`/packets."""
        from ztfrep.sources.simulation.night_archives import write_night_archives  # Slow to import.

        folder = raw_folder / "packets"
        # The packets of a fetch by hand; DVC removes the whole folder itself.
        shutil.rmtree(folder, ignore_errors=True)
        written = write_night_archives(folder, scale=config.scale, seed=config.seed)
        return {
            "packets": [describe_file(archive) for archive in written.archives],
            "ignored": [],
            "labels": describe_file(written.labels),
        }

    def convert(
        self,
        manifest: Manifest,
        config: SurveyConfig,
        tables: TablePaths,
        *,
        splitting: Splitting,
        threads: int,
    ) -> Counts:
        """Convert the packets as those of the source `alerts`; all of them must be readable."""
        packets = PacketConfig(
            path="the simulated survey",
            labels=NO_FILE,  # The manifest has them.
            label_column="class",
            class_map=NO_FILE,
            broken_archives="stop",
            max_bad_fraction=0.0,
        )
        return PacketSource().convert(
            manifest, packets, tables, splitting=splitting, threads=threads
        )
