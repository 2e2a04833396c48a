import copy
from pathlib import Path

import pytest
import yaml

from ztfrep.errors import InputError
from ztfrep.params import given_file, read_params

ROOT = Path(__file__).parents[1]
DEFAULT = yaml.safe_load((ROOT / "params.yaml").read_text())


def read(tmp_path, **changes):
    content = copy.deepcopy(DEFAULT)
    for key, value in changes.items():
        table = content
        *tables, last = key.split("__")
        for name in tables:
            table = table[name]
        table[last] = value
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(content))
    return read_params(path)


def test_epochs_are_the_budget_of_the_source_unless_a_number_is_given(tmp_path):
    budget = DEFAULT["budget"]["local"]
    params = read(tmp_path, source="local", autoencoder__epochs=0)
    assert params.epochs("autoencoder") == 0
    assert params.epochs("recurrent") == budget["recurrent_epochs"]


def test_an_integer_is_a_number(tmp_path):
    assert read(tmp_path, sources__sample__scale=1).sources.sample.scale == 1.0


@pytest.mark.parametrize(
    ("changes", "key", "told"),
    [
        # A misspelling is met with its neighbour.
        ({"autoencoder__latentdim": 64}, "autoencoder.latentdim", "did you mean 'latent_dim'?"),
        ({"sed": 1}, "sed", "did you mean 'seed'?"),
        ({"sources__sample__sale": 1}, "sources.sample.sale", "did you mean 'scale'?"),
        # YAML 1.1 reads 1e-3 as a string.
        ({"autoencoder__learning_rate": "1e-3"}, "autoencoder.learning_rate", "'1e-3' (str)"),
        # True is 1 to Python, not to us.
        ({"autoencoder__latent_dim": True}, "autoencoder.latent_dim", "valid integer"),
        ({"autoencoder__loss": "mse"}, "autoencoder.loss", "'cross_entropy' or 'published'"),
        ({"autoencoder__epochs": -1}, "autoencoder.epochs", "greater than or equal to 0"),
        ({"sources__sample__scale": float("nan")}, "sources.sample.scale", "nan"),
        ({"autoencoder__latent_dim": 1}, "autoencoder.latent_dim", "greater than or equal to 2"),
        ({"recurrent__batch_size": 0}, "recurrent.batch_size", "greater than or equal to 1"),
        ({"evaluate__forest_without": ["rbb"]}, "evaluate.forest_without.0", "'rbb'"),
        ({"autoencoder": 3}, "autoencoder", "3 (int)"),
        (
            {"autoencoder__reconstruction_weight": 0, "autoencoder__classification_weight": 0},
            "autoencoder",
            "both 0",
        ),
    ],
)
def test_a_wrong_parameter_is_named_by_its_path(tmp_path, changes, key, told):
    with pytest.raises(InputError) as error:
        read(tmp_path, **changes)
    text = str(error.value)
    assert f"params.yaml: {key}: " in text
    assert told in text
    assert "\n" not in text


@pytest.mark.parametrize("content", ["", "source: [", "3", "\xff"])
def test_a_file_that_holds_no_parameters_is_refused(tmp_path, content):
    path = tmp_path / "params.yaml"
    path.write_bytes(content.encode("latin1"))
    with pytest.raises(InputError, match=r"params\.yaml"):
        read_params(path)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match="run from the repository's root"):
        read_params(tmp_path / "params.yaml")


def test_a_path_parameter_is_absolute_and_there(tmp_path):
    assert given_file("autoencoder.weights", "data/none") is None
    assert given_file("autoencoder.weights", __file__) == Path(__file__)
    with pytest.raises(InputError, match=r"autoencoder\.weights: found the relative path 'a\.pth'"):
        given_file("autoencoder.weights", "a.pth")
    with pytest.raises(InputError, match="found no file at"):
        given_file("autoencoder.weights", str(tmp_path / "a.pth"))
