"""Bring the data within reach, and write down which bytes they are."""

import hashlib
import logging
import os
import shutil
from pathlib import Path
from typing import Any

from tqdm import tqdm

from stages import run
from stages.paths import CACHE, MANIFEST, RAW
from ztfrep.data.files import replacing, write_json
from ztfrep.errors import InputError
from ztfrep.params import Drive, Params, given_file
from ztfrep.sources import drive
from ztfrep.sources.simulation import write_survey


def main(params: Params) -> None:
    """Write the sample, download, or point to the user's own files; then the manifest."""
    chosen = params.sources
    files: dict[str, Path] = {}
    manifest: dict[str, Any] = {"source": params.source}
    if params.source == "sample":
        files["stamps"], files["series"] = write_survey(
            RAW, scale=chosen.sample.scale, seed=chosen.sample.seed
        )
    elif params.source == "drive":
        files = _downloaded(chosen.drive)
    elif params.source == "local":
        for table in ("stamps", "series"):
            files[table] = _own(f"local.{table}", getattr(chosen.local, table), "a pickle")
    else:
        # Slow to import, and needed by this source alone.
        from ztfrep.sources.packets.folders import behind_links, find_files

        path = _own("alerts.path", chosen.alerts.path, "alert packets", folder=True)
        found = find_files(path)
        if linked := behind_links(path, found.packets):
            logging.warning(
                "%d files are in linked folders, the first is %s: DVC does not notice when these "
                "change; run dvc repro --force fetch then",
                len(linked),
                linked[0],
            )
        manifest["packets"] = [_described(file) for file in found.packets]
        manifest["ignored"] = [file._asdict() for file in found.ignored]
        labels = given_file("sources.alerts.labels", chosen.alerts.labels)
        if labels is not None:
            files["labels"] = labels
    write_json(MANIFEST, manifest | {name: _described(path) for name, path in files.items()})


def _own(key: str, path: str, expected: str, *, folder: bool = False) -> Path:
    key = f"sources.{key}"
    found = given_file(key, path, folder=folder)
    if found is None:
        remedy = f"give its absolute path with -S {key}=PATH"
        raise InputError(f"params.yaml: {key}", found="none", expected=expected, remedy=remedy)
    return found


def _downloaded(chosen: Drive) -> dict[str, Path]:
    """Download the published files that are wanted, and link them into the raw data."""
    pickle, array = b"\x80", b"\x93NUMPY"
    named, sha256 = drive.Wanted, chosen.sha256
    folders: dict[str, dict[str, drive.Wanted]] = {chosen.pickles: {}, chosen.encodings: {}}
    # The two may be one folder.
    folders[chosen.pickles] |= {
        "stamps": named("td_ztf_stamp_17_06_20*.pkl", pickle, sha256.stamps, "a pickle"),
        "series": named("recurrent_dataset*.pk", pickle, sha256.series, "a pickle"),
    }
    if chosen.encoded:
        folders[chosen.encodings] |= {
            "base": named("base[.-]*npy", array, sha256.base, "a numpy array"),
            "base_recurrente": named(
                "baseRecurrente*.npy", array, sha256.base_recurrente, "a numpy array"
            ),
        }
    files = {}
    for folder, wanted in folders.items():
        if not wanted:
            continue
        found = drive.download(folder, wanted, CACHE / "drive", timeout=chosen.timeout)
        for name, cached in found.items():
            files[name] = RAW / cached.name
            with replacing(files[name]) as temporary:
                try:
                    os.link(cached, temporary)
                except OSError:  # Another disk, or a file system without links.
                    shutil.copyfile(cached, temporary)
    return files


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
    run(main, networks=False)
