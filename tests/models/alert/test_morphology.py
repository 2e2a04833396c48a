"""Morphology of stamps: profiles, Fourier modes and correlations, without orientation."""

import pytest
import torch

from ztfrep.models.alert.morphology import N_MORPHOLOGY, compute_morphology
from ztfrep.models.alert.orientation import N_ORIENTATIONS, reorient

# First index of each kind of number; each kind has three channels.
MEAN, DEVIATION, RELATIVE_MEAN, MODES, CORRELATIONS, CONTEXT = 0, 33, 66, 132, 252, 261
AXIS = torch.arange(21) - 10.0
RADIUS = torch.hypot(AXIS[:, None], AXIS)


def random_stamps(n=4, seed=0):
    stamps = torch.randn(n, 8, 21, 21, generator=torch.Generator().manual_seed(seed))
    stamps[:, 6:] = 1
    return stamps


def with_crop(image):
    """Return the stamps of one alert whose three channels of the crop are this image."""
    stamps = random_stamps(1)
    stamps[:, :3] = image
    return stamps


def test_mean_and_standard_deviation_of_each_ring_are_computed():
    stamps = random_stamps(2)
    morphology, mask = compute_morphology(stamps)
    assert morphology.shape == mask.shape == (2, N_MORPHOLOGY)
    assert mask.all()
    context_means = morphology[0, CONTEXT : CONTEXT + 33].view(3, 11)
    torch.testing.assert_close(context_means[:, 0], stamps[0, 3:6, 10, 10])
    ring = (RADIUS - 4).abs() <= 0.5
    for channel in range(3):
        pixels = stamps[1, channel][ring]
        index = 11 * channel + 4
        assert morphology[1, MEAN + index] == pytest.approx(pixels.mean().item(), abs=1e-5)
        deviation = pixels.std(unbiased=False).item()
        assert morphology[1, DEVIATION + index] == pytest.approx(deviation, abs=1e-4)
        centre = stamps[1, channel, 10, 10].item()
        assert morphology[1, MEAN + 11 * channel] == pytest.approx(centre)


@pytest.mark.parametrize("orientation", range(1, N_ORIENTATIONS))
def test_morphology_is_invariant_to_rotation_and_mirroring(orientation):
    expected, _ = compute_morphology(random_stamps())
    morphology, _ = compute_morphology(reorient(random_stamps(), orientation))
    torch.testing.assert_close(morphology, expected, atol=1e-4, rtol=1e-4)


def test_the_relative_profile_of_a_point_source_does_not_depend_on_the_noise():
    point = torch.exp(-RADIUS.square() / 8)
    faint, bright = (compute_morphology(with_crop(torch.asinh(c * point)))[0] for c in (20, 2000))
    relative = slice(RELATIVE_MEAN, MODES)
    torch.testing.assert_close(faint[:, relative], bright[:, relative], atol=1e-4, rtol=0)
    assert (faint - bright)[:, :RELATIVE_MEAN].abs().max() > 1
    wide, _ = compute_morphology(with_crop(torch.asinh(20 * torch.exp(-RADIUS.square() / 30))))
    assert wide[0, RELATIVE_MEAN + 3] > faint[0, RELATIVE_MEAN + 3] + 0.2


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_a_wave_around_the_centre_is_measured_at_its_order(order):
    angle = torch.atan2(AXIS[:, None], AXIS) + 0.4
    wave = with_crop(torch.cos(order * angle))
    modes = compute_morphology(wave)[0][0, MODES : MODES + 40]
    outer = modes.view(4, 10)[:, 6:].mean(dim=1)
    assert outer.argmax() == order - 1
    assert outer[order - 1] == pytest.approx(0.5, abs=0.05)
    assert outer.sum() - outer[order - 1] < 0.2


def test_proportional_channels_have_a_correlation_of_one():
    stamps = random_stamps(1)
    stamps[:, 1] = 3 * stamps[:, 0] + 1
    stamps[:, 2] = -stamps[:, 0]
    correlations = compute_morphology(stamps)[0][0, CORRELATIONS:CONTEXT].view(3, 3)
    torch.testing.assert_close(correlations, torch.tensor([[1.0, -1.0, -1.0]] * 3))


def test_a_crop_or_context_without_observed_pixels_is_masked_and_finite():
    stamps = random_stamps()
    stamps[0, 3:6], stamps[0, 7] = 0, 0
    stamps[1] = 0
    morphology, mask = compute_morphology(stamps)
    assert torch.isfinite(morphology).all()
    assert mask[0, :CONTEXT].all()
    assert not mask[0, CONTEXT:].any()
    assert not mask[1].any()
    assert mask[2:].all()


def test_morphology_of_huge_pixels_is_finite():
    assert torch.isfinite(compute_morphology(1e4 * random_stamps())[0]).all()
