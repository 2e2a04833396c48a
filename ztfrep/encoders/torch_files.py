"""Checks of files of `torch.save`, so that `torch.load` allocates no more than their size.

Such a file is a zip archive with a pickle, `data.pkl`, and one record of numbers per storage.
`torch.load(weights_only=True)` runs no code of the file, but allocates memory for the sizes that
the pickle and the archive declare. The functions of this module refuse a pickle of anything but
tensors in containers, and declared sizes that differ from those of the records.
"""

import io
import pickle
import pickletools
import zipfile
from collections.abc import Iterable
from typing import Any, NamedTuple

import torch

from ztfrep.errors import quote

# The pickle of a state dict has some 30 opcodes and 250 bytes per tensor.
_MAX_RECORDS = 20_000
_MAX_PICKLE_BYTES = 1 << 16
_MAX_PICKLE_BYTES_PER_TENSOR = 1 << 10
_MAX_OPCODES = 500_000

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
# The opcodes that torch writes for a state dict. None builds an integer of unlimited size or
# duplicates a value.
_OPCODES = {
    *("PROTO", "STOP", "MARK", "GLOBAL", "REDUCE", "BUILD", "BINPERSID"),
    *("BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET"),
    *("EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"),
    *("APPEND", "APPENDS", "SETITEM", "SETITEMS"),
    *("BINUNICODE", "BININT", "BININT1", "BININT2", "BINFLOAT", "NONE", "NEWTRUE", "NEWFALSE"),
}
_LEAF_OPCODES = ("GLOBAL", "BINUNICODE")


class UnsafeFileError(Exception):
    """A file that `torch.load` must not read; the text describes the content of the file."""


class TensorSpec(NamedTuple):
    """The dtype, by its name in torch, and the shape of a tensor."""

    dtype: str
    shape: tuple[int, ...]


def tensor_spec(dtype: torch.dtype, shape: Iterable[int]) -> TensorSpec:
    """Return the spec of a tensor of this dtype and shape."""
    return TensorSpec(str(dtype).removeprefix("torch."), tuple(shape))


class _Storage(NamedTuple):
    dtype: torch.dtype
    key: str
    numel: int


class _OrderedDict(dict[Any, Any]):
    """Replaces OrderedDict, on which the pickle sets attributes; a dict cannot have them."""


def read_tensor_specs(content: bytes, n_expected: int) -> dict[str, TensorSpec]:
    """Return the specs of the tensors in a file of `torch.save`, by name, without allocating them.

    The maximum size of the pickle is proportional to `n_expected`, the expected number of tensors.
    Raises UnsafeFileError for a file that is no state dict, whose records are compressed, or whose
    tensors are larger than their records.
    """
    # These bytes start each entry of a zip directory. Python uses half a kilobyte per entry.
    if content.count(b"PK\x01\x02") > _MAX_RECORDS:
        raise UnsafeFileError(f"a zip archive of more than {_MAX_RECORDS:,} files")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            sizes, stream = _read_archive(archive, len(content), n_expected)
    except UnsafeFileError:
        raise
    except Exception as error:  # zipfile raises errors of many classes for hostile bytes.
        raise UnsafeFileError(f"a broken zip archive ({quote(str(error), 80)})") from error
    _check_opcodes(stream)
    try:
        state = _Unpickler(io.BytesIO(stream), sizes).load()
    except UnsafeFileError:
        raise
    except Exception as error:  # Unpickling hostile bytes may raise almost any exception.
        raise UnsafeFileError(
            f"a file that cannot be read safely ({type(error).__name__})"
        ) from error
    return _require_tensor_specs(state)


def _read_archive(
    archive: zipfile.ZipFile, length: int, n_expected: int
) -> tuple[dict[str, int], bytes]:
    """Return the size in bytes of each record by its key, and the pickle."""
    entries = archive.infolist()
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise UnsafeFileError("a zip archive of compressed files, which torch.save does not write")
    # Entries that overlap have a larger total size than the file.
    if sum(entry.file_size for entry in entries) > length:
        raise UnsafeFileError("a zip archive whose entries declare more bytes than it has")
    if len({entry.filename for entry in entries}) < len(entries):
        raise UnsafeFileError("a zip archive with a repeated name")
    pickles = [entry for entry in entries if entry.filename.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise UnsafeFileError(f"a zip archive with {len(pickles)} files data.pkl")
    maximum = _MAX_PICKLE_BYTES + n_expected * _MAX_PICKLE_BYTES_PER_TENSOR
    size = pickles[0].file_size
    if size > maximum:
        raise UnsafeFileError(f"a data.pkl of {size:,} bytes, more than {maximum:,}")
    folder = pickles[0].filename.removesuffix("data.pkl") + "data/"
    sizes = {
        entry.filename.removeprefix(folder): entry.file_size
        for entry in entries
        if entry.filename.startswith(folder)
    }
    return sizes, archive.read(pickles[0])


def _check_opcodes(stream: bytes) -> None:
    """Raise UnsafeFileError unless a pickle has only opcodes of a state dict, and is a tree.

    A container that is used several times could make hashing or comparison take exponential time,
    so the memo may only return names and strings.
    """
    previous = ""
    leaves: set[int] = set()
    try:
        value: Any
        for count, (opcode, value, _) in enumerate(pickletools.genops(stream)):
            name = opcode.name
            if count > _MAX_OPCODES or name not in _OPCODES:
                raise UnsafeFileError(f"a file that cannot be read safely (opcode {name})")
            if name == "GLOBAL":
                _resolve(*value.split(" ", 1))
            elif name in ("BINPUT", "LONG_BINPUT"):
                if value > _MAX_OPCODES:
                    raise UnsafeFileError("a file that cannot be read safely (a memo of that size)")
                # An index of the memo that is used again has the last value that was stored.
                (leaves.add if previous in _LEAF_OPCODES else leaves.discard)(value)
            elif name in ("BINGET", "LONG_BINGET") and value not in leaves:
                raise UnsafeFileError("a file that cannot be read safely (one container twice)")
            previous = name
    except ValueError as error:
        raise UnsafeFileError("a broken pickle in a zip archive") from error


def _resolve(module: str, name: str) -> Any:
    """Return the replacement of a global name of the pickle; raises UnsafeFileError for others."""
    if (module, name) == ("collections", "OrderedDict"):
        return _OrderedDict
    if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
        return _rebuild_tensor
    if (module, name) == ("torch._utils", "_rebuild_parameter"):
        return _rebuild_parameter
    if module == "torch" and name in _DTYPES:
        return _DTYPES[name]
    raise UnsafeFileError(
        f"a file that cannot be read safely (it names {quote(f'{module}.{name}', 80)})"
    )


class _Unpickler(pickle.Unpickler):
    """Unpickler of a stream whose opcodes were checked; resolves names by `_resolve` alone."""

    def __init__(self, file: io.BytesIO, sizes: dict[str, int]) -> None:
        super().__init__(file)
        self._sizes = sizes

    def find_class(self, module: str, name: str) -> Any:
        return _resolve(module, name)

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _, numel = pid
        if kind != "storage" or not isinstance(dtype, torch.dtype) or type(numel) is not int:
            raise UnsafeFileError("a file that cannot be read safely (a storage of no known kind)")
        size = self._sizes.get(key)
        if size is None or size != numel * dtype.itemsize:
            raise UnsafeFileError(f"{numel:,} numbers in a record of {size or 0:,} bytes")
        return _Storage(dtype, key, numel)


def _rebuild_tensor(storage: _Storage, offset: int, shape: Any, stride: Any, *_: Any) -> TensorSpec:
    numbers = (offset, *shape, *stride)
    if not isinstance(storage, _Storage) or any(type(n) is not int or n < 0 for n in numbers):
        raise UnsafeFileError("a file that cannot be read safely (a tensor of no known kind)")
    if len(shape) != len(stride):
        raise UnsafeFileError("a tensor with unequal numbers of strides and axes")
    last = offset + sum((n - 1) * step for n, step in zip(shape, stride, strict=True))
    if 0 not in shape and last >= storage.numel:
        raise UnsafeFileError(
            f"a tensor of shape {quote(str(shape))} with {storage.numel:,} numbers"
        )
    return tensor_spec(storage.dtype, shape)


def _rebuild_parameter(data: TensorSpec, *_: Any) -> TensorSpec:
    return data


def _require_tensor_specs(state: Any) -> dict[str, TensorSpec]:
    """Return an unpickled state dict; raises UnsafeFileError for anything else."""
    if not isinstance(state, dict):
        raise UnsafeFileError(f"a {_type_name(state)}")
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, TensorSpec):
            raise UnsafeFileError(f"a dict with {quote(str(name))}: {_type_name(value)}")
    return dict(state)


def _type_name(value: Any) -> str:
    """Return the name of the type that the pickle declares for a value."""
    names = {TensorSpec: "tensor", _OrderedDict: "dict", _Storage: "storage"}
    return names.get(type(value), type(value).__name__)
