"""Streams of bytes that are read forward only: files, and parts of them.

A stream counts its bytes, so that an error can name the position. The time and the memory of
reading are bounded by the size of the file, whatever its bytes claim.
"""

import io
import zlib
from typing import BinaryIO

# A night of packets decompresses to some 1.4 times its size: the stamps in it are compressed.
_FREE_BYTES, _MAX_RATIO = 1 << 26, 20
# A packet has 25 to 80 kB. Each may have a second file, and both another header.
_FREE_MEMBERS, _BYTES_PER_MEMBER = 20_000, 2048
_PIECE_BYTES = 1 << 17


class CorruptDataError(Exception):
    """Bytes that end too early or are not what they should be: the reason and the position."""

    def __init__(self, reason: str, position: str) -> None:
        super().__init__(reason, position)
        self.reason, self.position = reason, position


class BudgetError(CorruptDataError):
    """A file that decompresses to more than its size allows; the rest of it is not read."""


class Budget:
    """The limits of reading a file of `size` bytes: decompressed bytes, and members of archives."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._decompressed = self._members = self._member_bytes = 0

    @property
    def bytes_left(self) -> int:
        """Number of bytes that may still be decompressed."""
        return _FREE_BYTES + _MAX_RATIO * self._size - self._decompressed

    def count_bytes(self, decompressed: int, position: str) -> None:
        """Count decompressed bytes; raises BudgetError if they are too many."""
        self._decompressed += decompressed
        if self.bytes_left < 0:
            raise BudgetError(f"{self._size} bytes unpack to over {self._decompressed}", position)

    def count_member(self, size: int, position: str) -> None:
        """Count the header of a member of `size` bytes; raises BudgetError if most are empty."""
        self._members += 1
        self._member_bytes += size
        if self._members > max_members(self._member_bytes):
            reason = f"{self._members} headers of members, for {self._member_bytes} bytes in all"
            raise BudgetError(reason, position)


def max_members(size: int) -> int:
    """Return the number of members that an archive of `size` bytes may have."""
    return _FREE_MEMBERS + size // _BYTES_PER_MEMBER


class Stream:
    """Bytes that are read forward only."""

    # Number of bytes that are left, None where it is unknown.
    left: int | None = None

    def __init__(self) -> None:
        self.position = 0
        self._piece = b""
        self._used = 0
        self._error: CorruptDataError | None = None
        self._ended = False

    def _next(self) -> bytes:
        """Return the next piece, empty at the end; raises CorruptDataError."""
        raise NotImplementedError

    def describe_position(self, back: int = 0) -> str:
        """Return the position of the next byte, or of the one `back` bytes before, in words."""
        return f"byte {self.position - back}"

    def peek(self, size: int) -> bytes:
        """Return the next bytes and do not consume them; fewer than `size` before an end or error.

        Raises CorruptDataError if there are none.
        """
        while len(self._piece) - self._used < size:
            rest = self._piece[self._used :]
            try:
                more = self._pull()
            except CorruptDataError:
                if not rest:
                    raise
                more = b""
            self._piece, self._used = rest + more, 0
            if not more:
                break
        return self._piece[self._used : self._used + size]

    def read(self, size: int) -> bytes:
        """Return the next bytes, fewer than `size` at the end; raises CorruptDataError."""
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
        """Skip bytes, fewer than `size` at the end; return their number.

        Raises CorruptDataError.
        """
        left = size
        while left and (part := self.read(min(left, _PIECE_BYTES))):
            left -= len(part)
        return size - left

    def as_file(self, max_bytes: int) -> tuple[BinaryIO, int]:
        """Return the rest as a seekable file, and its size.

        Raises CorruptDataError if it has more than `max_bytes`.
        """
        file = io.BytesIO()
        while piece := self.read(_PIECE_BYTES):
            file.write(piece)
            if file.tell() > max_bytes:
                raise CorruptDataError(
                    f"more than {max_bytes} bytes, in an archive; unpack that",
                    self.describe_position(),
                )
        return file, file.tell()

    def _pull(self) -> bytes:
        if self._error is not None:
            raise self._error
        if self._ended:
            return b""
        try:
            piece = self._next()
            self._ended = not piece
            return piece
        except CorruptDataError as error:
            self._error = error
            raise


class FileStream(Stream):
    """The bytes of a file, `size` of them from `start` on."""

    def __init__(self, file: BinaryIO, size: int, start: int = 0) -> None:
        super().__init__()
        self._file, self._start, self._size = file, start, size
        self._pulled = 0

    @property
    def left(self) -> int:  # type: ignore[override]
        """Number of bytes that are left."""
        return self._size - self.position

    def _next(self) -> bytes:
        if self._pulled >= self._size:
            return b""
        # Other streams may read the same file.
        self._file.seek(self._start + self._pulled)
        piece = self._file.read(min(4 * _PIECE_BYTES, self._size - self._pulled))
        self._pulled += len(piece)
        return piece

    def skip(self, size: int) -> int:
        """Skip bytes without reading them; return their number."""
        size = min(size, self.left)
        self._used += size
        self.position += size
        if self._used > len(self._piece):
            self._pulled += self._used - len(self._piece)
            self._piece, self._used = b"", 0
        return size

    def as_file(self, max_bytes: int) -> tuple[BinaryIO, int]:
        """Return the file itself, whatever its size, and its size."""
        if self._start or self.position:
            return super().as_file(max_bytes)
        return self._file, self._size


class PartStream(Stream):
    """The next `size` bytes of another stream; `truncated` if that one ends before."""

    def __init__(self, stream: Stream, size: int) -> None:
        super().__init__()
        self._stream, self._size = stream, size
        self._pulled = 0
        self.truncated = False

    @property
    def left(self) -> int:  # type: ignore[override]
        """Number of bytes that are left."""
        return self._size - self.position

    def _next(self) -> bytes:
        self.truncated = True
        piece = self._stream.read(min(_PIECE_BYTES, self._size - self._pulled))
        self._pulled += len(piece)
        if not piece and self._pulled < self._size:
            raise CorruptDataError("cut short", self._stream.describe_position())
        self.truncated = False
        return piece


class ChecksumStream(Stream):
    """The bytes of another stream, whose size and CRC-32 are validated at the end."""

    def __init__(self, stream: Stream, size: int, crc: int) -> None:
        super().__init__()
        self._stream, self._size, self._expected = stream, size, crc
        self._pulled = self._crc = 0

    def _next(self) -> bytes:
        piece = self._stream.read(min(_PIECE_BYTES, self._size - self._pulled))
        self._pulled += len(piece)
        self._crc = zlib.crc32(piece, self._crc)
        if not piece and (self._pulled, self._crc) != (self._size, self._expected):
            raise CorruptDataError(
                "its size or its checksum is wrong", self._stream.describe_position()
            )
        return piece
