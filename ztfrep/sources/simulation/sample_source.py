"""The sample: a simulated survey, written as the two published pickles."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from ztfrep.fields import Seed, Table
from ztfrep.sources.base import Manifest
from ztfrep.sources.manifest import describe_file
from ztfrep.sources.pickles.pickle_source import PickleSource


class SampleConfig(Table):
    """The simulated survey."""

    scale: Annotated[float, Field(gt=0, le=1)]
    """1.0 is the published size; Validation and Test never shrink."""
    seed: Seed
    """Seed of the simulation: another seed is another sky."""


class SampleSource(PickleSource[SampleConfig]):
    """A simulated survey."""

    Config = SampleConfig

    def fetch(self, config: SampleConfig, raw_folder: Path, cache_folder: Path) -> Manifest:
        """Simulate the survey; write its two pickles to `raw_folder`."""
        from ztfrep.sources.simulation.survey import write_survey  # Slow to import.

        stamps, series = write_survey(raw_folder, scale=config.scale, seed=config.seed)
        return {"stamps": describe_file(stamps), "series": describe_file(series)}
