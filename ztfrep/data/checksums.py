"""A checksum inside a Parquet file: the CRC-32 of all its bytes, with zeros for its own digits.

The metadata in the footer has the checksum and the size of the file. If another program rewrites
the file, it may copy the entry, but the size is another one. A file of the same size and another
checksum was changed in place. The checksum detects damage and rewriting, but not forgery.
"""

import io
import re
from enum import Enum
from pathlib import Path

from isal import isal_zlib

from ztfrep.data.parquet_files import find_footer

KEY = "checksum"
# The number is increased when the checks of `alert_checks` change.
_MARK = b"ztfrep-checked-1"
_BLANK = _MARK + b" crc32 %08x of %016x bytes" % (0, 0)
_FILLED = re.compile(_MARK + rb" crc32 ([0-9a-f]{8}) of ([0-9a-f]{16}) bytes")
_BLOCK_BYTES = 1 << 20

# The value of the metadata's entry before the checksum is known.
BLANK = _BLANK.decode()


class Checksum(Enum):
    """The result of comparing a file with its checksum."""

    ABSENT = "no checksum, or that of another file"
    VALID = "the bytes that were written"
    INVALID = "other bytes than were written"


class ChecksummedFile(io.BufferedWriter):
    """A new file that computes the checksum of the bytes appended to it."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path, "wb"))
        self._crc = 0

    def write(self, data: object) -> int:
        """Append bytes."""
        self._crc = isal_zlib.crc32(data, self._crc)
        return super().write(data)  # type: ignore[arg-type]

    def write_checksum(self, path: Path) -> None:
        """Close the file; replace `BLANK` in the footer of `path`, its name, by the checksum."""
        self.close()
        footer = find_footer(path)
        size = path.stat().st_size
        with path.open("r+b") as file:
            file.seek(footer.start)
            offset = file.read(len(footer)).rindex(_BLANK)
            file.seek(footer.start + offset)
            file.write(_MARK + b" crc32 %08x of %016x bytes" % (self._crc, size))


def verify(path: Path) -> Checksum:
    """Compare a Parquet file with its checksum, at some 2.5 GB/s on one core.

    Raises InputError if the file has no footer.
    """
    size = path.stat().st_size
    footer = find_footer(path)
    with path.open("rb") as file:
        file.seek(footer.start)
        rest = file.read()
        entries = [entry for entry in _FILLED.finditer(rest) if int(entry[2], 16) == size]
        if len(entries) != 1:
            return Checksum.ABSENT
        crc, bytes_left = 0, footer.start
        file.seek(0)
        while block := file.read(min(bytes_left, _BLOCK_BYTES)):
            crc = isal_zlib.crc32(block, crc)
            bytes_left -= len(block)
    start, end = entries[0].span()
    for part in (rest[:start], _BLANK, rest[end:]):
        crc = isal_zlib.crc32(part, crc)
    return Checksum.VALID if crc == int(entries[0][1], 16) else Checksum.INVALID
