"""The command line: one module per command, which reads its arguments and calls the library."""

import typer

from ztfrep.cli.classify import classify
from ztfrep.cli.encode import encode
from ztfrep.cli.explore import explore
from ztfrep.cli.export import export
from ztfrep.cli.index import index
from ztfrep.cli.rank import rank
from ztfrep.cli.report import report
from ztfrep.cli.sample import sample
from ztfrep.cli.similar import similar
from ztfrep.cli.stream import stream
from ztfrep.cli.summary import summary
from ztfrep.process import exiting_in_one_line

app = typer.Typer(help="Temporal representations of astronomical alerts.", no_args_is_help=True)
for command in (
    classify,
    encode,
    explore,
    export,
    index,
    rank,
    report,
    sample,
    similar,
    stream,
    summary,
):
    app.command()(command)


def main() -> None:
    """Run the command line: one line and status 1 for an input error, status 130 for Ctrl-C."""
    with exiting_in_one_line():
        app()
