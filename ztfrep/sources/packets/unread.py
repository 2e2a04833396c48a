"""The list and the counts of packets and files that are not read, and the limit of them."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from ztfrep.data.files import replacing
from ztfrep.errors import InputError
from ztfrep.sources.packets.batch_store import IGNORED_PREFIX
from ztfrep.sources.packets.entries import (
    IGNORED_FILE_KINDS,
    IGNORED_MEMBER_KINDS,
    KINDS_TO_WARN_OF,
    IgnoredEntry,
)

# The upper half of the number of a batch is that of its reader.
_ORDER = "batch >> 32 NULLS LAST, name, reason, detail"


@dataclass(frozen=True)
class Unread:
    """The counts of what was not read. The CSV at `path` lists it.

    `failures` counts packets and archives by the reason that they cannot be read; `files` and
    `members` count ignored entries by kind. `broken_archives` describes the first broken archive,
    and is empty if there is none.
    """

    path: Path
    failures: Counter[str]
    files: Counter[str]
    members: Counter[str]
    broken_archives: str

    def validate(self, alerts: int, source: str, *, stop: bool, max_bad_fraction: float) -> None:
        """Raise InputError if too much of the source was not read; else log a warning.

        Too much is a broken archive if `stop`; more than the fraction `max_bad_fraction` of the
        packets, of which `alerts` were read; or all packets.
        """
        self._log_ignored()
        bad = self.failures.total()
        reasons = ", ".join(f"{n} {reason}" for reason, n in sorted(self.failures.items()))
        if self.broken_archives and stop:
            raise InputError(
                source,
                found=self.broken_archives,
                expected="whole archives",
                remedy=f"replace what {self.path} lists, or set sources.alerts.broken_archives "
                "to keep: then what could be read of them is used",
            )
        if not alerts:
            problem = self.broken_archives or reasons or "no packet at all"
            raise InputError(
                source,
                found=f"no alert that can be read ({problem})",
                expected="ZTF alert packets",
                remedy=f"see {self.path}",
            )
        if bad > max_bad_fraction * (bad + alerts):
            raise InputError(
                source,
                found=f"{bad} of {bad + alerts} packets that cannot be read ({reasons})",
                expected=f"at most {max_bad_fraction:.2%}",
                remedy=f"see {self.path}, or raise sources.alerts.max_bad_fraction",
            )
        if self.broken_archives:
            logging.warning("%s; see %s", self.broken_archives, self.path)
        if bad:
            logging.warning("%d packets cannot be read (%s); see %s", bad, reasons, self.path)

    def count(self, read: Counter[str]) -> dict[str, dict[str, int]]:
        """Return the counts of files and of members of archives: seen = read + ignored."""
        return {
            "files": _count_entries(
                read["files"] + self.files.total(), read["files"], self.files, IGNORED_FILE_KINDS
            ),
            "members": _count_entries(
                read["members.seen"], read["members.read"], self.members, IGNORED_MEMBER_KINDS
            ),
        }

    def _log_ignored(self) -> None:
        kinds = self.files + self.members
        if kinds:
            counts = ", ".join(f"{n} {kind}" for kind, n in sorted(kinds.items()))
            serious = any(kinds[kind] for kind in KINDS_TO_WARN_OF)
            logging.log(
                logging.WARNING if serious else logging.INFO,
                "%d files and members of archives are ignored (%s); see %s",
                kinds.total(),
                counts,
                self.path,
            )


def query_unread(
    database: duckdb.DuckDBPyConnection, ignored: Sequence[IgnoredEntry]
) -> duckdb.DuckDBPyRelation:
    """Return the name, reason and detail of what was not read: the view `failures` and `ignored`.

    The order is that of the readers, then by name, and the ignored files last: it does not depend
    on the batches.
    """
    columns = zip(*ignored, strict=True) if ignored else ((), (), ())
    names, kinds, details = (list(column) for column in columns)
    files = {
        "name": pa.array(names, pa.string()),
        "reason": pa.array([f"{IGNORED_PREFIX}{kind}" for kind in kinds], pa.string()),
        "detail": pa.array(details, pa.string()),
    }
    database.register("ignored_files", pa.table(files))
    return database.sql(
        "SELECT name, reason, detail FROM (FROM failures UNION ALL BY NAME FROM ignored_files) "
        f"ORDER BY {_ORDER}"
    )


def list_unread(
    database: duckdb.DuckDBPyConnection, ignored: Sequence[IgnoredEntry], path: Path
) -> Unread:
    """Write what was not read as a CSV, see `query_unread`; return its counts."""
    with replacing(path) as temporary:
        query_unread(database, ignored).write_csv(str(temporary), header=True)
    failures, members = Counter[str](), Counter[str]()
    for reason, n in database.sql("SELECT reason, count(*) FROM failures GROUP BY 1").fetchall():
        if reason.startswith(IGNORED_PREFIX):
            members[reason.removeprefix(IGNORED_PREFIX)] = n
        else:
            failures[reason] = n
    files = Counter(entry.kind for entry in ignored)
    broken_archives = _describe_broken_archives(database, failures["archive"])
    return Unread(path, failures, files, members, broken_archives)


def _describe_broken_archives(database: duckdb.DuckDBPyConnection, number: int) -> str:
    if not number:
        return ""
    ((name, detail),) = database.sql(
        f"SELECT name, detail FROM failures WHERE reason = 'archive' ORDER BY {_ORDER} LIMIT 1"
    ).fetchall()
    archives = "a broken archive," if number == 1 else f"{number} broken archives, the first is"
    return f"{archives} {name}: {detail}"


def _count_entries(
    seen: int, read: int, ignored: Counter[str], kinds: Sequence[str]
) -> dict[str, int]:
    by_kind = {f"{IGNORED_PREFIX}{kind}": ignored[kind] for kind in kinds}
    return {"seen": seen, "read": read, "ignored": ignored.total(), **by_kind}
