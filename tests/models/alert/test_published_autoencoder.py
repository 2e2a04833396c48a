"""The published autoencoder: its size and names, so that its checkpoints fit, and its recipe."""

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from tests.models.networks import alert_config, alert_network, compute_loss, random_alerts
from ztfrep.models.alert.base import AlertOutput, Augmentation


def test_the_network_has_the_published_number_of_parameters():
    assert sum(p.numel() for p in alert_network("published").parameters()) == 390_408


def test_the_encoder_computes_one_pixel_of_128_channels():
    network = alert_network("published").eval()
    assert network.encoder(random_alerts().pixels).shape == (6, 128, 1, 1)


def test_parameters_have_the_published_names_and_shapes():
    names = {n: tuple(p.shape) for n, p in alert_network("published").named_parameters()}
    convolutions = {
        1: (16, 3, 4, 4), 3: (32, 16, 3, 3), 6: (32, 32, 3, 3), 8: (64, 32, 3, 3),
        11: (64, 64, 3, 3), 13: (128, 64, 3, 3), 16: (128, 128, 3, 3),
    }  # fmt: skip
    transposed = {
        0: (128, 64, 2, 2), 2: (64, 64, 3, 3), 4: (64, 32, 1, 1), 6: (32, 32, 2, 2),
        8: (32, 32, 1, 1), 10: (32, 16, 3, 3), 12: (16, 16, 1, 1), 14: (16, 3, 1, 1),
    }  # fmt: skip
    linear = {2: (64, 128), 4: (64, 64), 6: (64, 64), 8: (5, 64)}
    expected = {f"encoder.{i}.weight": shape for i, shape in convolutions.items()}
    expected |= {f"encoder.{i}.bias": shape[:1] for i, shape in convolutions.items()}
    expected |= {f"decoder.{i}.weight": shape for i, shape in transposed.items()}
    expected |= {f"decoder.{i}.bias": shape[1:2] for i, shape in transposed.items()}
    expected |= {f"classifier.{i}.weight": shape for i, shape in linear.items()}
    expected |= {f"classifier.{i}.bias": shape[:1] for i, shape in linear.items()}
    assert names == expected
    # A checkpoint has only these.
    assert set(alert_network("published").state_dict()) == set(expected)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
def test_the_first_layers_pad_as_same_does():
    network, pixels = alert_network("published"), random_alerts().pixels
    same = nn.Sequential(nn.ZeroPad2d(3), nn.Conv2d(3, 16, 4, padding="same"))
    same[1].load_state_dict(network.encoder[1].state_dict())
    torch.testing.assert_close(network.encoder[:2](pixels), same(pixels))


def test_logits_are_those_before_the_softmax_of_the_classifier():
    network = alert_network("published").eval()
    vectors = network.encode(random_alerts())
    probabilities = network.classifier(vectors)
    torch.testing.assert_close(network.classify(vectors).softmax(dim=1), probabilities)
    assert not torch.allclose(network.classify(vectors), probabilities)


def loss_of(output, alerts, labels, **changes):
    """Return the loss of a network whose output is `output`."""
    network = alert_network("published", **changes)
    network.forward = lambda _: output
    return compute_loss(network, alerts, labels)


def random_output(n=6):
    generator = torch.Generator().manual_seed(1)
    reconstruction = random_alerts(n, seed=1).pixels
    logits = 3 * torch.randn(n, 5, generator=generator)
    return AlertOutput(torch.randn(n, 2, generator=generator), reconstruction, logits)


def test_the_published_loss_applies_the_softmax_twice():
    output, alerts, labels = random_output(4), random_alerts(4), torch.tensor([0, 1, 2, 3])
    twice = nn.functional.cross_entropy(output.logits.softmax(1), labels)
    once = nn.functional.cross_entropy(output.logits, labels)
    for kind, expected in (("published", twice), ("cross_entropy", once)):
        terms = loss_of(output, alerts, labels, loss=kind)
        torch.testing.assert_close(terms["classification"][0], expected)


@pytest.mark.parametrize("kind", ["published", "cross_entropy"])
def test_masked_pixels_and_unlabelled_rows_do_not_count_in_the_loss(kind):
    labels = torch.tensor([0, 1, 2, -1, 4, -1])
    generator = torch.Generator().manual_seed(3)
    alerts = random_alerts()._replace(
        pixel_mask=torch.rand(6, 3, 21, 21, generator=generator) > 0.3
    )
    output = random_output()
    reference = loss_of(output, alerts, labels, loss=kind)
    changed = output._replace(
        reconstruction=torch.where(alerts.pixel_mask, output.reconstruction, 1e3),
        logits=torch.where(labels[:, None] >= 0, output.logits, 50.0),
    )
    for name, (value, count) in loss_of(changed, alerts, labels, loss=kind).items():
        torch.testing.assert_close(value, reference[name][0])
        assert count == reference[name][1]
    assert reference["accuracy"][1] == reference["classification"][1] == 4
    squared = (output.reconstruction - alerts.pixels)[alerts.pixel_mask].square().mean()
    torch.testing.assert_close(reference["reconstruction"][0], squared)


def test_the_loss_is_the_weighted_sum_of_reconstruction_and_classification():
    terms = loss_of(
        random_output(), random_alerts(), torch.arange(6) % 5,
        reconstruction_weight=0.6, classification_weight=0.3,
    )  # fmt: skip
    expected = 0.6 * terms["reconstruction"][0] + 0.3 * terms["classification"][0]
    torch.testing.assert_close(terms["loss"][0], expected)
    assert terms["loss"][1] == 6


def test_the_final_epochs_have_their_own_batch_size():
    config = alert_config("published", batch_size=8, final_batch_size=16, final_epochs=2)
    assert [config.batch_size_at(epoch, 6) for epoch in range(1, 7)] == [8, 8, 8, 8, 16, 16]


def test_a_config_without_any_loss_is_refused():
    content = alert_config("published").model_dump()
    config = type(alert_config("published"))
    weights = {"reconstruction_weight": 0.0, "classification_weight": 0.0}
    with pytest.raises(ValidationError, match="are both 0; expected one above 0"):
        config.model_validate(content | weights)
    for weight in weights:
        config.model_validate(content | weights | {weight: 0.1})


def test_the_training_alerts_are_not_augmented_and_no_feature_is_excluded():
    config = alert_config("published")
    assert config.augmentation == Augmentation()
    assert config.masked_features == []
