"""Properties of every registered network of alerts."""

import numpy as np
import pytest
import torch

from tests.models.networks import (
    ALERT_ARCHITECTURES,
    alert_config,
    alert_network,
    compute_loss,
    random_alerts,
    trained_alert_network,
    without_features,
    without_stamps,
)
from ztfrep.models.alert import get_alert_network
from ztfrep.models.alert.base import N_FEATURES
from ztfrep.models.alert.preprocessing import FeatureScaling

every_architecture = pytest.mark.parametrize("architecture", ALERT_ARCHITECTURES)


@every_architecture
def test_vectors_reconstructions_and_logits_have_their_shapes(architecture):
    network = alert_network(architecture, latent_dim=10, classes=4).eval()
    alerts = random_alerts(6)
    vectors = network.encode(alerts)
    assert vectors.shape == (6, 10)
    assert network.decode(vectors).shape == (6, 3, 21, 21)
    orientation = network.orientation(alerts)
    assert orientation.shape == (6,)
    assert orientation.dtype == torch.int64
    assert network.decode(vectors, orientation).shape == (6, 3, 21, 21)
    assert network.classify(vectors).shape == (6, 4)
    features = network.predict_features(vectors)
    assert features is None or features.shape == (6, N_FEATURES)


@every_architecture
def test_forward_returns_what_encode_decode_and_classify_return(architecture):
    network, alerts = trained_alert_network(architecture), random_alerts()
    output = network(alerts)
    torch.testing.assert_close(network.encode(alerts), output.vectors)
    reconstruction = network.decode(output.vectors, network.orientation(alerts))
    torch.testing.assert_close(reconstruction, output.reconstruction)
    torch.testing.assert_close(network.classify(output.vectors), output.logits)
    features = network.predict_features(output.vectors)
    assert (features is None) == (output.features is None)
    if features is not None:
        torch.testing.assert_close(features, output.features)


@every_architecture
def test_the_vector_of_an_alert_does_not_depend_on_its_batch(architecture):
    network, alerts = trained_alert_network(architecture), random_alerts()
    vectors = network.encode(alerts)
    for row in range(6):
        single = network.encode(alerts.rows(slice(row, row + 1)))
        torch.testing.assert_close(vectors[row : row + 1], single, atol=1e-5, rtol=1e-4)


@every_architecture
def test_vectors_depend_only_on_the_declared_modalities(architecture):
    network, alerts = trained_alert_network(architecture), random_alerts()
    other = random_alerts(seed=1)
    vectors = network.encode(alerts)
    changes = {
        "stamps": {
            "pixels": other.pixels,
            # The first three channels are the crop, the next three the context.
            "crop_and_context": torch.cat(
                [other.crop_and_context[:, :3], alerts.crop_and_context[:, 3:]], dim=1
            ),
        },
        "context": {
            "crop_and_context": torch.cat(
                [alerts.crop_and_context[:, :3], other.crop_and_context[:, 3:]], dim=1
            )
        },
        "features": {"features": other.features, "feature_mask": other.feature_mask},
    }
    assert set(network.modalities) <= set(changes)
    for modality, change in changes.items():
        difference = (network.encode(alerts._replace(**change)) - vectors).abs().amax(dim=1)
        if modality in network.modalities:
            assert (difference > 1e-5).all(), modality
        else:
            assert (difference == 0).all(), modality


@every_architecture
def test_a_network_encodes_its_own_preprocessed_input(architecture):
    network = alert_network(architecture, scaling=FeatureScaling.fit(metadata(), "physical")).eval()
    alerts = network.preprocess(stamps(), metadata(), "physical")
    assert alerts.crop_and_context.shape[1] == (8 if "context" in network.modalities else 0)
    vectors = network.encode(alerts)
    assert vectors.shape == (5, network.config.latent_dim)
    assert torch.isfinite(vectors).all()


def stamps(n=5, side=63):
    return np.random.default_rng(0).normal(100, 10, (n, 3, side, side)).astype(np.float32)


def metadata(n=5):
    return np.random.default_rng(1).normal(2, 1, (n, N_FEATURES))


@every_architecture
@pytest.mark.parametrize("training", [True, False])
def test_the_loss_is_finite_if_everything_is_masked_and_unlabelled(architecture, training):
    network = alert_network(architecture).train(training)
    alerts = without_features(without_stamps(random_alerts(2)))
    terms = compute_loss(network, alerts, torch.tensor([-1, -1]))
    assert {name: value.item() for name, (value, _) in terms.items()} == dict.fromkeys(terms, 0.0)
    terms["loss"][0].backward()
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


@every_architecture
def test_every_parameter_is_trained_by_the_loss(architecture):
    network = alert_network(architecture, dropout=0.0)
    # Layers that start as 0 have no gradient below them.
    network.load_state_dict(trained_alert_network(architecture).state_dict())
    alerts = random_alerts(32)
    # Some alerts have no stamps or no metadata, so that the parameters that replace them are used.
    for rows, remove in ((slice(8), without_stamps), (slice(8, 16), without_features)):
        for part, removed in zip(alerts, remove(alerts.rows(rows)), strict=True):
            part[rows] = removed
    compute_loss(network, alerts, torch.arange(32) % 5)["loss"][0].backward()
    untrained = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert untrained == []


@every_architecture
def test_a_batch_may_have_one_alert(architecture):
    network, alerts = alert_network(architecture), random_alerts(1)
    network.load_state_dict(trained_alert_network(architecture).state_dict())
    terms = compute_loss(network.train(), alerts, torch.tensor([2]))
    terms["loss"][0].backward()
    assert torch.isfinite(terms["loss"][0])
    assert any(p.grad is not None and p.grad.any() for p in network.parameters())


@every_architecture
def test_the_loss_falls_when_it_is_minimised(architecture):
    alerts, labels = random_alerts(40), torch.arange(40) % 5

    def loss(network):
        with torch.no_grad():
            return compute_loss(network.eval(), alerts, labels)["loss"][0]

    before = alert_network(architecture, dropout=0.1)
    before.fit_statistics(alerts)
    assert loss(trained_alert_network(architecture)) < loss(before)


@every_architecture
def test_the_compute_loss_a_network_that_uses_no_labels_does_not_depend_on_them(architecture):
    weights = [
        name
        for name in get_alert_network(architecture).Config.model_fields
        if name in ("classification_weight", "contrastive_weight")
    ]
    config = alert_config(architecture, sampling="distinct", **dict.fromkeys(weights, 0.0))
    assert not config.uses_labels
    assert alert_config(architecture, sampling="balanced").uses_labels
    network = alert_network(architecture, **dict(config)).eval()
    alerts = random_alerts(20)
    labelled_loss, unlabelled_loss = (
        compute_loss(network, alerts, labels)["loss"][0]
        for labels in (torch.arange(20) % 5, torch.full((20,), -1))
    )
    assert labelled_loss == unlabelled_loss
    for weight in weights:
        assert config.model_copy(update={weight: 1.0}).uses_labels


def test_an_unknown_architecture_is_refused_by_name():
    with pytest.raises(
        ValueError, match="Unknown architecture 'resnet'. Must be one of: invariant"
    ):
        get_alert_network("resnet")
