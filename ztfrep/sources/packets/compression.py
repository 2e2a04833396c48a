"""Streams of compressed data, decompressed as they are read: gzip, bzip2 and xz."""

import bz2
import lzma
from collections.abc import Callable
from typing import Any, NamedTuple

from isal import igzip_lib

from ztfrep.sources.packets.streams import Budget, CorruptDataError, Stream

# An error in compressed data is located to one compressed piece.
_PIECE_BYTES, _COMPRESSED_PIECE_BYTES = 1 << 17, 1 << 15
# The memory that `xz -9` needs; a header may require 4 GB.
_XZ_MEMORY = 80 << 20
# Limit of the compressed parts in a file, one after the other. Those of bgzip have 64 kB.
_FREE_PARTS, _BYTES_PER_PART = 1000, 1024


class Compression(NamedTuple):
    """A format of compressed data: its name, its first bytes, a decompressor of one part."""

    name: str
    magic: bytes
    # Returns an object with the methods and attributes of bz2.BZ2Decompressor.
    make_decompressor: Callable[[], Any]
    several_parts: bool = True


COMPRESSIONS = (
    Compression(
        "gzip", b"\x1f\x8b", lambda: igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
    ),
    Compression("bzip2", b"BZh", bz2.BZ2Decompressor),
    Compression(
        "xz", b"\xfd7zXZ\0", lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
    ),
)


def detect_compression(stream: Stream) -> Compression | None:
    """Return the compression of a stream, by its first bytes; None if it has none."""
    head = stream.peek(6)
    return next((candidate for candidate in COMPRESSIONS if head.startswith(candidate.magic)), None)


class DecompressedStream(Stream):
    """The decompressed bytes of a stream, of all its parts."""

    def __init__(self, stream: Stream, compression: Compression, budget: Budget) -> None:
        super().__init__()
        self._stream, self._compression, self._budget = stream, compression, budget
        self._decompressor: Any = None
        self._parts = 0
        self._rest = b""

    def describe_position(self, back: int = 0) -> str:
        """Return the position among the compressed bytes and the decompressed ones, in words."""
        return f"about {self._stream.describe_position()} (byte {self.position - back} unpacked)"

    def _next(self) -> bytes:
        while self._decompressor is not None or self._start_part():
            compressed, self._rest = self._rest, b""
            start = self._stream.position - len(compressed)
            if self._decompressor.needs_input and not compressed:
                compressed = self._stream.read(_COMPRESSED_PIECE_BYTES)
                if not compressed:
                    raise CorruptDataError("cut short", f"byte {start}")
            try:
                piece: bytes = self._decompressor.decompress(compressed, _PIECE_BYTES)
            except MemoryError:
                raise
            except Exception as error:
                position = f"byte {start}"
                if compressed:
                    position = f"bytes {start} to {start + len(compressed)}"
                raise CorruptDataError(
                    f"damaged {self._compression.name} data, {error}", position
                ) from error
            self._budget.count_bytes(len(piece), f"byte {start}")
            if self._decompressor.eof:
                self._rest, self._decompressor = self._decompressor.unused_data, None
            if piece:
                return piece
        return b""

    def _start_part(self) -> bool:
        """Start the next part; return False at the end, where zeros may follow the last part."""
        if self._parts and not self._compression.several_parts:
            return False
        rest = self._rest.lstrip(b"\0") if self._parts else self._rest
        while len(rest) < len(self._compression.magic):
            more = self._stream.read(_COMPRESSED_PIECE_BYTES)
            if not more:
                break
            rest = rest + more if rest else more.lstrip(b"\0") if self._parts else more
        self._rest = rest
        if self._parts and not rest:
            return False
        position = f"byte {self._stream.position - len(rest)}"
        if not rest.startswith(self._compression.magic):
            raise CorruptDataError(f"what follows is no {self._compression.name} data", position)
        self._parts += 1
        if self._parts > _FREE_PARTS + self._stream.position // _BYTES_PER_PART:
            raise CorruptDataError(
                f"more than {self._parts} parts of {self._compression.name} data", position
            )
        self._decompressor = self._compression.make_decompressor()
        return True
