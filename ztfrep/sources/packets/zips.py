"""A reader of zip archives, member by member, with limits.

zipfile reads the directory. This module decompresses the members, since zipfile decompresses all
data in 4 kB of bzip2 or LZMA at once.
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

from ztfrep.sources.packets.compression import Compression, DecompressedStream
from ztfrep.sources.packets.streams import (
    Budget,
    ChecksumStream,
    CorruptDataError,
    FileStream,
    Stream,
    max_members,
)
from ztfrep.sources.packets.tar import Member

# Maximum of bytes of the directory, per member that a file of its size may have.
_BYTES_PER_ENTRY = 128
_MAX_DICTIONARY_BYTES = 1 << 26
_ENCRYPTED_FLAG = 1
_LOCAL_HEADER_BYTES = 30


def read_zip(file: BinaryIO, size: int, budget: Budget) -> Iterator[Member | CorruptDataError]:
    """Yield the members of an archive of `size` bytes; raises CorruptDataError if it is damaged."""
    try:
        directory = zipfile.ZipFile(_LimitedFile(file, _BYTES_PER_ENTRY * max_members(size)))
    except MemoryError:
        raise
    except Exception as error:
        reason = f"the directory at its end cannot be read, {str(error)[:80]}"
        raise CorruptDataError(reason, f"byte {size}") from error
    compressed = 0
    for entry in directory.infolist():
        position = f"byte {entry.header_offset}"
        budget.count_member(entry.compress_size, position)
        compressed += entry.compress_size
        if compressed > size:
            raise CorruptDataError("members that overlap", position)
        if entry.is_dir():
            continue
        name = entry.filename
        if stat.S_ISLNK(entry.external_attr >> 16):
            yield Member(name, "link", "a symbolic link", FileStream(file, 0))
            continue
        try:
            yield Member(name, "file", "", _open_member(file, size, entry, budget))
        except CorruptDataError as error:
            yield Member(
                name, "unreadable", f"{error.reason} at {error.position}", FileStream(file, 0)
            )


def _open_member(file: BinaryIO, size: int, entry: zipfile.ZipInfo, budget: Budget) -> Stream:
    position = f"byte {entry.header_offset}"
    if entry.flag_bits & _ENCRYPTED_FLAG:
        raise CorruptDataError("an encrypted member", position)
    file.seek(entry.header_offset)
    header = file.read(_LOCAL_HEADER_BYTES)
    if len(header) < _LOCAL_HEADER_BYTES or not header.startswith(b"PK\3\4"):
        raise CorruptDataError("no member", position)
    start = entry.header_offset + _LOCAL_HEADER_BYTES + sum(struct.unpack("<HH", header[26:30]))
    if start + entry.compress_size > size:
        raise CorruptDataError("a member that is cut short", position)
    stream: Stream = FileStream(file, entry.compress_size, start)
    if entry.compress_type != zipfile.ZIP_STORED:
        make_decompressor = _find_decompressor(entry.compress_type, stream)
        if make_decompressor is None:
            name = zipfile.compressor_names.get(entry.compress_type, "unknown")  # type: ignore[attr-defined]
            raise CorruptDataError(
                f"a member of compression {entry.compress_type} ({name})", position
            )
        stream = DecompressedStream(
            stream, Compression("zip", b"", make_decompressor, several_parts=False), budget
        )
    return ChecksumStream(stream, entry.file_size, entry.CRC)


def _find_decompressor(method: int, stream: Stream) -> Callable[[], Any] | None:
    if method == zipfile.ZIP_DEFLATED:
        return lambda: igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_DEFLATE)
    if method == zipfile.ZIP_BZIP2:
        return bz2.BZ2Decompressor
    head = stream.read(9) if method == zipfile.ZIP_LZMA else b""
    # A version, the length of the rest, the properties in one byte, the size of the dictionary.
    if len(head) < 9 or head[2:4] != b"\5\0":
        return None
    properties, dictionary = head[4], int.from_bytes(head[5:9], "little")
    if properties >= 9 * 5 * 5 or dictionary > _MAX_DICTIONARY_BYTES:
        return None
    rest, lc = divmod(properties, 9)
    pb, lp = divmod(rest, 5)
    lzma1 = {"id": lzma.FILTER_LZMA1, "dict_size": dictionary, "lc": lc, "lp": lp, "pb": pb}
    return lambda: lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[lzma1])


class _LimitedFile(io.RawIOBase):
    """A file that returns at most `max_bytes` at once: zipfile reads a directory in one read."""

    def __init__(self, file: BinaryIO, max_bytes: int) -> None:
        self._file, self._max_bytes = file, max_bytes

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def read(self, size: int | None = -1) -> bytes:
        if size is not None and size > self._max_bytes:
            raise ValueError(f"a directory of {size} bytes")
        return self._file.read(self._max_bytes if size is None or size < 0 else size)
