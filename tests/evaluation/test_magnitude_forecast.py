import pytest
import torch

from tests.evaluation.small_networks import object_network
from tests.evaluation.small_objects import objects, observations
from ztfrep.evaluation.magnitude_forecast import score_magnitude_forecast
from ztfrep.models.object.base import MAGNITUDE

LENGTHS = [1, 2, 6, 3]


def forecast_next(batch, error):
    """Return the true magnitude of the next observation plus an error."""
    return torch.roll(batch.photometry[:, :, MAGNITUDE], -1, dims=1) + error


def test_the_error_is_that_of_the_next_magnitude_in_magnitudes(monkeypatch):
    network = object_network()
    monkeypatch.setattr(network, "forecast_magnitude", lambda batch: forecast_next(batch, 1.0))
    scores = score_magnitude_forecast(network, objects(LENGTHS), seed=0)
    # One unit of the network is 1.5 mag.
    assert list(scores.values()) == pytest.approx([1.5, 1.5, 1.5])
    assert list(scores) == [
        "mean_absolute_error",
        "mean_absolute_error_low",
        "mean_absolute_error_high",
    ]


def test_observations_without_a_magnitude_do_not_count(monkeypatch):
    network = object_network()
    table = observations(LENGTHS)
    table.loc[table["detection"] == 2, "magpsf"] = float("nan")
    inputs = objects(LENGTHS, table)

    def forecast(batch):
        wrong_after_unknown = torch.zeros(batch.vector_mask.shape)
        wrong_after_unknown[:, 1:3] = 100
        return forecast_next(batch, wrong_after_unknown)

    monkeypatch.setattr(network, "forecast_magnitude", forecast)
    assert score_magnitude_forecast(network, inputs, seed=0)["mean_absolute_error"] == 0


def test_a_network_without_a_forecast_and_single_observations_have_no_error():
    inputs = objects(LENGTHS, all_observations=False)
    assert score_magnitude_forecast(object_network("published"), inputs, seed=0) is None
    single = objects([1, 1], all_observations=False)
    assert score_magnitude_forecast(object_network(), single, seed=0) is None
