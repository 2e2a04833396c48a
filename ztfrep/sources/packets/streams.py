"""Streams of bytes that are read forward only: files, and parts of them.

A stream knows its place, so that a break can be named, and what it costs is bounded by the size of
the file that it comes from, whatever the bytes claim.
"""

import io
import zlib
from typing import BinaryIO

# A night of packets unpacks to some 1.4 times its size: the stamps in it are packed already.
_FREE_BYTES, _MOST_RATIO = 1 << 26, 20
# A packet has 25 to 80 kB; each may have a second file and a header more for both.
_FREE_MEMBERS, _BYTES_PER_MEMBER = 20_000, 2048
_PIECE = 1 << 17


class BreakError(Exception):
    """Bytes that end too early, or that are not what they should be: what is wrong, and where."""

    def __init__(self, reason: str, where: str) -> None:
        super().__init__(reason, where)
        self.reason, self.where = reason, where


class TooMuchError(BreakError):
    """A file that unpacks to more than its size allows; none of the rest of it is read."""


class Budget:
    """What may be read of a file of `size` bytes, with all that is packed in it."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._unpacked = self._members = self._of_members = 0

    @property
    def bytes_left(self) -> int:
        """So many bytes may still be unpacked."""
        return _FREE_BYTES + _MOST_RATIO * self._size - self._unpacked

    def spend(self, unpacked: int, where: str) -> None:
        """Count bytes that were unpacked; raises TooMuchError where they are too many."""
        self._unpacked += unpacked
        if self.bytes_left < 0:
            raise TooMuchError(f"{self._size} bytes unpack to over {self._unpacked}", where)

    def count_member(self, size: int, where: str) -> None:
        """Count a header, of a member of `size` bytes; raises TooMuchError where most are empty."""
        self._members += 1
        self._of_members += size
        if self._members > most_members(self._of_members):
            reason = f"{self._members} headers of members, for {self._of_members} bytes in all"
            raise TooMuchError(reason, where)


def most_members(size: int) -> int:
    """Return how many members an archive of so many bytes may have."""
    return _FREE_MEMBERS + size // _BYTES_PER_MEMBER


class Stream:
    """Bytes that are read forward only."""

    # How many bytes are left, where that is known.
    left: int | None = None

    def __init__(self) -> None:
        self.position = 0
        self._piece = b""
        self._used = 0
        self._break: BreakError | None = None
        self._ended = False

    def _next(self) -> bytes:
        """Return the next piece, empty at the end; raises BreakError."""
        raise NotImplementedError

    def where(self, back: int = 0) -> str:
        """Say which byte comes next, or which one came so many bytes before."""
        return f"byte {self.position - back}"

    def peek(self, size: int) -> bytes:
        """Return the next bytes without reading them, fewer than `size` before an end or break."""
        while len(self._piece) - self._used < size:
            rest = self._piece[self._used :]
            try:
                more = self._pull()
            except BreakError:
                if not rest:
                    raise
                more = b""
            self._piece, self._used = rest + more, 0
            if not more:
                break
        return self._piece[self._used : self._used + size]

    def read(self, size: int) -> bytes:
        """Return the next bytes, fewer than `size` at the end; raises BreakError."""
        end = self._used + size
        if end <= len(self._piece):
            data = self._piece[self._used : end]
            self._used = end
            self.position += size
            return data
        parts = []
        while size:
            if self._used == len(self._piece):
                self._piece, self._used = self._pull(), 0
                if not self._piece:
                    break
            part = self._piece[self._used : self._used + size]
            self._used += len(part)
            self.position += len(part)
            size -= len(part)
            parts.append(part)
        return b"".join(parts)

    def skip(self, size: int) -> int:
        """Pass over bytes, fewer than `size` at the end; return how many. Raises BreakError."""
        left = size
        while left and (part := self.read(min(left, _PIECE))):
            left -= len(part)
        return size - left

    def as_file(self, most: int) -> tuple[BinaryIO, int]:
        """Return the rest as a file to seek in, and its size; raises BreakError beyond `most`."""
        file = io.BytesIO()
        while piece := self.read(_PIECE):
            file.write(piece)
            if file.tell() > most:
                raise BreakError(
                    f"more than {most} bytes, in an archive; unpack that", self.where()
                )
        return file, file.tell()

    def _pull(self) -> bytes:
        if self._break is not None:
            raise self._break
        if self._ended:
            return b""
        try:
            piece = self._next()
            self._ended = not piece
            return piece
        except BreakError as error:
            self._break = error
            raise


class Plain(Stream):
    """The bytes of a file, `size` of them from `start` on."""

    def __init__(self, file: BinaryIO, size: int, start: int = 0) -> None:
        super().__init__()
        self._file, self._start, self._size = file, start, size
        self._pulled = 0

    @property
    def left(self) -> int:  # type: ignore[override]
        """How many bytes are left."""
        return self._size - self.position

    def _next(self) -> bytes:
        if self._pulled >= self._size:
            return b""
        # Others may read the file too.
        self._file.seek(self._start + self._pulled)
        piece = self._file.read(min(4 * _PIECE, self._size - self._pulled))
        self._pulled += len(piece)
        return piece

    def skip(self, size: int) -> int:
        """Pass over bytes without reading them."""
        size = min(size, self.left)
        self._used += size
        self.position += size
        if self._used > len(self._piece):
            self._pulled += self._used - len(self._piece)
            self._piece, self._used = b"", 0
        return size

    def as_file(self, most: int) -> tuple[BinaryIO, int]:
        """Return the file itself, whatever its size."""
        if self._start or self.position:
            return super().as_file(most)
        return self._file, self._size


class Part(Stream):
    """The next `size` bytes of another stream; `cut` where that one ends before."""

    def __init__(self, stream: Stream, size: int) -> None:
        super().__init__()
        self._stream, self._size = stream, size
        self._pulled = 0
        self.cut = False

    @property
    def left(self) -> int:  # type: ignore[override]
        """How many bytes are left."""
        return self._size - self.position

    def _next(self) -> bytes:
        self.cut = True
        piece = self._stream.read(min(_PIECE, self._size - self._pulled))
        self._pulled += len(piece)
        if not piece and self._pulled < self._size:
            raise BreakError("cut short", self._stream.where())
        self.cut = False
        return piece


class Checked(Stream):
    """The bytes of another stream, which must be `size` of this CRC-32."""

    def __init__(self, stream: Stream, size: int, crc: int) -> None:
        super().__init__()
        self._stream, self._size, self._expected = stream, size, crc
        self._pulled = self._crc = 0

    def _next(self) -> bytes:
        piece = self._stream.read(min(_PIECE, self._size - self._pulled))
        self._pulled += len(piece)
        self._crc = zlib.crc32(piece, self._crc)
        if not piece and (self._pulled, self._crc) != (self._size, self._expected):
            raise BreakError("its size or its checksum is wrong", self._stream.where())
        return piece
