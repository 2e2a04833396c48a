"""Thrift's compact protocol, read only: footers and page headers of Parquet, before pyarrow does.

pyarrow does not show page headers, allocates memory for as many entries as a list claims, and ends
the process over some footers. This module takes no more memory than a small multiple of the bytes
read.
"""

BOOL, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, STRUCT = 2, 3, 4, 5, 6, 7, 8, 9, 12
_TRUE, _SET = 1, 10
_DEEPEST = 12

# Fields by number and type. A field of another type than expected is another field, as in Thrift,
# which skips it.
Struct = dict[tuple[int, int], "Value"]
Value = bool | int | bytes | list["Value"] | Struct


def read_struct(data: bytes, at: int, depth: int = _DEEPEST) -> tuple[Struct, int]:
    """Return the struct that starts at byte `at`, and the byte after it.

    Raises IndexError if the bytes end within it, ValueError if it is not a struct.
    """
    fields: Struct = {}
    number = 0
    if not depth:
        raise ValueError("structs too deep in one another")
    while head := data[at]:
        at += 1
        kind = head & 15
        if head >> 4:
            number += head >> 4
        else:
            number, at = _integer(data, at)
        if kind in (_TRUE, BOOL):
            fields[number, BOOL] = kind == _TRUE
        else:
            fields[number, kind], at = _value(data, at, kind, depth)
    return fields, at + 1


def _value(data: bytes, at: int, kind: int, depth: int) -> tuple[Value, int]:
    if kind in (I32, I64, I16):
        return _integer(data, at)
    if kind == BINARY:
        size, at = _varint(data, at)
        if size > len(data) - at:
            raise IndexError("text beyond the end")
        return data[at : at + size], at + size
    if kind == STRUCT:
        return read_struct(data, at, depth - 1)
    if kind in (LIST, _SET):
        return _list(data, at, depth)
    if kind == BYTE or kind in (_TRUE, BOOL):
        return data[at], at + 1
    if kind == DOUBLE:
        return data[at : at + 8], at + 8
    raise ValueError(f"a field of type {kind}")


def _list(data: bytes, at: int, depth: int) -> tuple[list[Value], int]:
    size, kind = data[at] >> 4, data[at] & 15
    at += 1
    if size == 15:
        size, at = _varint(data, at)
    # Each takes a byte or more.
    if size > len(data) - at:
        raise IndexError("a list beyond the end")
    if not depth:
        raise ValueError("lists too deep in one another")
    values = []
    for _ in range(size):
        value, at = _value(data, at, kind, depth - 1)
        values.append(value)
    return values, at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    byte = data[at]
    if byte < 128:
        return byte, at + 1
    value, shift = byte & 127, 7
    while True:
        at += 1
        byte = data[at]
        value |= (byte & 127) << shift
        if byte < 128:
            break
        shift += 7
        if shift > 63:
            raise ValueError("an integer of more than 64 bits")
    return value, at + 1


def _integer(data: bytes, at: int) -> tuple[int, int]:
    value, at = _varint(data, at)
    return value >> 1 ^ -(value & 1), at
