import bz2
import gzip
import io
import lzma
import mmap
import os
import pickle
import struct
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ztfrep.errors import InputError
from ztfrep.sources.pickles import mapped_file
from ztfrep.sources.pickles.pickle_reader import read_pickle

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


def assert_same(value, expected):
    if isinstance(expected, dict):
        assert value.keys() == expected.keys()
        for key in expected:
            assert_same(value[key], expected[key])
    elif isinstance(expected, np.ndarray):
        assert value.dtype == expected.dtype
        np.testing.assert_array_equal(value, expected)
    else:
        assert value == expected


def numpy_1(content, protocol):
    """A pickle as numpy 1 wrote it: other module names, one byte shorter, outside of frames."""
    data = pickle.dumps(content, protocol=min(protocol, 3))
    return data.replace(b"numpy._core", b"numpy.core")


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickles_of_numpy_are_read(tmp_path, protocol):
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(CONTENT, protocol=protocol))
    assert_same(read_pickle(path), CONTENT)


@pytest.mark.parametrize("protocol", [2, 3])
def test_pickles_of_numpy_1_are_read(tmp_path, protocol):
    path = tmp_path / "a.pkl"
    path.write_bytes(numpy_1(CONTENT, protocol))
    assert b"numpy.core.multiarray" in path.read_bytes()
    assert_same(read_pickle(path), CONTENT)


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_a_large_array_is_a_view_of_the_file(tmp_path, protocol):
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps({"big": ARRAYS["big"]}, protocol=protocol))
    value = read_pickle(path)["big"]
    assert not value.flags.writeable
    while isinstance(value, np.ndarray):
        value = value.base
    # A copy in bytes would be read-only and not owned as well.
    assert isinstance(value.obj, mmap.mmap)


def test_reading_takes_little_memory(tmp_path):
    path = tmp_path / "a.pkl"
    with path.open("wb") as file:
        pickle.dump({"a": np.ones((100, 1 << 18)), "b": np.ones(7)}, file, protocol=4)
    program = """
import sys
from ztfrep.sources.pickles.pickle_reader import read_pickle
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
    + named("numpy", "dtype") + text("S400") + b"\x89\x88\x87R\x940"
    + b"B" + struct.pack("<I", 400) + b"a" * 400 + b"\x940"
    + b"](" + b"h\x00h\x01h\x02\x86R" * 1000 + b"e",
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
    "deep list": (b"(" * 100_000 + b"l" * 100_000 + b".", "deeper than 64"),
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
def test_content_that_no_array_needs_is_refused(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    content, message = HOSTILE[name]
    path = tmp_path / "a.pkl"
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        read_pickle(path)
    assert message in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < len(str(path)) + 400
    assert not (tmp_path / "ran").exists()


def whole():
    return pickle.dumps({"a": np.arange(20_000.0), "b": [1, "x"]}, protocol=4)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        # An interrupted download.
        (b"", "an empty file"),
        (whole()[:-1], "are announced"),
        (whole()[:5000], "are announced"),
        # Four bytes of length announce 4 GiB that must not be allocated.
        (stream(b"B\xff\xff\xff\xff"), "where at least 429496730"),
        (stream(b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f"), "are announced"),
    ],
)
def test_a_truncated_file_is_refused(tmp_path, content, message):
    path = tmp_path / "a.pkl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_pickle(path)


def test_an_unreadable_path_is_refused(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="a directory; .*give the file itself"):
        read_pickle(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="found no regular file"):
        read_pickle(tmp_path / "pipe")
    with pytest.raises(InputError, match="cannot be read .*; correct the path"):
        read_pickle(tmp_path / ("x" * 300))
    (tmp_path / "a.pkl").write_bytes(whole())

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    # The superuser may read whatever its mode is.
    monkeypatch.setattr("pathlib.Path.open", refuse)
    with pytest.raises(InputError, match="a file that you may not read"):
        read_pickle(tmp_path / "a.pkl")


def zipped(content):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.pkl", content)
    return buffer.getvalue()


def array_file():
    buffer = io.BytesIO()
    np.save(buffer, np.arange(9.0))
    return buffer.getvalue()


PAGE = b"<!DOCTYPE html><html><head><title>Google Drive - "
# Other files that users may pass, and the remedies.
NOT_PICKLES = {
    "gzip": (gzip.compress(whole()), "found a gzip file; ", "unpack it first, with gunzip"),
    "bzip2": (bz2.compress(whole()), "found a bzip2 file; ", "with bunzip2"),
    "xz": (lzma.compress(whole()), "found an xz file; ", "with unxz"),
    "zip": (zipped(whole()), "found a zip archive; ", "with unzip"),
    "array": (array_file(), "found a numpy array; ", "give the pickle"),
    "quota": (PAGE + b"Quota exceeded</title>", "its download quota is used up", "in a browser"),
    "sign in": (PAGE + b"Sign in</title>", "it asks to sign in", "in a browser"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer", "lfs pull"),
    "safetensors": (
        struct.pack("<Q", 0x0280) + b'{"a": {"dtype": "F32"}}', "a safetensors file", "give the"
    ),
    "json": (b'{"Train": 1}', "JSON text that begins '{\"Train\": 1}'", "give the pickle"),
    # Their first letters are instructions of a pickle.
    "csv": (b"candid,class\n1,AGN\n2,SN\n", "text that begins 'candid,class", "a source you trust"),
    "note": (b"Nothing to see\n", "text that begins 'Nothing to see", "a source you trust"),
    "stop": (b".\n", "text that begins '.", "fetch it again"),
    "bytes": (b"B\xff\xfe\x00\x00\x01", "begins with the bytes 42 ff fe", "fetch it again"),
    "later protocol": (b"\x80\x06N.", "begins with the bytes 80 06 4e", "fetch it again"),
    "zeros": (bytes(5000), "found zeros; ", "fetch it again"),
}  # fmt: skip


@pytest.mark.parametrize("name", NOT_PICKLES)
def test_a_file_that_is_no_pickle_is_described(tmp_path, name):
    content, kind, remedy = NOT_PICKLES[name]
    path = tmp_path / "a.pkl"
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        read_pickle(path)
    message = str(error.value)
    assert kind in message
    assert remedy in message
    assert "Error" not in message
    assert "\n" not in message
    assert len(message) < len(str(path)) + 400


DAMAGED = {
    "no instruction": (b"K\x01\x00", "no instruction begins at byte 4 of 6"),
    "no values": (b"K\x01\x86", "an instruction without its values at byte 4 of 6"),
    "no value": (b"a", "an instruction without its values at byte 2"),
    "no mark": (b"Nu", "an instruction without its values at byte 3"),
    "not stored": (b"h\x07", "a reference to what was not stored at byte 2"),
    "one of many not stored": (
        b"](" + b"N" * 50 + b"h\x07" + b"N" * 50 + b"e",
        "at byte 54 of 108",
    ),
    "no text": (b"X\x02\x00\x00\x00\xff\xfe", "a text that is not in its encoding at byte 2"),
    "no number": (b"Iseven\n", "an instruction with values of a wrong kind at byte 2"),
    "wrong kind": (b"}Na", "an instruction with values of a wrong kind at byte 4"),
    "odd dict": (b"}(Nu", "an instruction with values of a wrong kind at byte 5"),
    "name of a number": (b"K\x01K\x02\x93", "an instruction with values of a wrong kind"),
    "state": (named("numpy", "dtype") + b")R", "values of a wrong kind"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_pickle_is_refused_with_the_position(tmp_path, name):
    content, reason = DAMAGED[name]
    path = tmp_path / "a.pkl"
    path.write_bytes(stream(content))
    with pytest.raises(InputError) as error:
        read_pickle(path)
    assert f"found a damaged pickle, {reason}" in str(error.value) or reason in str(error.value)
    assert "a damaged pickle" in str(error.value)
    assert "fetch it again" in str(error.value)
    assert "Error" not in str(error.value)


MANY = 1_000_000
COLLIDING = [(i * ((1 << 61) - 1)).to_bytes(12, "little") for i in range(20_000)]
LENGTH = b"\x8a\xff" + b"\x55" * 255


def an_array(shape, dtype="f4", content=b"C\x00"):
    return (
        named("numpy._core.multiarray", "_reconstruct") + named("numpy", "ndarray")
        + b"K\x00\x85C\x01b\x87R(K\x01" + shape + named("numpy", "dtype") + text(dtype)
        + b"\x89\x88\x87R\x89" + content + b"tb"
    )  # fmt: skip


def from_buffer(order):
    return (
        named("numpy._core.numeric", "_frombuffer") + b"(C\x04aaaa" + named("numpy", "dtype")
        + text("f4") + b"\x89\x88\x87RK\x01\x85" + order + b"tR"
    )  # fmt: skip


# Files that took seconds to minutes and hundreds of megabytes, or whose error did.
EXPENSIVE = {
    "marks": (b"(" * MANY, "deeper than 64"),
    "nothings": (b"N" * MANY, "more than 10000 values"),
    "copies of one": (b"N" + b"2" * MANY, "more than 10000 values"),
    "dicts": (b"}" * MANY, "more than 10000 values"),
    "lists": (b"]" * MANY, "more than 10000 values"),
    "numbers": (b"G" + b"\x01" * 8 + (b"G" + b"\x01" * 8) * MANY, "more than 10000 values"),
    "taken back": (b"N0" * MANY, "more Python objects"),
    "marks taken back": (b"(1" * MANY, "more Python objects"),
    "protocols": (b"\x80\x04" * MANY, "more Python objects"),
    "frames": ((b"\x95" + bytes(8)) * MANY, "more Python objects"),
    "an integer of a megabyte": (b"\x8b" + struct.pack("<i", MANY) + b"U" * MANY, "an integer of"),
    "a line of digits": (b"I" + b"9" * MANY + b"\n", "a line of more than 512"),
    "a line of hexadecimal digits": (b"L0x" + b"f" * MANY + b"\n", "a line of more than 512"),
    "keys of one hash": (
        b"}(" + b"".join(b"\x8a\x0c" + key + b"N" for key in COLLIDING) + b"u", "more than 10000"
    ),
    "a key of one hash": (b"}\x8a\x0c" + COLLIDING[9] + b"Ns", "a int as the key"),
    "memo indices of one hash": (
        b"N" + b"".join(b"p%d\n" % (i << 40) for i in range(20_000)), "more than 32 bits"
    ),
    "a huge length": (an_array(LENGTH + b"\x85"), "a length that is no number, or beyond"),
    "huge lengths": (an_array(b"(" + LENGTH * 8 + b"t"), "a length that is no number, or beyond"),
    "many lengths": (an_array(b"(" + b"K\x02" * 9000 + b"t"), "no tuple of up to 8 lengths"),
    "many huge lengths": (an_array(b"(" + LENGTH * 9000 + b"t"), "no tuple of up to 8 lengths"),
    "a length less than none": (an_array(b"J\xff\xff\xff\xff\x85"), "negative length"),
    "items of no size": (an_array(b"J\xff\xff\xff\x7f\x85", "S0"), "dtype 'S0'"),
    "a huge dtype": (an_array(b"K\x01\x85", "f" * MANY), "an array of dtype Text"),
    "a long dtype": (an_array(b"K\x01\x85", "f" * 60_000), "dtype 'fff"),
    "a huge order": (from_buffer(text("C" * MANY)), "in the order Text"),
    "a long order": (from_buffer(text("C" * 60_000)), "in the order 'CCC"),
    "a numeric order": (from_buffer(LENGTH), "in the order int"),
    # Each element has 614 digits.
    "an order of many numbers": (from_buffer(b"(" + LENGTH * 9000 + b"t"), "in the order tuple"),
    "a huge encoding": (
        named("_codecs", "encode") + text("a") + text("z" * MANY) + b"\x86R", "encode to Text"
    ),
    "a long encoding": (
        named("_codecs", "encode") + text("a") + text("z" * 60_000) + b"\x86R", "encode to 'zzz"
    ),
    "a long text as an element": (
        an_array(b"K\x01\x85", "O", b"](" + text("9" * 60_000) + b"e"), "a text of 60000 char"
    ),
    # Each is scanned whole whenever it is made, however short its text is.
    "a long text as a scalar": (
        named("numpy.core.multiarray", "scalar") + named("numpy", "dtype") + text("U999")
        + b"\x89\x88\x87RB" + struct.pack("<I", 3996) + bytes(3996) + b"\x86R", "a numpy scalar of"
    ),
    # Python's own text cannot hold them, numpy's can.
    "letters beyond Unicode": (
        an_array(b"K\x01\x85", "U1", b"C\x04\xff\xff\xff\x7f"), "a text beyond Unicode"
    ),
    "a bare long text": (text("a" * MANY), "a bare dtype, function, buffer or long text"),
}  # fmt: skip


@pytest.mark.parametrize("name", EXPENSIVE)
def test_pickles_that_would_take_long_are_refused_quickly_in_a_short_line(tmp_path, name):
    content, reason = EXPENSIVE[name]
    path = tmp_path / "a.pkl"
    path.write_bytes(stream(content))
    start = time.process_time()
    with pytest.raises(InputError) as error:
        read_pickle(path)
    assert time.process_time() - start < 1
    assert reason in str(error.value)
    assert len(str(error.value)) < len(str(path)) + 350


# In lists as pickle writes them, 1,000 values at a time, each kind of value and of container.
IN_LISTS = {
    "nothings": b"N",
    "numbers": b"G" + bytes(8),
    "numbers and nothings": b"G" + bytes(8) + b"N",
    "integers": b"J\xff\xff\xff\x7f",
    "long integers": b"\x8a\x08" + b"\x7f" * 8,
    "texts": b"\x8c\x02ab",
    "bytes": b"C\x02ab",
    "dicts": b"}",
    "lists": b"]",
    "tuples": b"N\x85",
    "tuples in tuples": b"N" + b"\x85" * 9,
    "marks": b"(t",
    "stored": b"N\x94",
    "recalled": b"h\x00",
    "names": b"cnumpy\ndtype\n",
    "dtypes": named("numpy", "dtype") + text("f4") + b"\x85R",
    "arrays": named("numpy.core.multiarray", "_reconstruct") + b")R",
    "integers of protocol 0": b"I1\n",
    "texts of protocol 0": b"Vab\n",
    "texts of a megabyte in memory": b"X\x64\xea\x00\x00" + b"a" * 60_000 + "\U0001f600".encode(),
}


@pytest.mark.parametrize("name", IN_LISTS)
def test_the_memory_of_python_objects_is_limited(tmp_path, monkeypatch, name):
    monkeypatch.setattr(mapped_file, "ALLOWANCE", 1 << 20)
    kind = IN_LISTS[name]
    batch = b"(" + kind * max(1, 1000 // len(kind)) + b"e"
    path = tmp_path / "a.pkl"
    path.write_bytes(stream(b"N\x94]" + batch * (5_000_000 // len(batch))))
    with pytest.raises(InputError, match="more Python objects .*as arrays of floats"):
        read_pickle(path)


def test_the_published_features_are_within_the_limit_for_any_type(tmp_path):
    # The costliest are other objects than floats, which are read 64 at a time.
    values = np.full((72_710 + 1_000, 26), 70_000, dtype=object)
    values[::2] = None
    values[::3] = "null"
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps({"features": values}, protocol=4))
    assert_same(read_pickle(path), {"features": values})


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_mixed_runs_of_values_are_read_unchanged(tmp_path, protocol):
    kinds = [1.5, None, True, False, 3, 300, 70_000, -1, 2**40, "null", "other", float("nan"), b"b"]
    rng = np.random.default_rng(protocol)
    content = [[kinds[i] for i in rng.integers(0, len(kinds), n)] for n in (5, 7, 8, 9, 64, 3000)]
    content.append([float(number) for number in rng.random(200)])
    content.append([1.5] * 70 + [None] * 1500 + [70_000] * 8 + [-1] * 7 + [2.5])
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    assert repr(read_pickle(path)) == repr(content)


SMALL = [pickle.dumps({"a": np.arange(6.0), "b": (1, [None])}, protocol=p) for p in (2, 3, 4, 5)]


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(SMALL), st.data())
def test_any_bytes_are_a_value_or_an_input_error(tmp_path_factory, whole, data):
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
