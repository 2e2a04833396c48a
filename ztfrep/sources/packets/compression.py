"""Streams of packed data, unpacked as they are read: gzip, bzip2 and xz."""

import bz2
import lzma
from collections.abc import Callable
from typing import Any, NamedTuple

from isal import igzip_lib

from ztfrep.sources.packets.streams import BreakError, Budget, Stream

# Of a packed byte that is damaged, it is known in which piece it stands.
_PIECE, _PACKED_PIECE = 1 << 17, 1 << 15
# As `xz -9` needs; a header may ask for 4 GB.
_XZ_MEMORY = 80 << 20
# Packed data may be in several parts, one behind the other: of 64 kB if bgzip wrote them.
_FREE_PARTS, _BYTES_PER_PART = 1000, 1024


class Packing(NamedTuple):
    """A way to pack bytes: its name, its first bytes, a decoder of one packed part."""

    name: str
    magic: bytes
    # With the methods and attributes of bz2.BZ2Decompressor.
    decoder: Callable[[], Any]
    parts: bool = True


PACKINGS = (
    Packing("gzip", b"\x1f\x8b", lambda: igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)),
    Packing("bzip2", b"BZh", bz2.BZ2Decompressor),
    Packing(
        "xz", b"\xfd7zXZ\0", lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
    ),
)


def packing_of(stream: Stream) -> Packing | None:
    """Return how a stream is packed, by its first bytes."""
    head = stream.peek(6)
    return next((packing for packing in PACKINGS if head.startswith(packing.magic)), None)


class Unpacked(Stream):
    """The bytes of a packed stream, of all its parts, unpacked as they are read."""

    def __init__(self, stream: Stream, packing: Packing, budget: Budget) -> None:
        super().__init__()
        self._stream, self._packing, self._budget = stream, packing, budget
        self._decoder: Any = None
        self._parts = 0
        self._rest = b""

    def where(self, back: int = 0) -> str:
        """Say which byte it is, of the packed bytes and of the unpacked ones."""
        return f"about {self._stream.where()} (byte {self.position - back} unpacked)"

    def _next(self) -> bytes:
        while self._decoder is not None or self._start():
            packed, self._rest = self._rest, b""
            at = self._stream.position - len(packed)
            if self._decoder.needs_input and not packed:
                packed = self._stream.read(_PACKED_PIECE)
                if not packed:
                    raise BreakError("cut short", f"byte {at}")
            try:
                piece: bytes = self._decoder.decompress(packed, _PIECE)
            except MemoryError:
                raise
            except Exception as error:
                where = f"byte {at}" if not packed else f"bytes {at} to {at + len(packed)}"
                raise BreakError(f"damaged {self._packing.name} data, {error}", where) from error
            self._budget.spend(len(piece), f"byte {at}")
            if self._decoder.eof:
                self._rest, self._decoder = self._decoder.unused_data, None
            if piece:
                return piece
        return b""

    def _start(self) -> bool:
        """Start on the next part; behind the last, zeros may stand, and nothing else."""
        if self._parts and not self._packing.parts:
            return False
        rest = self._rest.lstrip(b"\0") if self._parts else self._rest
        while len(rest) < len(self._packing.magic):
            more = self._stream.read(_PACKED_PIECE)
            if not more:
                break
            rest = rest + more if rest else more.lstrip(b"\0") if self._parts else more
        self._rest = rest
        if self._parts and not rest:
            return False
        at = f"byte {self._stream.position - len(rest)}"
        if not rest.startswith(self._packing.magic):
            raise BreakError(f"what stands behind is no {self._packing.name} data", at)
        self._parts += 1
        if self._parts > _FREE_PARTS + self._stream.position // _BYTES_PER_PART:
            raise BreakError(f"more than {self._parts} parts of {self._packing.name} data", at)
        self._decoder = self._packing.decoder()
        return True
