"""Stages use a network for what it was trained on alone."""

import pandas as pd
import pytest
import torch

from stages import encode_objects, evaluate_series
from tests.model_folders import PARAMS, save
from ztfrep.errors import InputError
from ztfrep.models.object.base import SeriesInput


def names(classes):
    table = pd.DataFrame({"split": ["test"], "label": [0], "length": [1]})
    table.attrs["classes"] = classes
    return table


@pytest.fixture
def model(tmp_path, monkeypatch):
    save(tmp_path, "temporal")
    for stage in (encode_objects, evaluate_series):
        monkeypatch.setattr(stage, "RECURRENT", tmp_path)
        monkeypatch.setattr(stage, "start", lambda params: torch.device("cpu"))


def test_vectors_of_another_encoder_are_refused(model, monkeypatch):
    shape = (1, 2)
    series = SeriesInput(
        torch.zeros(*shape, 128),
        torch.ones(shape, dtype=torch.bool),
        torch.zeros(*shape, 3),
        torch.zeros(*shape, 9),
        torch.tensor([2]),
    )
    monkeypatch.setattr(encode_objects, "series_inputs", lambda *_: {"test": series})
    monkeypatch.setattr(encode_objects, "read_names", lambda _: names(["AGN"]))
    with pytest.raises(InputError, match="found vectors of 128 numbers; expected 6"):
        encode_objects.main(PARAMS)


def test_a_network_of_other_classes_is_not_evaluated(model, monkeypatch):
    monkeypatch.setattr(evaluate_series, "read_names", lambda _: names(["AGN", "SN", "VS"]))
    message = "a network of the classes AGN, SN, VS, asteroid, bogus; expected .*: AGN, SN, VS; "
    with pytest.raises(InputError, match=message):
        evaluate_series.main(PARAMS)
