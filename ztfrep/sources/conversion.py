"""The conversion of fetched data of any source to alert tables."""

from contextlib import ExitStack
from dataclasses import replace

from ztfrep.data.files import replacing
from ztfrep.data.splits import Splitting
from ztfrep.fields import Table
from ztfrep.sources import get_source
from ztfrep.sources.base import Counts, Manifest, TablePaths


def convert(
    manifest: Manifest, config: Table, tables: TablePaths, *, splitting: Splitting, threads: int
) -> Counts:
    """Convert the files of a manifest; both tables appear, or neither.

    `config` is the table of parameters of the manifest's source. Raises InputError for data that
    cannot be converted.
    """
    source = get_source(manifest["source"])
    with ExitStack() as stack:
        stamps, series = (stack.enter_context(replacing(p)) for p in (tables.stamps, tables.series))
        temporary = replace(tables, stamps=stamps, series=series)
        return source.convert(manifest, config, temporary, splitting=splitting, threads=threads)
