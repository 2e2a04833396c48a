"""The command `ztfrep sample`: the simulated survey."""

from pathlib import Path
from typing import Annotated

import typer


def sample(
    directory: Annotated[Path, typer.Argument(help="The folder to write to.")],
    packets: Annotated[
        bool,
        typer.Option(
            "--packets",
            help="Write nightly archives of alert packets and labels.csv, their true classes, in "
            "place of the two pickles. The folder must be new or empty.",
        ),
    ] = False,
    scale: Annotated[
        float,
        typer.Option(help="1.0 is the published size: 50,582 stamps, or 72,500 alert packets."),
    ] = 0.03,
    seed: Annotated[int, typer.Option(min=0, help="Another seed is another sky.")] = 7,
) -> None:
    """Write the simulated survey as the two published pickles, or as alert packets.

    \b
    Example: an archive to try the other commands on
      ztfrep sample --packets nights
    """
    # Slow to import.
    if packets:
        from ztfrep.sources.simulation.night_archives import write_night_archives

        written = write_night_archives(directory, scale=scale, seed=seed)
        typer.echo(
            f"{directory}: {written.alerts:,} alerts of {written.objects:,} objects in "
            f"{len(written.archives)} nights"
        )
        typer.echo(written.labels)
        return
    from ztfrep.sources.simulation.survey import write_survey

    for path in write_survey(directory, scale=scale, seed=seed):
        typer.echo(path)
