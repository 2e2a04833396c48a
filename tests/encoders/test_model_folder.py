"""Model folders: a saved network is loaded unchanged, and weights of other networks are refused."""

import os
import pickle

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file

from tests.model_folders import (
    ALERT_FOLDERS,
    FOLDERS,
    content,
    load,
    make_card,
    raw_alerts,
    save,
    vectors,
)
from tests.models.networks import alert_network, object_network
from ztfrep.data.features import PHYSICAL
from ztfrep.encoders.model_folder import (
    CARD,
    WEIGHTS,
    is_model_file,
    load_alert_network,
    load_weights,
    save_model,
)
from ztfrep.encoders.reference_files import REFERENCE
from ztfrep.errors import InputError
from ztfrep.models.alert.preprocessing import AlertPreprocessing, FeatureScaling

every_network = pytest.mark.parametrize("name", FOLDERS)


def equal(network, other):
    """Return True if two networks have the same tensors."""
    state, other_state = network.state_dict(), other.state_dict()
    return set(state) == set(other_state) and all(
        torch.equal(value, other_state[name]) for name, value in state.items()
    )


@every_network
def test_a_saved_network_is_loaded_with_the_same_vectors(tmp_path, name):
    save(tmp_path, name)
    network, card = load(tmp_path, name)
    assert content(tmp_path) == card.model_dump()
    assert not network.training
    # Other weights than those of a new network.
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.01)
    save_model(tmp_path, network, card)
    loaded, loaded_card = load(tmp_path, name)
    assert equal(loaded, network)
    assert loaded_card == card
    np.testing.assert_array_equal(vectors(loaded, loaded_card), vectors(network, card))


@every_network
def test_a_saved_network_has_the_same_bytes_each_time(tmp_path, name):
    for folder in ("first", "second"):
        save(tmp_path / folder, name)
    for file in (CARD, WEIGHTS):
        first, second = (tmp_path / folder / file for folder in ("first", "second"))
        assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("name", ALERT_FOLDERS)
@pytest.mark.parametrize("method", ["none", "minmax", "asinh"])
def test_a_loaded_network_has_the_preprocessing_that_was_saved(tmp_path, name, method):
    stamps, metadata = raw_alerts(5)
    excluded = make_card(name).config.masked_features
    scaling = FeatureScaling.fit(metadata, PHYSICAL, excluded)
    save(tmp_path, name, stamp_scaling=method, scaling=scaling)
    network, _ = load_alert_network(tmp_path)
    alerts = network.preprocess(stamps, metadata, PHYSICAL)
    expected = AlertPreprocessing(method, scaling, context="context" in network.modalities)(
        torch.from_numpy(stamps), torch.from_numpy(metadata), PHYSICAL
    )
    for part, wanted in zip(alerts, expected, strict=True):
        assert torch.equal(part, wanted)


def test_a_model_folder_has_three_files_and_the_weights_are_read_without_this_package(tmp_path):
    save(tmp_path, "alert-published")
    assert sorted(p.name for p in tmp_path.iterdir()) == [CARD, REFERENCE, WEIGHTS]
    loaded, card = load_alert_network(tmp_path)
    assert (card.architecture, card.config.latent_dim) == ("published", 6)
    state = load_file(tmp_path / WEIGHTS)
    assert all(torch.equal(state[name], value) for name, value in loaded.state_dict().items())


def test_weights_beside_a_card_are_a_model_file(tmp_path):
    save(tmp_path, "alert-published")
    assert is_model_file(tmp_path / WEIGHTS)
    assert not is_model_file(tmp_path / CARD)
    (tmp_path / CARD).unlink()
    assert not is_model_file(tmp_path / WEIGHTS)


def test_a_card_whose_scaling_excludes_other_features_than_its_config_cannot_be_made(tmp_path):
    scaling = FeatureScaling.fit(raw_alerts()[1], PHYSICAL, ["ra"])
    with pytest.raises(ValidationError, match="features.excluded; found 'ra'; expected 'rb'"):
        save(tmp_path, "alert-invariant", scaling=scaling, start_weights="/other/weights.pth")


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_published_checkpoint_is_loaded_by_name_and_shape(tmp_path, suffix):
    donor, network = alert_network("published"), alert_network("published")
    with torch.no_grad():
        for parameter in donor.parameters():
            parameter.add_(0.01)
    path = tmp_path / f"AutoencoderDefinitivo4{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(donor.state_dict(), path)
    assert not equal(donor, network)
    load_weights(network, path)
    assert equal(donor, network)


class Hostile:
    def __reduce__(self):
        return os.system, ("touch ran",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        # Published checkpoints of other networks.
        (
            lambda: alert_network("published", latent_dim=64).state_dict(),
            r"found encoder\.16\.weight \(64, 128, 3, 3\)",
        ),
        (lambda: object_network("published").state_dict(), r"found encoder\.1\.weight absent"),
        # Loading a pickled module would run code.
        (lambda: alert_network("published"), "cannot be read safely"),
        (lambda: {"epoch": 3}, "found a dict"),
        (lambda: [torch.zeros(2)], "found a list"),
        (Hostile, "cannot be read safely"),
    ],
)
def test_a_file_without_the_weights_of_the_network_is_refused_with_the_reason(
    tmp_path, monkeypatch, content, message
):
    monkeypatch.chdir(tmp_path)
    torch.save(content(), "weights.pth")
    network = alert_network("published")
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(InputError, match=message) as error:
        load_weights(network, "weights.pth")
    assert "\n" not in str(error.value)
    assert not os.path.exists("ran")
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_the_checkpoint_of_three_layers_does_not_fit_two(tmp_path):
    torch.save(object_network("published", layers=3).state_dict(), tmp_path / "Recurrente4.pth")
    with pytest.raises(InputError, match=r"found rnn\.weight_ih_l2 \(96, 32\); expected .* absent"):
        load_weights(object_network("published", layers=2), tmp_path / "Recurrente4.pth")


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
@pytest.mark.parametrize("content", [b"", b"not weights", pickle.dumps(3), None])
def test_a_file_without_weights_is_refused(tmp_path, name, content):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"weights\.(pth|safetensors): found "):
        load_weights(alert_network("published"), path)


def test_a_missing_model_folder_is_an_error_with_a_remedy(tmp_path):
    with pytest.raises(InputError, match="train it with dvc repro"):
        load_alert_network(tmp_path)
