"""Files and nightly archives of alert packets, read in place, member by member."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from ztfrep.sources.packets.entries import Ignored, describe_entry, kind_by_name, open_entry
from ztfrep.sources.packets.packet_reader import Failure, Packet
from ztfrep.sources.packets.streams import BreakError, Budget, Part, Plain, Stream, TooMuchError
from ztfrep.sources.packets.tar import Member, read_tar
from ztfrep.sources.packets.zips import read_zip

# A packet has 50 to 80 kB; what is far larger is none, and is not read into memory.
LARGEST_PACKET = 1 << 24
# A zip archive within another archive is read into memory.
_LARGEST_INNER_ZIP = 1 << 26
# An archive in an archive is read; one in that is not.
_DEEPEST = 1
_FILES_AT_ONCE = 1000

# What files hold, and counts of `files` that were read and of the `members` of archives: those
# `seen`, and those `read`.
Item = Packet | Failure | Ignored | Counter[str]
# Gives items when it is called, which may be in another process.
Reader = Callable[[], Iterable[Item]]


def readers(files: Iterable[Path]) -> list[Reader]:
    """Give a reader per archive, and one per so many files of other names."""
    files = list(files)
    parts = [[file] for file in files if kind_by_name(file.name) == "archive"]
    single = [file for file in files if kind_by_name(file.name) != "archive"]
    parts += [single[i : i + _FILES_AT_ONCE] for i in range(0, len(single), _FILES_AT_ONCE)]
    return [partial(read_files, part) for part in parts]


def read_files(files: Iterable[Path]) -> Iterator[Item]:
    """Read every packet of the files in order; what cannot be read is a failure with its reason.

    A broken archive is one failure, behind all packets of it that could be read. The counts come
    last.
    """
    counts: Counter[str] = Counter()
    for file in files:
        counts["files"] += 1
        try:
            with file.open("rb") as content:
                size = os.fstat(content.fileno()).st_size
                entry = _Entry(file.name, Plain(content, size), Budget(size), counts)
                yield from entry.read()
        except MemoryError:
            raise
        except Exception as error:
            yield _failure(file.name, error)
    yield counts


class _Entry:
    """A file or a member: its name in the books, its bytes, and how deep in archives it stands."""

    def __init__(
        self, name: str, stream: Stream, budget: Budget, counts: Counter[str], depth: int = 0
    ) -> None:
        self._name, self._stream, self._budget = name, stream, budget
        self._counts, self._depth = counts, depth

    def read(self) -> Iterator[Item]:
        """Read the packets that it is or holds. Raises whatever goes wrong before the first."""
        size = self._stream.left
        kind, content = open_entry(self._name, self._stream, self._budget)
        if kind == "packet":
            yield self._packet(content, size if content is self._stream else None)
        elif kind == "archive":
            yield Failure(self._name, "archive", f"no archive, but {describe_entry(content)}")
        elif kind not in ("tar", "zip"):
            yield Ignored(self._name, kind, describe_entry(content))
        elif self._depth > _DEEPEST:
            yield Ignored(self._name, "nested", "an archive in an archive in an archive")
        elif kind == "tar":
            yield from self._archive(read_tar(content, self._budget))
        else:
            yield from self._archive(read_zip(*content.as_file(_LARGEST_INNER_ZIP), self._budget))

    def _packet(self, content: Stream, size: int | None) -> Packet | Failure:
        if size is not None and size > LARGEST_PACKET:
            return Failure(self._name, "too_large", f"{size} bytes")
        data = content.read(LARGEST_PACKET + 1)
        if len(data) > LARGEST_PACKET:
            return Failure(self._name, "too_large", f"more than {LARGEST_PACKET} bytes")
        return Packet(self._name, data)

    def _archive(self, members: Iterator[Member | BreakError]) -> Iterator[Item]:
        alerts, breaks = 0, _Breaks()
        try:
            for member in members:
                if isinstance(member, BreakError):
                    breaks.add(member, alerts)
                    continue
                for item in self._member(member):
                    alerts += isinstance(item, Packet)
                    yield item
        except MemoryError:
            raise
        except Exception as error:
            # The rest of the whole file is not read, however deep it stands that is too much.
            if isinstance(error, TooMuchError) and self._depth:
                raise
            breaks.add(error, alerts)
        if breaks.number:
            yield Failure(self._name, "archive", breaks.describe(alerts))

    def _member(self, member: Member) -> Iterator[Item]:
        """Read a member; what is wrong with it costs it alone."""
        name = f"{self._name}:{member.name}"
        kind = kind_by_name(member.name)
        entry = _Entry(name, member.data, self._budget, self._counts, self._depth + 1)
        items: Iterable[Item]
        if kind == "system":
            items = [Ignored(name, kind, "left by macOS or Windows")]
        elif member.kind in ("link", "special"):
            items = [Ignored(name, member.kind, member.detail)]
        elif member.kind == "unreadable":
            items = [_not_read(name, kind, member.detail)]
        else:
            items = entry.read()
        read = True
        try:
            for item in items:
                # Of an archive in it, its own members are ignored, not it.
                read &= not (isinstance(item, Ignored) and item.name == name)
                yield item
        except (MemoryError, TooMuchError):
            raise
        except Exception as error:
            if isinstance(member.data, Part) and member.data.cut:
                raise
            yield _failure(name, error)
        self._counts["members.seen"] += 1
        self._counts["members.read"] += read


class _Breaks:
    """The breaks of an archive: the first of them, and how many."""

    def __init__(self) -> None:
        self.number = self._before = 0
        self._text = ""

    def add(self, error: Exception, alerts: int) -> None:
        """Count a break that came behind so many alerts."""
        self.number += 1
        if self.number == 1:
            self._text, self._before = _text(error), alerts

    def describe(self, alerts: int) -> str:
        """Say what is broken in an archive of which so many alerts were read."""
        text = f"{self._text}; {self._before} alerts came before, what lies behind is lost"
        if alerts > self._before:
            text += f" but for {alerts - self._before} alerts"
        return text if self.number == 1 else f"{text}; {self.number} places are broken"


def _text(error: Exception) -> str:
    if isinstance(error, BreakError):
        return f"broken at {error.where}: {error.reason}"
    return f"{type(error).__name__}: {str(error)[:80]}"


def _failure(name: str, error: Exception) -> Failure:
    if kind_by_name(name) == "packet":
        return Failure(name, "unreadable", _text(error))
    breaks = _Breaks()
    breaks.add(error, 0)
    return Failure(name, "archive", breaks.describe(0))


def _not_read(name: str, kind: str, detail: str) -> Failure | Ignored:
    """Return how a member stands in the books whose bytes its archive does not give."""
    if kind in ("packet", "archive"):
        return Failure(name, "unreadable" if kind == "packet" else kind, detail)
    return Ignored(name, kind, detail)
