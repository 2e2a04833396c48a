"""The names that a pickle may use, and the constructors that replace numpy's functions."""

import codecs
import io
import re
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from ztfrep.errors import quote

_DTYPE = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248]|O8?|[US][1-9]\d{0,3})")
# The published arrays have at most four dimensions; a length of 2^48 is beyond any file.
_MAX_DIMENSIONS = 8
_MAX_LENGTH = 1 << 48
# Characters of a number as text: the conversion of long texts, repeated many times, would take
# minutes.
_MAX_TEXT = 100
_CHUNK = 1 << 20


class RefusedPickleError(Exception):
    """A pickle with something that no array needs; the message names it."""

    def __init__(self, found: str, remedy: str = "") -> None:
        super().__init__(found)
        self.remedy = remedy


# Types of the elements of an object array: nothing still under construction, no containers.
_ELEMENTS = {type(None), bool, int, float, str, bytes}


def copied_bytes(value: object) -> int:
    """Return the number of bytes that a constructor copied, and would copy again if repeated."""
    if isinstance(value, Array):
        return value.value.nbytes if value.value.dtype.hasobject else 0
    if isinstance(value, np.generic):
        return value.nbytes
    # Times eight: the limit is eight times the size of the file, and bytes must not exceed the
    # file.
    return 8 * len(value) if isinstance(value, bytes) else 0


class Constructor:
    """The function that replaces a name in a pickle; REDUCE calls it."""

    def __init__(self, make: Callable[..., Any]) -> None:
        self.make = make


class Text:
    """A view of a long text, UTF-8: protocol 2 writes the content of arrays as text."""

    def __init__(self, content: memoryview) -> None:
        self.content = content

    def encode(self, encoding: str) -> bytes:
        """Encode in pieces: a whole text would take up to four times its bytes in memory."""
        decoder = codecs.getincrementaldecoder("utf-8")()
        encoded = io.BytesIO()
        for start in range(0, len(self.content), _CHUNK):
            piece = self.content[start : start + _CHUNK]
            encoded.write(decoder.decode(piece).encode(encoding))
        decoder.decode(b"", final=True)
        return encoded.getvalue()


class DType:
    """A dtype under construction: its code, then its byte order."""

    def __init__(self, code: str, _align: object = False, _copy: object = True) -> None:
        if type(code) is not str or not _DTYPE.fullmatch(code):
            raise RefusedPickleError(f"an array of dtype {_describe(code)}")
        self.value = np.dtype(code)

    def build(self, state: tuple[Any, ...]) -> None:
        """Set the byte order from numpy's state of a dtype."""
        if type(state) is not tuple or len(state) < 2:
            raise RefusedPickleError("a dtype whose state is not numpy's")
        if state[1] in ("<", ">"):
            self.value = self.value.newbyteorder(state[1])


class Array:
    """An array under construction: empty until BUILD brings its shape, dtype and content."""

    value: np.ndarray

    def __init__(self, *_unused: object) -> None:
        self.value = np.empty(0)

    def build(self, state: tuple[Any, ...]) -> None:
        """Set shape, dtype and content from numpy's state of an array."""
        if type(state) is not tuple or len(state) != 5:
            raise RefusedPickleError("an array whose state is not numpy's")
        _version, shape, dtype, fortran, content = state
        self.value = _make_array(content, dtype, shape, "F" if fortran is True else "C").value

    @classmethod
    def wrap(cls, value: np.ndarray) -> "Array":
        """Wrap a finished array."""
        array = cls()
        array.value = value
        return array


def _describe(value: object) -> str:
    """Return the quoted beginning of a text, or the name of another type."""
    return quote(value) if isinstance(value, str) else type(value).__name__


def _check_shape(shape: object) -> tuple[int, ...]:
    """Validate a shape before it is used in a computation or a message."""
    if type(shape) is not tuple or len(shape) > _MAX_DIMENSIONS:
        raise RefusedPickleError(
            f"an array whose shape is no tuple of up to {_MAX_DIMENSIONS} lengths"
        )
    for length in shape:
        if type(length) is not int or length > _MAX_LENGTH:
            raise RefusedPickleError("an array with a length that is no number, or beyond any file")
        if length < 0:
            raise RefusedPickleError("an array of negative length")
    return shape


def _check_elements(content: list[Any]) -> None:
    kinds = set(map(type, content))
    for kind in kinds:
        if kind not in _ELEMENTS and not issubclass(kind, np.generic):
            raise RefusedPickleError(f"an object array that holds a {kind.__name__}")
    if any(issubclass(kind, str | bytes) for kind in kinds):
        longest = max(len(value) for value in content if isinstance(value, str | bytes))
        if longest > _MAX_TEXT:
            raise RefusedPickleError(f"an object array that holds a text of {longest} characters")


def _check_letters(flat: np.ndarray) -> None:
    """Raise RefusedPickleError for code points beyond Unicode: reading an element would raise."""
    if flat.dtype.kind == "U" and flat.size:
        codes = flat.view(np.dtype("u4").newbyteorder(flat.dtype.byteorder))
        if codes.max() > sys.maxunicode:
            raise RefusedPickleError("a text beyond Unicode")


def _make_array(
    content: Any, dtype: Any, shape: object, order: Any = "C", axes: Any = None
) -> Array:
    """Make an array; order K is a C-ordered array whose axes are then permuted."""
    lengths = _check_shape(shape)
    if not isinstance(dtype, DType):
        raise RefusedPickleError("an array without a dtype")
    kinds: Any = list if dtype.value.hasobject else (bytes, memoryview)
    if not isinstance(content, kinds):
        raise RefusedPickleError(f"an array of {dtype.value} made of a {type(content).__name__}")
    # The lengths are bounded, so the product has at most 384 bits.
    size = 1
    for length in lengths:
        size *= length
    if dtype.value.hasobject:
        if len(content) != size:
            raise RefusedPickleError(
                f"an array of shape {str(lengths)[:80]} with {len(content)} values"
            )
        _check_elements(content)
        flat = np.fromiter(content, dtype=object, count=size)
    else:
        if len(content) != size * dtype.value.itemsize:
            raise RefusedPickleError(
                f"an array of shape {str(lengths)[:80]} with {len(content)} bytes"
            )
        flat = np.frombuffer(content, dtype.value) if size else np.empty(0, dtype.value)
        _check_letters(flat)
    if order not in ("C", "F", "K") or (order == "K") != (axes is not None):
        raise RefusedPickleError(f"an array in the order {_describe(order)}")
    array = flat.reshape(lengths, order="F" if order == "F" else "C")
    if axes is None:
        return Array.wrap(array)
    if sorted(_check_shape(axes)) != list(range(array.ndim)):
        raise RefusedPickleError("an array whose axes are no permutation")
    return Array.wrap(array.transpose(axes))


def _make_scalar(dtype: DType, content: bytes) -> Any:
    if not isinstance(dtype, DType) or dtype.value.hasobject:
        raise RefusedPickleError("a numpy scalar that is an object")
    if dtype.value.itemsize > 4 * _MAX_TEXT:
        raise RefusedPickleError(f"a numpy scalar of {dtype.value}")
    if not isinstance(content, bytes) or len(content) != dtype.value.itemsize:
        raise RefusedPickleError(f"a numpy scalar of {dtype.value} of another size")
    flat = np.frombuffer(content, dtype.value)
    _check_letters(flat)
    return flat[0]


def _encode(text: str | Text, encoding: str) -> bytes:
    if encoding not in ("latin1", "latin-1", "iso-8859-1"):
        raise RefusedPickleError(f"_codecs.encode to {_describe(encoding)}")
    if not isinstance(text, str | Text):
        raise RefusedPickleError("_codecs.encode of what is no text")
    return text.encode("latin1")


def _numpy(module: str, name: str, make: Callable[..., Any]) -> dict[tuple[str, str], Constructor]:
    """Return a constructor by its name under the module paths of numpy 1 and numpy 2."""
    constructor = Constructor(make)
    return {(f"numpy.{core}.{module}", name): constructor for core in ("core", "_core")}


ALLOWED_NAMES = {
    **_numpy("multiarray", "_reconstruct", Array),
    **_numpy("multiarray", "scalar", _make_scalar),
    **_numpy("numeric", "_frombuffer", _make_array),
    ("numpy", "dtype"): Constructor(DType),
    # An argument of _reconstruct, never called.
    ("numpy", "ndarray"): Constructor(Array),
    ("_codecs", "encode"): Constructor(_encode),
    # Protocol 2 writes empty bytes as a call of `bytes` without an argument.
    ("__builtin__", "bytes"): Constructor(lambda: b""),
}
