import mmap
import os
import pickle
import struct
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ztfrep.errors import InputError
from ztfrep.sources.pickles import read_pickle

RNG = np.random.default_rng(0)
ARRAYS = {
    "big": RNG.random((40, 30, 30)).astype(np.float32),
    "big double": RNG.random((100, 100)),
    "fortran": np.asfortranarray(RNG.random((5, 7))),
    "axes moved": np.moveaxis(RNG.random((4, 3, 80, 80)), 1, -1),
    "other byte order": np.arange(6, dtype=">i4").reshape(2, 3),
    "bool": np.array([True, False]),
    "text": np.array(["AGN", "SN"]),
    "empty": np.empty((0, 63, 63, 3), np.float32),
    "scalar": np.float32(0.5),
    "mixed": np.array([[1.5, None], ["null", np.float64(2.5)]], dtype=object),
}
CONTENT = {**ARRAYS, "nested": {"list": [1, 2.5, None, True], "tuple": ("a", b"b", 2**70)}}


def assert_same(found, expected):
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key in expected:
            assert_same(found[key], expected[key])
    elif isinstance(expected, np.ndarray):
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    else:
        assert found == expected


def numpy_1(content, protocol):
    """A pickle as numpy 1 wrote it: other module names, one byte shorter, outside of frames."""
    data = pickle.dumps(content, protocol=min(protocol, 3))
    return data.replace(b"numpy._core", b"numpy.core")


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_what_numpy_writes_is_read(tmp_path, protocol):
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(CONTENT, protocol=protocol))
    assert_same(read_pickle(path), CONTENT)


@pytest.mark.parametrize("protocol", [2, 3])
def test_what_numpy_1_wrote_is_read(tmp_path, protocol):
    path = tmp_path / "a.pkl"
    path.write_bytes(numpy_1(CONTENT, protocol))
    assert b"numpy.core.multiarray" in path.read_bytes()
    assert_same(read_pickle(path), CONTENT)


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_a_big_array_is_a_view_of_the_file(tmp_path, protocol):
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps({"big": ARRAYS["big"]}, protocol=protocol))
    found = read_pickle(path)["big"]
    assert not found.flags.writeable
    while isinstance(found, np.ndarray):
        found = found.base
    # A copy in bytes would be read-only and not owned as well.
    assert isinstance(found.obj, mmap.mmap)


def test_reading_hardly_takes_memory(tmp_path):
    path = tmp_path / "a.pkl"
    with path.open("wb") as file:
        pickle.dump({"a": np.ones((100, 1 << 18)), "b": np.ones(7)}, file, protocol=4)
    program = """
import sys
from ztfrep.sources.pickles import read_pickle
def anonymous():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))
before = anonymous()
array = read_pickle(sys.argv[1])["a"]
assert array[::9].sum() == 12 * array.shape[1]
print(anonymous() - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, path], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 40_000  # KiB, of 200 MiB


class Call:
    """Pickles as a call of any function."""

    def __init__(self, function, *arguments):
        self.reduction = function, arguments

    def __reduce__(self):
        return self.reduction


def stream(*parts):
    return b"\x80\x04" + b"".join(parts) + b"."


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def named(module, name):
    return text(module) + text(name) + b"\x93"


OBJECT = named("numpy", "dtype") + text("O") + b"\x89\x88\x87R"
REPEATED = {
    "list": b"](" + b"N" * 10_000 + b"e\x940"
    + named("numpy.core.multiarray", "_reconstruct") + b"\x940" + OBJECT + b"\x940"
    + b"](" + b"h\x01)R(K\x01M\x10\x27\x85h\x02\x89h\x00tb" * 100 + b"e",
    "text": named("_codecs", "encode") + b"\x940" + text("a" * 10_000) + b"\x940"
    + text("latin1") + b"\x940" + b"](" + b"h\x00h\x01h\x02\x86R" * 100 + b"e",
    "scalar": named("numpy.core.multiarray", "scalar") + b"\x940"
    + named("numpy", "dtype") + text("S9999") + b"\x89\x88\x87R\x940"
    + b"B" + struct.pack("<I", 9999) + b"a" * 9999 + b"\x940"
    + b"](" + b"h\x00h\x01h\x02\x86R" * 100 + b"e",
}  # fmt: skip
RAGGED = np.array([None, None])
RAGGED[:] = [np.arange(2), np.arange(3)]
DEEP = np.array([None, ((),)], dtype=object)

HOSTILE = {
    # A name that runs something, called.
    "call": (pickle.dumps(Call(os.system, "touch ran")), "posix.system"),
    "eval": (pickle.dumps({"a": [Call(eval, "1")]}), "builtins.eval"),
    # The same, only named: an import runs code too.
    "global": (b"cos\nsystem\n.", "os.system"),
    "stack global": (stream(named("os", "system")), "os.system"),
    "inst": (b"(S'touch ran'\nios\nsystem\n.", "STRING"),
    "inst alone": (b"(ios\nsystem\n.", "os.system"),
    "long name": (stream(named("m" * 10_000, "x")), "mmm"),
    # Near neighbours of the admitted names.
    "numpy load": (stream(named("numpy", "load")), "numpy.load"),
    "other core": (stream(named("numpy._core.multiarray", "fromfile")), "multiarray.fromfile"),
    "dotted": (stream(named("numpy", "ndarray.tofile")), "numpy.ndarray.tofile"),
    # An object made without a call.
    "newobj": (stream(named("numpy", "dtype"), b")\x81"), "NEWOBJ"),
    "newobj ex": (stream(named("numpy", "dtype"), b")}\x92"), "NEWOBJ_EX"),
    # State for what has none: it would reach our own functions.
    "build": (stream(named("numpy", "dtype"), b"}", text("make"), b"K\x01sb"), "a state for"),
    "call of a value": (stream(b"K\x01)R"), "a call of int"),
    "persistent id": (b"Pfile\n.", "PERSID"),
    "extension": (b"\x80\x02\x82\x01.", "EXT1"),
    "out of band": (b"\x80\x05\x97.", "NEXT_BUFFER"),
    # Another encoding may be another codec: "zip" would decompress a bomb.
    "codec": (
        stream(named("_codecs", "encode"), text("a"), text("zip"), b"\x86R"),
        "_codecs.encode to 'zip'",
    ),
    # A dtype of Python objects smuggled in a record.
    "record": (stream(named("numpy", "dtype"), text("O,f4"), b"\x89\x88\x87R"), "dtype 'O,f4'"),
    "bare dtype": (stream(named("numpy", "dtype"), text("f4"), b"\x89\x88\x87R"), "a bare dtype"),
    # Sizes that disagree would read beyond the buffer.
    "short content": (
        pickle.dumps(np.arange(99.0), protocol=4).replace(b"Kc\x85", b"Kd\x85"), "with 792 bytes"
    ),
    # Ten levels of ten shared lists: 10^10 leaves if they are walked one by one.
    "laughs": (
        stream(b"]\x94", *(b"(" + b"h%c" % n * 10 + b"l\x94" for n in range(60))), "deeper than 8"
    ),
    # Hashing such a key would overflow C's stack.
    "deep key": (stream(b"}", b")" + b"\x85" * 200_000, b"K\x01s"), "tuple as the key"),
    "deep list": (b"(" * 100_000 + b"l" * 100_000 + b".", "deeper than 8"),
    # Each repetition costs some ten bytes of file and as much memory as the part repeated.
    "repeated list": (stream(REPEATED["list"]), "many times the size of the file"),
    "repeated text": (stream(REPEATED["text"]), "many times the size of the file"),
    "repeated scalar": (stream(REPEATED["scalar"]), "many times the size of the file"),
    # What a reader of object arrays does not expect in one.
    "ragged": (pickle.dumps(RAGGED, protocol=4), "an object array that holds a Array"),
    "deep object": (pickle.dumps(DEEP, protocol=4), "an object array that holds a tuple"),
    # A name that clears the terminal, or fills it.
    "escape": (stream(named("\x1b[2J", "x")), r"foreign name \x1b[2J.x"),
    "set": (pickle.dumps({1, 2}, protocol=4), "EMPTY_SET"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_what_no_array_needs_is_refused_by_name(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    content, told = HOSTILE[name]
    path = tmp_path / "a.pkl"
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        read_pickle(path)
    assert told in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 1000
    assert not (tmp_path / "ran").exists()


def whole():
    return pickle.dumps({"a": np.arange(20_000.0), "b": [1, "x"]}, protocol=4)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "no such file"),
        # An interrupted download.
        (b"", "empty"),
        (whole()[:-1], "are announced"),
        (whole()[:5000], "are announced"),
        # Four bytes of length announce 4 GiB that must not be allocated.
        (stream(b"B\xff\xff\xff\xff"), "where at least 429496730"),
        (stream(b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f"), "are announced"),
        # What a download gives in place of the file.
        (b"<!DOCTYPE html><html>Quota exceeded</html>", "found"),
        (b"PK\x03\x04 a zip", "found"),
    ],
)
def test_a_file_that_is_not_whole_is_refused(tmp_path, content, told):
    path = tmp_path / "a.pkl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=told):
        read_pickle(path)


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="found"):
        read_pickle(tmp_path)


SMALL = [pickle.dumps({"a": np.arange(6.0), "b": (1, [None])}, protocol=p) for p in (2, 3, 4, 5)]


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(SMALL), st.data())
def test_no_bytes_end_in_anything_but_a_value_or_an_input_error(tmp_path_factory, whole, data):
    content = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(1, len(content)))]
    path = tmp_path_factory.getbasetemp() / "fuzzed.pkl"
    path.write_bytes(content)
    try:
        read_pickle(path)
    except InputError as error:
        assert "\n" not in str(error)
