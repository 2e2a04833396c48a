"""A memory-mapped file that is read in order, with a limit of the memory that it may cost."""

import mmap
import os
import stat
from pathlib import Path

from ztfrep.errors import InputError
from ztfrep.sources.pickles.allow_list import RefusedError

# Bytes of memory that reading a file may take besides views of it. The published features, 73,710
# rows of Python objects, cost 107 million.
ALLOWANCE = 120 << 20
# A line of a pickle is a number, or the module or name of a function.
_MAX_LINE = 512
# Pages that were read are released in such steps; else the system counts them as ours.
_RELEASE_BYTES = 4 << 20


class TruncatedError(Exception):
    """The file ends before its content does."""


class MappedFile:
    """The bytes of a regular file: `read` and `readline` copy, `view` views; `position` advances.

    Raises InputError for a path that is missing, no regular file or may not be read.
    """

    __slots__ = ("_copies_left", "data", "left", "position", "_released", "view_of_all")

    def __init__(self, path: str | Path, expected: str) -> None:
        self.data = _map(path, expected)
        self.view_of_all = memoryview(self.data)
        self.position = 0
        self._released = 0
        self.left = ALLOWANCE
        # A legitimate copy takes bytes of the file: an element of an object array, a pointer of
        # eight bytes, takes at least one. A part recalled from the memo takes none.
        self._copies_left = 8 * len(self.data)

    def pay(self, size: int) -> None:
        """Subtract bytes of memory from the allowance."""
        self.left -= size
        if self.left < 0:
            raise RefusedError(
                "more Python objects than a data set of arrays has",
                remedy="store numbers as arrays of floats, not as Python objects",
            )

    def pay_copy(self, size: int) -> None:
        """Subtract bytes from those that copies of parts of this file may have."""
        self._copies_left -= size
        if self._copies_left < 0:
            raise RefusedError("parts repeated to many times the size of the file")

    def release(self) -> None:
        """Release the pages that were read; the system reads them again if needed."""
        if self.position - self._released > _RELEASE_BYTES:
            end = self.position - self.position % mmap.PAGESIZE
            self.data.madvise(mmap.MADV_DONTNEED, self._released, end - self._released)
            self._released = end

    def view(self, size: int) -> memoryview:
        """View the next bytes."""
        self._require(size)
        self.release()
        self.position += size
        return self.view_of_all[self.position - size : self.position]

    def read(self, size: int) -> bytes:
        """Copy the next bytes."""
        self._require(size)
        self.position += size
        return self.data[self.position - size : self.position]

    def readline(self, maximum: int = _MAX_LINE) -> bytes:
        """Copy the next bytes to the end of the line, and pay for them."""
        end = self.data.find(b"\n", self.position, self.position + maximum)
        if end < 0 and self.position + maximum >= len(self.data):
            raise TruncatedError(f"{len(self.data)} bytes that end within a line")
        if end < 0:
            raise RefusedError(f"a line of more than {maximum} bytes")
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
        found, remedy = "a file that you may not read", "give yourself the right to read it"
    except OSError as error:
        found = f"a file that cannot be read ({error.strerror})"
        remedy = "correct the path, or check the disk"
    raise InputError(path, found=found, expected=expected, remedy=remedy)
