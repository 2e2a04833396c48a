"""Radial profiles of stamps."""

import pytest
import torch

from ztfrep.models.poses import POSES, turned
from ztfrep.models.rings import PROFILES, radial_profiles


def views(n=4):
    seen = torch.randn(n, 8, 21, 21, generator=torch.Generator().manual_seed(0))
    seen[:, 6:] = 1
    return seen


def test_a_profile_is_the_mean_and_the_deviation_of_each_ring():
    given = views(2)
    measured, known = radial_profiles(given)
    assert measured.shape == known.shape == (2, PROFILES)
    assert known.all()
    by_image = measured.unflatten(1, (6, 22))
    place = torch.arange(21) - 10
    ring = (torch.hypot(place[:, None].float(), place.float()) - 4).abs() <= 0.5
    for image in range(6):
        pixels = given[1, image][ring]
        assert by_image[1, image, 4] == pytest.approx(pixels.mean().item(), abs=1e-5)
        deviation = pixels.std(unbiased=False).item()
        assert by_image[1, image, 11 + 4] == pytest.approx(deviation, abs=1e-4)
    assert by_image[0, 3, 0] == pytest.approx(given[0, 3, 10, 10].item(), abs=1e-5)


def test_a_profile_does_not_know_how_the_stamp_lies():
    expected, _ = radial_profiles(views())
    for pose in range(1, POSES):
        found, _ = radial_profiles(turned(views(), pose))
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_a_scale_that_nobody_observed_is_not_known():
    given = views()
    given[0, 3:6], given[0, 7] = 0, 0
    given[1] = 0
    _, known = radial_profiles(given)
    near, wide = known[:, : PROFILES // 2], known[:, PROFILES // 2 :]
    assert near[0].all()
    assert not wide[0].any()
    assert not known[1].any()
    assert known[2:].all()
