"""Kinds of the entries of folders and archives, by their names and their first bytes."""

import re
from typing import NamedTuple

from ztfrep.data.filetypes import HEAD_BYTES, describe
from ztfrep.sources.packets.compression import DecompressedStream, detect_compression
from ztfrep.sources.packets.streams import Budget, Stream
from ztfrep.sources.packets.tar import is_tar

SUFFIXES = (".avro", ".tar", ".tgz", ".tbz2", ".txz", ".zip")
# Reasons to ignore a file, and a member of an archive: it is no packet (other); macOS or Windows
# made it (system); its format is not read; an archive is nested too deep; a link is broken or leads
# to files that are read already; it is a pipe or a device (special); reading it is not permitted.
IGNORED_FILE_KINDS = ("other", "system", "format", "link", "special", "no_access")
IGNORED_MEMBER_KINDS = ("other", "system", "format", "nested", "link", "special")
# Kinds of entries that may hold packets: these are logged as a warning.
KINDS_TO_WARN_OF = ("format", "nested", "link", "no_access")

_PACKET = re.compile(r"\.avro(\.(gz|bz2|xz))?$", re.IGNORECASE)
_ARCHIVE = re.compile(r"\.(tar(\.(gz|bz2?|xz))?|tgz|taz|tbz2?|txz|zip)$", re.IGNORECASE)
_UNREAD_FORMAT = re.compile(
    r"\.(7z|rar|tzst|t?lz4|tlz|lzma|z|lz|zstd?|cab|arj|lha)$", re.IGNORECASE
)
_UNREAD_MAGIC = (b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf", b"Rar!", b"\x04\x22\x4d\x18", b"\x1f\x9d")
_ZIP_MAGIC = (b"PK\3\4", b"PK\5\6")
# Suffixes of documents, many of which are zip archives. An archive of packets with another name
# than that of an archive has no suffix.
_DOCUMENT = re.compile(r"\.[a-z]\w*$", re.IGNORECASE)
_SYSTEM = re.compile(r"(^|/)(\._[^/]*|__MACOSX(/.*)?|\.DS_Store|Thumbs\.db|desktop\.ini)$", re.I)
# Some servers compress a compressed file once more.
_MAX_COMPRESSIONS = 2
_HEAD_BYTES = 512


class IgnoredEntry(NamedTuple):
    """A file or a member that is not read, its kind and a description.

    `kind` is one of IGNORED_FILE_KINDS or IGNORED_MEMBER_KINDS.
    """

    name: str
    kind: str
    detail: str


def kind_by_name(name: str) -> str:
    """Return `packet`, `archive`, `format` (that is not read), `system` or `other`."""
    if _SYSTEM.search(name):
        return "system"
    for kind, pattern in (("packet", _PACKET), ("archive", _ARCHIVE), ("format", _UNREAD_FORMAT)):
        if pattern.search(name):
            return kind
    return "other"


def open_entry(name: str, stream: Stream, budget: Budget) -> tuple[str, Stream]:
    """Return the kind of an entry, by its first bytes, and the stream of its decompressed bytes.

    The kind is `packet`, `tar` or `zip`; `archive` by the name alone; `format` or `other`. Raises
    CorruptDataError.
    """
    named_kind = kind_by_name(name)
    for _ in range(_MAX_COMPRESSIONS):
        compression = detect_compression(stream)
        if compression is None:
            break
        stream = DecompressedStream(stream, compression, budget)
    head = stream.peek(_HEAD_BYTES)
    if head.startswith(b"Obj\1"):
        return "packet", stream
    # The first header of a tar archive may be overwritten; zeros alone are an empty archive.
    zeros = bool(head) and not any(head)
    if is_tar(head) or (zeros and named_kind == "archive" and not name.lower().endswith(".zip")):
        return "tar", stream
    if head.startswith(_ZIP_MAGIC) and (
        named_kind in ("packet", "archive") or not _DOCUMENT.search(name)
    ):
        return "zip", stream
    if named_kind in ("packet", "archive"):
        return named_kind, stream
    unread = named_kind == "format" or head.startswith(_UNREAD_MAGIC)
    return "format" if unread else "other", stream


def describe_entry(stream: Stream) -> str:
    """Return a description of the bytes of a stream, for a message."""
    return describe(stream.peek(HEAD_BYTES))


def printable(text: str, max_characters: int = 1000) -> str:
    """Return a text as one printable line.

    A file name may hold bytes that are no text, which Python decodes as surrogates.
    """
    text = " ".join(text[:max_characters].split())
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)[:max_characters]
