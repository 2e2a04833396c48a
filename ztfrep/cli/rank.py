"""The command `ztfrep rank`: the strangest alerts or objects of a catalogue, and other orders."""

from pathlib import Path
from typing import Annotated

import typer


def rank(
    catalogue: Annotated[
        Path, typer.Argument(help="The catalogue to rank, of alerts or of objects.")
    ] = Path("vectors.parquet"),
    by: Annotated[
        str, typer.Option(help="anomaly, or a column of numbers, such as probability_SN or mjd.")
    ] = "anomaly",
    top: Annotated[int, typer.Option(min=1, help="Rows to print.")] = 50,
    ascending: Annotated[
        bool, typer.Option("--ascending", help="The lowest values first: magpsf of the brightest.")
    ] = False,
    predicted_class: Annotated[
        str | None, typer.Option("--class", help="Only rows of this predicted class.")
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            help="The folder of the catalogue's encoder; by default the released one. With it, "
            "each term has the percentage of validation rows that have a smaller one."
        ),
    ] = None,
    pictures: Annotated[
        Path | None, typer.Option(help="Write a page of the stamps or light curves, as PNG.")
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the table as CSV.")] = None,
) -> None:
    """Print the strangest alerts or objects of a catalogue, with the terms of their anomaly score.

    The score is the mean of two terms, each in units of its spread: the distance to the nearest
    train vectors, and the entropy of the class probabilities. The error of the reconstructed stamps
    is printed beside them.

    \b
    ztfrep rank vectors.parquet --by anomaly --top 20 --pictures strange.png
    ztfrep rank vectors.objects.parquet --by probability_SN --class SN
    """
    from ztfrep.catalogues.catalogue import read_catalogue  # Slow to import.
    from ztfrep.catalogues.ranking import ANOMALY, matching_reference
    from ztfrep.catalogues.ranking import rank as rank_rows
    from ztfrep.catalogues.result_pages import ranking_page, write_page
    from ztfrep.catalogues.result_tables import format_table, write_csv

    ranked = read_catalogue(catalogue)
    reference = matching_reference(ranked, model) if by == ANOMALY else None
    ranking = rank_rows(
        ranked,
        by,
        top=top,
        ascending=ascending,
        predicted_class=predicted_class,
        reference=reference,
    )
    page = None
    if pictures is not None:
        page = ranking_page(ranked, ranking, f"{catalogue.name} ranked by {by}")
    typer.echo(format_table(ranking))
    if by == ANOMALY and reference is None:
        name = model or "the released encoder"
        typer.echo(f"no percentiles: {name} is not the model of this catalogue", err=True)
    if csv is not None:
        write_csv(csv, ranking)
        typer.echo(csv)
    if pictures is not None and page is not None:
        write_page(pictures, page)
        typer.echo(pictures)
