"""Tar archives as a stream of members, with every break in them.

Unlike tarfile, this reads on behind an end mark and behind a damaged header, and nothing that a
header claims costs memory or time beyond what is there.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from ztfrep.data.filetypes import quote
from ztfrep.sources.packets.streams import BreakError, Budget, Part, Stream

_BLOCK = 512
_ZEROS = bytes(_BLOCK)
# Of all the headers that belong to one member: its long name, its times, its attributes.
_LARGEST_EXTRA = 1 << 20
# An archive ends in zeros up to a multiple of 10 kB; between two members, more are a hole.
_MOST_ZEROS = 64 * _BLOCK
# So far behind a break the next member is searched for.
_FAR = 1 << 26

_OCTAL = re.compile(rb" *([0-7]+)[ \0]*")
_PAX_RECORD = re.compile(rb"(\d{1,7}) ([^=\n]{1,200})=")
_PAX_SPARSE = "GNU.sparse."
_PAX, _PAX_OF_ALL, _LONG_NAME, _LONG_LINK = (b"x", b"X"), b"g", b"L", b"K"
_EXTRA = (*_PAX, _PAX_OF_ALL, _LONG_NAME, _LONG_LINK)
_FILES, _FOLDER, _SPARSE, _CONTINUED, _VOLUME = (b"0", b"\0", b"7"), b"5", b"S", b"M", b"V"
_WITHOUT_DATA = {
    b"1": ("link", "a hard link to "),
    b"2": ("link", "a symbolic link to "),
    b"3": ("special", "a character device"),
    b"4": ("special", "a block device"),
    b"6": ("special", "a named pipe"),
}


class Member(NamedTuple):
    """A member of an archive; `data` are its bytes, to be read before the next member is.

    `kind` is `file`, `link`, `special` (a device or the like) or `unreadable` (a file whose bytes
    cannot be read); `detail` says more.
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
    # Of a sparse member: a block of its map follows.
    continued: bool


class _DamagedError(Exception):
    """A header that cannot be right; the text says why."""


def is_tar(head: bytes) -> bool:
    """Tell whether a file of these first bytes is a tar archive, damaged or not."""
    return head[257:262] == b"ustar" or _parse(head[:_BLOCK]) is not None


def read_tar(stream: Stream, budget: Budget) -> Iterator[Member | BreakError]:
    """Read the members of an archive; where it is broken, a BreakError stands, and what follows it.

    Raises BreakError where nothing behind a break can be read.
    """
    started = lost = False
    zeros = searched = 0
    mark = stream.where()
    while block := stream.read(_BLOCK):
        if block == _ZEROS[: len(block)]:
            if not zeros:
                mark = stream.where(len(block))
            zeros += len(block)
            if zeros > _FAR:
                break
            continue
        header = _parse(block)
        if not lost:
            hole = zeros > _MOST_ZEROS and started and header is not None
            # An end mark has two blocks at least.
            if zeros == _BLOCK or hole:
                lost = True
                yield BreakError(f"{zeros} zeros in place of a member", mark)
            elif header is None:
                lost = True
                reason = f"no member behind {zeros} zeros" if zeros else "no header of a member"
                yield BreakError(reason, stream.where(len(block)))
        zeros = 0
        if header is None:
            searched += len(block)
            if searched > _FAR:
                return
            continue
        lost = False
        mark = stream.where(_BLOCK)
        try:
            member, size = _read_member(stream, header, budget)
        except _DamagedError as error:
            lost = True
            yield BreakError(str(error), mark)
            continue
        started, end = True, stream.position + size
        if member is not None:
            yield member
        padded = end + -size % _BLOCK - stream.position
        if stream.skip(padded) < padded:
            raise BreakError("cut short", stream.where())
    if zeros > (_FAR if started else _MOST_ZEROS):
        raise BreakError(f"{zeros} bytes of zeros, or more", mark)
    if not zeros and not lost:
        raise BreakError("cut short, without an end mark", stream.where())


def _read_member(stream: Stream, header: _Header, budget: Budget) -> tuple[Member | None, int]:
    """Return a member, None for a folder, and how many bytes it has."""
    name, link, pax, extra = header.name, header.link, dict[str, bytes](), 0
    long_name = long_link = b""
    while header.type in _EXTRA:
        extra += header.size
        if extra > _LARGEST_EXTRA:
            raise _DamagedError(f"{extra} bytes of headers before a member")
        data = _exactly(stream, header.size + -header.size % _BLOCK)[: header.size]
        if header.type in _PAX:
            pax |= _parse_pax(data)
        elif header.type == _LONG_NAME:
            long_name = data.split(b"\0", 1)[0]
        elif header.type == _LONG_LINK:
            long_link = data.split(b"\0", 1)[0]
        budget.count_member(header.size, stream.where())
        following = _parse(_exactly(stream, _BLOCK))
        if following is None:
            raise _DamagedError("a long header without a member")
        header = following
        name, link = long_name or header.name, long_link or header.link
    name = pax.get("GNU.sparse.name", pax.get("path", name))
    link = pax.get("linkpath", link)
    sparse = header.type == _SPARSE or any(key.startswith(_PAX_SPARSE) for key in pax)
    while header.type == _SPARSE and header.continued:
        extra += _BLOCK
        if extra > _LARGEST_EXTRA:
            raise _DamagedError(f"{extra} bytes of headers before a member")
        block = _exactly(stream, _BLOCK)
        header = header._replace(continued=bool(block[504]))
    size = _pax_size(pax["size"]) if "size" in pax else header.size
    folder = header.type == _FOLDER or (header.type == b"\0" and name.endswith(b"/"))
    if header.type in _WITHOUT_DATA or folder:
        size = 0
    left = budget.bytes_left if stream.left is None else stream.left
    if size > left:
        raise _DamagedError(f"{quote(name)} claims {size} bytes, {left} are left: cut or damaged")
    budget.count_member(size, stream.where())
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
    # What is not UTF-8 is escaped: tables hold no other text.
    return Member(name.decode("utf-8", "backslashreplace"), kind, detail, Part(stream, size)), size


def _exactly(stream: Stream, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise BreakError("cut short", stream.where())
    return data


def _parse(block: bytes) -> _Header | None:
    """Read a header; None where its checksum is wrong, or a size is none."""
    if len(block) < _BLOCK:
        return None
    checksum = _OCTAL.fullmatch(block[148:156])
    if checksum is None:
        return None
    rest = block[:148] + b" " * 8 + block[156:]
    # Some old programs added up signed bytes.
    off = sum(rest) - int(checksum[1], 8)
    if off and off != 256 * sum(byte > 127 for byte in rest):
        return None
    size = _number(block[124:136])
    if size is None:
        return None
    name = block[:100].split(b"\0", 1)[0]
    # GNU's own format has other things there.
    prefix = block[345:500].split(b"\0", 1)[0] if block[257:263] == b"ustar\0" else b""
    return _Header(
        name=prefix + b"/" + name if prefix else name,
        size=size,
        type=block[156:157],
        link=block[157:257].split(b"\0", 1)[0],
        continued=bool(block[482]),
    )


def _number(field: bytes) -> int | None:
    # What is too large for the digits is in binary; a first byte of 255 is a negative number's.
    if field[0] == 128:
        return int.from_bytes(field[1:])
    if not field.strip(b"\0 "):
        return 0
    digits = _OCTAL.fullmatch(field.split(b"\0", 1)[0])
    return int(digits[1], 8) if digits else None


def _parse_pax(data: bytes) -> dict[str, bytes]:
    """Read what matters of an extended header's records: a length, a key and a value each."""
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


def _pax_size(value: bytes) -> int:
    if not re.fullmatch(rb"\d{1,18}", value):
        raise _DamagedError(f"a size of {quote(value)} bytes")
    return int(value)
