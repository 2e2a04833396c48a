"""A pickle with large arrays that are written row by row, in any order, and never in memory."""

import os
import pickle
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np

# Pickle writes smaller contents together with others.
_MIN_BYTES = 1 << 16


class LargeArray:
    """An array of `shape` and `dtype` in the content of an `ArrayPickle`.

    Its rows are not in memory, but for an array of less than 64 KiB, which pickle does not write
    with a call of `write` of its own.
    """

    def __init__(self, shape: Sequence[int], dtype: Any) -> None:
        self.shape, self.dtype = tuple(map(int, shape)), np.dtype(dtype)
        self.bytes_per_row = int(np.prod(self.shape[1:], dtype=np.int64)) * self.dtype.itemsize
        small = self.size < _MIN_BYTES
        self.values = np.zeros(self.shape, self.dtype) if small else None

    @property
    def size(self) -> int:
        """Number of bytes of the array."""
        return len(self) * self.bytes_per_row

    def __len__(self) -> int:
        return self.shape[0]


class ArrayPickle:
    """A pickle of protocol 4 in a file open for writing, as `pickle.dump` writes it.

    Large arrays are `LargeArray`s in the content; their rows, zeros at first, are written with
    `write_rows`, and all else with `write_content`. At the end `finish` is called.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._offsets: dict[LargeArray, int] = {}
        self._content: object = None

    def write_content(self, content: object) -> None:
        """Write all but the rows of the large arrays.

        May be repeated with other numbers in their place, if the pickle keeps its length: floats in
        place of floats, or an array in place of one of the same shape and dtype. Raises ValueError
        if a large array would move.
        """
        self._content = content
        self._file.seek(0)
        target = _Around(self._file)
        _Pickler(target).dump(content)
        self._file.truncate()
        if self._offsets and self._offsets != target.offsets:
            raise ValueError("the content has another length than before")
        self._offsets = target.offsets

    def write_rows(self, array: LargeArray, start: int, rows: np.ndarray) -> None:
        """Write rows `(m, ...)` of a large array from row `start` on.

        Raises ValueError for rows of another shape or dtype, or beyond the array.
        """
        if rows.shape[1:] != array.shape[1:] or rows.dtype != array.dtype:
            raise ValueError(f"rows {rows.shape} {rows.dtype} of {array.shape} {array.dtype}")
        if not 0 <= start <= start + len(rows) <= len(array):
            raise ValueError(f"rows {start} to {start + len(rows)} of {len(array)}")
        if array.values is not None:
            array.values[start : start + len(rows)] = rows
            return
        self._file.seek(self._offsets[array] + start * array.bytes_per_row)
        self._file.write(np.ascontiguousarray(rows).data)

    def finish(self) -> None:
        """Write the rows that are in memory."""
        self.write_content(self._content)


class _Around:
    """A file for a pickler that leaves holes for the contents of large arrays."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._contents: dict[int, tuple[bytes, LargeArray]] = {}
        self.offsets: dict[LargeArray, int] = {}

    def leave_out(self, content: bytes, array: LargeArray) -> None:
        """Leave a hole where `content` is to be written, the place of `array`."""
        self._contents[id(content)] = content, array

    def write(self, data: Any) -> None:
        """Write bytes of the pickle."""
        content, array = self._contents.get(id(data), (b"", None))
        if array is None or content is not data:
            self._file.write(data)
            return
        self.offsets[array] = self._file.tell()
        self._file.seek(len(content), os.SEEK_CUR)


class _Pickler(pickle.Pickler):
    """A pickler that writes a `LargeArray` as the array of its shape and dtype."""

    def __init__(self, target: _Around) -> None:
        super().__init__(target, protocol=4)
        self._target = target

    def reducer_override(self, value: object) -> Any:
        """Return how numpy pickles the array, with a content that nothing reads."""
        if not isinstance(value, LargeArray):
            return NotImplemented
        if value.values is not None:
            return value.values.__reduce__()
        reduced: Any = np.empty(0, value.dtype).__reduce__()
        make, arguments, (version, _, dtype, is_fortran, _) = reduced
        # The system gives no memory to zeros that are never read.
        content = bytes(value.size)
        self._target.leave_out(content, value)
        return make, arguments, (version, value.shape, dtype, is_fortran, content)
