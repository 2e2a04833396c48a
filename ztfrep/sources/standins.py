"""What the names in a pickle stand for: inert constructors of ours, never numpy's own functions."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np

_DTYPE = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248]|O8?|[US]\d{1,4})")


class RefusedError(Exception):
    """The file holds something that no array needs; the text names it."""


# An object array holds nothing that is still under construction, and no containers.
_ELEMENTS = {type(None), bool, int, float, str, bytes}


def copied(value: object) -> int:
    """Count the bytes that a constructor made anew, as far as a repetition could multiply them."""
    if isinstance(value, Array):
        return value.value.nbytes if value.value.dtype.hasobject else 0
    if isinstance(value, np.generic):
        return value.nbytes
    return len(value) if isinstance(value, bytes) else 0


class Constructor:
    """What a name in a pickle stands for: a function of ours, called by REDUCE alone."""

    def __init__(self, make: Callable[..., Any]) -> None:
        self.make = make


class DType:
    """A dtype under construction: its code, then its byte order."""

    def __init__(self, code: str, _align: object = False, _copy: object = True) -> None:
        if not _DTYPE.fullmatch(code):
            raise RefusedError(f"an array of dtype {code!r}")
        self.value = np.dtype(code)

    def build(self, state: tuple[Any, ...]) -> None:
        """Take the byte order from numpy's state of a dtype."""
        if state[1] in ("<", ">"):
            self.value = self.value.newbyteorder(state[1])


class Array:
    """An array under construction: empty until BUILD brings its shape, dtype and content."""

    value: np.ndarray

    def __init__(self, *_unused: object) -> None:
        self.value = np.empty(0)

    def build(self, state: tuple[Any, ...]) -> None:
        """Take shape, dtype and content from numpy's state of an array."""
        _version, shape, dtype, fortran, content = state
        self.value = _shaped(content, dtype, shape, "F" if fortran else "C").value

    @classmethod
    def of(cls, value: np.ndarray) -> "Array":
        """Wrap a finished array."""
        array = cls()
        array.value = value
        return array


def _shaped(
    content: Any, dtype: DType, shape: tuple[int, ...], order: Any = "C", axes: Any = None
) -> Array:
    """Order K is a C-ordered array and the transposition that brings it to its order of axes."""
    size = 1
    for length in shape:
        if length < 0:
            raise RefusedError(f"an array of shape {shape}")
        size *= length
    if dtype.value.hasobject:
        if len(content) != size:
            raise RefusedError(f"an array of shape {shape} with {len(content)} values")
        for kind in set(map(type, content)):
            if kind not in _ELEMENTS and not issubclass(kind, np.generic):
                raise RefusedError(f"an object array that holds a {kind.__name__}")
        flat = np.fromiter(content, dtype=object, count=size)
    else:
        if len(content) != size * dtype.value.itemsize:
            raise RefusedError(f"an array of shape {shape} with {len(content)} bytes")
        flat = np.frombuffer(content, dtype.value) if size else np.empty(0, dtype.value)
    if order not in ("C", "F", "K") or (order == "K") != (axes is not None):
        raise RefusedError(f"an array in the order {order!r}")
    array = flat.reshape(shape, order="F" if order == "F" else "C")
    return Array.of(array if axes is None else array.transpose(axes))


def _scalar(dtype: DType, content: bytes) -> Any:
    if dtype.value.hasobject:
        raise RefusedError("a numpy scalar that is an object")
    return np.frombuffer(content, dtype.value)[0]


def _encoded(text: str, encoding: str) -> bytes:
    if encoding not in ("latin1", "latin-1", "iso-8859-1"):
        raise RefusedError(f"_codecs.encode to {encoding!r}")
    return text.encode("latin1")


def _numpy(module: str, name: str, make: Callable[..., Any]) -> dict[tuple[str, str], Constructor]:
    """Admit a name under the module paths of numpy 1 and numpy 2."""
    constructor = Constructor(make)
    return {(f"numpy.{core}.{module}", name): constructor for core in ("core", "_core")}


ADMITTED = {
    **_numpy("multiarray", "_reconstruct", Array),
    **_numpy("multiarray", "scalar", _scalar),
    **_numpy("numeric", "_frombuffer", _shaped),
    ("numpy", "dtype"): Constructor(DType),
    # Never called: it only stands as the first argument of _reconstruct.
    ("numpy", "ndarray"): Constructor(Array),
    ("_codecs", "encode"): Constructor(_encoded),
    # How protocol 2 writes no bytes at all; called without an argument, or not at all.
    ("__builtin__", "bytes"): Constructor(lambda: b""),
}
