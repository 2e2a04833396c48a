"""Runs of values in a pickle, as in a list of features, read many at a time.

Reading the values one by one takes some ten times as long.
"""

import re
import struct
from collections.abc import Mapping, Sequence
from typing import Any

# Numbers, None, booleans, and values of the memo, by the opcodes of protocol 2.
_VALUE = rb"(?s:G.{8}|J.{4}|M..|[Kh].|[N\x88\x89])"
_FIRST_BYTES = b"GJMKhN\x88\x89"
_VALUES = re.compile(_VALUE)
_FLOAT_BYTES, _INT_BYTES = 9, 5
# Values of a run that is read as one; for fewer there is no gain. The group matches such a run.
_MIN_VALUES = 8
_RUN = re.compile(rb"(%b{%d,1000})|%b+" % (_VALUE, _MIN_VALUES, _VALUE))
_FLOATS = re.compile(rb"(?s:G.{8}){64}")
_64_FLOATS = struct.Struct(">" + "xd" * 64)

VALUE_CODES = tuple(_FIRST_BYTES)


def read_run(data: Any, start: int, memo: Mapping[int, Any]) -> tuple[Sequence[Any], int]:
    """Read the values from `start` on; return at most 1,000 of them, and the position after them.

    Returns no values if there are fewer than 8 or if one is not in the memo. The position is then
    the first at which another search may succeed.
    """
    floats = _FLOATS.match(data, start)
    if floats:
        return _64_FLOATS.unpack_from(data, start), floats.end()
    run = _RUN.match(data, start)
    if run is None:
        return (), start + 1
    if run[1] is None:
        return (), run.end()
    parts = _VALUES.findall(data, start, run.end())
    try:
        return _decode(parts, memo), run.end()
    except KeyError:
        return (), run.end()


def _decode(parts: list[bytes], memo: Mapping[int, Any]) -> list[Any]:
    doubles = [part for part in parts if len(part) == _FLOAT_BYTES]
    ints = [part for part in parts if len(part) == _INT_BYTES]
    next_float = iter(struct.unpack(">" + "xd" * len(doubles), b"".join(doubles))).__next__
    next_int = iter(struct.unpack("<" + "xi" * len(ints), b"".join(ints))).__next__
    short = _Short(memo)
    return [
        short[part]
        if len(part) < _INT_BYTES
        else next_float()
        if len(part) == _FLOAT_BYTES
        else next_int()
        for part in parts
    ]


class _Short(dict[bytes, Any]):
    """Values by the bytes of their instruction, one to three; each is computed once."""

    def __init__(self, memo: Mapping[int, Any]) -> None:
        super().__init__({b"N": None, b"\x88": True, b"\x89": False})
        self._memo = memo

    def __missing__(self, part: bytes) -> Any:
        number = int.from_bytes(part[1:], "little")
        value = self[part] = self._memo[number] if part[:1] == b"h" else number
        return value
