"""Avro container files: a writer's schema, and blocks of records not decoded yet."""

import zlib
from collections.abc import Iterator
from typing import NamedTuple

from ztfrep.data.filetypes import HEAD_BYTES, describe, quote

# The archives hold one alert a file, of at most 84 kB; some people put an exposure's into one. What
# asks for more is hostile, or has to be split.
MOST_RECORDS = 1_000
_LARGEST_BLOCK = 1 << 25
_LARGEST_FILE = 1 << 26
_MOST_EMPTY_BLOCKS = 100
_MOST_METADATA = 100
# The longest of ZTF's has 26 kB, and LSST's some 100 kB. Schemas are kept.
_LARGEST_SCHEMA = 1 << 19
_MAGIC = b"Obj\x01"
_SYNC = 16


class _Block(NamedTuple):
    """Where the bytes of so many records lie in a file."""

    records: int
    start: int
    end: int


class Header(NamedTuple):
    """What stands before a container's first block: its bytes, and what they say.

    `schema` is the writer's, as JSON; `packed` is whether the blocks are deflated.
    """

    data: bytes
    schema: bytes
    packed: bool


def open_container(
    data: bytes, previous: Header | None = None
) -> tuple[Header, Iterator[tuple[int, bytes]]]:
    """Open an Avro container file: return its header and its blocks.

    A block is a number of records and their bytes. `previous` is the header of another file, which
    is not read again where this one has the same. All of the file's structure is validated before
    the first block is unpacked. Raises ValueError for what is no container, is damaged anywhere, is
    packed with a codec other than null and deflate, or holds more than `MOST_RECORDS` records; the
    blocks raise it for damaged ones and for more than 64 MB in all.
    """
    same = previous is not None and data.startswith(previous.data)
    header = previous if previous is not None and same else _read_header(data)
    position = len(header.data)
    sync = data[position : position + _SYNC]
    if len(sync) < _SYNC:
        raise ValueError("an Avro container whose header is damaged or cut short")
    blocks = _find_blocks(data, position + _SYNC, sync)
    return header, _unpack(data, blocks, packed=header.packed)


def _read_header(data: bytes) -> Header:
    if data[:4] != _MAGIC:
        raise ValueError(f"no Avro container but {describe(data[:HEAD_BYTES])}")
    try:
        metadata, position = _read_metadata(data)
        schema, codec = metadata[b"avro.schema"], metadata.get(b"avro.codec", b"null")
    except (ValueError, KeyError) as error:
        raise ValueError("an Avro container whose header is damaged or cut short") from error
    if len(schema) > _LARGEST_SCHEMA:
        raise ValueError(f"a schema of {len(schema)} bytes, more than {_LARGEST_SCHEMA}")
    if codec not in (b"null", b"deflate"):
        raise ValueError(
            f"codec {quote(codec, 20)}, where null and deflate can be read; "
            "write the file again with one of them"
        )
    return Header(data[:position], schema, codec == b"deflate")


def _read_metadata(data: bytes) -> tuple[dict[bytes, bytes], int]:
    """Read the map behind the magic: its entries, and where it ends."""
    metadata: dict[bytes, bytes] = {}
    position = len(_MAGIC)
    while True:
        count, position = _varint(data, position)
        if count == 0:
            return metadata, position
        if count < 0:  # Its size in bytes follows.
            count = -count
            _, position = _varint(data, position)
        for _ in range(count):
            key, position = _bytes(data, position)
            value, position = _bytes(data, position)
            if key in metadata or len(metadata) == _MOST_METADATA:
                raise ValueError("metadata twice, or too many")
            metadata[key] = value


def _find_blocks(data: bytes, position: int, sync: bytes) -> list[_Block]:
    """Find every block of a file, and validate that they fill it."""
    blocks: list[_Block] = []
    records = empty = 0
    while position < len(data):
        begin = position
        try:
            count, position = _varint(data, position)
            size, position = _varint(data, position)
        except ValueError:
            count = size = -1
        end = position + size
        if count < 0 or size < 0 or data[end : end + _SYNC] != sync:
            raise ValueError(
                f"a container that is damaged or cut short at byte {begin} of {len(data)}, "
                f"behind {records} records, which are left out too"
            )
        records += count
        empty += count == 0
        if records > MOST_RECORDS or empty > _MOST_EMPTY_BLOCKS:
            raise ValueError(
                f"{records} records or more, where a file may have {MOST_RECORDS}; split it"
            )
        blocks.append(_Block(count, position, end))
        position = end + _SYNC
    return blocks


def _unpack(data: bytes, blocks: list[_Block], *, packed: bool) -> Iterator[tuple[int, bytes]]:
    size = 0
    for count, start, end in blocks:
        block = data[start:end]
        if packed:
            unpacker = zlib.decompressobj(-15)
            try:
                block = unpacker.decompress(block, _LARGEST_BLOCK)
            except zlib.error as error:
                raise ValueError(f"deflate: {error}") from error
            if not unpacker.eof:
                raise ValueError("deflate: too long or cut short")
        size += len(block)
        if size > _LARGEST_FILE:
            raise ValueError(f"more than {_LARGEST_FILE >> 20} MB of records; split the file")
        # Every record of ours has bytes.
        if count > len(block):
            raise ValueError(f"{count} records in {len(block)} bytes")
        yield count, block


def _bytes(data: bytes, position: int) -> tuple[bytes, int]:
    size, position = _varint(data, position)
    if not 0 <= size <= len(data) - position:
        raise ValueError("bytes cut short")
    return data[position : position + size], position + size


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
