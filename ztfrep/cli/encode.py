"""The command `ztfrep encode`: packets to catalogues."""

from pathlib import Path
from typing import Annotated

import typer


def encode(
    paths: Annotated[
        list[Path],
        typer.Argument(help="Packets, archives of packets, folders of them, or an alert table."),
    ],
    out: Annotated[Path, typer.Option(help="The catalogue of alerts to write.")] = Path(
        "vectors.parquet"
    ),
    model: Annotated[Path, typer.Option(help="The folder of the encoder.")] = Path("data/models"),
    previews: Annotated[
        bool, typer.Option(help="Write previews of the stamps, some 11 kB for each alert.")
    ] = True,
) -> None:
    """Encode alerts into two tables: NAME.parquet and NAME.objects.parquet.

    An interrupted run goes on where it stopped.

    \b
    ztfrep encode night.tar.gz --out vectors.parquet
    """
    from ztfrep.catalogues.encoding import encode_paths  # Slow to import.
    from ztfrep.encoders.encoder import load

    counts = encode_paths(load(model), paths, out, previews=previews)
    typer.echo(
        f"{counts.read:,} read = {counts.alerts:,} written + {counts.duplicates:,} duplicates "
        f"+ {counts.bad:,} bad; {counts.objects:,} objects"
    )
    for path in counts.files:
        typer.echo(path)
