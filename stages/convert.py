"""Convert the fetched data to alert tables without duplicates and leaks, and count all rows."""

from stages import run
from stages.paths import BAD_PACKETS, MANIFEST, METRICS, SERIES, STAMPS
from ztfrep.data.files import write_json
from ztfrep.data.splits import Splitting
from ztfrep.params import Params
from ztfrep.sources.base import TablePaths
from ztfrep.sources.conversion import convert
from ztfrep.sources.manifest import read_manifest


def main(params: Params) -> None:
    """Write both tables, then the counts."""
    manifest = read_manifest(MANIFEST)
    counts = convert(
        manifest,
        getattr(params.sources, manifest["source"]),
        TablePaths(STAMPS, SERIES, BAD_PACKETS),
        splitting=Splitting(**params.convert.model_dump()),
        threads=params.threads,
    )
    write_json(METRICS / "data.json", counts)


if __name__ == "__main__":
    run(main, networks=False)
