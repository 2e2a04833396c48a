import pytest
import torch

from ztfrep.models.alert.noise_levels import NoiseLevels, draw_noise, estimate_noise, scale_noise

N = 60
OBSERVED = torch.ones(N, 3, 21, 21, dtype=torch.bool)


def noisy_sky(deviations=(0.05, 0.02, 0.04), correlation=0.9):
    noise = draw_noise(N, 21, torch.Generator().manual_seed(3))
    deviation = torch.tensor(deviations)[:, None, None].expand(N, 3, 21, 21)
    return 0.3 + scale_noise(noise, NoiseLevels(deviation, torch.full((N,), correlation)))


def test_the_noise_of_a_sky_is_its_standard_deviation():
    levels = estimate_noise(noisy_sky(), OBSERVED)
    median = levels.deviation.flatten(2).median(dim=2).values.mean(dim=0)
    # Half of the pixels of a sky are above its median, and count as faint sources.
    torch.testing.assert_close(median, torch.tensor([0.05, 0.02, 0.04]), rtol=0.06, atol=0)
    torch.testing.assert_close(levels.correlation.mean(), torch.tensor(0.9), rtol=0.05, atol=0)


@pytest.mark.parametrize("sign", [-1, 1])
def test_the_correlation_of_science_and_difference_has_the_sign_of_the_difference(sign):
    pixels = noisy_sky()
    pixels[:, 2] *= sign
    assert (sign * estimate_noise(pixels, OBSERVED).correlation > 0.5).all()


def test_noise_scales_with_the_pixels_and_does_not_depend_on_their_offset():
    pixels = noisy_sky()
    levels, scaled = (estimate_noise(p, OBSERVED) for p in (pixels, 7 * pixels - 2))
    torch.testing.assert_close(scaled.deviation, 7 * levels.deviation, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(scaled.correlation, levels.correlation, rtol=0, atol=1e-3)


def test_a_bright_source_has_photon_noise_in_the_difference_too():
    pixels = noisy_sky()
    pixels[:, 0, 10, 10] += 50 * 0.05
    deviation = estimate_noise(pixels, OBSERVED).deviation
    for channel, larger in ((0, True), (1, False), (2, True)):
        ratio = deviation[:, channel, 10, 10] / deviation[:, channel].flatten(1).median(1).values
        assert ((ratio > 1.2) == larger).all()


def test_pixels_without_data_have_no_noise_and_do_not_change_that_of_others():
    observed = OBSERVED.clone()
    observed[:, :, :5] = False
    observed[0] = False
    pixels = noisy_sky()
    levels, whole = estimate_noise(pixels * observed, observed), estimate_noise(pixels, OBSERVED)
    assert not levels.deviation[~observed].any()
    ratio = levels.deviation[1:, :, 8:] / whole.deviation[1:, :, 8:]
    torch.testing.assert_close(ratio.mean(), torch.tensor(1.0), rtol=0.05, atol=0)
    assert levels.deviation.isfinite().all() and levels.correlation.isfinite().all()


def test_a_constant_stamp_has_no_noise():
    levels = estimate_noise(torch.zeros(N, 3, 21, 21), OBSERVED)
    assert not levels.deviation.any() and not levels.correlation.any()


def test_neighbouring_pixels_of_a_templates_noise_are_correlated_as_in_the_simulation():
    noise = draw_noise(2000, 21, torch.Generator().manual_seed(0))
    for channel, expected in ((0, 0.0), (1, 0.2), (2, 0.0)):
        image = noise[:, channel]
        correlation = (image[..., 1:] * image[..., :-1]).mean() / image.square().mean()
        assert abs(correlation - expected) < 0.01
    torch.testing.assert_close(noise.std(dim=(0, 2, 3)), torch.ones(3), atol=0.01, rtol=0)
