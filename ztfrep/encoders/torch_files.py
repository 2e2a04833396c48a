"""Files of `torch.save`: checked before torch reads them, so that their bytes cannot cost more.

Such a file is a zip archive of a pickle and of one record of numbers per tensor. `torch.load` with
`weights_only` runs nothing that it holds, but allocates whatever the pickle or the archive claims.
Here the pickle may hold nothing but tensors in containers, and its claims are those of the records.
"""

import io
import pickle
import pickletools
import zipfile
from collections.abc import Iterable
from typing import Any, NamedTuple

import torch

from ztfrep.errors import quote

# Of a state dict torch writes some 30 opcodes and 250 bytes per tensor.
_MOST_RECORDS = 20_000
_PICKLE_BYTES = 1 << 16
_PICKLE_BYTES_PER_TENSOR = 1 << 10
_MOST_OPCODES = 500_000

_DTYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
# What a state dict is written with; nothing that makes a number of any size, nor anything twice.
_OPCODES = {
    *("PROTO", "STOP", "MARK", "GLOBAL", "REDUCE", "BUILD", "BINPERSID"),
    *("BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET"),
    *("EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"),
    *("APPEND", "APPENDS", "SETITEM", "SETITEMS"),
    *("BINUNICODE", "BININT", "BININT1", "BININT2", "BINFLOAT", "NONE", "NEWTRUE", "NEWFALSE"),
}
_LEAVES = ("GLOBAL", "BINUNICODE")


class RefusedError(Exception):
    """A file that torch is not to read; its text says what the file holds."""


class Claim(NamedTuple):
    """A tensor as a file claims it: the name of its dtype, and its shape."""

    dtype: str
    shape: tuple[int, ...]


def claim_of(dtype: torch.dtype, shape: Iterable[int]) -> Claim:
    """Return the claim of a tensor."""
    return Claim(str(dtype).removeprefix("torch."), tuple(shape))


class _Storage(NamedTuple):
    dtype: torch.dtype
    key: str
    numel: int


class _Dict(dict[Any, Any]):
    """Stands for an OrderedDict, which takes attributes."""


def read_claims(content: bytes, tensors: int) -> dict[str, Claim]:
    """Return the tensors that a file of `torch.save` claims, by name; nothing is allocated.

    `tensors` is the number of them that is expected, about. Raises RefusedError for a file that is
    no state dict, whose records are compressed, or that claims numbers which its records lack.
    """
    # Every entry of a zip's directory begins so, and each of them costs Python half a kilobyte.
    if content.count(b"PK\x01\x02") > _MOST_RECORDS:
        raise RefusedError(f"a zip archive of more than {_MOST_RECORDS:,} files")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            sizes, stream = _directory(archive, len(content), tensors)
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError, RuntimeError) as error:
        raise RefusedError(f"a broken zip archive ({quote(str(error), 80)})") from error
    _check_opcodes(stream)
    try:
        state = _Unpickler(io.BytesIO(stream), sizes).load()
    except RefusedError:
        raise
    except Exception as error:  # Hostile bytes make a reader raise almost anything.
        raise RefusedError(f"a file that cannot be read safely ({type(error).__name__})") from error
    return _claims_of(state)


def _directory(archive: zipfile.ZipFile, length: int, tensors: int) -> tuple[dict[str, int], bytes]:
    """Return the size of every record by its key, and the pickle."""
    entries = archive.infolist()
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise RefusedError("a zip archive of compressed files, which torch.save does not write")
    # Entries that share bytes claim more than there is.
    if sum(entry.file_size for entry in entries) > length:
        raise RefusedError("a zip archive that claims more bytes than it has")
    if len({entry.filename for entry in entries}) < len(entries):
        raise RefusedError("a zip archive that holds a name twice")
    pickles = [entry for entry in entries if entry.filename.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise RefusedError(f"a zip archive with {len(pickles)} files data.pkl")
    most = _PICKLE_BYTES + tensors * _PICKLE_BYTES_PER_TENSOR
    if pickles[0].file_size > most:
        raise RefusedError(f"a data.pkl of {pickles[0].file_size:,} bytes, more than {most:,}")
    folder = pickles[0].filename.removesuffix("data.pkl") + "data/"
    sizes = {
        entry.filename.removeprefix(folder): entry.file_size
        for entry in entries
        if entry.filename.startswith(folder)
    }
    return sizes, archive.read(pickles[0])


def _check_opcodes(stream: bytes) -> None:
    """Raise RefusedError unless a pickle holds a tree of what a state dict is made of.

    What is not a tree can take for ever to compare or to hash: a container is never recalled.
    """
    before = ""
    leaves: set[int] = set()
    try:
        value: Any
        for count, (opcode, value, _) in enumerate(pickletools.genops(stream)):
            name = opcode.name
            if count > _MOST_OPCODES or name not in _OPCODES:
                raise RefusedError(f"a file that cannot be read safely (opcode {name})")
            if name == "GLOBAL":
                _named(*value.split(" ", 1))
            elif name in ("BINPUT", "LONG_BINPUT"):
                if value > _MOST_OPCODES:
                    raise RefusedError("a file that cannot be read safely (a memo of that size)")
                # An index that is used anew is what was put there last.
                (leaves.add if before in _LEAVES else leaves.discard)(value)
            elif name in ("BINGET", "LONG_BINGET") and value not in leaves:
                raise RefusedError("a file that cannot be read safely (one container twice)")
            before = name
    except ValueError as error:
        raise RefusedError("a broken pickle in a zip archive") from error


def _named(module: str, name: str) -> Any:
    """Return what stands for a name in the pickle."""
    if (module, name) == ("collections", "OrderedDict"):
        return _Dict
    if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
        return _tensor
    if (module, name) == ("torch._utils", "_rebuild_parameter"):
        return _parameter
    if module == "torch" and name in _DTYPES:
        return _DTYPES[name]
    raise RefusedError(
        f"a file that cannot be read safely (it names {quote(f'{module}.{name}', 80)})"
    )


class _Unpickler(pickle.Unpickler):
    """Reads a pickle whose opcodes were checked; every name stands for one of ours."""

    def __init__(self, file: io.BytesIO, sizes: dict[str, int]) -> None:
        super().__init__(file)
        self._sizes = sizes

    def find_class(self, module: str, name: str) -> Any:
        return _named(module, name)

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _, numel = pid
        if kind != "storage" or not isinstance(dtype, torch.dtype) or type(numel) is not int:
            raise RefusedError("a file that cannot be read safely (a storage of no known kind)")
        found = self._sizes.get(key)
        if found is None or found != numel * dtype.itemsize:
            raise RefusedError(
                f"a tensor that claims {numel:,} numbers, of which {found or 0:,} bytes are there"
            )
        return _Storage(dtype, key, numel)


def _tensor(storage: _Storage, offset: int, shape: Any, stride: Any, *_: Any) -> Claim:
    numbers = (offset, *shape, *stride)
    if not isinstance(storage, _Storage) or any(type(n) is not int or n < 0 for n in numbers):
        raise RefusedError("a file that cannot be read safely (a tensor of no known kind)")
    if len(shape) != len(stride):
        raise RefusedError("a tensor with another number of strides than of axes")
    last = offset + sum((n - 1) * step for n, step in zip(shape, stride, strict=True))
    if 0 not in shape and last >= storage.numel:
        raise RefusedError(f"a tensor of shape {quote(str(shape))} with {storage.numel:,} numbers")
    return claim_of(storage.dtype, shape)


def _parameter(data: Claim, *_: Any) -> Claim:
    return data


def _claims_of(state: Any) -> dict[str, Claim]:
    if not isinstance(state, dict):
        raise RefusedError(f"a {type(state).__name__}")
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, Claim):
            kind = type(value).__name__.lstrip("_").lower()
            raise RefusedError(f"a dict that holds {quote(str(name))}: {kind}")
    return dict(state)
