"""Avro container files: the writer's schema, and the blocks of encoded records."""

import zlib
from collections.abc import Iterator
from typing import NamedTuple

from ztfrep.data.filetypes import HEAD_BYTES, describe
from ztfrep.errors import quote

# A file of ZTF's archives holds one alert of at most 84 kB. Some users write all alerts of an
# exposure into one file. A larger file is hostile, or must be split.
MAX_RECORDS = 1_000
_MAX_BLOCK_BYTES = 1 << 25
_MAX_FILE_BYTES = 1 << 26
_MAX_EMPTY_BLOCKS = 100
_MAX_METADATA_ENTRIES = 100
# The longest schema of ZTF has 26 kB, and LSST's some 100 kB. Compiled schemas stay in memory.
_MAX_SCHEMA_BYTES = 1 << 19
_MAGIC = b"Obj\x01"
_SYNC_BYTES = 16


class _Block(NamedTuple):
    """A block of a file: its number of records, and the range of their bytes."""

    records: int
    start: int
    end: int


class Header(NamedTuple):
    """The header of a container: its bytes, and their content.

    `schema` is the writer's, as JSON; `deflated` is True if the blocks are compressed.
    """

    data: bytes
    schema: bytes
    deflated: bool


def open_container(
    data: bytes, previous: Header | None = None
) -> tuple[Header, Iterator[tuple[int, bytes]]]:
    """Open an Avro container file: return its header and its blocks.

    A block is a number of records and their bytes. `previous` is the header of another file: it is
    returned, and not parsed again, if this file has the same header. The structure of the whole
    file is validated before the first block is decompressed. Raises ValueError for bytes that are
    no container, that are damaged, that have a codec other than null and deflate, or that hold more
    than `MAX_RECORDS` records. Iterating over the blocks raises it for a damaged block, and for
    more than 64 MB in all.
    """
    same = previous is not None and data.startswith(previous.data)
    header = previous if previous is not None and same else _read_header(data)
    position = len(header.data)
    sync = data[position : position + _SYNC_BYTES]
    if len(sync) < _SYNC_BYTES:
        raise ValueError("an Avro container whose header is damaged or cut short")
    blocks = _find_blocks(data, position + _SYNC_BYTES, sync)
    return header, _decompress(data, blocks, deflated=header.deflated)


def _read_header(data: bytes) -> Header:
    if data[:4] != _MAGIC:
        raise ValueError(f"no Avro container but {describe(data[:HEAD_BYTES])}")
    try:
        metadata, position = _read_metadata(data)
        schema, codec = metadata[b"avro.schema"], metadata.get(b"avro.codec", b"null")
    except (ValueError, KeyError) as error:
        raise ValueError("an Avro container whose header is damaged or cut short") from error
    if len(schema) > _MAX_SCHEMA_BYTES:
        raise ValueError(f"a schema of {len(schema)} bytes, more than {_MAX_SCHEMA_BYTES}")
    if codec not in (b"null", b"deflate"):
        raise ValueError(
            f"codec {quote(codec, 20)}, where null and deflate can be read; "
            "write the file again with one of them"
        )
    return Header(data[:position], schema, codec == b"deflate")


def _read_metadata(data: bytes) -> tuple[dict[bytes, bytes], int]:
    """Read the map after the magic bytes; return its entries and where it ends."""
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
            if key in metadata or len(metadata) == _MAX_METADATA_ENTRIES:
                raise ValueError("metadata twice, or too many")
            metadata[key] = value


def _find_blocks(data: bytes, position: int, sync: bytes) -> list[_Block]:
    """Return every block of a file; raise ValueError if they do not fill it."""
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
        if count < 0 or size < 0 or data[end : end + _SYNC_BYTES] != sync:
            raise ValueError(
                f"a container that is damaged or cut short at byte {begin} of {len(data)}, "
                f"after {records} records, which are excluded too"
            )
        records += count
        empty += count == 0
        if records > MAX_RECORDS or empty > _MAX_EMPTY_BLOCKS:
            raise ValueError(
                f"{records} records or more, where a file may have {MAX_RECORDS}; split it"
            )
        blocks.append(_Block(count, position, end))
        position = end + _SYNC_BYTES
    return blocks


def _decompress(
    data: bytes, blocks: list[_Block], *, deflated: bool
) -> Iterator[tuple[int, bytes]]:
    size = 0
    for count, start, end in blocks:
        block = data[start:end]
        if deflated:
            decompressor = zlib.decompressobj(-15)
            try:
                block = decompressor.decompress(block, _MAX_BLOCK_BYTES)
            except zlib.error as error:
                raise ValueError(f"deflate: {error}") from error
            if not decompressor.eof:
                raise ValueError("deflate: too long or cut short")
        size += len(block)
        if size > _MAX_FILE_BYTES:
            raise ValueError(f"more than {_MAX_FILE_BYTES >> 20} MB of records; split the file")
        # A record of an alert has bytes.
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
