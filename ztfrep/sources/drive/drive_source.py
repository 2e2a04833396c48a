"""The published pickles, downloaded from Google Drive; optionally the published encodings too."""

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from ztfrep.data.files import replacing
from ztfrep.fields import Table
from ztfrep.sources.base import Manifest
from ztfrep.sources.manifest import describe_file
from ztfrep.sources.pickles.pickle_source import PickleSource

if TYPE_CHECKING:
    from ztfrep.sources.drive.file_cache import WantedFile

_PICKLE, _NUMPY_ARRAY = b"\x80", b"\x93NUMPY"

Sha256 = Annotated[
    str, Field(pattern="^[0-9a-f]{64}$", json_schema_extra={"expected": "64 hexadecimal digits"})
]
# `downloads.download` checks the same pattern before an id becomes the name of a folder.
DriveId = Annotated[
    str,
    Field(
        pattern="^[A-Za-z0-9_-]{10,100}$",
        json_schema_extra={
            "expected": "the last part of the folder's address: 10 to 100 letters, digits, - and _"
        },
    ),
]


class ChecksumConfig(Table):
    """The sha256 that downloaded files must have, where it is known."""

    stamps: Sha256 | None
    """Of the pickle of first alerts; null: not checked."""
    series: Sha256 | None
    """Of the pickle of series."""
    base: Sha256 | None
    """Of base.npy."""
    base_recurrente: Sha256 | None
    """Of baseRecurrente.npy."""


class DriveConfig(Table):
    """The published files on Google Drive, by the ids of their folders."""

    pickles: DriveId
    """Id of the folder of the two pickles."""
    encodings: DriveId
    """Id of the folder of base.npy and baseRecurrente.npy."""
    encoded: bool
    """true: download these two as well."""
    timeout: Annotated[float, Field(gt=0, le=86_400)]
    """Seconds without a byte before a download is given up."""
    sha256: ChecksumConfig


class DriveSource(PickleSource[DriveConfig]):
    """The published files on Google Drive."""

    Config = DriveConfig

    def fetch(self, config: DriveConfig, raw_folder: Path, cache_folder: Path) -> Manifest:
        """Download the files into the cache, and link them into `raw_folder`."""
        files: dict[str, Path] = {}
        for folder, wanted in _wanted_files(config).items():
            files |= _download(folder, wanted, cache_folder, config.timeout)
        return {name: describe_file(_link(path, raw_folder)) for name, path in files.items()}


def _wanted_files(config: DriveConfig) -> dict[str, dict[str, "WantedFile"]]:
    """Return the wanted files by folder id and name; both ids may be those of one folder."""
    from ztfrep.sources.drive.file_cache import WantedFile

    sha256 = config.sha256
    folders = {
        config.pickles: {
            "stamps": WantedFile("td_ztf_stamp_17_06_20*.pkl", _PICKLE, sha256.stamps, "a pickle"),
            "series": WantedFile("recurrent_dataset*.pk", _PICKLE, sha256.series, "a pickle"),
        }
    }
    if config.encoded:
        base, recurrente = sha256.base, sha256.base_recurrente
        folders[config.encodings] = folders.get(config.encodings, {}) | {
            "base": WantedFile("base[.-]*npy", _NUMPY_ARRAY, base, "a numpy array"),
            "base_recurrente": WantedFile(
                "baseRecurrente*.npy", _NUMPY_ARRAY, recurrente, "a numpy array"
            ),
        }
    return folders


def _download(
    folder_id: str, wanted: dict[str, "WantedFile"], cache_folder: Path, timeout: float
) -> dict[str, Path]:
    from ztfrep.sources.drive.downloads import download  # Needed for this source alone.

    return download(folder_id, wanted, cache_folder / "drive", timeout=timeout)


def _link(cached: Path, raw_folder: Path) -> Path:
    """Link a file of the cache into `raw_folder`, or copy it there; return its path."""
    path = raw_folder / cached.name
    with replacing(path) as temporary:
        try:
            os.link(cached, temporary)
        except OSError:  # Another disk, or a file system without links.
            shutil.copyfile(cached, temporary)
    return path
