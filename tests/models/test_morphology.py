"""Shapes of stamps."""

import pytest
import torch

from ztfrep.models.alert.morphology import SHAPES, measured_shapes
from ztfrep.models.alert.orientation import POSES, turned

# Where each kind of number begins, three channels of each.
MEAN, DEVIATION, WHOLE_MEAN, MODES, CORRELATIONS, WIDE = 0, 33, 66, 132, 252, 261
PLACE = torch.arange(21) - 10.0
RADIUS = torch.hypot(PLACE[:, None], PLACE)


def views(n=4, seed=0):
    seen = torch.randn(n, 8, 21, 21, generator=torch.Generator().manual_seed(seed))
    seen[:, 6:] = 1
    return seen


def showing(image):
    """Views of one alert, whose three near images are alike."""
    seen = views(1)
    seen[:, :3] = image
    return seen


def test_the_mean_and_the_deviation_of_each_ring_are_measured():
    given = views(2)
    measured, known = measured_shapes(given)
    assert measured.shape == known.shape == (2, SHAPES)
    assert known.all()
    ring_means = measured[0, WIDE : WIDE + 33].view(3, 11)
    torch.testing.assert_close(ring_means[:, 0], given[0, 3:6, 10, 10])
    ring = (RADIUS - 4).abs() <= 0.5
    for channel in range(3):
        pixels = given[1, channel][ring]
        place = 11 * channel + 4
        assert measured[1, MEAN + place] == pytest.approx(pixels.mean().item(), abs=1e-5)
        deviation = pixels.std(unbiased=False).item()
        assert measured[1, DEVIATION + place] == pytest.approx(deviation, abs=1e-4)
        assert measured[1, MEAN + 11 * channel] == pytest.approx(given[1, channel, 10, 10].item())


def test_shapes_do_not_know_how_the_stamp_lies():
    expected, _ = measured_shapes(views())
    for pose in range(1, POSES):
        found, _ = measured_shapes(turned(views(), pose))
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_a_point_is_as_wide_whatever_the_noise():
    point = torch.exp(-RADIUS.square() / 8)
    faint, bright = (measured_shapes(showing(torch.asinh(c * point)))[0] for c in (20, 2000))
    whole = slice(WHOLE_MEAN, MODES)
    torch.testing.assert_close(faint[:, whole], bright[:, whole], atol=1e-4, rtol=0)
    assert (faint - bright)[:, :WHOLE_MEAN].abs().max() > 1
    wide, _ = measured_shapes(showing(torch.asinh(20 * torch.exp(-RADIUS.square() / 30))))
    assert wide[0, WHOLE_MEAN + 3] > faint[0, WHOLE_MEAN + 3] + 0.2


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_a_wave_about_the_centre_is_found_at_its_order(order):
    angle = torch.atan2(PLACE[:, None], PLACE) + 0.4
    modes = measured_shapes(showing(torch.cos(order * angle)))[0][0, MODES : MODES + 40]
    outer = modes.view(4, 10)[:, 6:].mean(dim=1)
    assert outer.argmax() == order - 1
    assert outer[order - 1] == pytest.approx(0.5, abs=0.05)
    assert outer.sum() - outer[order - 1] < 0.2


def test_channels_that_are_alike_correlate():
    given = views(1)
    given[:, 1] = 3 * given[:, 0] + 1
    given[:, 2] = -given[:, 0]
    found = measured_shapes(given)[0][0, CORRELATIONS:WIDE].view(3, 3)
    torch.testing.assert_close(found, torch.tensor([[1.0, -1.0, -1.0]] * 3))


def test_a_scale_that_nobody_observed_is_not_known_and_what_stands_there_is_finite():
    given = views()
    given[0, 3:6], given[0, 7] = 0, 0
    given[1] = 0
    measured, known = measured_shapes(given)
    assert torch.isfinite(measured).all()
    assert torch.isfinite(measured_shapes(1e4 * views())[0]).all()
    assert known[0, :WIDE].all()
    assert not known[0, WIDE:].any()
    assert not known[1].any()
    assert known[2:].all()
