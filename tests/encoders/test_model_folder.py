import os
import pickle

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.model_folders import load, save
from ztfrep.encoders import model_folder as checkpoints
from ztfrep.encoders.cards import AutoencoderCard
from ztfrep.errors import InputError
from ztfrep.models.alert import losses as autoencoder
from ztfrep.models.object import published_recurrent as recurrent

SIZES = {"latent_dim": 128, "dropout": 0.8, "classes": 5}


def published(**sizes):
    return autoencoder.build("published", **(SIZES | sizes))


def same(a, b):
    a, b = a.state_dict(), b.state_dict()
    return all(torch.equal(a[name], b[name]) for name in a)


def test_a_model_is_two_files(tmp_path):
    save(tmp_path, "published")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.json", "weights.safetensors"]
    loaded, card = load(tmp_path, "published")
    assert (card.architecture, card.sizes.latent_dim) == ("published", 6)
    # Another program reads the weights without ours.
    state = load_file(tmp_path / checkpoints.WEIGHTS)
    assert all(torch.equal(state[name], value) for name, value in loaded.state_dict().items())


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_published_checkpoint_fits_by_name_and_shape(tmp_path, suffix):
    donor, model = published(), published()
    path = tmp_path / f"AutoencoderDefinitivo4{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(donor.state_dict(), path)
    assert not same(donor, model)
    checkpoints.load_weights(model, path)
    assert same(donor, model)


class Hostile:
    def __reduce__(self):
        return os.system, ("touch ran",)


def gru(**sizes):
    sizes = {"input_dim": 128, "hidden": 32, "layers": 2, "dropout": 0.3, "classes": 3} | sizes
    return recurrent.build("published", cell="gru", **sizes)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        # Other Clasificador files are other networks.
        (published(latent_dim=64).state_dict(), r"found encoder\.16\.weight \(64, 128, 3, 3\)"),
        # Recurrente4 has three layers.
        (gru().state_dict(), r"found encoder\.1\.weight absent"),
        # A whole pickled module would run code to load.
        (published(), "cannot be read safely"),
        ({"epoch": 3}, "found a dict"),
        ([torch.zeros(2)], "found a list"),
        (Hostile(), "cannot be read safely"),
    ],
)
def test_another_file_is_refused_with_the_reason(tmp_path, monkeypatch, content, message):
    monkeypatch.chdir(tmp_path)
    torch.save(content, "weights.pth")
    model = published()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(InputError, match=message) as error:
        checkpoints.load_weights(model, "weights.pth")
    assert "\n" not in str(error.value)
    assert not os.path.exists("ran")
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_network_of_three_layers_does_not_fit_two(tmp_path):
    torch.save(gru(layers=3).state_dict(), tmp_path / "Recurrente4.pth")
    with pytest.raises(InputError, match=r"found rnn\.weight_ih_l2 \(96, 32\); expected .* absent"):
        checkpoints.load_weights(gru(), tmp_path / "Recurrente4.pth")


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
@pytest.mark.parametrize("content", [b"", b"not weights", pickle.dumps(3), None])
def test_a_file_that_is_none_is_refused(tmp_path, name, content):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"weights\.(pth|safetensors): found "):
        checkpoints.load_weights(published(), path)


def test_a_missing_model_is_named(tmp_path):
    with pytest.raises(InputError, match="train it with dvc repro"):
        checkpoints.load_model(tmp_path, autoencoder.build, AutoencoderCard)
