"""Untrusted pickles as memory-mapped arrays; nothing that a file holds is run.

Only the opcodes and the names that plain containers, numbers, strings and numpy arrays need are
admitted, and every name stands for an inert constructor of ours. A big buffer is handed out as a
view of a memory map of the file, so that reading 3.5 GB takes a few MB.
"""

import mmap
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from ztfrep.errors import InputError
from ztfrep.sources.standins import ADMITTED, Array, Constructor, DType, RefusedError, copied

# Smaller buffers are copied: a view would keep the whole map alive for a few bytes.
_VIEW_FROM = 1 << 16
_DEPTH = 8
# Enough to name a thing; the rest of a name of a gigabyte helps nobody.
_TOLD = 300


class _TruncatedError(Exception):
    """The file ends before its content does."""


def read_pickle(path: str | Path) -> Any:
    """Read a pickle of protocol 2 to 5: containers, numbers, strings, numpy arrays.

    Arrays of 64 KiB or more are read-only views of the file (protocol 2: copies). Raises InputError
    for a file that is missing, truncated, no pickle, or that names anything else.
    """
    expected = "a pickle of plain containers, numbers, strings and numpy arrays"
    try:
        with Path(path).open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return _finished(_Unpickler(_MappedFile(mapped)).load(), _DEPTH, {})
    except RefusedError as error:
        remedy = "nothing of it was run; use a file from a source you trust"
        raise InputError(path, found=_told(error), expected=expected, remedy=remedy) from None
    except _TruncatedError as error:
        remedy = "fetch it again"
        raise InputError(path, found=str(error), expected="the whole file", remedy=remedy) from None
    except FileNotFoundError:
        remedy = "correct the path"
        raise InputError(path, found="no such file", expected=expected, remedy=remedy) from None
    except Exception as error:  # Hostile bytes make a reader raise almost anything.
        found = _told(f"no such thing ({type(error).__name__}: {error})")
        remedy = "check that it is the right file, and whole"
        raise InputError(path, found=found, expected=expected, remedy=remedy) from error


def _told(error: object) -> str:
    """Cut a text that the file had a hand in, and escape what would steer a terminal."""
    text = str(error)[:_TOLD]
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


class _MappedFile:
    """The bytes of a map in order: copied by `read` and `readline`, or viewed."""

    def __init__(self, mapped: mmap.mmap) -> None:
        self._map = mapped
        self._view = memoryview(mapped)
        self._position = 0
        # Legitimate copies are paid for by bytes of the file: an element of an object array, eight
        # bytes of pointer, takes one byte at least. A part recalled from the memo takes none.
        self._copies_left = 8 * len(self._view)

    def pay(self, size: int) -> None:
        self._copies_left -= size
        if self._copies_left < 0:
            raise RefusedError("parts repeated to many times the size of the file")

    def view(self, size: int) -> memoryview:
        end = self._position + size
        if end > len(self._view):
            raise _TruncatedError(f"{len(self._view)} bytes where at least {end} are announced")
        found = self._view[self._position : end]
        self._position = end
        return found

    def read(self, size: int) -> bytes:
        return bytes(self.view(size))

    def readline(self) -> bytes:
        end = self._map.find(b"\n", self._position)
        if end < 0:
            raise _TruncatedError(f"{len(self._view)} bytes that end within a line")
        return self.read(end + 1 - self._position)


# Opcodes without a class, a call or a lookup in them, by pickletools' names.
_PLAIN = (
    "PROTO STOP MARK POP POP_MARK DUP NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1 "
    "LONG4 FLOAT BINFLOAT UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8 SHORT_BINBYTES TUPLE "
    "EMPTY_TUPLE TUPLE1 TUPLE2 TUPLE3 LIST EMPTY_LIST EMPTY_DICT APPEND APPENDS GET BINGET "
    "LONG_BINGET PUT BINPUT LONG_BINPUT MEMOIZE GLOBAL STACK_GLOBAL"
)

# The standard library's unpickler in Python: the one in C offers no way to change an instruction.
_Base: Any = pickle._Unpickler


class _Unpickler(_Base):
    """Python's own unpickler less every opcode that is not admitted."""

    def __init__(self, file: _MappedFile) -> None:
        super().__init__(file)
        self._mapped = file

    def find_class(self, module: str, name: str) -> Constructor:
        if (module, name) not in ADMITTED:
            raise RefusedError(f"the foreign name {module}.{name}")
        return ADMITTED[module, name]

    def _buffer(self, width: int) -> None:
        size = int.from_bytes(self._mapped.read(width), "little")
        view = self._mapped.view(size)
        self.append(view if size >= _VIEW_FROM else bytes(view))

    def load_frame(self) -> None:
        # A frame only says how much to read ahead, and a map needs no reading ahead.
        self._mapped.read(8)

    def load_reduce(self) -> None:
        arguments = self.stack.pop()
        constructor = self.stack[-1]
        if not isinstance(constructor, Constructor) or not isinstance(arguments, tuple):
            raise RefusedError(f"a call of {type(constructor).__name__}")
        self.stack[-1] = constructor.make(*arguments)
        self._mapped.pay(copied(self.stack[-1]))

    def load_build(self) -> None:
        state = self.stack.pop()
        if not isinstance(self.stack[-1], DType | Array):
            raise RefusedError(f"a state for {type(self.stack[-1]).__name__}")
        self.stack[-1].build(state)
        self._mapped.pay(copied(self.stack[-1]))

    def load_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._set(key, value)

    def load_setitems(self) -> None:
        items = self.pop_mark()
        for key, value in zip(items[::2], items[1::2], strict=True):
            self._set(key, value)

    def _set(self, key: object, value: object) -> None:
        # Hashing a deep tuple would overflow the stack, so keys are names.
        if not isinstance(self.stack[-1], dict) or not isinstance(key, str | int):
            raise RefusedError(f"a {type(key).__name__} as the key of a dict")
        self.stack[-1][key] = value

    def load_inst(self) -> None:
        module, name = (self._mapped.readline()[:-1].decode("utf-8") for _ in range(2))
        raise RefusedError(f"the foreign name {module}.{name}")

    def load_dict(self) -> None:
        items = self.pop_mark()
        self.append({})
        for key, value in zip(items[::2], items[1::2], strict=True):
            self._set(key, value)

    dispatch: ClassVar[dict[int, Callable[..., None]]] = {}


def _refuse(opcode: str) -> Callable[..., None]:
    def load(_: _Unpickler) -> None:
        raise RefusedError(f"the pickle instruction {opcode}")

    return load


def _dispatch() -> dict[int, Callable[..., None]]:
    codes = {
        name: getattr(pickle, name)[0]
        for name in pickle.__all__
        if name.isupper() and isinstance(getattr(pickle, name), bytes)
    }
    table = {code: _refuse(name) for name, code in codes.items()}
    table |= {codes[name]: _Base.dispatch[codes[name]] for name in _PLAIN.split()}
    own = {
        "FRAME": _Unpickler.load_frame,
        "REDUCE": _Unpickler.load_reduce,
        "BUILD": _Unpickler.load_build,
        "INST": _Unpickler.load_inst,
        "DICT": _Unpickler.load_dict,
        "SETITEM": _Unpickler.load_setitem,
        "SETITEMS": _Unpickler.load_setitems,
        "BINBYTES": lambda self: self._buffer(4),
        "BINBYTES8": lambda self: self._buffer(8),
        "BYTEARRAY8": lambda self: self._buffer(8),
    }
    return table | {codes[name]: load for name, load in own.items()}


_Unpickler.dispatch = _dispatch()


def _finished(value: Any, depth: int, done: dict[int, Any]) -> Any:
    """Put arrays in the place of their constructions; `done` keeps shared parts shared."""
    if isinstance(value, Array):
        return value.value
    if isinstance(value, DType | Constructor | memoryview):
        raise RefusedError("a bare dtype, function or buffer")
    if not isinstance(value, dict | list | tuple):
        return value
    if depth == 0:
        raise RefusedError(f"containers nested deeper than {_DEPTH}")
    if id(value) not in done:
        if isinstance(value, dict):
            made: Any = {key: _finished(part, depth - 1, done) for key, part in value.items()}
        else:
            made = type(value)(_finished(part, depth - 1, done) for part in value)
        done[id(value)] = made
    return done[id(value)]
