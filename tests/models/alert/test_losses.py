"""Terms of the losses of alert networks."""

import pytest
import torch
from torch import nn

from ztfrep.models.alert import losses
from ztfrep.models.loss_terms import accuracy, row_count


def test_the_reconstruction_loss_is_the_mean_over_the_observed_pixels():
    generator = torch.Generator().manual_seed(0)
    reconstruction, pixels = torch.rand(2, 4, 3, 21, 21, generator=generator)
    mask = torch.rand(4, 3, 21, 21, generator=generator) > 0.3
    value, count = losses.reconstruction_loss(reconstruction, pixels, mask)
    torch.testing.assert_close(value, (reconstruction - pixels)[mask].square().mean())
    assert count == mask.sum()
    changed = torch.where(mask, reconstruction, 1e3)
    torch.testing.assert_close(losses.reconstruction_loss(changed, pixels, mask)[0], value)


def test_the_regression_loss_is_the_mean_over_the_known_targets():
    generator = torch.Generator().manual_seed(0)
    predicted, target = torch.randn(2, 4, 7, generator=generator)
    mask = torch.rand(4, 7, generator=generator) > 0.3
    value, count = losses.regression_loss(predicted, target, mask)
    torch.testing.assert_close(value, (predicted - target)[mask].square().mean())
    assert count == mask.sum()
    changed = torch.where(mask, predicted, 1e3)
    torch.testing.assert_close(losses.regression_loss(changed, target, mask)[0], value)


def test_an_outlier_of_the_target_counts_as_five_standard_deviations():
    mask = torch.ones(1, 2, dtype=torch.bool)
    outliers, clipped = torch.tensor([[1e6, -1e6]]), torch.tensor([[5.0, -5.0]])
    predicted = torch.tensor([[5.0, -4.0]])
    value, _ = losses.regression_loss(predicted, outliers, mask)
    torch.testing.assert_close(value, torch.tensor(0.5))
    torch.testing.assert_close(losses.regression_loss(predicted, clipped, mask)[0], value)


def test_cross_entropy_is_the_mean_over_the_labelled_rows():
    logits, labels = (
        torch.randn(5, 3, generator=torch.Generator().manual_seed(0)),
        [0, 2, -1, 1, -1],
    )
    labels = torch.tensor(labels)
    labelled = labels >= 0
    for smoothing in (0.0, 0.2):
        expected = nn.functional.cross_entropy(
            logits[labelled], labels[labelled], label_smoothing=smoothing
        )
        torch.testing.assert_close(losses.cross_entropy(logits, labels, smoothing), expected)


def test_accuracy_is_the_fraction_of_the_labelled_rows_whose_class_is_predicted():
    logits = torch.eye(3)[[0, 1, 2, 2, 0]]
    value, count = accuracy(logits, torch.tensor([0, 1, 0, -1, -1]))
    assert value == pytest.approx(2 / 3)
    assert count == 3
    assert row_count(logits) == 5


def test_terms_of_nothing_are_0():
    nothing = torch.zeros(4, 3, dtype=torch.bool)
    values = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    unlabelled = torch.full((4,), -1)
    for value, count in (
        losses.reconstruction_loss(values, values + 1, nothing),
        losses.regression_loss(values, values + 1, nothing),
        losses.denoising_risk(values, values + 1, values - 1, values, nothing),
        accuracy(values, unlabelled),
    ):
        assert value == 0
        assert count == 0
    assert losses.cross_entropy(values, unlabelled) == 0
    assert losses.contrastive_loss(values, unlabelled, 0.1) == 0


def test_the_contrastive_loss_is_low_where_rows_of_the_same_label_are_near():
    labels = torch.tensor([0, 0, 1, 1, -1])
    near = torch.tensor([[1, 0.1], [1, 0], [0, 1], [0.1, 1], [1, 1.0]])
    far = near[[0, 2, 1, 3, 4]]
    assert losses.contrastive_loss(near, labels, 0.1) < 0.1
    assert losses.contrastive_loss(far, labels, 0.1) > 1


def test_the_contrastive_loss_does_not_depend_on_the_length_of_the_vectors():
    labels = torch.tensor([0, 0, 1, 1, -1])
    vectors = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    expected = losses.contrastive_loss(vectors, labels, 0.1)
    torch.testing.assert_close(losses.contrastive_loss(3 * vectors, labels, 0.1), expected)


def test_the_contrastive_loss_is_higher_if_an_unlabelled_row_is_near():
    labels = torch.tensor([0, 0, -1])
    near, far = (
        torch.tensor([[1, 0], [1, 0.1], [1, 0.05]]),
        torch.tensor([[1, 0], [1, 0.1], [-1, 0]]),
    )
    far_loss = losses.contrastive_loss(far, labels, 0.1)
    assert losses.contrastive_loss(near, labels, 0.1) > far_loss + 0.1


def test_the_denoising_risk_is_on_average_the_error_against_the_noise_free_image():
    generator = torch.Generator().manual_seed(0)
    noise_free, deviation, gain = torch.linspace(-1, 1, 50), 0.7, 0.4
    shape = (4000, 1, 1, 50)
    noise, sample = (deviation * torch.randn(shape, generator=generator) for _ in range(2))
    pixels = noise_free + noise
    mask = torch.ones(shape, dtype=torch.bool)
    moved = gain * (pixels + losses.NOISE_STEP * sample)
    risk, count = losses.denoising_risk(gain * pixels, moved, pixels, sample, mask)
    error = (gain * pixels - noise_free).square().mean()
    torch.testing.assert_close(risk - deviation**2, error, atol=0.01, rtol=0)
    assert count == mask.sum()
    # The error against the pixels themselves favours an image that keeps its noise.
    assert abs((gain * pixels - pixels).square().mean() - deviation**2 - error) > 0.1
