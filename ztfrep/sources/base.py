"""The interface of a source of alerts: its parameters, fetching and conversion."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from ztfrep.data.splits import Splitting
from ztfrep.errors import InputError
from ztfrep.fields import Table, resolve_path

# The content of data/raw/manifest.json: the files that a conversion reads, each as a record of
# `manifest.describe_file`.
Manifest = dict[str, Any]
# The counts of a conversion, the content of data.json: rows read, written, and excluded by reason.
Counts = dict[str, Any]
ConfigT = TypeVar("ConfigT", bound=Table)


@dataclass(frozen=True)
class TablePaths:
    """The files of a conversion: two tables, and a CSV of what could not be read."""

    stamps: Path
    series: Path
    failures: Path


class Source(ABC, Generic[ConfigT]):
    """A source of alerts. Importing its module is fast: slow modules are imported in methods.

    `Config` is the source's table in params.yaml, under `sources`.
    """

    Config: ClassVar[type[Table]]

    @abstractmethod
    def fetch(self, config: ConfigT, raw_folder: Path, cache_folder: Path) -> Manifest:
        """Fetch the data; return the manifest of their files.

        New files are written to `raw_folder`; `cache_folder` remains for later runs. Raises
        InputError for data that are not available.
        """

    @abstractmethod
    def convert(
        self,
        manifest: Manifest,
        config: ConfigT,
        tables: TablePaths,
        *,
        splitting: Splitting,
        threads: int,
    ) -> Counts:
        """Write the stamps table and the series table; return the counts of rows.

        Raises InputError for data that cannot be converted.
        """


def require_path(key: str, path: str, expected: str, *, folder: bool = False) -> Path:
    """Return the path of a required parameter; raises InputError if it is `NO_FILE` or no file."""
    resolved = resolve_path(key, path, folder=folder)
    if resolved is None:
        remedy = f"give its absolute path with -S {key}=PATH"
        raise InputError(f"params.yaml: {key}", found="none", expected=expected, remedy=remedy)
    return resolved
