"""A reader of tar archives as a stream of members and errors.

Unlike tarfile, it continues after an end mark and after a damaged header. The size that a header
claims costs no memory and no time: only existing bytes do.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from ztfrep.errors import quote
from ztfrep.sources.packets.streams import Budget, CorruptDataError, PartStream, Stream

_BLOCK_BYTES = 512
_ZEROS = bytes(_BLOCK_BYTES)
# All headers that belong to one member: its long name, its times, its attributes.
_MAX_HEADER_BYTES = 1 << 20
# An archive ends in zeros up to a multiple of 10 kB; more zeros between two members are a hole.
_MAX_END_ZEROS = 64 * _BLOCK_BYTES
# The next member after an error is searched for in this many bytes.
_MAX_SEARCH_BYTES = 1 << 26

_OCTAL = re.compile(rb" *([0-7]+)[ \0]*")
_PAX_RECORD = re.compile(rb"(\d{1,7}) ([^=\n]{1,200})=")
_PAX_SPARSE = "GNU.sparse."
_PAX, _PAX_GLOBAL, _LONG_NAME, _LONG_LINK = (b"x", b"X"), b"g", b"L", b"K"
_HEADERS_OF_NEXT = (*_PAX, _PAX_GLOBAL, _LONG_NAME, _LONG_LINK)
_FILES, _FOLDER, _SPARSE, _CONTINUED, _VOLUME = (b"0", b"\0", b"7"), b"5", b"S", b"M", b"V"
_WITHOUT_DATA = {
    b"1": ("link", "a hard link to "),
    b"2": ("link", "a symbolic link to "),
    b"3": ("special", "a character device"),
    b"4": ("special", "a block device"),
    b"6": ("special", "a named pipe"),
}


class Member(NamedTuple):
    """A member of an archive; `data` are its bytes, which must be read before the next member.

    `kind` is `file`, `link`, `special` (such as a device) or `unreadable` (a file whose bytes
    cannot be read). `detail` is a description for messages.
    """

    name: str
    kind: str
    detail: str
    data: Stream


class _Header(NamedTuple):
    name: bytes
    size: int
    type: bytes
    link: bytes
    # True if another block of the map of a sparse member follows.
    continued: bool


class _DamagedError(Exception):
    """A header that cannot be right; the text is the reason."""


def is_tar(head: bytes) -> bool:
    """Return True if a file of these first bytes is a tar archive, damaged or not."""
    return head[257:262] == b"ustar" or _parse_header(head[:_BLOCK_BYTES]) is not None


def read_tar(stream: Stream, budget: Budget) -> Iterator[Member | CorruptDataError]:
    """Yield the members of an archive; where it is damaged, a CorruptDataError, and then the rest.

    Raises CorruptDataError where nothing after an error can be read.
    """
    started = searching = False
    zeros = searched_bytes = 0
    start = stream.describe_position()
    while block := stream.read(_BLOCK_BYTES):
        if block == _ZEROS[: len(block)]:
            if not zeros:
                start = stream.describe_position(len(block))
            zeros += len(block)
            if zeros > _MAX_SEARCH_BYTES:
                break
            continue
        header = _parse_header(block)
        if not searching:
            hole = zeros > _MAX_END_ZEROS and started and header is not None
            # An end mark has two blocks at least.
            if zeros == _BLOCK_BYTES or hole:
                searching = True
                yield CorruptDataError(f"{zeros} zeros in place of a member", start)
            elif header is None:
                searching = True
                reason = f"no member after {zeros} zeros" if zeros else "no header of a member"
                yield CorruptDataError(reason, stream.describe_position(len(block)))
        zeros = 0
        if header is None:
            searched_bytes += len(block)
            if searched_bytes > _MAX_SEARCH_BYTES:
                return
            continue
        searching = False
        start = stream.describe_position(_BLOCK_BYTES)
        try:
            member, size = _read_member(stream, header, budget)
        except _DamagedError as error:
            searching = True
            yield CorruptDataError(str(error), start)
            continue
        started, end = True, stream.position + size
        if member is not None:
            yield member
        padding = end + -size % _BLOCK_BYTES - stream.position
        if stream.skip(padding) < padding:
            raise CorruptDataError("cut short", stream.describe_position())
    if zeros > (_MAX_SEARCH_BYTES if started else _MAX_END_ZEROS):
        raise CorruptDataError(f"{zeros} bytes of zeros, or more", start)
    if not zeros and not searching:
        raise CorruptDataError("cut short, without an end mark", stream.describe_position())


def _read_member(stream: Stream, header: _Header, budget: Budget) -> tuple[Member | None, int]:
    """Return a member, None for a folder, and its number of bytes."""
    name, link, pax, header_bytes = header.name, header.link, dict[str, bytes](), 0
    long_name = long_link = b""
    while header.type in _HEADERS_OF_NEXT:
        header_bytes += header.size
        if header_bytes > _MAX_HEADER_BYTES:
            raise _DamagedError(f"{header_bytes} bytes of headers before a member")
        data = _read_exactly(stream, header.size + -header.size % _BLOCK_BYTES)[: header.size]
        if header.type in _PAX:
            pax |= _parse_pax(data)
        elif header.type == _LONG_NAME:
            long_name = data.split(b"\0", 1)[0]
        elif header.type == _LONG_LINK:
            long_link = data.split(b"\0", 1)[0]
        budget.count_member(header.size, stream.describe_position())
        following = _parse_header(_read_exactly(stream, _BLOCK_BYTES))
        if following is None:
            raise _DamagedError("a long header without a member")
        header = following
        name, link = long_name or header.name, long_link or header.link
    name = pax.get("GNU.sparse.name", pax.get("path", name))
    link = pax.get("linkpath", link)
    sparse = header.type == _SPARSE or any(key.startswith(_PAX_SPARSE) for key in pax)
    while header.type == _SPARSE and header.continued:
        header_bytes += _BLOCK_BYTES
        if header_bytes > _MAX_HEADER_BYTES:
            raise _DamagedError(f"{header_bytes} bytes of headers before a member")
        block = _read_exactly(stream, _BLOCK_BYTES)
        header = header._replace(continued=bool(block[504]))
    size = _parse_pax_size(pax["size"]) if "size" in pax else header.size
    folder = header.type == _FOLDER or (header.type == b"\0" and name.endswith(b"/"))
    if header.type in _WITHOUT_DATA or folder:
        size = 0
    bytes_left = budget.bytes_left if stream.left is None else stream.left
    if size > bytes_left:
        raise _DamagedError(
            f"{quote(name)} claims {size} bytes, {bytes_left} are left: cut or damaged"
        )
    budget.count_member(size, stream.describe_position())
    kind, detail = _WITHOUT_DATA.get(header.type, ("file", ""))
    if kind == "link":
        detail += quote(link)
    elif sparse:
        kind, detail = "unreadable", "a sparse file"
    elif header.type == _CONTINUED:
        kind, detail = "unreadable", "continued from another volume"
    elif header.type not in (*_FILES, *_WITHOUT_DATA):
        kind, detail = "special", f"a member of type {header.type!r}"
    if folder or header.type == _VOLUME:
        return None, size
    # Tables hold text in UTF-8 alone: other bytes are escaped.
    return Member(
        name.decode("utf-8", "backslashreplace"), kind, detail, PartStream(stream, size)
    ), size


def _read_exactly(stream: Stream, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise CorruptDataError("cut short", stream.describe_position())
    return data


def _parse_header(block: bytes) -> _Header | None:
    """Return a header; None if its checksum is wrong or its size is no number."""
    if len(block) < _BLOCK_BYTES:
        return None
    checksum = _OCTAL.fullmatch(block[148:156])
    if checksum is None:
        return None
    rest = block[:148] + b" " * 8 + block[156:]
    # Some old programs added up signed bytes.
    difference = sum(rest) - int(checksum[1], 8)
    if difference and difference != 256 * sum(byte > 127 for byte in rest):
        return None
    size = _parse_size(block[124:136])
    if size is None:
        return None
    name = block[:100].split(b"\0", 1)[0]
    # GNU's own format has other fields in these bytes.
    prefix = block[345:500].split(b"\0", 1)[0] if block[257:263] == b"ustar\0" else b""
    return _Header(
        name=prefix + b"/" + name if prefix else name,
        size=size,
        type=block[156:157],
        link=block[157:257].split(b"\0", 1)[0],
        continued=bool(block[482]),
    )


def _parse_size(field: bytes) -> int | None:
    # A size too large for the digits is binary; a first byte of 255 marks a negative number.
    if field[0] == 128:
        return int.from_bytes(field[1:])
    if not field.strip(b"\0 "):
        return 0
    digits = _OCTAL.fullmatch(field.split(b"\0", 1)[0])
    return int(digits[1], 8) if digits else None


def _parse_pax(data: bytes) -> dict[str, bytes]:
    """Return the records of path, link, size and sparse files of an extended header, by key."""
    records, start = {}, 0
    while start < len(data) and data[start]:
        record = _PAX_RECORD.match(data, start)
        end = start + int(record[1]) if record else 0
        if record is None or not record.end() < end <= len(data):
            raise _DamagedError("an extended header without a key or its value")
        key = record[2].decode("utf-8", "replace")
        if key in ("path", "linkpath", "size") or key.startswith(_PAX_SPARSE):
            records[key] = data[record.end() : end - 1]
        start = end
    return records


def _parse_pax_size(value: bytes) -> int:
    if not re.fullmatch(rb"\d{1,18}", value):
        raise _DamagedError(f"a size of {quote(value)} bytes")
    return int(value)
