"""Avro container files: a writer's schema, and blocks of records not decoded yet."""

import io
import zlib
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import fastavro

_HEADER = {
    "type": "record",
    "name": "Header",
    "fields": [
        {"name": "magic", "type": {"type": "fixed", "name": "Magic", "size": 4}},
        {"name": "meta", "type": {"type": "map", "values": "bytes"}},
        {"name": "sync", "type": {"type": "fixed", "name": "Sync", "size": 16}},
    ],
}
_MAGIC = b"Obj\x01"
# No packet is near this; what unpacks to more is hostile.
_LARGEST_BLOCK = 1 << 26


def open_container(data: bytes) -> tuple[bytes, Iterator[tuple[int, bytes]]]:
    """Open an Avro container file: its writer's schema as JSON, and its blocks.

    A block is a number of records and their bytes. Raises ValueError for what is no container, is
    cut short, or is packed with a codec other than null and deflate.
    """
    file = io.BytesIO(data)
    try:
        header: Any = fastavro.schemaless_reader(file, _parsed_header(), None)
    except (EOFError, ValueError, IndexError, TypeError, OverflowError, MemoryError) as error:
        raise ValueError("no Avro container") from error
    if header["magic"] != _MAGIC or "avro.schema" not in header["meta"]:
        raise ValueError("no Avro container")
    codec = header["meta"].get("avro.codec", b"null").decode("ascii", "replace")
    if codec not in ("null", "deflate"):
        raise ValueError(f"codec {codec[:20]!r}")
    blocks = _blocks(data, file.tell(), header["sync"], packed=codec == "deflate")
    return header["meta"]["avro.schema"], blocks


@lru_cache(maxsize=1)
def _parsed_header() -> Any:
    return fastavro.parse_schema(_HEADER)


def _blocks(
    data: bytes, position: int, sync: bytes, *, packed: bool
) -> Iterator[tuple[int, bytes]]:
    while position < len(data):
        count, position = _varint(data, position)
        size, position = _varint(data, position)
        end = position + size
        if count < 0 or size < 0 or data[end : end + 16] != sync:
            raise ValueError("block cut short")
        block = data[position:end]
        if packed:
            unpacker = zlib.decompressobj(-15)
            try:
                block = unpacker.decompress(block, _LARGEST_BLOCK)
            except zlib.error as error:
                raise ValueError(f"deflate: {error}") from error
            if not unpacker.eof:
                raise ValueError("deflate: too long or cut short")
        # Every record of ours has bytes; a count beyond them would be counted to no end.
        if count > len(block):
            raise ValueError(f"{count} records in {len(block)} bytes")
        yield count, block
        position = end + 16


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            break
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), position
    raise ValueError("number cut short")
