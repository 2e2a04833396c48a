"""The command `ztfrep explore`: the map of a catalogue in the browser."""

from pathlib import Path
from typing import Annotated

import typer


def explore(
    catalogue: Annotated[
        Path, typer.Argument(help="The catalogue to show, of alerts or of objects.")
    ] = Path("vectors.parquet"),
    labels: Annotated[
        Path | None,
        typer.Option(help="Your own classes: a CSV of candid or object_id, and class."),
    ] = None,
    label_column: Annotated[
        str, typer.Option(help="The column of the classes in --labels.")
    ] = "class",
    projection: Annotated[
        list[str] | None,
        typer.Option(help="umap, pca or tsne; may be repeated, the first is shown first."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of UMAP; others need none.")] = 7,
    port: Annotated[
        int, typer.Option(help="The port on this machine; 0 for any that is free.")
    ] = 8765,
    folder: Annotated[
        Path | None,
        typer.Option(help="Write the map to this folder, which opens from the disk, and end."),
    ] = None,
    open_page: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Show the vectors of a catalogue as a map, with stamps, light curves and neighbours.

    It is served on this machine alone until Ctrl-C. The projections are stored beside the
    catalogue, as NAME.projections. The package needs its extra explore, or --projection pca.

    \b
    ztfrep explore vectors.parquet
    ztfrep explore vectors.objects.parquet --labels mine.csv --projection pca
    ztfrep explore vectors.parquet --folder map
    """
    from ztfrep.explorer.catalogue_map import make_map  # Slow to import.
    from ztfrep.explorer.map_folder import ROWS_PER_FILE, check_folder, write_folder
    from ztfrep.explorer.map_server import MapServer

    if folder is not None:
        check_folder(folder)
    files = make_map(
        catalogue,
        labels=labels,
        label_column=label_column,
        projections=projection or (),
        seed=seed,
        rows_per_file=1 if folder is None else ROWS_PER_FILE,
    )
    rows = f"{catalogue}: {len(files):,} {files.catalogue.info.rows}"
    if folder is not None:
        size = write_folder(files, folder)
        typer.echo(f"{rows}, {size / 1e6:,.1f} MB")
        page = folder / "index.html"
        typer.echo(page)
        if open_page:
            typer.launch(page.absolute().as_uri())
        return
    with MapServer(files, port) as server:
        typer.echo(f"{rows} at {server.url} until Ctrl-C")
        if open_page:
            typer.launch(server.url)
        server.serve_forever()
