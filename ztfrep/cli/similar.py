"""The command `ztfrep similar`: the nearest alerts or objects of a catalogue."""

from pathlib import Path
from typing import Annotated

import typer


def similar(
    query: Annotated[
        str,
        typer.Argument(
            metavar="ID_OR_FILE",
            help="A candid or an object id of the catalogue (in one of alerts: its last alert), "
            "or packets, an archive or a folder of them to encode first.",
        ),
    ],
    catalogue: Annotated[
        Path, typer.Option("--in", help="The catalogue to search, of alerts or of objects.")
    ] = Path("vectors.parquet"),
    k: Annotated[int, typer.Option("-k", min=1, help="Rows of a result.")] = 10,
    other_objects: Annotated[
        bool, typer.Option("--other-objects", help="Leave out the other alerts of its object.")
    ] = False,
    index: Annotated[
        bool, typer.Option("--index", help="Use the index that ztfrep index has written.")
    ] = False,
    model: Annotated[
        Path | None,
        typer.Option(
            help="The folder of the catalogue's encoder, for packets; by default the released one."
        ),
    ] = None,
    pictures: Annotated[
        Path | None, typer.Option(help="Write a page of the stamps or light curves, as PNG.")
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the table as CSV.")] = None,
) -> None:
    """Print the alerts or objects nearest to one, by the cosine distance of their vectors.

    \b
    ztfrep similar ZTF18abcdefg --in vectors.parquet --pictures similar.png
    ztfrep similar 516171791415015025 --in vectors.parquet -k 20 --csv similar.csv
    ztfrep similar new.avro --in vectors.objects.parquet --model data/models
    """
    from ztfrep.catalogues.catalogue import read_catalogue  # Slow to import.
    from ztfrep.catalogues.queries import find_queries
    from ztfrep.catalogues.result_pages import similar_page, write_page
    from ztfrep.catalogues.result_tables import format_table, name_queries, write_csv
    from ztfrep.catalogues.similarity import similar as find_similar
    from ztfrep.catalogues.vector_index import read_index

    searched = read_catalogue(catalogue)
    index_used = read_index(searched) if index else None
    with find_queries(searched, query, model=model, other_objects=other_objects) as queries:
        result = find_similar(
            searched, queries.vectors, k, excluded=queries.excluded, index=index_used
        )
        page = None if pictures is None else similar_page(queries, searched, result)
        table = name_queries(result, queries)
    typer.echo(format_table(table))
    if csv is not None:
        write_csv(csv, table)
        typer.echo(csv)
    if pictures is not None and page is not None:
        write_page(pictures, page)
        typer.echo(pictures)
