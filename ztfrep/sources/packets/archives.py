"""Files and nightly archives of alert packets, read member by member without unpacking to disk."""

import os
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from ztfrep.errors import InputError
from ztfrep.sources.packets.entries import IgnoredEntry, describe_entry, kind_by_name, open_entry
from ztfrep.sources.packets.packet_reader import Failure, Packet
from ztfrep.sources.packets.streams import (
    Budget,
    BudgetError,
    CorruptDataError,
    FileStream,
    PartStream,
    Stream,
)
from ztfrep.sources.packets.tar import Member, read_tar
from ztfrep.sources.packets.zips import read_zip

# A packet has 50 to 80 kB; a far larger file is no packet, and is not read into memory.
MAX_PACKET_BYTES = 1 << 24
# A zip archive in another archive is read into memory.
_MAX_INNER_ZIP_BYTES = 1 << 26
# An archive in an archive is read; an archive in that one is not.
_MAX_NESTING = 1
_FILES_PER_READER = 1000

# The items of an archive: packets, failures and ignored entries. The last item has the counts of
# `files` that were read, and of members of archives, `members.seen` and `members.read`.
Item = Packet | Failure | IgnoredEntry | Counter[str]
# Returns the items of several files. It may be called in another process.
ArchiveReader = Callable[[], Iterable[Item]]


def make_readers(files: Iterable[Path]) -> list[ArchiveReader]:
    """Return a reader of each archive, and of every 1,000 of the other files."""
    files = list(files)
    groups = [[file] for file in files if kind_by_name(file.name) == "archive"]
    single = [file for file in files if kind_by_name(file.name) != "archive"]
    groups += [
        single[start : start + _FILES_PER_READER]
        for start in range(0, len(single), _FILES_PER_READER)
    ]
    return [partial(_read_listed, group) for group in groups]


def _read_listed(files: Sequence[Path]) -> Iterator[Item]:
    """Yield the items of files; raises InputError if this machine does not see one of them."""
    for file in files:
        if not file.exists():
            raise InputError(
                file,
                found=f"no such file on {socket.gethostname()}",
                expected="a file that is there to the end, on every machine that reads it",
                remedy="put it back, or mount its folder at the same path, and run it again",
            )
    yield from read_files(files)


def read_files(files: Iterable[Path]) -> Iterator[Item]:
    """Yield every packet of the files in order, and a failure with its reason for unreadable bytes.

    A damaged archive is one failure, after all of its packets that could be read. The counts are
    the last item.
    """
    counts: Counter[str] = Counter()
    for file in files:
        counts["files"] += 1
        try:
            with file.open("rb") as content:
                size = os.fstat(content.fileno()).st_size
                entry = _Entry(file.name, FileStream(content, size), Budget(size), counts)
                yield from entry.read()
        except MemoryError:
            raise
        except Exception as error:
            yield _failure(file.name, error)
    yield counts


class _Entry:
    """A file or a member of an archive: its name, its bytes, and how many archives it is in."""

    def __init__(
        self, name: str, stream: Stream, budget: Budget, counts: Counter[str], depth: int = 0
    ) -> None:
        self._name, self._stream, self._budget = name, stream, budget
        self._counts, self._depth = counts, depth

    def read(self) -> Iterator[Item]:
        """Yield the items of the entry; raise errors of the entry itself before the first item."""
        size = self._stream.left
        kind, content = open_entry(self._name, self._stream, self._budget)
        if kind == "packet":
            yield self._read_packet(content, size if content is self._stream else None)
        elif kind == "archive":
            yield Failure(self._name, "archive", f"no archive, but {describe_entry(content)}")
        elif kind not in ("tar", "zip"):
            yield IgnoredEntry(self._name, kind, describe_entry(content))
        elif self._depth > _MAX_NESTING:
            yield IgnoredEntry(self._name, "nested", "an archive in an archive in an archive")
        elif kind == "tar":
            yield from self._read_archive(read_tar(content, self._budget))
        else:
            file, size = content.as_file(_MAX_INNER_ZIP_BYTES)
            yield from self._read_archive(read_zip(file, size, self._budget))

    def _read_packet(self, content: Stream, size: int | None) -> Packet | Failure:
        if size is not None and size > MAX_PACKET_BYTES:
            return Failure(self._name, "too_large", f"{size} bytes")
        data = content.read(MAX_PACKET_BYTES + 1)
        if len(data) > MAX_PACKET_BYTES:
            return Failure(self._name, "too_large", f"more than {MAX_PACKET_BYTES} bytes")
        return Packet(self._name, data)

    def _read_archive(self, members: Iterator[Member | CorruptDataError]) -> Iterator[Item]:
        packets, errors = 0, _ArchiveErrors()
        try:
            for member in members:
                if isinstance(member, CorruptDataError):
                    errors.add(member, packets)
                    continue
                for item in self._read_member(member):
                    packets += isinstance(item, Packet)
                    yield item
        except MemoryError:
            raise
        except Exception as error:
            # An inner archive that exceeds the budget ends the reading of the whole file.
            if isinstance(error, BudgetError) and self._depth:
                raise
            errors.add(error, packets)
        if errors.number:
            yield Failure(self._name, "archive", errors.describe(packets))

    def _read_member(self, member: Member) -> Iterator[Item]:
        """Yield the items of a member; an error in it costs no other member."""
        name = f"{self._name}:{member.name}"
        kind = kind_by_name(member.name)
        entry = _Entry(name, member.data, self._budget, self._counts, self._depth + 1)
        items: Iterable[Item]
        if kind == "system":
            items = [IgnoredEntry(name, kind, "left by macOS or Windows")]
        elif member.kind in ("link", "special"):
            items = [IgnoredEntry(name, member.kind, member.detail)]
        elif member.kind == "unreadable":
            items = [_unreadable(name, kind, member.detail)]
        else:
            items = entry.read()
        read = True
        try:
            for item in items:
                # An ignored member of an inner archive has another name than this member.
                read &= not (isinstance(item, IgnoredEntry) and item.name == name)
                yield item
        except (MemoryError, BudgetError):
            raise
        except Exception as error:
            if isinstance(member.data, PartStream) and member.data.truncated:
                raise
            yield _failure(name, error)
        self._counts["members.seen"] += 1
        self._counts["members.read"] += read


class _ArchiveErrors:
    """The errors of an archive: the first of them, and their number."""

    def __init__(self) -> None:
        self.number = self._packets_before = 0
        self._first = ""

    def add(self, error: Exception, packets: int) -> None:
        """Count an error after `packets` packets."""
        self.number += 1
        if self.number == 1:
            self._first, self._packets_before = _describe_error(error), packets

    def describe(self, packets: int) -> str:
        """Return what is damaged in an archive of which `packets` packets were read."""
        text = f"{self._first}; {self._packets_before} alerts before it were read"
        text += f", {packets - self._packets_before} after it"
        return text if self.number == 1 else f"{text}; {self.number} errors in all"


def _describe_error(error: Exception) -> str:
    if isinstance(error, CorruptDataError):
        return f"broken at {error.position}: {error.reason}"
    return f"{type(error).__name__}: {str(error)[:80]}"


def _failure(name: str, error: Exception) -> Failure:
    if kind_by_name(name) == "packet":
        return Failure(name, "unreadable", _describe_error(error))
    errors = _ArchiveErrors()
    errors.add(error, 0)
    return Failure(name, "archive", errors.describe(0))


def _unreadable(name: str, kind: str, detail: str) -> Failure | IgnoredEntry:
    """Return the item of a member whose bytes cannot be read from its archive."""
    if kind in ("packet", "archive"):
        return Failure(name, "unreadable" if kind == "packet" else kind, detail)
    return IgnoredEntry(name, kind, detail)
