"""Values that stand one behind another in a pickle, as in a list of features: read many at a time.

One by one, the interpreter takes some ten times as long for a list of numbers.
"""

import re
import struct
from collections.abc import Mapping, Sequence
from typing import Any

# Numbers, None, truth values, and what was stored before, by the opcodes of protocol 2.
_VALUE = rb"(?s:G.{8}|[N\x88\x89]|[Kh].|M..|[Jj].{4})"
_FIRST_BYTES = b"GN\x88\x89KhMJj"
_VALUES = re.compile(_VALUE)
_RUN = re.compile(_VALUE + rb"{1,1000}")
_FLOATS = re.compile(rb"(?s:G.{8}){64}")
_64_FLOATS = struct.Struct(">" + "xd" * 64)
_FLOAT = struct.Struct(">xd")
_INT = struct.Struct("<xi")

VALUE_CODES = tuple(_FIRST_BYTES)


def read_run(data: Any, start: int, memo: Mapping[int, Any]) -> tuple[Sequence[Any], int]:
    """Read the values from `start` on; return them, 1,000 at most, and the position behind them.

    None at all where they end within a value or one was not stored before.
    """
    floats = _FLOATS.match(data, start)
    if floats:
        return _64_FLOATS.unpack_from(data, start), floats.end()
    run = _RUN.match(data, start)
    if run is None:
        return (), start
    values = _Values(memo)
    try:
        parts = _VALUES.findall(data, start, run.end())
        return [values[part] for part in parts], run.end()
    except KeyError:
        return (), start


class _Values(dict[bytes, Any]):
    """Values by the bytes of their instruction; those that recur are computed once."""

    def __init__(self, memo: Mapping[int, Any]) -> None:
        super().__init__({b"N": None, b"\x88": True, b"\x89": False})
        self._memo = memo

    def __missing__(self, part: bytes) -> Any:
        code = part[:1]
        if code == b"G":
            return _FLOAT.unpack(part)[0]
        if code == b"J":
            return _INT.unpack(part)[0]
        number = int.from_bytes(part[1:], "little")
        value = self[part] = self._memo[number] if code in b"hj" else number
        return value
