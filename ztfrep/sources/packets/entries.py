"""Entries of folders and archives: what a file or a member is, by its name and its first bytes."""

import re
from typing import NamedTuple

from ztfrep.data.filetypes import HEAD_BYTES, describe
from ztfrep.sources.packets.compression import Unpacked, packing_of
from ztfrep.sources.packets.streams import Budget, Stream
from ztfrep.sources.packets.tar import is_tar

SUFFIXES = (".avro", ".tar", ".tgz", ".tbz2", ".txz", ".zip")
# Why a file is ignored, and why a member of an archive is: it is no packet; macOS or Windows left
# it; it is archived or packed in a way that is not read; an archive that stands too deep; a link
# that is broken or leads to what is read already; a pipe or a device; it may not be read.
IGNORED_FILES = ("other", "system", "format", "link", "special", "no_access")
IGNORED_MEMBERS = ("other", "system", "format", "nested", "link", "special")
# Of these a run warns.
MAY_HOLD_PACKETS = ("format", "nested", "link", "no_access")

_PACKET = re.compile(r"\.avro(\.(gz|bz2|xz))?$", re.IGNORECASE)
_ARCHIVE = re.compile(r"\.(tar(\.(gz|bz2?|xz))?|tgz|taz|tbz2?|txz|zip)$", re.IGNORECASE)
_UNREAD = re.compile(r"\.(7z|rar|tzst|t?lz4|tlz|lzma|z|lz|zstd?|cab|arj|lha)$", re.IGNORECASE)
_UNREAD_MAGIC = (b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf", b"Rar!", b"\x04\x22\x4d\x18", b"\x1f\x9d")
_ZIP = (b"PK\3\4", b"PK\5\6")
# Documents of many kinds are zip archives; a night under an unknown name has no such suffix.
_DOCUMENT = re.compile(r"\.[a-z]\w*$", re.IGNORECASE)
_SYSTEM = re.compile(r"(^|/)(\._[^/]*|__MACOSX(/.*)?|\.DS_Store|Thumbs\.db|desktop\.ini)$", re.I)
# Servers send what is packed already packed once more.
_PACKINGS_AT_MOST = 2
_HEAD = 512


class Ignored(NamedTuple):
    """A file or a member that is not read: its name, one of IGNORED_FILES or IGNORED_MEMBERS."""

    name: str
    kind: str
    detail: str


def kind_by_name(name: str) -> str:
    """Return `packet`, `archive`, `format` (that is not read), `system` or `other`."""
    if _SYSTEM.search(name):
        return "system"
    for kind, pattern in (("packet", _PACKET), ("archive", _ARCHIVE), ("format", _UNREAD)):
        if pattern.search(name):
            return kind
    return "other"


def open_entry(name: str, stream: Stream, budget: Budget) -> tuple[str, Stream]:
    """Return what an entry is, by its first bytes, and those bytes unpacked.

    It is `packet`, `tar` or `zip`; `archive` where its name alone says so; `format`; or `other`.
    Raises BreakError.
    """
    named = kind_by_name(name)
    for _ in range(_PACKINGS_AT_MOST):
        packing = packing_of(stream)
        if packing is None:
            break
        stream = Unpacked(stream, packing, budget)
    head = stream.peek(_HEAD)
    if head.startswith(b"Obj\1"):
        return "packet", stream
    # The first header of a tar archive may be overwritten; zeros alone are an empty one.
    zeros = bool(head) and not any(head)
    if is_tar(head) or (zeros and named == "archive" and not name.lower().endswith(".zip")):
        return "tar", stream
    if head.startswith(_ZIP) and (named in ("packet", "archive") or not _DOCUMENT.search(name)):
        return "zip", stream
    if named in ("packet", "archive"):
        return named, stream
    return "format" if named == "format" or head.startswith(_UNREAD_MAGIC) else "other", stream


def describe_entry(stream: Stream) -> str:
    """Say what the bytes of a stream are, for a message."""
    return describe(stream.peek(HEAD_BYTES))


def printable(text: str, most: int = 1000) -> str:
    """Return a text in one line that every table and terminal can take.

    A name on disk may hold bytes that are no text, which Python carries as surrogates.
    """
    text = " ".join(text[:most].split())
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)[:most]
