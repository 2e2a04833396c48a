import numpy as np
import pytest
import torch

from tests.evaluation.small_networks import alert_network
from ztfrep.data.features import ALERCE_FEATURES
from ztfrep.evaluation.predicted_features import score_predicted_magnitudes
from ztfrep.models.alert.preprocessing import FeatureScaling

LABELS = np.arange(20) % 5


def scaling(unit="physical"):
    n = len(ALERCE_FEATURES)
    return FeatureScaling(unit=unit, mean=[0.0] * n, std=[2.0] * n, excluded=["magnr"])


def alerts(network):
    rng = np.random.default_rng(0)
    metadata = rng.uniform(1, 2, (20, len(ALERCE_FEATURES)))
    metadata[3, ALERCE_FEATURES.index("magpsf")] = np.nan
    stamps = rng.random((20, 3, 21, 21)).astype(np.float32)
    return network.preprocess(stamps, metadata, network.preprocessing.feature_scaling.unit)


def test_the_error_of_a_known_magnitude_is_in_magnitudes(monkeypatch):
    network = alert_network(scaling=scaling())
    batch = alerts(network)
    # Half a standardised unit above the truth.
    monkeypatch.setattr(network, "predict_features", lambda vectors: batch.features + 0.5)
    scores = score_predicted_magnitudes(network, np.zeros((20, 6)), batch, LABELS, seed=0)
    assert list(scores) == ["predicted_magpsf", "predicted_diffmaglim"]
    for score in scores.values():
        assert list(score.values()) == pytest.approx([1.0, 1.0, 1.0])


def test_unknown_magnitudes_do_not_count(monkeypatch):
    network = alert_network(scaling=scaling())
    batch = alerts(network)
    wrong = torch.where(batch.feature_mask, batch.features, 1e6)
    monkeypatch.setattr(network, "predict_features", lambda vectors: wrong)
    scores = score_predicted_magnitudes(network, np.zeros((20, 6)), batch, LABELS, seed=0)
    assert scores["predicted_magpsf"]["mean_absolute_error"] == 0


def test_nothing_is_scored_without_a_head_or_physical_units():
    vectors = np.zeros((20, 6), np.float32)
    for network in (alert_network("published", scaling()), alert_network(scaling=scaling("none"))):
        batch = alerts(network)
        assert score_predicted_magnitudes(network, vectors, batch, LABELS, seed=0) == {}
