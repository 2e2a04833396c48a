"""What a user does beside `dvc repro`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from ztfrep.errors import InputError
from ztfrep.sources.sample import write_survey

app = typer.Typer(
    help="Temporal representations of astronomical alerts.",
    no_args_is_help=True,
    add_completion=False,
)


@app.callback()
def _commands() -> None:
    pass


@app.command()
def sample(
    directory: Annotated[Path, typer.Argument(help="The folder to write the two pickles to.")],
    scale: Annotated[float, typer.Option(help="1.0 is the published size.")] = 0.03,
    seed: Annotated[int, typer.Option(help="Another seed is another sky.")] = 7,
) -> None:
    """Write the simulated survey as the two published pickles."""
    for path in write_survey(directory, scale=scale, seed=seed):
        typer.echo(path)


def main() -> None:
    """Run the command line; an input error is one line and status 1."""
    try:
        app()
    except (InputError, OSError) as error:
        sys.exit(f"error: {' '.join(str(error).split())}")
