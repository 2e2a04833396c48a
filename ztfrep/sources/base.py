"""What a source of alerts offers: its parameters, and how its data are fetched and converted."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from ztfrep.data.splits import Splitting
from ztfrep.errors import InputError
from ztfrep.fields import Table, resolve_path

# The content of data/raw/manifest.json: which bytes a conversion reads. Records of files, as
# `manifest.describe_file` makes them, by what the files are.
Manifest = dict[str, Any]
# What a conversion counted, as data.json has it: everything that was read, by what became of it.
Counts = dict[str, Any]
ConfigT = TypeVar("ConfigT", bound=Table)


@dataclass(frozen=True)
class TablePaths:
    """The files of a conversion: two tables, and a CSV of what could not be read, if any."""

    stamps: Path
    series: Path
    failures: Path


class Source(ABC, Generic[ConfigT]):
    """A source of alerts. Importing its module is fast: what is slow is imported when it is used.

    `Config` is the source's table in params.yaml, under `sources`.
    """

    Config: ClassVar[type[Table]]

    @abstractmethod
    def fetch(self, config: ConfigT, raw_folder: Path, cache_folder: Path) -> Manifest:
        """Make the data available, and return which files they are.

        New files are written to `raw_folder`; `cache_folder` outlives a run. Raises InputError for
        data that cannot be had.
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
        """Write the stamps table and the series table, and return what was read and written.

        Raises InputError for data that cannot be converted.
        """


def require_path(key: str, path: str, expected: str, *, folder: bool = False) -> Path:
    """Return the path of a path parameter; raises InputError for none, as `resolve_path` does."""
    resolved = resolve_path(key, path, folder=folder)
    if resolved is None:
        remedy = f"give its absolute path with -S {key}=PATH"
        raise InputError(f"params.yaml: {key}", found="none", expected=expected, remedy=remedy)
    return resolved
