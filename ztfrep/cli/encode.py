"""The command `ztfrep encode`: alerts to catalogues."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ztfrep.errors import InputError

if TYPE_CHECKING:
    from ztfrep.catalogues.packet_encoding import EncodingCounts

_PIPE = Path("-")


def encode(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Packets, archives of packets, folders of them, one alert table, or - for packets "
            "from standard input."
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(help="The catalogue of alerts to write; with --follow, a folder.")
    ] = Path("vectors.parquet"),
    model: Annotated[
        Path | None, typer.Option(help="The folder of an encoder; by default the released one.")
    ] = None,
    previews: Annotated[
        bool, typer.Option(help="Write previews of the stamps, some 11 kB for each alert.")
    ] = True,
    follow: Annotated[
        Path | None,
        typer.Option(help="Encode each archive in this folder, and those that land there later."),
    ] = None,
) -> None:
    """Encode alerts into two tables: NAME.parquet and NAME.objects.parquet.

    An interrupted run goes on where it stopped, if it is started again.

    \b
    ztfrep encode night.tar.gz --out vectors.parquet
    ztfrep encode --follow archives/ --out catalogues/
    """
    from ztfrep.encoders.encoder import load  # Slow to import.

    if bool(paths) == (follow is not None):
        raise InputError(
            "ztfrep encode",
            found="no path" if not paths else "both paths and --follow",
            expected="paths, or --follow FOLDER",
            remedy="see ztfrep encode --help",
        )
    if follow is not None:
        from ztfrep.catalogues.following import follow_folder

        for archive, counts in follow_folder(load(model), follow, out, previews=previews):
            typer.echo(archive)
            _print(counts)
        return
    if paths == [_PIPE]:
        from ztfrep.catalogues.packet_encoding import encode_pipe

        _print(encode_pipe(load(model), sys.stdin.buffer, out, previews=previews))
        return
    from ztfrep.catalogues.encoding import encode_paths

    _print(encode_paths(load(model), paths or [], out, previews=previews))


def _print(counts: "EncodingCounts") -> None:
    typer.echo(
        f"{counts.read:,} read = {counts.alerts:,} written + {counts.duplicates:,} duplicates "
        f"+ {counts.bad:,} bad; {counts.objects:,} objects"
    )
    for path in counts.files:
        typer.echo(path)
