"""What was not read of alert packets: listed, counted by kind, and refused if it is too much."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from ztfrep.data.files import replacing
from ztfrep.errors import InputError
from ztfrep.sources.packets.batch_store import IGNORED
from ztfrep.sources.packets.entries import IGNORED_FILES, IGNORED_MEMBERS, MAY_HOLD_PACKETS, Ignored

# The upper half of a batch's number is that of its reader.
_ORDER = "batch >> 32 NULLS LAST, name, reason, detail"


@dataclass(frozen=True)
class Unread:
    """What was not read, listed in the CSV at `path`.

    `bad` counts packets and archives by the reason that they cannot be read, `files` and `members`
    what was ignored, by kind. `broken` says what is the matter with the first broken archive; it is
    empty if there is none.
    """

    path: Path
    bad: Counter[str]
    files: Counter[str]
    members: Counter[str]
    broken: str

    def refuse(self, alerts: int, source: str, *, stop: bool, most: float) -> None:
        """Raise InputError if too much of the source was not read, and warn of less.

        That is a broken archive, with `stop`; more than the fraction `most` of the packets, of
        which `alerts` were read; or all of them.
        """
        self._warn_of_ignored()
        bad = self.bad.total()
        listed = ", ".join(f"{n} {reason}" for reason, n in sorted(self.bad.items()))
        if self.broken and stop:
            raise InputError(
                source,
                found=self.broken,
                expected="whole archives",
                remedy=f"replace what {self.path} lists, or set sources.alerts.broken_archives "
                "to keep: then what could be read of them is used",
            )
        if not alerts:
            raise InputError(
                source,
                found=f"no alert that can be read ({self.broken or listed or 'no packet at all'})",
                expected="ZTF alert packets",
                remedy=f"see {self.path}",
            )
        if bad > most * (bad + alerts):
            raise InputError(
                source,
                found=f"{bad} of {bad + alerts} packets that cannot be read ({listed})",
                expected=f"at most {most:.2%}",
                remedy=f"see {self.path}, or raise sources.alerts.max_bad_fraction",
            )
        if self.broken:
            logging.warning("%s; see %s", self.broken, self.path)
        if bad:
            logging.warning("%d packets cannot be read (%s); see %s", bad, listed, self.path)

    def account(self, read: Counter[str]) -> dict[str, dict[str, int]]:
        """Return the books of files and of archives' members: seen are those read and ignored."""
        return {
            "files": _account(
                read["files"] + self.files.total(), read["files"], self.files, IGNORED_FILES
            ),
            "members": _account(
                read["members.seen"], read["members.read"], self.members, IGNORED_MEMBERS
            ),
        }

    def _warn_of_ignored(self) -> None:
        kinds = self.files + self.members
        if kinds:
            listed = ", ".join(f"{n} {kind}" for kind, n in sorted(kinds.items()))
            serious = any(kinds[kind] for kind in MAY_HOLD_PACKETS)
            logging.log(
                logging.WARNING if serious else logging.INFO,
                "%d files and members of archives are ignored (%s); see %s",
                kinds.total(),
                listed,
                self.path,
            )


def list_unread(
    database: duckdb.DuckDBPyConnection, ignored: Sequence[Ignored], path: Path
) -> Unread:
    """Write the table `failures` of a database as a CSV, with the files that are `ignored` last.

    Its columns are name, reason and detail. The order is that of the readers, and by name in each,
    so that it does not depend on the batches.
    """
    columns = zip(*ignored, strict=True) if ignored else ((), (), ())
    names, kinds, details = (list(column) for column in columns)
    files = {
        "name": pa.array(names, pa.string()),
        "reason": pa.array([f"{IGNORED}{kind}" for kind in kinds], pa.string()),
        "detail": pa.array(details, pa.string()),
    }
    database.register("ignored_files", pa.table(files))
    listed = database.sql(
        "SELECT name, reason, detail FROM (FROM failures UNION ALL BY NAME FROM ignored_files) "
        f"ORDER BY {_ORDER}"
    )
    with replacing(path) as temporary:
        listed.write_csv(str(temporary), header=True)
    bad, members = Counter[str](), Counter[str]()
    for reason, n in database.sql("SELECT reason, count(*) FROM failures GROUP BY 1").fetchall():
        if reason.startswith(IGNORED):
            members[reason.removeprefix(IGNORED)] = n
        else:
            bad[reason] = n
    return Unread(path, bad, Counter(kinds), members, _broken(database, bad["archive"]))


def _broken(database: duckdb.DuckDBPyConnection, number: int) -> str:
    if not number:
        return ""
    ((name, detail),) = database.sql(
        f"SELECT name, detail FROM failures WHERE reason = 'archive' ORDER BY {_ORDER} LIMIT 1"
    ).fetchall()
    archives = "a broken archive," if number == 1 else f"{number} broken archives, the first is"
    return f"{archives} {name}: {detail}"


def _account(seen: int, read: int, ignored: Counter[str], kinds: Sequence[str]) -> dict[str, int]:
    of_kind = {f"{IGNORED}{kind}": ignored[kind] for kind in kinds}
    return {"seen": seen, "read": read, "ignored": ignored.total(), **of_kind}
