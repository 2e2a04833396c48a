"""An unpickler of allowed opcodes, each at a cost; it calls no function that a pickle names."""

import pickle
from collections.abc import Callable
from typing import Any, ClassVar

from ztfrep.errors import quote
from ztfrep.sources.pickles.allow_list import (
    ALLOWED_NAMES,
    Array,
    Constructor,
    DType,
    RefusedPickleError,
    Text,
    copied_bytes,
)
from ztfrep.sources.pickles.mapped_file import MappedFile, TruncatedError
from ztfrep.sources.pickles.opcodes import CODES, COSTS, PYTHON_2, UNCHANGED, VALUE_COST
from ztfrep.sources.pickles.value_runs import VALUE_CODES, read_run

# Smaller buffers are copied: a view keeps the whole memory map open.
_MIN_VIEW_BYTES = 1 << 16
# The state of an array in a dict in a dict has some six marks.
_MAX_MARKS = 64
# Values on the stack, checked every 1,000 opcodes. Pickle writes at most 2,000 between two marks.
_MAX_VALUES = 10_000
# A dict of larger integers with equal hashes would take quadratic time.
_MAX_INT = 1 << 32
_MAX_INT_BYTES = 255
# Protocol 0 writes the content of an array as one line.
_MAX_LINE = 1 << 24

# Costs of a key of a dict, and of an object that a constructor returns.
_KEY_COST = 4096
_OBJECT_COST = 256
# Bytes after a failed search for a run of values in which no run is searched for.
_BYTES_WITHOUT_SEARCH = 32


class DamagedError(Exception):
    """Bytes that are no valid sequence of instructions; the message has the position."""


def unpickle(file: MappedFile) -> Any:
    """Carry out a file's instructions; arrays are still `allow_list.Array`.

    Raises RefusedPickleError, TruncatedError or DamagedError.
    """
    return _Unpickler(file).load()


# The standard library's unpickler in Python: that in C does not allow to replace an instruction.
_Base: Any = pickle._Unpickler
_Stop: Any = pickle._Stop  # type: ignore[attr-defined]


class _Unpickler(_Base):
    """Python's own unpickler with replaced instructions; each opcode has a cost."""

    def __init__(self, file: MappedFile) -> None:
        super().__init__(file)
        self._mapped = file
        self._no_run_before = 0

    def load(self) -> Any:
        """Carry out the instructions until STOP, and return the value that is then on the stack."""
        file, data, size = self._mapped, self._mapped.data, len(self._mapped.data)
        dispatch, costs = self.dispatch, COSTS
        self.read, self.readline = file.read, file.readline
        self.metastack: list[list[Any]] = []
        self.stack: list[Any] = []
        self.append = self.stack.append
        start = 0
        try:
            while True:
                file.release()
                if len(self.stack) > _MAX_VALUES:
                    raise RefusedPickleError(
                        f"more than {_MAX_VALUES} values outside of a container"
                    )
                for _ in range(1000):
                    start = file.position
                    code = data[start]
                    file.position = start + 1
                    # As `pay` does: a call would take a fifth of the time of reading features.
                    file.allowance_left -= costs[code]
                    if file.allowance_left < 0:
                        file.pay(0)
                    dispatch[code](self)
        except _Stop as stop:
            return stop.value
        except TruncatedError:
            raise
        except RefusedPickleError as error:
            raise RefusedPickleError(f"{error} at byte {start}", error.remedy) from None
        except Exception as error:  # Hostile bytes make an instruction raise almost anything.
            if start >= size:
                text = f"{size} bytes where at least {size + 1} are announced"
                raise TruncatedError(text) from None
            reason = "no instruction begins" if data[start] not in self.dispatch else _reason(error)
            raise DamagedError(f"{reason} at byte {start} of {size}") from error

    def find_class(self, module: str, name: str) -> Constructor:
        if (module, name) not in ALLOWED_NAMES:
            full_name = quote(f"{module[:80]}.{name[:80]}", 80)[1:-1]
            raise RefusedPickleError(f"the foreign name {full_name}")
        return ALLOWED_NAMES[module, name]

    def load_frame(self) -> None:
        # The size of a block to read in advance, which a memory map does not need.
        self._mapped.read(8)

    def load_mark(self) -> None:
        if len(self.metastack) >= _MAX_MARKS:
            raise RefusedPickleError(f"containers nested deeper than {_MAX_MARKS}")
        super().load_mark()

    def load_value(self) -> None:
        file = self._mapped
        start = file.position - 1
        if start >= self._no_run_before:
            values, end = read_run(file.data, start, self.memo)
            if values:
                # The first is paid for already.
                file.pay(VALUE_COST * (len(values) - 1))
                self.stack += values
                file.position = end
                return
            self._no_run_before = end + _BYTES_WITHOUT_SEARCH
        _Base.dispatch[file.data[start]](self)

    def load_long4(self) -> None:
        size = int.from_bytes(self._mapped.read(4), "little")
        if size > _MAX_INT_BYTES:
            raise RefusedPickleError(f"an integer of {size} bytes")
        self.append(pickle.decode_long(self._mapped.read(size)))

    def load_unicode(self) -> None:
        # A character of one byte may take four in memory, as in `_text`.
        line = self._mapped.readline(_MAX_LINE)
        self._mapped.pay(4 * len(line))
        self.append(str(line[:-1], "raw-unicode-escape"))

    def _text(self, width: int) -> None:
        view = self._mapped.view(int.from_bytes(self._mapped.read(width), "little"))
        if len(view) >= _MIN_VIEW_BYTES:
            self.append(Text(view))
            return
        # If one character is beyond the Basic Multilingual Plane, each takes four bytes.
        self._mapped.pay(4 * len(view))
        self.append(str(view, "utf-8", "surrogatepass"))

    def _buffer(self, width: int) -> None:
        view = self._mapped.view(int.from_bytes(self._mapped.read(width), "little"))
        if len(view) >= _MIN_VIEW_BYTES:
            self.append(view)
            return
        self._mapped.pay(len(view))
        self.append(bytes(view))

    def load_put(self) -> None:
        index = int(self.readline()[:-1])
        if not 0 <= index < _MAX_INT:
            raise RefusedPickleError("a part stored under a number of more than 32 bits")
        self.memo[index] = self.stack[-1]

    def load_reduce(self) -> None:
        arguments = self.stack.pop()
        constructor = self.stack[-1]
        if not isinstance(constructor, Constructor) or not isinstance(arguments, tuple):
            raise RefusedPickleError(f"a call of {type(constructor).__name__}")
        self.stack[-1] = constructor.make(*arguments)
        self._pay_copy(self.stack[-1])

    def load_build(self) -> None:
        state = self.stack.pop()
        if not isinstance(self.stack[-1], DType | Array):
            raise RefusedPickleError(f"a state for {type(self.stack[-1]).__name__}")
        self.stack[-1].build(state)
        self._pay_copy(self.stack[-1])

    def _pay_copy(self, value: object) -> None:
        self._mapped.pay_copy(copied_bytes(value))
        # Bytes that `_codecs.encode` returns are no more than those of the text in the file.
        self._mapped.pay(
            _OBJECT_COST if isinstance(value, bytes) else _OBJECT_COST + copied_bytes(value)
        )

    def load_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._set(key, value)

    def load_setitems(self) -> None:
        items = self.pop_mark()
        for key, value in zip(items[::2], items[1::2], strict=True):
            self._set(key, value)

    def _set(self, key: object, value: object) -> None:
        # Keys are texts and numbers: hashing a deep tuple would overflow the stack.
        is_key = type(key) is str or (type(key) is int and 0 <= key < _MAX_INT)
        if not isinstance(self.stack[-1], dict) or not is_key:
            raise RefusedPickleError(f"a {type(key).__name__} as the key of a dict")
        self._mapped.pay(_KEY_COST)
        self.stack[-1][key] = value

    def load_inst(self) -> None:
        self.find_class(*(self._mapped.readline()[:-1].decode("utf-8") for _ in range(2)))
        raise RefusedPickleError("the pickle instruction INST")

    def load_dict(self) -> None:
        items = self.pop_mark()
        self.append({})
        for key, value in zip(items[::2], items[1::2], strict=True):
            self._set(key, value)

    dispatch: ClassVar[dict[int, Callable[..., None]]] = {}


def _reason(error: Exception) -> str:
    """Return the reason that an instruction fails, in words without values of the file."""
    if isinstance(error, UnicodeError):
        return "a text that is not in its encoding"
    if isinstance(error, IndexError):
        return "an instruction without its values"
    if isinstance(error, KeyError) or str(error)[:20].startswith("Memo value not found"):
        return "a reference to what was not stored"
    return "an instruction with values of a wrong kind"


def _refuse(opcode: str) -> Callable[..., None]:
    writer = ", which Python 2 wrote" if opcode in PYTHON_2 else ""

    def load(_: _Unpickler) -> None:
        raise RefusedPickleError(f"the pickle instruction {opcode}{writer}")

    return load


def _dispatch(codes: dict[str, int]) -> dict[int, Callable[..., None]]:
    table = {code: _refuse(name) for name, code in codes.items()}
    table |= {codes[name]: _Base.dispatch[codes[name]] for name in UNCHANGED}
    own = {
        "FRAME": _Unpickler.load_frame,
        "MARK": _Unpickler.load_mark,
        "LONG4": _Unpickler.load_long4,
        "PUT": _Unpickler.load_put,
        "REDUCE": _Unpickler.load_reduce,
        "BUILD": _Unpickler.load_build,
        "INST": _Unpickler.load_inst,
        "DICT": _Unpickler.load_dict,
        "SETITEM": _Unpickler.load_setitem,
        "SETITEMS": _Unpickler.load_setitems,
        "UNICODE": _Unpickler.load_unicode,
        "BINUNICODE": lambda self: self._text(4),
        "BINUNICODE8": lambda self: self._text(8),
        "BINBYTES": lambda self: self._buffer(4),
        "BINBYTES8": lambda self: self._buffer(8),
        "BYTEARRAY8": lambda self: self._buffer(8),
    }
    table |= dict.fromkeys(VALUE_CODES, _Unpickler.load_value)
    return table | {codes[name]: load for name, load in own.items()}


_Unpickler.dispatch = _dispatch(CODES)
