"""Bring the two pickles within reach, and write down which bytes they are."""

import hashlib
from pathlib import Path

from tqdm import tqdm

from stages import run
from stages.paths import MANIFEST, RAW
from ztfrep.errors import InputError
from ztfrep.files import write_json
from ztfrep.params import Params, given_file
from ztfrep.sources.sample import write_survey


def main(params: Params) -> None:
    """Write the sample, or point to the user's own files; then the manifest."""
    if params.source == "sample":
        stamps, series = write_survey(RAW, scale=params.sources.sample.scale, seed=params.seed)
    else:
        stamps = _own("stamps", params.sources.local.stamps)
        series = _own("series", params.sources.local.series)
    write_json(MANIFEST, {"stamps": _described(stamps), "series": _described(series)})


def _own(table: str, path: str) -> Path:
    key = f"sources.local.{table}"
    found = given_file(key, path)
    if found is None:
        remedy = f"give its absolute path with -S {key}=PATH"
        raise InputError(f"params.yaml: {key}", found="none", expected="a pickle", remedy=remedy)
    return found


def _described(path: Path) -> dict[str, str | int]:
    digest, size = hashlib.sha256(), path.stat().st_size
    with (
        path.open("rb") as file,
        tqdm(total=size, desc=f"hash {path.name}", unit="B", unit_scale=True, disable=None) as bar,
    ):
        while block := file.read(1 << 22):
            digest.update(block)
            bar.update(len(block))
    # A file of ours is named from the root, so that the manifest is the same in every clone.
    return {"path": str(path), "bytes": size, "sha256": digest.hexdigest()}


if __name__ == "__main__":
    run(main)
