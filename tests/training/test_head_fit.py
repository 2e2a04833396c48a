"""Fits of a network's head to vectors, and its accuracy."""

import numpy as np
import pytest
import torch
from sklearn.metrics import recall_score

from tests.models.networks import alert_network
from ztfrep.training.head_fit import fit_head, head_accuracy

GENERATOR = np.random.default_rng(0)
LABELS = GENERATOR.choice(3, 300, p=[0.7, 0.2, 0.1])
VECTORS = (GENERATOR.normal(size=(300, 12)) + LABELS[:, None] * GENERATOR.normal(size=12)).astype(
    np.float32
)


def tensors(rows):
    return torch.from_numpy(VECTORS[rows]), torch.from_numpy(LABELS[rows])


@pytest.fixture
def network():
    return alert_network("invariant", latent_dim=12, pca_fraction=0.2)


def test_the_accuracy_of_a_head_is_the_mean_recall_of_labelled_rows(network):
    vectors, labels = tensors(slice(None))
    labels = torch.where(torch.arange(len(labels)) % 3 > 0, labels, -1)
    predicted = network.eval().classify(vectors).argmax(dim=1)[labels >= 0]
    expected = recall_score(labels[labels >= 0], predicted, labels=range(3), average="macro")
    assert head_accuracy(network, vectors, labels) == pytest.approx(expected)
    assert np.isnan(head_accuracy(network, vectors, torch.where(labels == 1, 1, -1)))


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
