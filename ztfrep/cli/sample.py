"""The command `ztfrep sample`: the simulated survey."""

from pathlib import Path
from typing import Annotated

import typer


def sample(
    directory: Annotated[Path, typer.Argument(help="The folder to write the two pickles to.")],
    scale: Annotated[float, typer.Option(help="1.0 is the published size.")] = 0.03,
    seed: Annotated[int, typer.Option(help="Another seed is another sky.")] = 7,
) -> None:
    """Write the simulated survey as the two published pickles."""
    from ztfrep.sources.simulation.survey import write_survey  # Slow to import.

    for path in write_survey(directory, scale=scale, seed=seed):
        typer.echo(path)
