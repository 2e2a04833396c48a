"""Zip archives as members that are read one by one, with limits.

zipfile reads the directory. The members' bytes are unpacked here, since zipfile unpacks all that
4 kB of bzip2 or LZMA hold at once.
"""

import bz2
import io
import lzma
import stat
import struct
import zipfile
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from isal import igzip_lib

from ztfrep.sources.packets.compression import Packing, Unpacked
from ztfrep.sources.packets.streams import BreakError, Budget, Checked, Plain, Stream, most_members
from ztfrep.sources.packets.tar import Member

# The largest directory, in bytes per member that a file of its size may have.
_BYTES_PER_ENTRY = 128
_LARGEST_DICTIONARY = 1 << 26
_ENCRYPTED = 1
_LOCAL_HEADER = 30


def read_zip(file: BinaryIO, size: int, budget: Budget) -> Iterator[Member | BreakError]:
    """Read the members of an archive of `size` bytes; raises BreakError where it cannot be read."""
    try:
        directory = zipfile.ZipFile(_Bounded(file, _BYTES_PER_ENTRY * most_members(size)))
    except MemoryError:
        raise
    except Exception as error:
        reason = f"the directory at its end cannot be read, {str(error)[:80]}"
        raise BreakError(reason, f"byte {size}") from error
    packed = 0
    for entry in directory.infolist():
        where = f"byte {entry.header_offset}"
        budget.count_member(entry.compress_size, where)
        packed += entry.compress_size
        if packed > size:
            raise BreakError("members that overlap", where)
        if entry.is_dir():
            continue
        name = entry.filename
        if stat.S_ISLNK(entry.external_attr >> 16):
            yield Member(name, "link", "a symbolic link", Plain(file, 0))
            continue
        try:
            yield Member(name, "file", "", _open(file, size, entry, budget))
        except BreakError as error:
            yield Member(name, "unreadable", f"{error.reason} at {error.where}", Plain(file, 0))


def _open(file: BinaryIO, size: int, entry: zipfile.ZipInfo, budget: Budget) -> Stream:
    where = f"byte {entry.header_offset}"
    if entry.flag_bits & _ENCRYPTED:
        raise BreakError("an encrypted member", where)
    file.seek(entry.header_offset)
    header = file.read(_LOCAL_HEADER)
    if len(header) < _LOCAL_HEADER or not header.startswith(b"PK\3\4"):
        raise BreakError("no member", where)
    start = entry.header_offset + _LOCAL_HEADER + sum(struct.unpack("<HH", header[26:30]))
    if start + entry.compress_size > size:
        raise BreakError("a member that is cut short", where)
    stream: Stream = Plain(file, entry.compress_size, start)
    if entry.compress_type != zipfile.ZIP_STORED:
        decoder = _decoder(entry.compress_type, stream)
        if decoder is None:
            name = zipfile.compressor_names.get(entry.compress_type, "unknown")  # type: ignore[attr-defined]
            raise BreakError(f"a member of compression {entry.compress_type} ({name})", where)
        stream = Unpacked(stream, Packing("zip", b"", decoder, parts=False), budget)
    return Checked(stream, entry.file_size, entry.CRC)


def _decoder(method: int, stream: Stream) -> Callable[[], Any] | None:
    if method == zipfile.ZIP_DEFLATED:
        return lambda: igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_DEFLATE)
    if method == zipfile.ZIP_BZIP2:
        return bz2.BZ2Decompressor
    head = stream.read(9) if method == zipfile.ZIP_LZMA else b""
    # A version, the length of what follows, the properties in one byte, the dictionary's size.
    if len(head) < 9 or head[2:4] != b"\5\0":
        return None
    properties, dictionary = head[4], int.from_bytes(head[5:9], "little")
    if properties >= 9 * 5 * 5 or dictionary > _LARGEST_DICTIONARY:
        return None
    rest, lc = divmod(properties, 9)
    pb, lp = divmod(rest, 5)
    lzma1 = {"id": lzma.FILTER_LZMA1, "dict_size": dictionary, "lc": lc, "lp": lp, "pb": pb}
    return lambda: lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[lzma1])


class _Bounded(io.RawIOBase):
    """A file of which at most so much is read at once: a directory of any size is one read."""

    def __init__(self, file: BinaryIO, most: int) -> None:
        self._file, self._most = file, most

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def read(self, size: int | None = -1) -> bytes:
        if size is not None and size > self._most:
            raise ValueError(f"a directory of {size} bytes")
        return self._file.read(self._most if size is None or size < 0 else size)
