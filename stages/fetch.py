"""Fetch the data of the source, and write the manifest of their files."""

from stages import run
from stages.paths import CACHE, MANIFEST, RAW
from ztfrep.params import Params
from ztfrep.sources import get_source
from ztfrep.sources.manifest import write_manifest


def main(params: Params) -> None:
    """Fetch the data, then write the manifest."""
    config = getattr(params.sources, params.source)
    manifest = get_source(params.source).fetch(config, RAW, CACHE)
    write_manifest(MANIFEST, params.source, manifest)


if __name__ == "__main__":
    run(main, networks=False)
