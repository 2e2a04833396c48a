import pytest
import torch

from tests.evaluation.small_networks import object_network
from tests.evaluation.small_objects import objects, observations
from ztfrep.evaluation.gaussian_process import Kernel, fit_kernel
from ztfrep.evaluation.magnitude_forecast import score_magnitude_forecast
from ztfrep.models.object.base import MAGNITUDE

LENGTHS = [1, 2, 6, 3]
METRIC = "mean_absolute_error"


def score(inputs, kernel=None, network=None):
    network = object_network() if network is None else network
    return score_magnitude_forecast(network, inputs, kernel, name="network", seed=0)


def test_the_error_is_that_of_the_magnitude_in_magnitudes(monkeypatch):
    network = object_network()
    monkeypatch.setattr(
        network, "forecast_magnitude", lambda batch: batch.photometry[:, :, MAGNITUDE] + 1.0
    )
    scores = score(objects(LENGTHS), network=network)
    # One unit of the network is 1.5 mag.
    assert list(scores["network"].values()) == pytest.approx([1.5, 1.5, 1.5])
    assert list(scores["network"]) == [METRIC, f"{METRIC}_low", f"{METRIC}_high"]


def test_the_baseline_is_the_last_magnitude_in_the_same_filter():
    # Filters alternate.
    table = observations([3]).assign(magpsf=[18.0, 19.0, 18.5, 19.0, 18.5, 19.3])
    scores = score(objects([3], table))
    # The second detection is the first in its filter.
    expected = (1.0 + 0.5 + 0.0 + 0.0 + 0.3) / 5
    assert scores["last_detection"][METRIC] == pytest.approx(expected, rel=1e-5)
    difference = scores["network"][METRIC] - scores["last_detection"][METRIC]
    paired = scores["paired_differences"]["network_minus_last_detection"]
    assert paired[METRIC] == pytest.approx(difference)


def test_all_methods_are_scored_on_detections_after_a_first_one(monkeypatch):
    network = object_network()
    table = observations(LENGTHS)
    table.loc[table["detection"].isin([0, 2]), "magpsf"] = float("nan")
    inputs = objects(LENGTHS, table)
    scored = torch.zeros(inputs.vector_mask.shape, dtype=torch.bool)
    scored[:, 3:] = True

    def forecast(batch):
        return torch.where(scored, batch.photometry[:, :, MAGNITUDE], 100.0)

    monkeypatch.setattr(network, "forecast_magnitude", forecast)
    scores = score(inputs, fit_kernel(inputs), network)
    assert set(scores) == {"network", "last_detection", "gaussian_process", "paired_differences"}
    assert scores["network"][METRIC] == 0
    assert Kernel("matern", 1.0, 10.0, 0.1)(torch.zeros(1)).item() == pytest.approx(1.0)


def test_a_network_without_a_forecast_and_single_detections_have_no_error():
    inputs = objects(LENGTHS, all_observations=False)
    assert score(inputs, network=object_network("published")) is None
    single = objects([1, 1], all_observations=False)
    assert score(single) is None
