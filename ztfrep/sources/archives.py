"""Files and nightly archives of alert packets, read in place, member by member."""

import tarfile
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

from isal import igzip
from isal.igzip_lib import IsalError

from ztfrep.errors import InputError
from ztfrep.sources.packets import Failure, Packet, Reader

ARCHIVES = (".tar.gz", ".tgz", ".tar")
PACKET = ".avro"
# A packet has 50 to 80 kB; what is far larger is none, and is not read into memory.
LARGEST_PACKET = 1 << 24
_FILES_AT_ONCE = 1000

_BROKEN = (tarfile.TarError, EOFError, OSError, IsalError, ValueError)


def find_files(path: Path) -> list[Path]:
    """List the archives and packets at `path`, a file or a folder with all its folders, by name.

    Raises InputError if there are none.
    """
    suffixes = (*ARCHIVES, PACKET)
    found = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    files = [file for file in found if file.name.endswith(suffixes)]
    if not files:
        raise InputError(
            path,
            found=f"{len(found)} files, no alert packets",
            expected=f"files *{', *'.join(suffixes)}",
            remedy="give the folder or the archive that holds them",
        )
    return files


def readers(files: Iterable[Path]) -> list[Reader]:
    """Give a reader per archive, and one per so many packets that are files of their own."""
    files = list(files)
    single = [file for file in files if file.name.endswith(PACKET)]
    parts = [[file] for file in files if not file.name.endswith(PACKET)]
    parts += [single[i : i + _FILES_AT_ONCE] for i in range(0, len(single), _FILES_AT_ONCE)]
    return [partial(read_files, part) for part in parts]


def read_files(files: Iterable[Path]) -> Iterator[Packet | Failure]:
    """Read every packet of the files in order; what cannot be read is a failure with its reason.

    A broken archive is one failure, behind the packets before its break.
    """
    for file in files:
        if not file.name.endswith(PACKET):
            try:
                yield from _members(file)
            except _BROKEN as error:  # type: ignore[misc]
                yield Failure(file.name, "archive", f"{type(error).__name__}: {error}")
        elif (size := file.stat().st_size) > LARGEST_PACKET:
            yield Failure(file.name, "too_large", f"{size} bytes")
        else:
            yield Packet(file.name, file.read_bytes())


class _StrictHeader(tarfile.TarInfo):
    """A header whose damage is an error; tarfile takes it for the end of the archive."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> "_StrictHeader":
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"damaged header: {error}") from error


def _members(file: Path) -> Iterator[Packet | Failure]:
    with _unpacked(file) as stream:
        with tarfile.open(fileobj=stream, mode="r|", tarinfo=_StrictHeader) as archive:
            for member in archive:
                if not member.isreg() or not member.name.endswith(PACKET):
                    continue
                name = f"{file.name}:{member.name}"
                if member.size > LARGEST_PACKET:
                    yield Failure(name, "too_large", f"{member.size} bytes")
                    continue
                content = archive.extractfile(member)
                yield Packet(name, content.read() if content else b"")
        # gzip checks its sum at the end, which lies behind tar's own end.
        while stream.read(1 << 20):
            pass


def _unpacked(file: Path) -> BinaryIO:
    with file.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
    if not packed:
        return file.open("rb")
    return cast(BinaryIO, igzip.open(file, "rb"))
