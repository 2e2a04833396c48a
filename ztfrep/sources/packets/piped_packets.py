"""Packets from a pipe: Avro containers one after the other, or an archive."""

import re
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from ztfrep.sources.packets.archives import MAX_PACKET_BYTES, Item, read_files
from ztfrep.sources.packets.packet_reader import Failure, Packet

_MAGIC = b"Obj\x01"
# A container begins with its magic bytes and the metadata: these bytes alone may stand in a stamp.
_START = re.compile(rb"Obj\x01[\x00-\xff]{1,10}avro\.(schema|codec)")
_LONGEST_START = 32
_PIECE_BYTES = 1 << 20


def read_pipe(pipe: BinaryIO, name: str = "standard input") -> Iterator[Item]:
    """Yield the items of a pipe as `read_files` does.

    It has Avro containers one after the other, as `cat *.avro` writes them, which are read as they
    come; or one archive, which is first copied to a temporary file.
    """
    head = pipe.read(len(_MAGIC))
    if head == _MAGIC:
        yield from _split_containers(pipe, head, name)
        return
    with TemporaryDirectory(prefix="ztfrep-pipe-") as folder:
        path = Path(folder) / name
        with path.open("wb") as file:
            file.write(head)
            shutil.copyfileobj(pipe, file, _PIECE_BYTES)
        yield from read_files([path])


def _split_containers(pipe: BinaryIO, data: bytes, name: str) -> Iterator[Item]:
    number = 0
    searched = 1
    while True:
        start = _START.search(data, searched)
        if start is not None:
            yield Packet(f"{name}, packet {number}", data[: start.start()])
            data, searched = data[start.start() :], 1
            number += 1
            continue
        # The start of a container may be cut by the end of what was read.
        searched = max(1, len(data) - _LONGEST_START)
        piece = pipe.read(_PIECE_BYTES)
        if not piece:
            break
        if len(data) > MAX_PACKET_BYTES:
            detail = f"more than {MAX_PACKET_BYTES} bytes before the start of the next"
            yield Failure(f"{name}, packet {number}", "unreadable", detail)
            data, searched = data[searched:], 1
        data += piece
    yield Packet(f"{name}, packet {number}", data)
    yield Counter(files=1)
