"""The command `ztfrep index`: an index for many searches of a large catalogue."""

from pathlib import Path
from typing import Annotated

import typer


def index(
    catalogue: Annotated[
        Path, typer.Argument(help="The catalogue to index, of alerts or of objects.")
    ] = Path("vectors.parquet"),
) -> None:
    """Write NAME.index beside a catalogue, for ztfrep similar --index.

    It pays for thousands of searches among 100,000 rows or more.
    The package needs its extra index.

    \b
    ztfrep index vectors.parquet
    ztfrep similar night.tar.gz --in vectors.parquet --index --csv similar.csv
    """
    from ztfrep.catalogues.catalogue import read_catalogue  # Slow to import.
    from ztfrep.catalogues.vector_index import write_index

    typer.echo(write_index(read_catalogue(catalogue)))
