"""Files of torch.save: what they claim is checked before torch allocates it."""

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
from ztfrep.encoders.torch_files import Claim, read_claims
from ztfrep.errors import InputError

NAME = "fc.7.bias"


def network():
    return object_network("published", cell="gru", input_dim=6, hidden=4, layers=1)


def saved(content):
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


GOOD = saved(network().state_dict())


def parts(content=GOOD):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(files, method=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def with_pickle(stream):
    return zipped(parts() | {"archive/data.pkl": stream})


def changed(change):
    state = network().state_dict()
    change(state)
    return saved(state)


def tensor(storage=b"torch\nFloatStorage\n", numel=3, shape=3, offset=0, stride=1):
    """Opcodes of one tensor of record 0."""
    number = lambda value: b"J" + struct.pack("<i", value)  # noqa: E731
    pid = b"(X\x07\x00\x00\x00storagec" + storage + b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpu"
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n(" + pid + number(numel) + b"tQ"
        + number(offset) + number(shape) + b"\x85" + number(stride) + b"\x85"
        + b"\x89ccollections\nOrderedDict\n)RtR"
    )  # fmt: skip


def one(opcodes, record=bytes(12)):
    """A file with a single value named `a`, made by these opcodes."""
    stream = b"\x80\x02}X\x01\x00\x00\x00a" + opcodes + b"s."
    return zipped({"archive/data.pkl": stream, "archive/data/0": record, "archive/version": b"3"})


class Runs:
    def __reduce__(self):
        return os.system, ("touch ran",)


class Allocates:
    def __reduce__(self):
        return bytearray, (10**10,)


# The file, and what the message says.
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
    (zipped({"readme.txt": b""}), "0 files data.pkl"),
    (zipped(parts() | {"other/data.pkl": b"."}), "2 files data.pkl"),
    # An archive that claims more than it has.
    (zipped({"archive/data.pkl": bytes(10**8)}, zipfile.ZIP_DEFLATED), "compressed files"),
    (zipped(parts() | {"archive/data/0": bytes(10**7)}, zipfile.ZIP_DEFLATED), "compressed files"),
    (zipped({"archive/data.pkl": b"N" * 200_000}), "a data.pkl of 200,000 bytes"),
    (zipped({f"archive/data/{n}": b"" for n in range(21_000)}), "more than 20,000 files"),
    # What a pickle runs, allocates, or claims.
    (saved(Runs()), "cannot be read safely (it names 'posix.system')"),
    (saved(Allocates()), "cannot be read safely (it names '__builtin__.bytearray')"),
    (one(b"ctorch\nTensor\nK\x05\x85R"), "it names 'torch.Tensor'"),
    (one(b"ctorch._utils\n_rebuild_meta_tensor_no_storage\n)R"), "it names 'torch._utils._reb"),
    (with_pickle(b"\x80\x02cos\nsystem\n."), "it names 'os.system'"),
    (with_pickle(b"\x80\x04\x8c\x02os\x8c\x06system\x93."), "opcode SHORT_BINUNICODE"),
    (with_pickle(b"\x80\x02N" + b"r\xff\xff\xff\x7f" + b"."), "a memo of that size"),
    (with_pickle(b"\x80\x02" + b"I" + b"1" * 20_000 + b"\n."), "a broken pickle"),
    (with_pickle(b"\x80\x02\x8a\xff" + b"\x01" * 255 + b"."), "opcode LONG1"),
    (with_pickle(b"\x80\x02N2."), "opcode DUP"),
    # A tuple of a tuple twice, 60 times: to hash it takes for ever.
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
    (one(tensor(numel=2**31 - 1, shape=2**31 - 1)), "claims 2,147,483,647 numbers, of which 12"),
    (one(tensor(numel=1000, shape=1000)), "claims 1,000 numbers, of which 12 bytes"),
    (one(tensor(shape=1000)), "a tensor of shape '(1000,)' with 3 numbers"),
    (one(tensor(shape=2**31 - 1, stride=2**31 - 1)), "with 3 numbers"),
    (one(tensor(offset=3)), "with 3 numbers"),
    (one(tensor(offset=-1)), "a tensor of no known kind"),
    (one(tensor(shape=-3)), "a tensor of no known kind"),
    (one(tensor(storage=b"torch\nQInt8Storage\n")), "it names 'torch.QInt8Storage'"),
    (one(tensor(storage=b"torch\nDoubleStorage\n")), "claims 3 numbers, of which 12 bytes"),
    (one(tensor(storage=b"collections\nOrderedDict\n")), "a storage of no known kind"),
    (one(tensor(), record=b""), "claims 3 numbers, of which 0 bytes"),
    (one(tensor(shape=2**31 - 1, stride=0)), "rnn.weight_ih_l0 absent"),
    # Whole files of something else.
    (saved(network()), "cannot be read safely (it names"),
    (saved({"epoch": 3}), "a dict that holds 'epoch': int"),
    (saved({"epoch": 1.5, "state_dict": network().state_dict()}), "a dict that holds 'epoch'"),
    (saved({"state_dict": network().state_dict()}), "a dict that holds 'state_dict': dict"),
    (saved({7: torch.ones(1)}), "a dict that holds '7': claim"),
    (saved([torch.ones(2)]), "a list"),
    (saved(torch.ones(2)), "a Claim"),
    (saved(None), "a NoneType"),
    (saved({}), "rnn.weight_ih_l0 absent; expected rnn.weight_ih_l0 (12, 6)"),
    # Another network's, or one that diverged.
    (changed(lambda s: s.pop(NAME)), f"{NAME} absent; expected {NAME} (3,)"),
    (changed(lambda s: s.update(more=torch.ones(1))), "more (1,); expected more absent"),
    (changed(lambda s: s.update({NAME: s[NAME].double()})), f"{NAME} (3,) float64"),
    (changed(lambda s: s.update({NAME: s[NAME].half()})), f"{NAME} (3,) float16"),
    (changed(lambda s: s.update({NAME: torch.ones(3, device="meta")})), "cannot be read safely"),
    (changed(lambda s: s.update({NAME: torch.ones(3).to_sparse()})), "cannot be read safely"),
    (changed(lambda s: s.update({NAME: s[NAME] * torch.nan})), f"{NAME} with 3 numbers that are"),
    (changed(lambda s: s.update({NAME: s[NAME] / 0})), f"{NAME} with 3 numbers that are not"),
    (saved({"a": torch.ones(2_000_000)}), "bytes; expected at most"),
]


@pytest.mark.parametrize(("content", "message"), FILES, ids=lambda v: repr(v)[:30])
def test_a_file_that_is_no_state_dict_of_the_network_is_refused_by_what_it_holds(
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


def loaded(content, tmp_path):
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
    """Tensors that share one storage, in another order of memory."""
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
    found = loaded(saved(state()), tmp_path)
    assert all(torch.equal(found[name], value) for name, value in network().state_dict().items())


def test_claims_are_those_of_the_tensors():
    state = {"a": torch.ones(2, 3), "b": torch.tensor(4), "c": torch.ones(0, dtype=torch.float16)}
    assert read_claims(saved(state), 3) == {
        "a": Claim("float32", (2, 3)),
        "b": Claim("int64", ()),
        "c": Claim("float16", (0,)),
    }


def overlapping():
    """Entries of the directory that share one record: a small file that claims 1,000 of it."""
    content = zipped({"archive/data.pkl": b".", "archive/data/0": bytes(100_000)})
    start = content.index(b"PK\x01\x02")
    end = content.index(b"PK\x05\x06")
    second = content.index(b"PK\x01\x02", start + 4)
    entry = bytearray(content[second:end])
    entries = content[start:second]
    for number in range(1000):
        entry[-1:] = b"%c" % (48 + number % 10)
        entries += bytes(entry)
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1001, 1001, len(entries), start, 0)
    return content[:start] + entries + tail


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_records_that_overlap_are_refused(tmp_path):
    with pytest.raises(InputError, match="claims more bytes than it has"):
        loaded(overlapping(), tmp_path)


@settings(max_examples=200, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_a_file_of_which_bytes_were_changed_is_refused_or_read(tmp_path, data):
    files = parts()
    name = data.draw(st.sampled_from(["archive/data.pkl", None]))
    content = bytearray(files[name] if name else GOOD)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    changed = zipped(files | {name: bytes(content)}) if name else bytes(content)
    try:
        state = loaded(changed, tmp_path)
    except InputError as error:
        assert "\n" not in str(error)
    else:
        assert all(torch.isfinite(value).all() for value in state.values())


MEASURED = """
import resource, sys
import torch
from tests.models.networks import alert_network
from ztfrep.encoders.model_folder import load_weights
from ztfrep.errors import InputError
model = alert_network("published", latent_dim=16)
# A file that is read without end ends this process.
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
        "bomb.pth": zipped({"archive/data.pkl": bytes(3 * 10**8)}, zipfile.ZIP_DEFLATED),
        "claim.pth": one(tensor(numel=2**31 - 1, shape=2**31 - 1)),
        "bytes.pth": saved(Allocates()),
        "opcodes.pth": with_pickle(b"\x80\x02" + b"N" * 98_000),
        "entries.pth": zipped({f"archive/data/{n}": b"" for n in range(18_000)}),
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
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *paths],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
