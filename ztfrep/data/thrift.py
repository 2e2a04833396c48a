"""A reader of Thrift's compact protocol, for the footers and page headers of Parquet files.

pyarrow does not return page headers, allocates memory for as many entries as a list claims, and
ends the process over some footers. This module needs a small multiple of the bytes that it reads.
"""

BOOL, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, STRUCT = 2, 3, 4, 5, 6, 7, 8, 9, 12
_TRUE, _SET = 1, 10
_MAX_DEPTH = 12

# Fields by number and type. A field of another type than expected is another field, as in Thrift,
# which skips it.
Struct = dict[tuple[int, int], "Value"]
Value = bool | int | bytes | list["Value"] | Struct


def read_struct(data: bytes, position: int, depth: int = _MAX_DEPTH) -> tuple[Struct, int]:
    """Return the struct that starts at byte `position`, and the byte after it.

    Raises IndexError if the bytes end within it, ValueError if it is not a struct.
    """
    fields: Struct = {}
    number = 0
    if not depth:
        raise ValueError("structs too deep in one another")
    while head := data[position]:
        position += 1
        kind = head & 15
        if head >> 4:
            number += head >> 4
        else:
            number, position = _integer(data, position)
        if kind in (_TRUE, BOOL):
            fields[number, BOOL] = kind == _TRUE
        else:
            fields[number, kind], position = _value(data, position, kind, depth)
    return fields, position + 1


def _value(data: bytes, position: int, kind: int, depth: int) -> tuple[Value, int]:
    if kind in (I32, I64, I16):
        return _integer(data, position)
    if kind == BINARY:
        size, position = _varint(data, position)
        if size > len(data) - position:
            raise IndexError("text beyond the end")
        return data[position : position + size], position + size
    if kind == STRUCT:
        return read_struct(data, position, depth - 1)
    if kind in (LIST, _SET):
        return _list(data, position, depth)
    if kind == BYTE or kind in (_TRUE, BOOL):
        return data[position], position + 1
    if kind == DOUBLE:
        return data[position : position + 8], position + 8
    raise ValueError(f"a field of type {kind}")


def _list(data: bytes, position: int, depth: int) -> tuple[list[Value], int]:
    size, kind = data[position] >> 4, data[position] & 15
    position += 1
    if size == 15:
        size, position = _varint(data, position)
    # Each entry has a byte or more.
    if size > len(data) - position:
        raise IndexError("a list beyond the end")
    if not depth:
        raise ValueError("lists too deep in one another")
    values = []
    for _ in range(size):
        value, position = _value(data, position, kind, depth - 1)
        values.append(value)
    return values, position


def _varint(data: bytes, position: int) -> tuple[int, int]:
    byte = data[position]
    if byte < 128:
        return byte, position + 1
    value, shift = byte & 127, 7
    while True:
        position += 1
        byte = data[position]
        value |= (byte & 127) << shift
        if byte < 128:
            break
        shift += 7
        if shift > 63:
            raise ValueError("an integer of more than 64 bits")
    return value, position + 1


def _integer(data: bytes, position: int) -> tuple[int, int]:
    value, position = _varint(data, position)
    return value >> 1 ^ -(value & 1), position
