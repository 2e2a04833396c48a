"""Vector files, right ones and wrong ones."""

import os
import resource
import struct
import time
import tracemalloc

import numpy as np
import pandas as pd
import pytest

from ztfrep.data.vector_files import read_lengths, read_vectors
from ztfrep.data.vector_writer import open_vectors_for_writing
from ztfrep.errors import InputError

LENGTHS = {"train": 4, "validation": 2, "test": 3}


def arrays(shape=(6,), dtype="<f4", label_dtype="<i8"):
    """Six good arrays in the order of the file."""
    rng = np.random.default_rng(0)
    parts = []
    for n in LENGTHS.values():
        parts += [
            rng.normal(size=(n, *shape)).astype(dtype),
            (np.arange(n) % 3).astype(label_dtype),
        ]
    return parts


def written(path, parts):
    """Write arrays, or bytes as they are."""
    with path.open("wb") as file:
        for part in parts:
            file.write(part) if isinstance(part, bytes) else np.save(file, part)
    return path


def header(descr="<f4", shape="(4, 6)", fortran="False", *, text=None, version=1, length=None):
    text = text or f"{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}"
    body = text.encode("latin1") + b"\n"
    size = struct.pack("<H" if version == 1 else "<I", len(body) if length is None else length)
    return b"\x93NUMPY" + bytes([version, 0]) + size + body


@pytest.mark.parametrize(
    ("shape", "dtype", "label_dtype"),
    [
        # The published base.npy and baseRecurrente.npy, and ours.
        ((128,), "<f4", "<i8"),
        ((3, 128), "<f8", "<f8"),
        ((6,), "<f4", "<i4"),
        ((2, 5), "<f8", "<u1"),
    ],
)
def test_valid_files_are_read_as_numpy_reads_them(tmp_path, shape, dtype, label_dtype):
    parts = arrays(shape, dtype, label_dtype)
    path = written(tmp_path / "base.npy", parts)
    splits = read_vectors(path, dims=len(shape) + 1)
    for split, vectors, labels in zip(LENGTHS, parts[::2], parts[1::2], strict=True):
        for got, expected in zip(splits[split], (vectors, labels), strict=True):
            assert got.dtype == expected.dtype
            np.testing.assert_array_equal(got, expected)
            assert got.flags.writeable
    assert read_lengths(path) == LENGTHS


def test_what_is_changed_in_the_arrays_does_not_change_the_file(tmp_path):
    path = written(tmp_path / "base.npy", arrays())
    before = path.read_bytes()
    for vectors, labels in read_vectors(path).values():
        vectors += 1
        labels += 1
    assert path.read_bytes() == before


def test_arrays_that_are_in_use_remain_if_the_file_is_replaced(tmp_path):
    path = written(tmp_path / "base.npy", arrays())
    vectors = read_vectors(path)["test"].vectors
    expected = vectors.copy()
    written(tmp_path / "new.npy", [part * 0 for part in arrays()]).replace(path)
    np.testing.assert_array_equal(vectors, expected)


def test_an_empty_split_and_unlabelled_rows_are_read(tmp_path):
    parts = arrays()
    parts[2:4] = np.empty((0, 6), "<f4"), np.empty(0, "<i8")
    parts[5][:] = -1
    splits = read_vectors(written(tmp_path / "base.npy", parts))
    assert splits["validation"].vectors.shape == (0, 6)
    assert splits["test"].labels.tolist() == [-1] * 3


def changed(index, value):
    """Good arrays but for one."""
    parts = arrays()
    parts[index] = value(parts[index]) if callable(value) else value
    return parts


def with_value(value, row=1):
    def change(array):
        array = array.copy()
        array[(row, *(3,) * (array.ndim - 1))] = value
        return array

    return change


HOSTILE = [
    # Sizes that the bytes do not have.
    (changed(0, header(shape="(1000000000000, 128)")), "(1000000000000, 128), 512,"),
    (changed(1, header("<i8", f"({10**18},)")), "train labels of shape (1000000000000000000,), 8,"),
    (changed(0, header(shape=f"({2**62}, {2**62})")), "where"),
    (changed(0, header(shape=f"({10**30}, 6)")), "train vectors of shape '(1000"),
    (changed(0, header(shape="(-4, 6)")), "train vectors of shape '(-4, 6)'"),
    (changed(0, header(shape="(True, 6)")), "train vectors of shape '(True, 6)'"),
    (changed(0, header(shape="(4.0, 6)")), "header that cannot be read"),
    (changed(0, header(shape="(" + "1," * 3000 + ")")), "train vectors of shape"),
    (changed(0, header(shape="(" + "9" * 5000 + ", 6)")), "header that cannot be read"),
    # Headers.
    ([header(length=60_000), *arrays()], "header of version [1, 0] and 60,000 bytes"),
    ([header(version=2, length=2**32 - 1), *arrays()], "version [2, 0] and 4,294,967,295"),
    ([header(version=3)], "header of version [3, 0]"),
    ([header(version=9)], "header of version [9, 0]"),
    ([header(text="(" * 9000)], "header that cannot be read"),
    ([header(text="-" * 9000 + "1")], "header that cannot be read"),
    ([header(text="{[]: 1}")], "header that cannot be read"),
    ([header(text="__import__('os').system('touch executed')")], "header that cannot be read"),
    ([header(text="{'descr': '<f4'}")], "header that cannot be read"),
    ([header()[:20]], "header that cannot be read"),
    ([header()[:9]], "header that cannot be read"),
    ([b"\x93NUMPY"], "header"),
    ([b"\x93NUMPY\x01"], "header"),
    # Types.
    (changed(0, np.full((4, 6), "text")), "train vectors that are text"),
    (changed(0, np.full((4, 6), b"text")), "train vectors that are text"),
    (changed(0, header("|O")), "train vectors that are Python objects"),
    (changed(0, np.zeros((4, 6), [("a", "<f4")])), "train vectors that are records"),
    (changed(0, header("<f4", "(4, 6)").replace(b"'<f4'", b"[('a', '|O')]")), "header"),
    (changed(0, lambda a: a.astype(">f4")), "train vectors that are '>f4'"),
    (changed(0, lambda a: a.astype("<f2")), "train vectors that are 'float16'"),
    (changed(0, lambda a: a.astype("<i8")), "train vectors that are 'int64'"),
    (changed(0, lambda a: a.astype("<c16")), "train vectors that are 'complex128'"),
    (changed(1, np.array(["0", "1", "2", "0"])), "train labels that are text"),
    (changed(3, np.zeros(2, bool)), "validation labels that are 'bool'"),
    (changed(3, np.zeros(2, "M8[s]")), "validation labels that are"),
    (changed(3, np.zeros(2, "<c8")), "validation labels that are 'complex64'"),
    (changed(3, np.zeros(2, ">i4")), "validation labels that are '>i4'"),
    # Shapes.
    (changed(0, np.zeros(4, "<f4")), "train vectors of shape (4,)"),
    (changed(0, np.zeros((4, 2, 3, 1), "<f4")), "train vectors of shape"),
    (changed(0, np.zeros((4, 0), "<f4")), "train vectors of shape (4, 0)"),
    (changed(0, np.asfortranarray(np.ones((4, 6), "<f4"))), "train vectors in Fortran order"),
    (changed(2, np.zeros((2, 7), "<f4")), "validation vectors of shape (2, 7)"),
    (changed(4, np.zeros((3, 6), "<f8")), "test vectors of shape (3, 6) and float64"),
    (changed(4, np.zeros((3, 1, 6), "<f4")), "test vectors of shape (3, 1, 6)"),
    (changed(1, np.zeros(5, "<i8")), "4 train rows with 5 labels"),
    (changed(1, np.zeros((4, 1), "<i8")), "train labels of shape (4, 1)"),
    # Values.
    (changed(0, with_value(np.nan)), "train vectors with nan in row 1"),
    (changed(4, with_value(-np.inf)), "test vectors with -inf in row 1"),
    (changed(1, with_value(5)), "train labels with 5 in row 1"),
    (changed(1, with_value(-2)), "train labels with -2 in row 1"),
    (changed(1, np.array([0, 1, 2.5, 0])), "train labels with 2.5 in row 2"),
    (changed(1, np.array([0, 1, 2, np.nan])), "train labels with nan in row 3"),
    (changed(5, np.array([0, 1e300, 2])), "test labels with 1e+300 in row 1"),
    (changed(5, np.array([0, 2**64 - 1, 2], np.uint64)), "test labels with 18446744073709551615"),
    # Length.
    (arrays()[:5], "found 5 arrays, then the end of the file in place of the test labels"),
    ([*arrays(), b"\0"], "1 bytes after the test labels"),
    ([*arrays(), *arrays()], "bytes after the test labels"),
    ([*arrays()[:2], b"garbage"], "in place of the validation vectors"),
    # Other files.
    ([b""], "found 0 arrays, then the end of the file"),
    ([b"<!DOCTYPE html><title>Google Drive</title>"], "an HTML page"),
    ([b"version https://git-lfs.github.com/spec/v1\n"], "a Git LFS pointer"),
    ([b"\x80\x04K\x01."], "a pickle of protocol 4"),
    ([bytes(1000)], "zeros"),
]  # fmt: skip


@pytest.mark.parametrize(("parts", "message"), HOSTILE, ids=lambda x: x if type(x) is str else "")
def test_an_invalid_file_is_refused(tmp_path, monkeypatch, parts, message):
    monkeypatch.chdir(tmp_path)
    path = written(tmp_path / "base.npy", parts)
    with pytest.raises(InputError) as caught:
        read_vectors(path)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 400 + len(str(path))
    assert list(tmp_path.iterdir()) == [path]


def test_a_path_that_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, message in (
        (tmp_path, "no regular file"),
        (tmp_path / "pipe", "no regular file"),
        (tmp_path / "missing", "no such file"),
    ):
        with pytest.raises(InputError, match=message):
            read_vectors(path)


def test_the_dimensions_and_the_classes_are_checked_if_they_are_arguments(tmp_path):
    path = written(tmp_path / "base.npy", arrays())
    with pytest.raises(InputError, match=r"expected a shape \(n, steps, d\)"):
        read_vectors(path, dims=3)
    with pytest.raises(InputError, match="from -1 .unlabelled. to 1"):
        read_vectors(path, classes=2)


@pytest.mark.parametrize(
    "content",
    [
        header(shape="(1000000000000, 128)"),
        # A sparse file of 8 GB of header.
        header(version=2, length=2**32 - 1),
    ],
)
def test_a_claimed_size_takes_no_memory(tmp_path, content):
    path = tmp_path / "base.npy"
    path.write_bytes(content)
    with path.open("rb+") as file:
        file.truncate(1 << 33)
    tracemalloc.start()
    start = time.perf_counter()
    with pytest.raises(InputError):
        read_vectors(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000
    assert time.perf_counter() - start < 2


def frame():
    split = [name for name, n in LENGTHS.items() for _ in range(n)]
    return pd.DataFrame({"split": split, "label": 0})


def test_disk_space_is_allocated_before_a_map_is_written(tmp_path):
    rows = frame()
    with open_vectors_for_writing(tmp_path / "a.npy", rows, (1000, 100), "<f8", "<i8") as splits:
        (temporary,) = tmp_path.glob(".a.npy.*.tmp/a.npy")
        status = temporary.stat()
        assert status.st_blocks * 512 >= status.st_size > 9 * 1000 * 100 * 8
        assert not splits["train"].vectors.any()


@pytest.mark.parametrize("supported", ["missing", "refused"])
def test_disk_space_is_written_if_it_cannot_be_allocated(tmp_path, monkeypatch, supported):
    def refuse(*_):
        raise OSError(95, "Operation not supported")

    rows, expected = frame(), tmp_path / "expected.npy"
    for path in (expected, tmp_path / "a.npy"):
        with open_vectors_for_writing(path, rows, (300, 100), "<f8", "<i8") as splits:
            (temporary,) = tmp_path.glob(f".{path.name}.*.tmp/{path.name}")
            status = temporary.stat()
            assert status.st_blocks * 512 >= status.st_size
            splits["test"].vectors[:] = 1.0
        if path == expected and supported == "missing":
            monkeypatch.delattr(os, "posix_fallocate")
        elif path == expected:
            monkeypatch.setattr(os, "posix_fallocate", refuse)
    assert (tmp_path / "a.npy").read_bytes() == expected.read_bytes()


def test_a_full_disk_is_an_error_of_one_line_and_no_file_remains(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    path = tmp_path / "base.npy"
    with (
        pytest.raises(InputError, match=r"base\.npy: found [\d,]+ bytes free.*room for 9[\d,]+ b"),
        open_vectors_for_writing(path, frame(), (10, 128), "<f8", "<i8"),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def small_files():
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_limit_of_file_size_is_an_error_and_no_signal(tmp_path, small_files):
    path = tmp_path / "base.npy"
    with (
        pytest.raises(OSError, match="writing failed: File too large") as caught,
        open_vectors_for_writing(path, frame(), (10_000,), "<f8", "<i8") as splits,
    ):
        splits["test"].vectors[:] = 1.0
    assert caught.value.filename == str(path)
    assert list(tmp_path.iterdir()) == []
