"""Model folders that were tampered with: each is refused in one line that names the fault."""

import json
import os
import pickle
import shutil
import struct

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from tests.model_folders import KINDS, altered, content, load, save, vectors
from ztfrep.data.features import NAMES
from ztfrep.encoders import model_folder as checkpoints
from ztfrep.encoders.cards import AutoencoderCard
from ztfrep.errors import InputError
from ztfrep.models.alert import losses as autoencoder


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    """A folder of each architecture; to be copied, not changed."""
    base = tmp_path_factory.mktemp("models")
    for architecture in KINDS:
        save(base / architecture, architecture)
    return base


@pytest.fixture
def copied(folders, tmp_path):
    """Copy the folder of an architecture."""

    def copy(architecture):
        return shutil.copytree(folders / architecture, tmp_path / architecture)

    return copy


def refused(folder, architecture="invariant"):
    with pytest.raises(InputError) as error:
        load(folder, architecture)
    message = str(error.value)
    assert "\n" not in message and message.isprintable()
    assert "expected" in message and len(message) < 1000
    return message


@pytest.mark.parametrize("architecture", KINDS)
def test_a_model_comes_back_from_its_folder(folders, architecture):
    model, card = load(folders / architecture, architecture)
    assert content(folders / architecture) == card.model_dump()
    again, _ = load(folders / architecture, architecture)
    assert torch.equal(vectors(model, card), vectors(again, card))
    assert not model.training


def test_a_model_has_the_same_bytes_each_time(folders, tmp_path):
    for architecture in KINDS:
        save(tmp_path / architecture, architecture)
        for name in (checkpoints.CARD, checkpoints.WEIGHTS):
            one, other = folders / architecture / name, tmp_path / architecture / name
            assert one.read_bytes() == other.read_bytes()


SCALE = [1.0] * 26

# Key of an invariant autoencoder's card, its value, and what the message says. Sizes and scales
# that are of their type are wrong by the parameters, by the weights, or by the checksum alone.
CARDS = [
    # The architecture decides which class is built.
    ("architecture", "resnet", "architecture: found 'resnet'; expected 'published' or 'invariant'"),
    ("architecture", "published", r"sizes\.detail: found 0\.5; expected none"),
    ("architecture", "temporal", "architecture: found 'temporal'"),
    ("architecture", ["invariant"], "architecture: found 'invariant'; expected"),
    ("architecture", ..., "architecture: found nothing"),
    # Sizes allocate.
    ("sizes", ..., "sizes: found nothing"),
    ("sizes", None, "sizes: found null; expected an object"),
    ("sizes", [], "sizes: found a list of 0; expected an object"),
    ("sizes.latent_dim", ..., r"sizes\.latent_dim: found nothing"),
    ("sizes.latent_dim", 10**12, r"sizes\.latent_dim: found 1000000000000; expected less than"),
    ("sizes.latent_dim", 10**4000, r"sizes\.latent_dim: found 1000"),
    ("sizes.latent_dim", 1e12, r"sizes\.latent_dim: found 1000000000000\.0; expected .*integer"),
    ("sizes.latent_dim", 0, r"sizes\.latent_dim: found 0"),
    ("sizes.latent_dim", -6, r"sizes\.latent_dim: found -6"),
    ("sizes.latent_dim", "6", r"sizes\.latent_dim: found '6'"),
    ("sizes.latent_dim", True, r"sizes\.latent_dim: found true"),
    ("sizes.latent_dim", None, r"sizes\.latent_dim: found null"),
    ("sizes.latent_dim", [6], r"sizes\.latent_dim: found a list of 1"),
    ("sizes.latent_dim", 1323, r"sizes\.latent_dim: found 1323; expected 6, as params\.latent_dim"),
    ("sizes.detail", ..., r"sizes\.detail: found None; expected a number"),
    ("sizes.detail", 1, r"sizes\.detail: found 1; expected less than 1"),
    ("sizes.detail", 0.4, r"sizes\.detail: found 0\.4; expected 0\.5"),
    ("sizes.dropout", 1.5, r"sizes\.dropout: found 1\.5"),
    ("sizes.dropout", -0.1, r"sizes\.dropout: found -0\.1"),
    ("sizes.classes", ..., r"sizes\.classes: found nothing"),
    ("sizes.classes", 4, r"sizes\.classes: found 4; expected 5, as classes"),
    ("sizes.classes", 10**9, r"sizes\.classes: found 1000000000"),
    ("sizes.kernel", 3, r"sizes\.kernel: found an unknown key"),
    # What prepares the input: a wrong value gives other vectors without an error.
    ("rescale", "asinh", "rescale: found 'asinh'; expected 'minmax', as params"),
    ("rescale", "log", "rescale: found 'log'; expected 'none', 'minmax' or 'asinh'"),
    ("rescale", ..., "rescale: found nothing"),
    ("crop", 63, "crop: found 63; expected 21"),
    ("crop", 21.5, r"crop: found 21\.5"),
    ("crop", True, "crop: found true"),
    ("channels", ["template", "science", "difference"], "expected science, template, difference"),
    ("channels", ["science", "template"], "channels: found 'science', 'template'; expected"),
    ("channels", ["science"] * 4, "channels: found a list of 4; expected"),
    ("channels", [1, 2, 3], r"channels\.0: found 1"),
    ("channels", "science,template,difference", "channels: found 'science"),
    ("classes", ..., "classes: found nothing"),
    ("classes", ["SN", "AGN", "VS", "asteroid", "bogus"], "expected AGN, SN, VS"),
    ("classes", ["AGN", "SN", "VS"], "expected AGN, SN, VS, asteroid, bogus"),
    ("features", ..., "features: found nothing"),
    ("features", [], "features: found a list of 0; expected an object"),
    ("features.unit", "furlong", r"features\.unit: found 'furlong'"),
    ("features.unit", "zscored-unknown", "a card that was changed"),
    (
        "features.names",
        [*NAMES[1:], NAMES[0]],
        r"features\.names: found a list of 26; expected sgs",
    ),
    ("features.names", ["x"] * 26, r"features\.names: found"),
    ("features.mean", SCALE[1:], r"features\.mean: found a list of 25; expected at least 26"),
    ("features.mean", [*SCALE, 1.0], r"features\.mean: found a list of 27; expected at most 26"),
    ("features.mean", [], r"features\.mean: found a list of 0"),
    ("features.mean", ["1.0", *SCALE[1:]], r"features\.mean\.0: found '1\.0'"),
    ("features.mean", SCALE, "a card that was changed"),
    ("features.mean.3", None, r"features\.mean\.3: found null"),
    ("features.mean.3", 1e400, r"found JSON that is broken \('Infinity"),
    ("features.std", SCALE[1:], r"features\.std: found a list of 25"),
    ("features.std.3", 0, r"features\.std\.3: found 0; expected greater than 0"),
    ("features.std.3", -1.5, r"features\.std\.3: found -1\.5; expected greater than 0"),
    ("features.std.3", float("nan"), r"found JSON that is broken \('NaN"),
    ("features.std.3", 1.25, "a card that was changed"),
    ("features.left_out", ["brightness"], r"features\.left_out\.0: found 'brightness'"),
    ("features.left_out", [], r"features\.left_out: found a list of 0; expected 'rb', 'distnr'"),
    ("features.left_out", None, r"features\.left_out: found null"),
    # How it was trained.
    ("params", ..., "params: found nothing"),
    ("params", "params.yaml", "params: found 'params.yaml'; expected an object"),
    ("params.rescale", "asinh", "rescale: found 'minmax'; expected 'asinh', as params.rescale"),
    ("params.latent_dim", 8, r"sizes\.latent_dim: found 6; expected 8"),
    ("params.learning_rate", 0, r"params\.learning_rate: found 0"),
    ("params.sampling", "often", r"params\.sampling: found 'often'"),
    ("params.sampling", "distinct", "a card that was changed"),
    ("params.latent", 6, r"params\.latent: found an unknown key"),
    ("epochs", -1, "epochs: found -1"),
    ("epochs", 10**9, "epochs: found 1000000000"),
    ("epochs", 3, "history: found 3 records; expected 4"),
    ("best_epoch", 2, "best_epoch: found 2; expected 1, the first of the lowest validation loss"),
    ("best_epoch", -1, "best_epoch: found -1"),
    ("best_epoch", 1.0, r"best_epoch: found 1\.0"),
    ("best", {}, "best: found another record; expected that of epoch 1"),
    ("best", None, "best: found null"),
    ("history", ..., "history: found nothing"),
    ("history", [], "history: found a list of 0"),
    ("history", {}, "history: found an object of 0 keys"),
    ("history.1", {"epoch": 1}, r"history\.1: found a record of another kind; expected"),
    ("history.1.epoch", 2, r"history\.1: found a record of another kind"),
    ("history.0.validation_loss", "2.5", r"history\.0\.validation_loss: found '2\.5'"),
    ("seed", -1, "seed: found -1"),
    ("seed", 8, "a card that was changed"),
    ("threads", 0, "threads: found 0"),
    ("threads", 2**40, "threads: found 1099511627776"),
    ("precision", "float8", "precision: found 'float8'; expected 'float32' or 'bf16'"),
    ("torch", 2.13, r"torch: found 2\.13"),
    ("torch", "x" * 10_000, r"torch: found .xxx+\.\.\..; expected at most 100 characters"),
    ("ztfrep", None, "ztfrep: found null"),
    # Which card this is.
    ("format", ..., "format: found none; expected 'ztfrep-model-2'; train it again"),
    ("format", 2, "format: found 2"),
    ("format", "ztfrep-model-3", "format: found 'ztfrep-model-3'; expected 'ztfrep-model-2'"),
    ("network", "recurrent", "network: found 'recurrent'; expected 'autoencoder'"),
    ("network", ..., "network: found null"),
    ("note", "by hand", "note: found an unknown key"),
    ("x" * 5000, 1, r"xxx\.\.\.: found an unknown key"),
]


@pytest.mark.parametrize(("key", "value", "message"), CARDS, ids=lambda v: repr(v)[:30])
def test_a_card_that_was_changed_is_refused_by_its_key(folders, tmp_path, key, value, message):
    card = altered(content(folders / "invariant"), key, value)
    (tmp_path / checkpoints.CARD).write_text(json.dumps(card))
    (tmp_path / checkpoints.WEIGHTS).symlink_to(folders / "invariant" / checkpoints.WEIGHTS)
    with pytest.raises(InputError, match=message):
        load(tmp_path, "invariant")
    refused(tmp_path)


RECURRENT = [
    ("most_epochs", -1, "most_epochs: found -1"),
    ("most_epochs", 0, "most_epochs: found 0"),
    ("most_epochs", 31, "most_epochs: found 31; expected 32, as params.most_epochs has it"),
    ("most_epochs", ..., "most_epochs: found nothing"),
    ("sizes.cell", "rnn", r"sizes\.cell: found 'rnn'"),
    ("sizes.cell", "lstm", r"sizes\.cell: found 'lstm'; expected 'gru', as params\.cell has it"),
    ("sizes.hidden", 10**6, r"sizes\.hidden: found 1000000"),
    ("sizes.hidden", 16, r"sizes\.hidden: found 16; expected 8"),
    ("sizes.layers", 10**9, r"sizes\.layers: found 1000000000"),
    ("sizes.layers", 3, r"sizes\.layers: found 3; expected 2"),
    ("sizes.input_dim", 128, "a card that was changed"),
    ("sizes.latent_dim", 128, r"sizes\.latent_dim: found an unknown key"),
    ("architecture", "published", "architecture: found 'published'; expected 'temporal'"),
    ("classes", ["AGN", "SN", "VS"], r"sizes\.classes: found 5; expected 3"),
    ("classes", [], "classes: found a list of 0"),
    ("rescale", "minmax", "rescale: found an unknown key"),
]


@pytest.mark.parametrize(("key", "value", "message"), RECURRENT, ids=lambda v: repr(v)[:30])
def test_a_recurrent_card_that_was_changed_is_refused_by_its_key(copied, key, value, message):
    folder = copied("temporal")
    (folder / checkpoints.CARD).write_text(json.dumps(altered(content(folder), key, value)))
    assert refused(folder, "temporal") is not None
    with pytest.raises(InputError, match=message):
        load(folder, "temporal")


TEXTS = [
    # The bytes of model.json, what the message says, and what is wrong with them.
    (b"", "an empty file"),
    (b"\x00" * 100, "zeros"),
    (b"null", "null"),
    (b"3", "found 3; expected a JSON object"),
    (b'"invariant"', "'invariant'"),
    (b"[]", "a list of 0"),
    (b"[" * 100_000, "JSON text that begins"),
    (b'{"a":' * 100_000, "JSON that is broken"),
    (b'{"format": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "JSON that is broken"),
    (b"{" + b'"format": "ztfrep-model-2", ' * 2 + b'"a": 1}', "twice the key 'format'"),
    (b'{"format": NaN}', "NaN, which is no number"),
    (b'{"format": -Infinity}', "-Infinity, which is no number"),
    (b'{"format": ' + b"1" * 10_000 + b"}", "JSON that is broken"),
    (b'{"format": 1e999}', "format: found Infinity"),
    (b'{"format": "ztfrep-model-2"', "JSON that is broken"),
    (b"{'format': 'ztfrep-model-2'}", "JSON that is broken"),
    (b'{"format": "\xff\xfe"}', "JSON that is broken"),
    ('{"format": "ztfrep-model-2é"}'.encode("utf-16"), "found a file that begins with the bytes"),
    (b"{" + b",".join(b'"%d": 1' % n for n in range(1000)) + b"}", "an object of 1,000 keys"),
    (b" " * ((1 << 24) + 1), "a file of more; expected at most 16,777,216 bytes"),
    (b'{"a": [' + b"0," * 600_000 + b"0]}", "and 500,000 values"),
    (pickle.dumps({"architecture": "invariant"}), "a pickle of protocol 4"),
    (b"PK\x03\x04" + bytes(100), "a zip archive"),
    (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
    (b"<!DOCTYPE html><title>Sign in</title>", "an HTML page"),
]


@pytest.mark.parametrize(("text", "message"), TEXTS, ids=lambda v: repr(v)[:30])
def test_a_card_that_is_no_card_is_refused_by_what_it_is(folders, tmp_path, text, message):
    (tmp_path / checkpoints.CARD).write_bytes(text)
    (tmp_path / checkpoints.WEIGHTS).symlink_to(folders / "invariant" / checkpoints.WEIGHTS)
    assert message in refused(tmp_path)


def resaved(path, change, keep=True):
    """Write weights again after a change, with or without the checksums."""
    metadata = checkpoints.read_metadata(path) if keep else None
    state = load_file(path)
    change(state)
    save_file({name: value.contiguous() for name, value in state.items()}, path, metadata)


def header(text, data=b""):
    text = text if isinstance(text, bytes) else json.dumps(text).encode()
    return struct.pack("<Q", len(text)) + text + data


def f32(*offsets):
    return {"dtype": "F32", "shape": [(offsets[1] - offsets[0]) // 4], "data_offsets": offsets}


# What stands in place of weights.safetensors, and what the message says.
WEIGHTS = [
    (b"", "an empty file"),
    (b"\x01" * 7, "a file that begins with the bytes"),
    (pickle.dumps({"a": 1}), "a pickle of protocol 4"),
    (b"PK\x03\x04" + bytes(100), "a zip archive"),
    (b"weights", "text that begins 'weights'"),
    (struct.pack("<Q", 2**60) + b"{}", f"a header of {2**60:,} bytes; expected at most"),
    (struct.pack("<Q", 2**64 - 1) + b"{}", "a header of 18,446"),
    (struct.pack("<Q", 1 << 22) + b"{}", "a safetensors file that is broken"),
    (struct.pack("<Q", 0) + b"{}", "broken"),
    (header(b"{" * 10_000), "broken"),
    (header(b'{"a":' * 10_000), "broken"),
    (header(b"{}" + b" " * 100), "no checksum of the card"),
    (header({"a": f32(0, 4)}), "broken"),
    (header({"a": f32(0, 4)}, bytes(8)), "broken"),
    (header({"a": f32(4, 8)}, bytes(8)), "broken"),
    (header({"a": f32(0, 8), "b": f32(4, 12)}, bytes(12)), "broken"),
    (header({"a": f32(0, 4) | {"shape": [2**40]}}, bytes(4)), "broken"),
    (header({"a": f32(0, 4) | {"shape": [2**63, 2**63]}}, bytes(4)), "broken"),
    (header({"a": f32(0, 4) | {"shape": [-1]}}, bytes(4)), "broken"),
    (header({"a": f32(0, 4) | {"dtype": "F33"}}, bytes(4)), "broken"),
    (header({"a": f32(0, 4) | {"data_offsets": [0, 2**70]}}, bytes(4)), "broken"),
    (header({"__metadata__": {"format": 3}}), "broken"),
    (header({"__metadata__": {"format": "pt"}}), "no checksum of the card"),
]


@pytest.mark.parametrize(("data", "message"), WEIGHTS, ids=lambda v: repr(v)[:30])
def test_weights_that_are_none_are_refused_by_what_they_are(folders, tmp_path, data, message):
    shutil.copy(folders / "invariant" / checkpoints.CARD, tmp_path)
    (tmp_path / checkpoints.WEIGHTS).write_bytes(data)
    assert message in refused(tmp_path)


def cut(name, value):
    return lambda state: state.update({name: value(state[name])})


BIAS = "fuse.3.bias"

# A change of the tensors, and what the message says.
TENSORS = [
    (cut(BIAS, lambda v: v * torch.nan), "fuse.3.bias with 3 numbers that are not finite (nan)"),
    (cut("evened.running_var", lambda v: v / 0), "evened.running_var with 3 numbers"),
    (cut("loudness", lambda v: v * -torch.inf), "loudness with 1 numbers"),
    (cut(BIAS, lambda v: v + 1), "weights that were changed"),
    (
        cut(BIAS, lambda v: v.double()),
        "fuse.3.bias (3,) float64; expected fuse.3.bias (3,) float32",
    ),
    (cut(BIAS, lambda v: v.half()), "fuse.3.bias (3,) float16"),
    (cut(BIAS, lambda v: v.bfloat16()), "fuse.3.bias (3,) bfloat16"),
    (cut(BIAS, lambda v: v.int()), "fuse.3.bias (3,) int32"),
    (cut(BIAS, lambda v: v.to(torch.complex64)), "fuse.3.bias (3,) C64"),
    (cut("evened.num_batches_tracked", lambda v: v.float()), "() float32; expected"),
    (cut(BIAS, lambda v: v[:2]), "fuse.3.bias (2,); expected fuse.3.bias (3,)"),
    (cut(BIAS, lambda v: v[None]), "fuse.3.bias (1, 3)"),
    (cut(BIAS, lambda v: v.repeat(2)), "fuse.3.bias (6,)"),
    (cut(BIAS, lambda v: v.reshape(*[1] * 20, 3)), "fuse.3.bias of 21 axes"),
    (lambda state: state.pop(BIAS), "fuse.3.bias absent; expected fuse.3.bias (3,)"),
    (lambda state: state.update(more=torch.ones(2)), "more (2,); expected more absent"),
    (lambda state: state.update({"y" * 9000: torch.ones(2)}), "yyy... (2,); expected"),
    (lambda state: state.clear(), "absent; expected"),
]


@pytest.mark.parametrize(("change", "message"), TENSORS, ids=lambda v: repr(v)[:40])
def test_tensors_that_were_changed_are_refused_by_name(copied, change, message):
    folder = copied("invariant")
    resaved(folder / checkpoints.WEIGHTS, change)
    assert message in refused(folder)


def test_all_weights_of_another_dtype_are_refused(copied):
    folder = copied("temporal")
    resaved(
        folder / checkpoints.WEIGHTS,
        lambda state: state.update({name: value.half() for name, value in state.items()}),
    )
    assert "no_vector (8,) float16; expected no_vector (8,) float32" in refused(folder, "temporal")


def test_weights_without_the_checksum_are_refused(copied):
    folder = copied("invariant")
    resaved(folder / checkpoints.WEIGHTS, lambda state: None, keep=False)
    assert "no checksum of the card" in refused(folder)


def test_two_tensors_that_change_places_are_noticed(copied):
    folder = copied("temporal")

    def swap(state):
        one, other = "cell.bias_ih_l0", "cell.bias_hh_l0"
        state[one], state[other] = state[other].clone(), state[one].clone()

    resaved(folder / checkpoints.WEIGHTS, swap)
    assert "weights that were changed" in refused(folder, "temporal")


def test_the_card_of_another_run_is_noticed(copied, tmp_path):
    """As after a kill between the two files."""
    folder, other = copied("temporal"), tmp_path / "other"
    model, card = load(folder, "temporal")
    checkpoints.save_model(other, model, card.model_copy(update={"seed": 8}))
    shutil.copy(other / checkpoints.CARD, folder)
    assert "a card that was changed, or of another model" in refused(folder, "temporal")


@pytest.mark.parametrize(
    ("given_folder", "as_network"), [("temporal", "invariant"), ("invariant", "gru")]
)
def test_the_folder_of_the_other_network_is_named(folders, given_folder, as_network):
    assert "network: found" in refused(folders / given_folder, as_network)


def test_the_weights_of_another_size_are_refused_by_shape(folders, copied, tmp_path):
    """A card that is whole, and weights that carry its checksums, of another network."""
    folder = copied("invariant")
    _, card = load(folder, "invariant")
    model = autoencoder.build("invariant", latent_dim=8, detail=0.5, dropout=0.25, classes=5)
    checkpoints.save_model(tmp_path / "other", model, card)
    assert "components (4, 1323); expected components (3, 1323)" in refused(tmp_path / "other")


def test_a_file_that_is_no_file_is_refused(copied):
    for name in (checkpoints.CARD, checkpoints.WEIGHTS):
        for number, make in enumerate(
            (
                lambda path: None,
                lambda path: path.mkdir(),
                lambda path: path.symlink_to(path.name),
                lambda path: os.mkfifo(path),
                lambda path: path.symlink_to("/dev/zero"),
            )
        ):
            folder = copied("temporal")
            (folder / name).unlink()
            make(folder / name)
            expected = ("no such file", "a folder", "symbolic links", "a pipe", "a device")[number]
            assert expected in refused(folder, "temporal")
            shutil.rmtree(folder)
    assert "train it with dvc repro" in refused(folder, "temporal")


@pytest.mark.parametrize("name", [checkpoints.CARD, checkpoints.WEIGHTS])
def test_a_file_that_breaks_off_anywhere_is_refused(copied, name):
    folder = copied("gru")
    whole = (folder / name).read_bytes()
    for length in {0, 1, 7, 8, 9, 100, len(whole) // 2, len(whole) - 3}:
        (folder / name).write_bytes(whole[:length])
        refused(folder, "gru")


def places(value, path=()):
    """Every place in a card, as the keys that lead to it."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, part in items:
        yield (*path, key)
        if isinstance(part, dict | list):
            yield from places(part, (*path, key))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=10)
    | st.sampled_from(["asinh", "none", "physical", "published", "temporal", "lstm"]),
    lambda part: (
        st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=5), part, max_size=3)
    ),
    max_leaves=5,
)


@pytest.mark.parametrize("architecture", ["invariant", "temporal"])
def test_a_card_is_refused_or_gives_the_same_vectors(folders, tmp_path, architecture):
    folder = folders / architecture
    good = content(folder)
    expected = vectors(*load(folder, architecture))
    (tmp_path / checkpoints.WEIGHTS).symlink_to(folder / checkpoints.WEIGHTS)

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def check(data):
        card = json.loads(json.dumps(good))
        *parents, last = data.draw(st.sampled_from(list(places(good))))
        part = card
        for key in parents:
            part = part[key]
        change = data.draw(st.sampled_from(["replace", "remove", "add"]))
        if change == "replace":
            part[last] = data.draw(JSON)
        elif change == "remove":
            del part[last]
        elif isinstance(part, dict):
            part[data.draw(st.text(max_size=5))] = data.draw(JSON)
        else:
            part.append(data.draw(JSON))
        (tmp_path / checkpoints.CARD).write_text(json.dumps(card))
        try:
            model, read = load(tmp_path, architecture)
        except InputError as error:
            assert "\n" not in str(error)
        else:
            assert torch.equal(vectors(model, read), expected)

    check()


def test_a_byte_that_is_changed_is_noticed(folders, copied):
    folder = copied("gru")
    expected = vectors(*load(folder, "gru"))
    whole = {name: (folder / name).read_bytes() for name in (checkpoints.CARD, checkpoints.WEIGHTS)}

    @settings(max_examples=100, deadline=None)
    @given(st.sampled_from(sorted(whole)), st.integers(0, 2**20), st.integers(0, 255))
    def check(name, place, byte):
        changed = bytearray(whole[name])
        changed[place % len(changed)] = byte
        (folder / name).write_bytes(changed)
        try:
            model, card = load(folder, "gru")
        except InputError as error:
            assert "\n" not in str(error)
        else:
            assert torch.equal(vectors(model, card), expected)
        (folder / name).write_bytes(whole[name])

    check()


def test_a_card_alone_is_checked_against_its_weights(copied):
    folder = copied("invariant")
    assert checkpoints.read_card(folder, AutoencoderCard).rescale == "minmax"
    (folder / checkpoints.CARD).write_text(json.dumps(altered(content(folder), "seed", 9)))
    with pytest.raises(InputError, match="a card that was changed"):
        checkpoints.read_card(folder, AutoencoderCard)
