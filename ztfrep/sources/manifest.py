"""The manifest of fetched files: path, size and sha256 of each."""

import hashlib
import json
from pathlib import Path
from typing import Any

from ztfrep.data.files import write_json
from ztfrep.errors import InputError
from ztfrep.sources.base import Manifest

_BLOCK_BYTES = 1 << 22


def describe_file(path: Path) -> dict[str, str | int]:
    """Return the record of a file: its path, unchanged, and its `bytes` and `sha256`."""
    from tqdm import tqdm

    digest, size = hashlib.sha256(), path.stat().st_size
    with (
        path.open("rb") as file,
        tqdm(total=size, desc=f"hash {path.name}", unit="B", unit_scale=True, disable=None) as bar,
    ):
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
            bar.update(len(block))
    return {"path": str(path), "bytes": size, "sha256": digest.hexdigest()}


def write_manifest(path: Path, source: str, manifest: Manifest) -> None:
    """Write the manifest of a source."""
    write_json(path, {"source": source, **manifest})


def read_manifest(path: Path) -> Manifest:
    """Read a manifest; its `source` is the name of the source.

    Raises InputError for a file that is missing or not a manifest.
    """
    expected, remedy = "the manifest of fetched files", "run dvc repro, which fetches them"
    try:
        manifest: Any = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(path, found="no such file", expected=expected, remedy=remedy) from error
    except ValueError as error:
        raise InputError(path, found="broken JSON", expected=expected, remedy=remedy) from error
    if not isinstance(manifest, dict) or "source" not in manifest:
        raise InputError(path, found="no source", expected=expected, remedy=remedy)
    return manifest


def unchanged_path(record: dict[str, str | int]) -> Path:
    """Return the path of a recorded file; raises InputError if its size has changed."""
    path = Path(str(record["path"]))
    size = path.stat().st_size if path.is_file() else 0
    if size != record["bytes"]:
        raise InputError(
            path,
            found=f"{size} bytes",
            expected=f"the {record['bytes']} bytes that fetch saw",
            remedy="run dvc repro again once the file is complete",
        )
    return path
