"""A memory-mapped file that is read in order, with a limit of the memory for its objects."""

import mmap
import os
import stat
from pathlib import Path

from ztfrep.errors import InputError
from ztfrep.sources.pickles.allow_list import RefusedPickleError

# Bytes of memory for the Python objects of a file. The published features, 73,710 rows of objects,
# cost 107 million.
ALLOWANCE = 120 << 20
# A line of a pickle is a number, or the module or name of a function.
_MAX_LINE = 512
# Pages that were read are released in steps of this size; otherwise they count as our memory.
_RELEASE_BYTES = 4 << 20


class TruncatedError(Exception):
    """The file ends before its content does."""


class MappedFile:
    """The bytes of a regular file: `read` and `readline` copy, `view` views; `position` advances.

    Raises InputError for a path that is missing, no regular file or may not be read.
    """

    __slots__ = ("_copies_left", "_released", "allowance_left", "data", "position", "view_of_all")

    def __init__(self, path: str | Path, expected: str) -> None:
        self.data = _map(path, expected)
        self.view_of_all = memoryview(self.data)
        self.position = 0
        self._released = 0
        self.allowance_left = ALLOWANCE
        # Arrays have at most eight bytes for each byte of the file: an element of an object array,
        # a pointer of eight bytes, has a byte or more. Only copies of repeated parts need more.
        self._copies_left = 8 * len(self.data)

    def pay(self, size: int) -> None:
        """Subtract bytes of memory from the allowance."""
        self.allowance_left -= size
        if self.allowance_left < 0:
            raise RefusedPickleError(
                "more Python objects than a data set of arrays has",
                remedy="store numbers as arrays of floats, not as Python objects",
            )

    def pay_copy(self, size: int) -> None:
        """Subtract bytes from those that copies of parts of this file may have."""
        self._copies_left -= size
        if self._copies_left < 0:
            raise RefusedPickleError("parts repeated to many times the size of the file")

    def release(self) -> None:
        """Release the pages that were read; the system reads them again when they are used."""
        if self.position - self._released > _RELEASE_BYTES:
            end = self.position - self.position % mmap.PAGESIZE
            self.data.madvise(mmap.MADV_DONTNEED, self._released, end - self._released)
            self._released = end

    def view(self, size: int) -> memoryview:
        """Return a view of the next bytes."""
        self._require(size)
        self.release()
        self.position += size
        return self.view_of_all[self.position - size : self.position]

    def read(self, size: int) -> bytes:
        """Return a copy of the next bytes."""
        self._require(size)
        self.position += size
        return self.data[self.position - size : self.position]

    def readline(self, maximum: int = _MAX_LINE) -> bytes:
        """Return a copy of the next bytes to the end of the line, and pay for them."""
        end = self.data.find(b"\n", self.position, self.position + maximum)
        if end < 0 and self.position + maximum >= len(self.data):
            raise TruncatedError(f"{len(self.data)} bytes that end within a line")
        if end < 0:
            raise RefusedPickleError(f"a line of more than {maximum} bytes")
        self.pay(end - self.position)
        return self.read(end + 1 - self.position)

    def _require(self, size: int) -> None:
        end = self.position + size
        if end > len(self.data):
            raise TruncatedError(f"{len(self.data)} bytes where at least {end} are announced")


def _map(path: str | Path, expected: str) -> mmap.mmap:
    try:
        mode = os.stat(path).st_mode
        # Opening a pipe would wait for its other end.
        if not stat.S_ISREG(mode):
            found = "a directory" if stat.S_ISDIR(mode) else "no regular file"
            raise InputError(path, found=found, expected=expected, remedy="give the file itself")
        with Path(path).open("rb") as file:
            if not os.fstat(file.fileno()).st_size:
                remedy = "fetch it again"
                raise InputError(path, found="an empty file", expected=expected, remedy=remedy)
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError:
        found, remedy = "no such file", "correct the path"
    except PermissionError:
        found, remedy = "a file that you may not read", "change its permissions"
    except OSError as error:
        found = f"a file that cannot be read ({error.strerror})"
        remedy = "correct the path, or check the disk"
    raise InputError(path, found=found, expected=expected, remedy=remedy)
