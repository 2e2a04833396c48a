"""Files of torch.save: the sizes that they declare are checked before torch allocates memory."""

import io
import os
import pickle
import struct
import subprocess
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.models.networks import object_network
from ztfrep.encoders.model_folder import load_weights
from ztfrep.encoders.torch_files import TensorSpec, read_tensor_specs
from ztfrep.errors import InputError

NAME = "fc.7.bias"


def network():
    return object_network("published", cell="gru", input_dim=6, hidden=4, layers=1)


def torch_bytes(content):
    """Return the bytes that torch.save writes."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


GOOD = torch_bytes(network().state_dict())


def entries(content=GOOD):
    """Return the entries of a zip archive by name."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zip_bytes(files, method=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def with_pickle(stream):
    return zip_bytes(entries() | {"archive/data.pkl": stream})


def state_with(change):
    """Return a file of the network's state dict after a change."""
    state = network().state_dict()
    change(state)
    return torch_bytes(state)


def tensor(storage=b"torch\nFloatStorage\n", numel=3, shape=3, offset=0, stride=1):
    """Return the opcodes that build a tensor of record 0."""
    number = lambda value: b"J" + struct.pack("<i", value)  # noqa: E731
    pid = b"(X\x07\x00\x00\x00storagec" + storage + b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpu"
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n(" + pid + number(numel) + b"tQ"
        + number(offset) + number(shape) + b"\x85" + number(stride) + b"\x85"
        + b"\x89ccollections\nOrderedDict\n)RtR"
    )  # fmt: skip


def file_of(opcodes, record=bytes(12)):
    """Return a file whose dict has one value `a`, built by these opcodes."""
    stream = b"\x80\x02}X\x01\x00\x00\x00a" + opcodes + b"s."
    return zip_bytes(
        {"archive/data.pkl": stream, "archive/data/0": record, "archive/version": b"3"}
    )


class RunsCommand:
    def __reduce__(self):
        return os.system, ("touch ran",)


class AllocatesMemory:
    def __reduce__(self):
        return bytearray, (10**10,)


# The bytes of a file, and a part of the error message.
FILES = [
    # Bytes that are no file of torch.save.
    (b"", "an empty file"),
    (b"\x00" * 50, "zeros"),
    (pickle.dumps({"a": 1}, 2), "a pickle of protocol 2"),
    (b"\x93NUMPY" + bytes(50), "a numpy array"),
    (b"<html><title>Quota exceeded</title>Google Drive", "an HTML page: Google Drive"),
    (b"version https://git-lfs.github.com/spec/v1", "a Git LFS pointer"),
    (GOOD[: len(GOOD) // 2], "a broken zip archive"),
    (b"PK\x03\x04", "a broken zip archive"),
    (zip_bytes({"readme.txt": b""}), "0 files data.pkl"),
    (zip_bytes(entries() | {"other/data.pkl": b"."}), "2 files data.pkl"),
    # Archives that declare more than they have.
    (zip_bytes({"archive/data.pkl": bytes(10**8)}, zipfile.ZIP_DEFLATED), "compressed files"),
    (
        zip_bytes(entries() | {"archive/data/0": bytes(10**7)}, zipfile.ZIP_DEFLATED),
        "compressed files",
    ),
    (zip_bytes({"archive/data.pkl": b"N" * 200_000}), "a data.pkl of 200,000 bytes"),
    (zip_bytes({f"archive/data/{n}": b"" for n in range(21_000)}), "more than 20,000 files"),
    # Pickles that run code, allocate memory, or declare sizes that the records do not have.
    (torch_bytes(RunsCommand()), "cannot be read safely (it names 'posix.system')"),
    (torch_bytes(AllocatesMemory()), "cannot be read safely (it names '__builtin__.bytearray')"),
    (file_of(b"ctorch\nTensor\nK\x05\x85R"), "it names 'torch.Tensor'"),
    (file_of(b"ctorch._utils\n_rebuild_meta_tensor_no_storage\n)R"), "it names 'torch._utils._reb"),
    (with_pickle(b"\x80\x02cos\nsystem\n."), "it names 'os.system'"),
    (with_pickle(b"\x80\x04\x8c\x02os\x8c\x06system\x93."), "opcode SHORT_BINUNICODE"),
    (with_pickle(b"\x80\x02N" + b"r\xff\xff\xff\x7f" + b"."), "a memo of that size"),
    (with_pickle(b"\x80\x02" + b"I" + b"1" * 20_000 + b"\n."), "a broken pickle"),
    (with_pickle(b"\x80\x02\x8a\xff" + b"\x01" * 255 + b"."), "opcode LONG1"),
    (with_pickle(b"\x80\x02N2."), "opcode DUP"),
    # Tuples nested 60 deep, each with the same tuple twice: hashing takes exponential time.
    (
        with_pickle(
            b"\x80\x02}N\x85q\x00"
            + b"".join(b"h%ch%c\x86q%c" % (n, n, n + 1) for n in range(60))
            + b"Ns."
        ),
        "one container twice",
    ),
    (with_pickle(b"\x80\x02" + b"(" * 50_000), "a broken pickle"),
    (with_pickle(b"\x80\x02" + b"\x85" * 50_000 + b"."), "cannot be read safely"),
    (with_pickle(b"\x80\x02."), "cannot be read safely"),
    (with_pickle(b""), "a broken pickle"),
    (with_pickle(b"\x80\x02N"), "a broken pickle"),
    (with_pickle(b"\x80\x02h\x05."), "one container twice"),
    (file_of(tensor(numel=2**31 - 1, shape=2**31 - 1)), "2,147,483,647 numbers in a record of 12"),
    (file_of(tensor(numel=1000, shape=1000)), "1,000 numbers in a record of 12 bytes"),
    (file_of(tensor(shape=1000)), "a tensor of shape '(1000,)' with 3 numbers"),
    (file_of(tensor(shape=2**31 - 1, stride=2**31 - 1)), "with 3 numbers"),
    (file_of(tensor(offset=3)), "with 3 numbers"),
    (file_of(tensor(offset=-1)), "a tensor of no known kind"),
    (file_of(tensor(shape=-3)), "a tensor of no known kind"),
    (file_of(tensor(storage=b"torch\nQInt8Storage\n")), "it names 'torch.QInt8Storage'"),
    (file_of(tensor(storage=b"torch\nDoubleStorage\n")), "3 numbers in a record of 12 bytes"),
    (file_of(tensor(storage=b"collections\nOrderedDict\n")), "a storage of no known kind"),
    (file_of(tensor(), record=b""), "3 numbers in a record of 0 bytes"),
    (file_of(tensor(shape=2**31 - 1, stride=0)), "rnn.weight_ih_l0 absent"),
    # Whole files of other contents.
    (torch_bytes(network()), "cannot be read safely (it names"),
    (torch_bytes({"epoch": 3}), "a dict with 'epoch': int"),
    (torch_bytes({"epoch": 1.5, "state_dict": network().state_dict()}), "a dict with 'epoch'"),
    (torch_bytes({"state_dict": network().state_dict()}), "a dict with 'state_dict': dict"),
    (torch_bytes({7: torch.ones(1)}), "a dict with '7': tensor"),
    (torch_bytes([torch.ones(2)]), "a list"),
    (torch_bytes(torch.ones(2)), "a tensor;"),
    (torch_bytes(None), "a NoneType"),
    (torch_bytes({}), "rnn.weight_ih_l0 absent; expected rnn.weight_ih_l0 (12, 6)"),
    # State dicts of other networks, or of a training that diverged.
    (state_with(lambda s: s.pop(NAME)), f"{NAME} absent; expected {NAME} (3,)"),
    (state_with(lambda s: s.update(more=torch.ones(1))), "more (1,); expected more absent"),
    (state_with(lambda s: s.update({NAME: s[NAME].double()})), f"{NAME} (3,) float64"),
    (state_with(lambda s: s.update({NAME: s[NAME].half()})), f"{NAME} (3,) float16"),
    (state_with(lambda s: s.update({NAME: torch.ones(3, device="meta")})), "cannot be read safely"),
    (state_with(lambda s: s.update({NAME: torch.ones(3).to_sparse()})), "cannot be read safely"),
    (
        state_with(lambda s: s.update({NAME: s[NAME] * torch.nan})),
        f"{NAME} with 3 numbers that are",
    ),
    (state_with(lambda s: s.update({NAME: s[NAME] / 0})), f"{NAME} with 3 numbers that are not"),
    (torch_bytes({"a": torch.ones(2_000_000)}), "bytes; expected at most"),
]


@pytest.mark.parametrize(("content", "message"), FILES, ids=lambda v: repr(v)[:30])
def test_a_file_without_the_state_dict_of_the_network_is_refused_with_a_description(
    tmp_path, monkeypatch, content, message
):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    model = network()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(InputError) as error:
        load_weights(model, path)
    assert message in str(error.value)
    assert "\n" not in str(error.value) and len(str(error.value)) < 500
    assert os.listdir(tmp_path) == ["weights.pth"]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def load_state(content, tmp_path):
    """Load a file into a network of zeros, and return its state dict."""
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    model = network()
    for value in model.parameters():
        torch.nn.init.zeros_(value)
    load_weights(model, path)
    return model.state_dict()


def state_of_parameters():
    return dict(network().named_parameters())


def state_of_views():
    """Return tensors that share one storage, one of them not contiguous."""
    whole = torch.cat([v.flatten() for v in network().state_dict().values()])
    state, start = OrderedDict(), 0
    for name, value in network().state_dict().items():
        state[name] = whole[start : start + value.numel()].view(value.shape)
        start += value.numel()
    state["fc.0.weight"] = state["fc.0.weight"].T.contiguous().T
    return state


@pytest.mark.parametrize(
    "state", [lambda: network().state_dict(), state_of_parameters, state_of_views]
)
def test_a_state_dict_that_torch_saved_is_read(tmp_path, state):
    loaded = load_state(torch_bytes(state()), tmp_path)
    assert all(torch.equal(loaded[name], value) for name, value in network().state_dict().items())


def test_specs_are_those_of_the_saved_tensors():
    state = {"a": torch.ones(2, 3), "b": torch.tensor(4), "c": torch.ones(0, dtype=torch.float16)}
    assert read_tensor_specs(torch_bytes(state), 3) == {
        "a": TensorSpec("float32", (2, 3)),
        "b": TensorSpec("int64", ()),
        "c": TensorSpec("float16", (0,)),
    }


def overlapping():
    """Return a small archive whose 1,000 entries share one record."""
    content = zip_bytes({"archive/data.pkl": b".", "archive/data/0": bytes(100_000)})
    start = content.index(b"PK\x01\x02")
    end = content.index(b"PK\x05\x06")
    second = content.index(b"PK\x01\x02", start + 4)
    entry = bytearray(content[second:end])
    directory = content[start:second]
    for number in range(1000):
        entry[-1:] = b"%c" % (48 + number % 10)
        directory += bytes(entry)
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1001, 1001, len(directory), start, 0)
    return content[:start] + directory + tail


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_records_that_overlap_are_refused(tmp_path):
    with pytest.raises(InputError, match="declare more bytes than it has"):
        load_state(overlapping(), tmp_path)


@settings(max_examples=200, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_a_file_with_changed_bytes_is_refused_or_read(tmp_path, data):
    files = entries()
    name = data.draw(st.sampled_from(["archive/data.pkl", None]))
    content = bytearray(files[name] if name else GOOD)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    altered = zip_bytes(files | {name: bytes(content)}) if name else bytes(content)
    try:
        state = load_state(altered, tmp_path)
    except InputError as error:
        assert "\n" not in str(error)
    else:
        assert all(torch.isfinite(value).all() for value in state.values())


SCRIPT = """
import resource, sys
import torch
from tests.models.networks import alert_network
from ztfrep.encoders.model_folder import load_weights
from ztfrep.errors import InputError
model = alert_network("published", latent_dim=16)
# Reading without end would exceed this limit, which ends the process.
resource.setrlimit(resource.RLIMIT_CPU, (120, 120))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sys.argv[1:]:
    try:
        load_weights(model, path)
    except InputError as error:
        pass
    else:
        raise SystemExit(f"{path} was read")
used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
assert used < 256 << 10, used
"""


def test_no_file_costs_more_than_256_mb_or_is_read_without_end(tmp_path):
    files = {
        "bomb.pth": zip_bytes({"archive/data.pkl": bytes(3 * 10**8)}, zipfile.ZIP_DEFLATED),
        "size.pth": file_of(tensor(numel=2**31 - 1, shape=2**31 - 1)),
        "bytes.pth": torch_bytes(AllocatesMemory()),
        "opcodes.pth": with_pickle(b"\x80\x02" + b"N" * 98_000),
        "entries.pth": zip_bytes({f"archive/data/{n}": b"" for n in range(18_000)}),
        "header.safetensors": struct.pack("<Q", 1 << 22) + b"{" + b'"a":{' * 800_000,
        "texts.safetensors": struct.pack("<Q", 4_000_026)
        + b'{"__metadata__":{"a":"' + b"x" * 4_000_000 + b'"}}  ',
    }  # fmt: skip
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    for name in ("large.pth", "large.safetensors"):
        with (tmp_path / name).open("wb") as file:
            file.write(b"PK\x03\x04" if name == "large.pth" else struct.pack("<Q", 2) + b"{}")
            file.truncate(1 << 40)
    paths = [str(path) for path in sorted(tmp_path.iterdir())]
    completed = subprocess.run(
        [sys.executable, "-c", SCRIPT, *paths],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert completed.returncode == 0, completed.stderr
