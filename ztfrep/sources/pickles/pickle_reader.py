"""Untrusted pickles as memory-mapped arrays, read without running code that they contain.

Only the opcodes and the names that containers, numbers, strings and numpy arrays need are admitted,
and every name is replaced by a constructor of `allow_list`. A large buffer becomes a view of a
memory map of the file, so that reading 3.5 GB takes a few MB. The memory of Python objects is
limited.
"""

from pathlib import Path
from typing import Any

from ztfrep.data.filetypes import HEAD_BYTES, describe
from ztfrep.errors import InputError
from ztfrep.sources.pickles.allow_list import Array, Constructor, DType, RefusedPickleError, Text
from ztfrep.sources.pickles.mapped_file import MappedFile, TruncatedError
from ztfrep.sources.pickles.unpickler import DamagedError, unpickle

_MAX_DEPTH = 8
# Bytes of the finished copy of a container, and of its entry in `done`.
_CONTAINER_COST = 256
_EXPECTED = "a pickle of plain containers, numbers, strings and numpy arrays"

# Remedies by the beginning of the description of a file.
_REMEDIES = {
    "a gzip file": "unpack it first, with gunzip",
    "a bzip2 file": "unpack it first, with bunzip2",
    "an xz file": "unpack it first, with unxz",
    "a zstd file": "unpack it first, with unzstd",
    "a zip archive": "unpack it first, with unzip",
    "a 7z archive": "unpack it first, with 7z",
    "a rar archive": "unpack it first, with unrar",
    "a tar archive": "unpack it first, with tar",
    "an HTML page": "download the file itself, in a browser where you are signed in",
    "an empty": "fetch it again",
    "zeros": "fetch it again",
}
# The descriptions of unknown files: a pickle of protocol 0 or 1 may have them.
_UNKNOWN = ("text that begins", "a file that begins")


def read_pickle(path: str | Path) -> Any:
    """Read a pickle of protocol 2 to 5: containers, numbers, strings, numpy arrays.

    Arrays of 64 KiB or more are read-only views of the file (protocol 2: copies). Raises InputError
    for a file that is missing, truncated or no pickle, that uses another name, or whose Python
    objects cost more than `mapped_file.ALLOWANCE`, some 86,000 rows of features.
    """
    file = MappedFile(path, _EXPECTED)
    kind = describe(file.data[:HEAD_BYTES])
    is_pickle = kind.startswith("a pickle")
    if not is_pickle and not kind.startswith(_UNKNOWN):
        remedies = (text for start, text in _REMEDIES.items() if kind.startswith(start))
        remedy = next(remedies, "give the pickle, or correct the path")
        raise InputError(path, found=kind, expected=_EXPECTED, remedy=remedy)
    try:
        return _finish(unpickle(file), _MAX_DEPTH, {}, file)
    except RefusedPickleError as error:
        found = str(error) if is_pickle else f"{kind}; read as a pickle, {error}"
        remedy = error.remedy or "use a file in that format, from a source you trust"
        remedy = f"nothing of it was run; {remedy}"
    except TruncatedError as error:
        found = str(error) if is_pickle else f"{kind}, which is no pickle or not a whole one"
        remedy = "fetch it again, whole"
    except DamagedError as error:
        found = f"a damaged pickle, {error}" if is_pickle else f"{kind}, which is no whole pickle"
        remedy = "fetch it again, or have it written again"
    raise InputError(path, found=found, expected=_EXPECTED, remedy=remedy)


def _finish(value: Any, depth: int, done: dict[int, Any], file: MappedFile) -> Any:
    """Return the value with finished arrays; `done` has the finished containers by id."""
    if isinstance(value, Array):
        return value.value
    if isinstance(value, DType | Constructor | Text | memoryview):
        raise RefusedPickleError("a bare dtype, function, buffer or long text")
    if not isinstance(value, dict | list | tuple):
        return value
    if depth == 0:
        raise RefusedPickleError(f"containers nested deeper than {_MAX_DEPTH}")
    if id(value) not in done:
        file.pay(_CONTAINER_COST + 16 * len(value))
        if isinstance(value, dict):
            finished: Any = {
                key: _finish(part, depth - 1, done, file) for key, part in value.items()
            }
        else:
            finished = type(value)(_finish(part, depth - 1, done, file) for part in value)
        done[id(value)] = finished
    return done[id(value)]
