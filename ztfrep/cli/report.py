"""The command `ztfrep report`: one HTML page of a run of the pipeline."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("report.html"),
    against: Annotated[
        str | None,
        typer.Option(
            help="Commit, branch, tag or experiment to compare with; the last commit if left out."
        ),
    ] = None,
    metrics: Annotated[Path, typer.Option(help="The folder of the metrics.")] = Path("metrics"),
    params: Annotated[Path, typer.Option(help="The parameters.")] = Path("params.yaml"),
    models: Annotated[Path, typer.Option(help="The folder of the trained networks.")] = Path(
        "data/models"
    ),
    figures: Annotated[Path, typer.Option(help="The folder of the pictures.")] = Path(
        "data/figures"
    ),
) -> None:
    """Write a page of the last run of the pipeline: data, training, scores, what differs.

    \b
    ztfrep report --out report.html --against HEAD~1
    """
    from ztfrep.report.report_page import write_report  # Slow to import.

    write_report(
        out, params=params, metrics=metrics, models=models, figures=figures, against=against
    )
    typer.echo(out.resolve())
