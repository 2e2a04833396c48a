"""Model folders that were changed: each is refused in one line that names the fault."""

import json
import os
import pickle
import shutil
import struct

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from tests.model_folders import FOLDERS, altered, content, load, make_card, save, vectors
from ztfrep.data.features import ALERCE_FEATURES
from ztfrep.encoders.cards import AlertCard
from ztfrep.encoders.model_folder import CARD, WEIGHTS, read_card, read_metadata, save_model
from ztfrep.errors import InputError

# The folders that are changed.
ALERTS, OBJECTS, PUBLISHED_OBJECTS = (
    "alert-invariant",
    "object-temporal-gru",
    "object-published-gru",
)


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    """Write a folder of each network, which tests must not change."""
    base = tmp_path_factory.mktemp("models")
    for name in FOLDERS:
        save(base / name, name)
    return base


@pytest.fixture
def copied(folders, tmp_path):
    """Copy the folder of a network."""

    def copy(name):
        return shutil.copytree(folders / name, tmp_path / name)

    return copy


def refused(folder, name=ALERTS):
    with pytest.raises(InputError) as error:
        load(folder, name)
    message = str(error.value)
    assert "\n" not in message and message.isprintable()
    assert "expected" in message and len(message) < 1000
    return message


N_FEATURES = len(ALERCE_FEATURES)
SCALE = [1.0] * N_FEATURES

# A key of an invariant autoencoder's card, a new value, and a part of the message. A value of the
# right type and range contradicts another key or the checksum.
ALERT_CARDS = [
    # The architecture, which selects the class of the network.
    ("architecture", "resnet", "architecture: found 'resnet'; expected 'invariant' or 'published'"),
    ("architecture", "published", r"config\.pca_fraction: found an unknown key"),
    ("architecture", "temporal", "architecture: found 'temporal'"),
    ("architecture", ["invariant"], "architecture: found 'invariant'; expected"),
    ("architecture", {"a": 1}, "architecture: found an object of 1 keys; expected"),
    ("architecture", ..., "architecture: found null"),
    # Parameters of the network, some of which are sizes.
    ("config", ..., "config: found nothing"),
    ("config", None, "config: found null; expected an object"),
    ("config", [], "config: found a list of 0; expected an object"),
    ("config", "params.yaml", "config: found 'params.yaml'; expected an object"),
    ("config.latent_dim", ..., r"config\.latent_dim: found nothing"),
    ("config.latent_dim", 10**12, r"config\.latent_dim: found 1000000000000; expected less than"),
    ("config.latent_dim", 10**4000, r"config\.latent_dim: found 1000"),
    ("config.latent_dim", 1e12, r"config\.latent_dim: found 1000000000000\.0; expected .*integer"),
    ("config.latent_dim", 0, r"config\.latent_dim: found 0"),
    ("config.latent_dim", -6, r"config\.latent_dim: found -6"),
    ("config.latent_dim", "6", r"config\.latent_dim: found '6'"),
    ("config.latent_dim", True, r"config\.latent_dim: found true"),
    ("config.latent_dim", None, r"config\.latent_dim: found null"),
    ("config.latent_dim", [6], r"config\.latent_dim: found a list of 1"),
    ("config.latent_dim", 1323, "a card that was changed"),
    ("config.latent_dim", 1324, r"config\.latent_dim: found 1324; expected less than or equal to"),
    ("config.latent", 6, r"config\.latent: found an unknown key"),
    ("config.kernel", 3, r"config\.kernel: found an unknown key"),
    ("config.pca_fraction", ..., r"config\.pca_fraction: found nothing"),
    ("config.pca_fraction", 1, r"config\.pca_fraction: found 1; expected less than 1"),
    ("config.pca_fraction", 0.4, "a card that was changed"),
    ("config.dropout", 1.5, r"config\.dropout: found 1\.5"),
    ("config.dropout", -0.1, r"config\.dropout: found -0\.1"),
    ("config.dropout", 0.5, "a card that was changed"),
    ("config.stamp_scaling", "asinh", "a card that was changed"),
    (
        "config.stamp_scaling",
        "log",
        r"config\.stamp_scaling: found 'log'; expected 'none', 'minmax' or 'asinh'",
    ),
    ("config.stamp_scaling", ..., r"config\.stamp_scaling: found nothing"),
    ("config.learning_rate", 0, r"config\.learning_rate: found 0"),
    ("config.epochs", 10**9, r"config\.epochs: found 1000000000"),
    ("config.epochs", "9", r"config\.epochs: found '9'"),
    ("config.sampling", "often", r"config\.sampling: found 'often'"),
    ("config.sampling", "distinct", "a card that was changed"),
    ("config.optimizer", "lbfgs", r"config\.optimizer: found 'lbfgs'"),
    ("config.shift", 1.5, r"config\.shift: found 1\.5"),
    # Parameters of the preprocessing: a wrong value would silently change the vectors.
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
    ("classes", ["AGN"] * 10**5, "classes: found a list of 100,000; expected at most 100"),
    ("features", ..., "features: found nothing"),
    ("features", [], "features: found a list of 0; expected an object"),
    ("features.unit", "furlong", r"features\.unit: found 'furlong'"),
    ("features.unit", "zscored-unknown", "a card that was changed"),
    (
        "features.names",
        [*ALERCE_FEATURES.names[1:], ALERCE_FEATURES.names[0]],
        rf"features\.names: found a list of {N_FEATURES}; expected sgs",
    ),
    ("features.names", ["x"] * N_FEATURES, r"features\.names: found"),
    (
        "features.mean",
        SCALE[1:],
        rf"features\.mean: found a list of {N_FEATURES - 1}; expected at least {N_FEATURES}",
    ),
    (
        "features.mean",
        [*SCALE, 1.0],
        rf"features\.mean: found a list of {N_FEATURES + 1}; expected at most {N_FEATURES}",
    ),
    ("features.mean", [], r"features\.mean: found a list of 0"),
    ("features.mean", ["1.0", *SCALE[1:]], r"features\.mean\.0: found '1\.0'"),
    ("features.mean", SCALE, "a card that was changed"),
    ("features.mean.3", None, r"features\.mean\.3: found null"),
    ("features.mean.3", 1e400, r"found JSON that is broken \('Infinity"),
    ("features.std", SCALE[1:], rf"features\.std: found a list of {N_FEATURES - 1}"),
    ("features.std.3", 0, r"features\.std\.3: found 0; expected greater than 0"),
    ("features.std.3", -1.5, r"features\.std\.3: found -1\.5; expected greater than 0"),
    ("features.std.3", float("nan"), r"found JSON that is broken \('NaN"),
    ("features.std.3", 1.25, "a card that was changed"),
    ("features.excluded", ["brightness"], r"features\.excluded\.0: found 'brightness'"),
    (
        "features.excluded",
        [],
        r"features\.excluded: found a list of 0; expected 'rb', 'distnr', 'magnr', as in con",
    ),
    ("features.excluded", None, r"features\.excluded: found null"),
    ("features.excluded", ..., r"features\.excluded: found nothing"),
    (
        "config.excluded_features",
        ["rb"],
        r"features\.excluded: found 'rb', 'distnr', 'magnr'; expected 'rb', as in config",
    ),
    # The training run.
    ("start_weights", 3, "start_weights: found 3"),
    ("start_weights", "x" * 10_000, "start_weights: found 'xxx"),
    ("start_weights", "/other/weights.pth", "a card that was changed"),
    ("start_weights", ..., "a card that was changed"),
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
    # The kind of the card.
    ("format", ..., "format: found none; expected 'ztfrep-model-3'; train it again"),
    ("format", 3, "format: found 3"),
    ("format", "ztfrep-model-2", "format: found 'ztfrep-model-2'; expected 'ztfrep-model-3'"),
    ("network", "recurrent", "network: found 'recurrent'; expected 'autoencoder'"),
    ("network", ..., "network: found null"),
    ("note", "by hand", "note: found an unknown key"),
    # Keys of earlier formats.
    ("sizes", {"latent_dim": 6}, "sizes: found an unknown key"),
    ("params", {}, "params: found an unknown key"),
    ("rescale", "minmax", "rescale: found an unknown key"),
    ("x" * 5000, 1, r"xxx\.\.\.: found an unknown key"),
]


def short(value):
    # The address of a function differs between the processes that run the tests.
    return value.__qualname__ if callable(value) else repr(value)[:30]


@pytest.mark.parametrize(("key", "value", "message"), ALERT_CARDS, ids=short)
def test_a_card_that_was_changed_is_refused_by_its_key(folders, tmp_path, key, value, message):
    card = altered(content(folders / ALERTS), key, value)
    (tmp_path / CARD).write_text(json.dumps(card))
    (tmp_path / WEIGHTS).symlink_to(folders / ALERTS / WEIGHTS)
    with pytest.raises(InputError, match=message):
        load(tmp_path, ALERTS)
    refused(tmp_path)


OBJECT_CARDS = [
    ("config.max_observations", -1, r"config\.max_observations: found -1"),
    ("config.max_observations", 0, r"config\.max_observations: found 0"),
    ("config.max_observations", 31, "a card that was changed"),
    ("config.max_observations", ..., r"config\.max_observations: found nothing"),
    ("config.cell", "rnn", r"config\.cell: found 'rnn'; expected 'gru', 'lstm' or 'attention'"),
    ("config.cell", "lstm", "a card that was changed"),
    ("config.hidden", 10**6, r"config\.hidden: found 1000000"),
    ("config.hidden", 16, "a card that was changed"),
    ("config.layers", 10**9, r"config\.layers: found 1000000000"),
    ("config.layers", 3, "a card that was changed"),
    ("config.forecast_weight", -1, r"config\.forecast_weight: found -1"),
    ("config.latent_dim", 128, r"config\.latent_dim: found an unknown key"),
    ("input_dim", 128, "a card that was changed"),
    ("input_dim", 1, "input_dim: found 1; expected greater than or equal to 2"),
    ("input_dim", 10**9, "input_dim: found 1000000000; expected less than"),
    ("input_dim", "6", "input_dim: found '6'"),
    ("input_dim", ..., "input_dim: found nothing"),
    ("architecture", "published", r"config\.forecast_weight: found an unknown key"),
    ("architecture", "invariant", "architecture: found 'invariant'; expected 'temporal' or 'publ"),
    ("classes", ["AGN", "SN", "VS"], "a card that was changed"),
    ("classes", [], "classes: found a list of 0"),
    ("features", {}, "features: found an unknown key"),
    ("sizes", {"hidden": 8}, "sizes: found an unknown key"),
    ("rescale", "minmax", "rescale: found an unknown key"),
]


@pytest.mark.parametrize(("key", "value", "message"), OBJECT_CARDS, ids=short)
def test_the_card_of_an_object_network_is_refused_by_its_key(copied, key, value, message):
    folder = copied(OBJECTS)
    (folder / CARD).write_text(json.dumps(altered(content(folder), key, value)))
    refused(folder, OBJECTS)
    with pytest.raises(InputError, match=message):
        load(folder, OBJECTS)


# Parameters that contradict one another: the folder, the changes, and a part of the message.
CONTRADICTIONS = [
    (
        OBJECTS,
        {"cell": "attention", "hidden": 6},
        "config: found hidden 6 with cell attention; expected a multiple of 4",
    ),
    (
        "alert-published",
        {"reconstruction_weight": 0, "classification_weight": 0},
        "config: found reconstruction_weight and classification_weight are both 0; expected one",
    ),
]


@pytest.mark.parametrize(("name", "changes", "message"), CONTRADICTIONS, ids=short)
def test_parameters_that_contradict_one_another_are_refused(copied, name, changes, message):
    folder = copied(name)
    card = content(folder)
    card["config"] |= changes
    (folder / CARD).write_text(json.dumps(card))
    assert message in refused(folder, name)


BROKEN_CARDS = [
    # The bytes of model.json, and a part of the message.
    (b"", "an empty file"),
    (b"\x00" * 100, "zeros"),
    (b"null", "null"),
    (b"3", "found 3; expected a JSON object"),
    (b'"invariant"', "'invariant'"),
    (b"[]", "a list of 0"),
    (b"[" * 100_000, "JSON text that begins"),
    (b'{"a":' * 100_000, "JSON that is broken"),
    (b'{"format": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "JSON that is broken"),
    (b"{" + b'"format": "ztfrep-model-3", ' * 2 + b'"a": 1}', "a repeated key 'format'"),
    (b'{"format": NaN}', "NaN, which is no number"),
    (b'{"format": -Infinity}', "-Infinity, which is no number"),
    (b'{"format": ' + b"1" * 10_000 + b"}", "JSON that is broken"),
    (b'{"format": 1e999}', "format: found Infinity"),
    (b'{"format": "ztfrep-model-3"', "JSON that is broken"),
    (b"{'format': 'ztfrep-model-3'}", "JSON that is broken"),
    (b'{"format": "\xff\xfe"}', "JSON that is broken"),
    ('{"format": "ztfrep-model-3é"}'.encode("utf-16"), "found a file that begins with the bytes"),
    (b"{" + b",".join(b'"%d": 1' % n for n in range(1000)) + b"}", "an object of 1,000 keys"),
    (b" " * ((1 << 24) + 1), "a larger file; expected at most 16,777,216 bytes"),
    (b'{"a": [' + b"0," * 600_000 + b"0]}", "and 500,000 values"),
    (pickle.dumps({"architecture": "invariant"}), "a pickle of protocol 4"),
    (b"PK\x03\x04" + bytes(100), "a zip archive"),
    (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
    (b"<!DOCTYPE html><title>Sign in</title>", "an HTML page"),
]


@pytest.mark.parametrize(("text", "message"), BROKEN_CARDS, ids=short)
def test_a_file_that_is_no_card_is_refused_with_a_description(folders, tmp_path, text, message):
    (tmp_path / CARD).write_bytes(text)
    (tmp_path / WEIGHTS).symlink_to(folders / ALERTS / WEIGHTS)
    assert message in refused(tmp_path)


def save_again(path, change, checksums=True):
    """Write a file of weights again after a change, with or without the checksums."""
    metadata = read_metadata(path) if checksums else None
    state = load_file(path)
    change(state)
    save_file({name: value.contiguous() for name, value in state.items()}, path, metadata)


def header(text, data=b""):
    text = text if isinstance(text, bytes) else json.dumps(text).encode()
    return struct.pack("<Q", len(text)) + text + data


def f32(*offsets):
    return {"dtype": "F32", "shape": [(offsets[1] - offsets[0]) // 4], "data_offsets": offsets}


# The bytes of weights.safetensors, and a part of the message.
BROKEN_WEIGHTS = [
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


@pytest.mark.parametrize(("data", "message"), BROKEN_WEIGHTS, ids=short)
def test_a_file_without_weights_is_refused_with_a_description(folders, tmp_path, data, message):
    shutil.copy(folders / ALERTS / CARD, tmp_path)
    (tmp_path / WEIGHTS).write_bytes(data)
    assert message in refused(tmp_path)


def replace(name, value):
    return lambda state: state.update({name: value(state[name])})


BIAS = "fusion.3.bias"

# A change of the tensors, and a part of the message.
TENSORS = [
    (
        replace(BIAS, lambda v: v * torch.nan),
        "fusion.3.bias with 3 numbers that are not finite (nan)",
    ),
    (replace("batch_norm.running_var", lambda v: v / 0), "batch_norm.running_var with 3 numbers"),
    (replace("semantic_scale", lambda v: v * -torch.inf), "semantic_scale with 1 numbers"),
    (replace(BIAS, lambda v: v + 1), "weights that were changed"),
    (
        replace(BIAS, lambda v: v.double()),
        "fusion.3.bias (3,) float64; expected fusion.3.bias (3,) float32",
    ),
    (replace(BIAS, lambda v: v.half()), "fusion.3.bias (3,) float16"),
    (replace(BIAS, lambda v: v.bfloat16()), "fusion.3.bias (3,) bfloat16"),
    (replace(BIAS, lambda v: v.int()), "fusion.3.bias (3,) int32"),
    (replace(BIAS, lambda v: v.to(torch.complex64)), "fusion.3.bias (3,) C64"),
    (replace("batch_norm.num_batches_tracked", lambda v: v.float()), "() float32; expected"),
    (replace(BIAS, lambda v: v[:2]), "fusion.3.bias (2,); expected fusion.3.bias (3,)"),
    (replace(BIAS, lambda v: v[None]), "fusion.3.bias (1, 3)"),
    (replace(BIAS, lambda v: v.repeat(2)), "fusion.3.bias (6,)"),
    (replace(BIAS, lambda v: v.reshape(*[1] * 20, 3)), "fusion.3.bias of 21 axes"),
    (lambda state: state.pop(BIAS), "fusion.3.bias absent; expected fusion.3.bias (3,)"),
    (lambda state: state.update(more=torch.ones(2)), "more (2,); expected more absent"),
    (lambda state: state.update({"y" * 9000: torch.ones(2)}), "yyy... (2,); expected"),
    (lambda state: state.clear(), "absent; expected"),
]


@pytest.mark.parametrize(("change", "message"), TENSORS, ids=short)
def test_tensors_that_were_changed_are_refused_by_name(copied, change, message):
    folder = copied(ALERTS)
    save_again(folder / WEIGHTS, change)
    assert message in refused(folder)


def test_all_weights_of_another_dtype_are_refused(copied):
    folder = copied(OBJECTS)
    save_again(
        folder / WEIGHTS,
        lambda state: state.update({name: value.half() for name, value in state.items()}),
    )
    assert "missing_vector (8,) float16; expected missing_vector (8,) float32" in refused(
        folder, OBJECTS
    )


def test_weights_without_the_checksum_are_refused(copied):
    folder = copied(ALERTS)
    save_again(folder / WEIGHTS, lambda state: None, checksums=False)
    assert "no checksum of the card" in refused(folder)


def test_weights_with_two_swapped_tensors_are_refused(copied):
    folder = copied(OBJECTS)

    def swap(state):
        first, second = "cell.bias_ih_l0", "cell.bias_hh_l0"
        state[first], state[second] = state[second].clone(), state[first].clone()

    save_again(folder / WEIGHTS, swap)
    assert "weights that were changed" in refused(folder, OBJECTS)


def test_the_card_of_another_run_is_refused(copied, tmp_path):
    """A run that is killed between writing the two files leaves such a folder."""
    folder, other = copied(OBJECTS), tmp_path / "other"
    model, card = load(folder, OBJECTS)
    save_model(other, model, card.model_copy(update={"seed": 8}))
    shutil.copy(other / CARD, folder)
    assert "a card that was changed, or of another model" in refused(folder, OBJECTS)


@pytest.mark.parametrize(("name", "expected"), [(OBJECTS, ALERTS), (ALERTS, PUBLISHED_OBJECTS)])
def test_the_folder_of_the_other_kind_of_network_is_refused(folders, name, expected):
    assert "network: found" in refused(folders / name, expected)


def test_the_weights_of_another_size_are_refused_by_shape(tmp_path):
    """The weights are of another network, but have the checksums of the card."""
    network = make_card(ALERTS, latent_dim=8).build()
    save_model(tmp_path, network, make_card(ALERTS))
    assert "components (4, 1323); expected components (3, 1323)" in refused(tmp_path)


def test_the_weights_of_another_number_of_classes_are_refused_by_shape(tmp_path):
    card = make_card(OBJECTS)
    three = card.model_copy(update={"classes": card.classes[:3]})
    save_model(tmp_path, card.build(), three)
    message = "classifier_head.weight (5, 8); expected classifier_head.weight (3, 8)"
    assert message in refused(tmp_path, OBJECTS)


def test_a_path_of_no_regular_file_is_refused(copied):
    for name in (CARD, WEIGHTS):
        for number, make in enumerate(
            (
                lambda path: None,
                lambda path: path.mkdir(),
                lambda path: path.symlink_to(path.name),
                lambda path: os.mkfifo(path),
                lambda path: path.symlink_to("/dev/zero"),
            )
        ):
            folder = copied(OBJECTS)
            (folder / name).unlink()
            make(folder / name)
            expected = ("no such file", "a folder", "symbolic links", "a pipe", "a device")[number]
            assert expected in refused(folder, OBJECTS)
            shutil.rmtree(folder)
    assert "train it with dvc repro" in refused(folder, OBJECTS)


@pytest.mark.parametrize("name", [CARD, WEIGHTS])
def test_a_truncated_file_is_refused(copied, name):
    folder = copied(PUBLISHED_OBJECTS)
    whole = (folder / name).read_bytes()
    for length in {0, 1, 7, 8, 9, 100, len(whole) // 2, len(whole) - 3}:
        (folder / name).write_bytes(whole[:length])
        refused(folder, PUBLISHED_OBJECTS)


def paths(value, path=()):
    """Yield the path of keys of every value in a card."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, part in items:
        yield (*path, key)
        if isinstance(part, dict | list):
            yield from paths(part, (*path, key))


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


@pytest.mark.parametrize("name", [ALERTS, OBJECTS])
def test_any_change_of_a_card_is_refused_or_changes_no_vector(folders, tmp_path, name):
    folder = folders / name
    original = content(folder)
    expected = vectors(*load(folder, name))
    (tmp_path / WEIGHTS).symlink_to(folder / WEIGHTS)

    @settings(max_examples=100, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def check(data):
        card = json.loads(json.dumps(original))
        *parents, last = data.draw(st.sampled_from(list(paths(original))))
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
        (tmp_path / CARD).write_text(json.dumps(card))
        try:
            network, card = load(tmp_path, name)
        except InputError as error:
            assert "\n" not in str(error)
        else:
            np.testing.assert_array_equal(vectors(network, card), expected)

    check()


def test_any_changed_byte_is_refused_or_changes_no_vector(folders, copied):
    folder = copied(PUBLISHED_OBJECTS)
    expected = vectors(*load(folder, PUBLISHED_OBJECTS))
    whole = {name: (folder / name).read_bytes() for name in (CARD, WEIGHTS)}

    @settings(max_examples=100)
    @given(st.sampled_from(sorted(whole)), st.integers(0, 2**20), st.integers(0, 255))
    def check(name, position, byte):
        changed = bytearray(whole[name])
        changed[position % len(changed)] = byte
        (folder / name).write_bytes(changed)
        try:
            network, card = load(folder, PUBLISHED_OBJECTS)
        except InputError as error:
            assert "\n" not in str(error)
        else:
            np.testing.assert_array_equal(vectors(network, card), expected)
        (folder / name).write_bytes(whole[name])

    check()


def test_a_card_alone_is_checked_against_its_weights(copied):
    folder = copied(ALERTS)
    assert read_card(folder, AlertCard).config.stamp_scaling == "minmax"
    (folder / CARD).write_text(json.dumps(altered(content(folder), "seed", 9)))
    with pytest.raises(InputError, match="a card that was changed"):
        read_card(folder, AlertCard)
