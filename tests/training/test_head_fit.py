"""Fits of a network's head and of probes to vectors."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.models.networks import alert_network
from ztfrep.training.head_fit import fit_head, probe_accuracy

GENERATOR = np.random.default_rng(0)
LABELS = GENERATOR.choice(3, 300, p=[0.7, 0.2, 0.1])
VECTORS = (GENERATOR.normal(size=(300, 12)) + LABELS[:, None] * GENERATOR.normal(size=12)).astype(
    np.float32
)


def tensors(rows):
    return torch.from_numpy(VECTORS[rows]), torch.from_numpy(LABELS[rows])


@pytest.mark.parametrize("c", [0.01, 0.05, 1.0])
def test_a_probe_is_a_balanced_logistic_regression(c):
    model = LogisticRegression(C=c, class_weight="balanced", max_iter=5000)
    probe = make_pipeline(StandardScaler(), model).fit(VECTORS[:150].astype(float), LABELS[:150])
    expected = balanced_accuracy_score(LABELS[150:], probe.predict(VECTORS[150:].astype(float)))
    accuracy = probe_accuracy(*tensors(slice(150)), *tensors(slice(150, None)), c)
    assert accuracy == pytest.approx(expected, abs=0.005)


def test_rows_without_a_label_change_no_probe():
    train, labels = tensors(slice(150))
    known = labels != 1
    expected = probe_accuracy(train[known], labels[known], train[known], labels[known], 1.0)
    unknown = labels.where(known, -1)
    assert probe_accuracy(train, unknown, train, unknown, 1.0) == expected


def test_without_two_classes_there_is_no_accuracy():
    train, labels = tensors(slice(150))
    one = torch.zeros_like(labels)
    assert np.isnan(probe_accuracy(train, one, train, labels, 1.0))
    assert np.isnan(probe_accuracy(train, labels, train, one, 1.0))


@pytest.fixture
def network():
    return alert_network("invariant", latent_dim=12, pca_fraction=0.2)


def test_a_fitted_head_predicts_the_labels_better_and_nothing_else_changes(network):
    vectors, labels = tensors(slice(None))
    before = {name: value.clone() for name, value in network.state_dict().items()}

    def loss():
        return torch.nn.functional.cross_entropy(network.eval().classify(vectors), labels)

    untrained = loss()
    fit_head(network, vectors, labels, 1.0)
    assert loss() < untrained - 0.3
    changed = {n for n, value in network.state_dict().items() if not torch.equal(value, before[n])}
    assert changed == {"classifier_head.2.weight", "classifier_head.2.bias"}
    assert all(parameter.grad is None for parameter in network.parameters())


def test_a_stronger_pull_changes_the_head_less(network):
    vectors, labels = tensors(slice(None))
    start = network.classifier_head[2].weight.detach().clone()
    distances = []
    for c in (0.001, 0.1, 10.0):
        fitted = alert_network("invariant", latent_dim=12, pca_fraction=0.2)
        fit_head(fitted, vectors, labels, c)
        distances.append(float((fitted.classifier_head[2].weight - start).norm().detach()))
    assert distances == sorted(distances)
    assert distances[0] < 0.5 * distances[2]


def test_labels_of_one_class_change_no_head(network):
    vectors, labels = tensors(slice(None))
    start = network.classifier_head[2].weight.detach().clone()
    fit_head(network, vectors, torch.where(labels == 1, 1, -1), 1.0)
    assert torch.equal(network.classifier_head[2].weight, start)
