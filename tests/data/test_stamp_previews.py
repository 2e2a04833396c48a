"""Previews of stamps: the levels of arcsinh((pixel - median) / MAD), 0 where not observed."""

import numpy as np
import pytest

from ztfrep.data.stamp_previews import make_previews


def exact_previews(stamps):
    """Return previews by the definition, with an exact arcsinh of every pixel."""
    previews = np.zeros(stamps.shape, np.uint8)
    for stamp, preview in zip(
        stamps.reshape(-1, *stamps.shape[2:]),
        previews.reshape(-1, *stamps.shape[2:]),
        strict=True,
    ):
        observed = np.isfinite(stamp)
        if not observed.any():
            continue
        deviations = stamp[observed] - np.median(stamp[observed])
        mad, largest = np.median(np.abs(deviations)), np.abs(deviations).max()
        values = np.arcsinh(deviations / (mad or largest or np.float32(1)))
        span = np.ptp(values) or np.float32(1)
        preview[observed] = 1 + np.rint(254 * ((values - values.min()) / span))
    return previews


# Stamps with an odd and with an even number of pixels: their medians differ.
@pytest.mark.parametrize("width", [21, 20])
@pytest.mark.parametrize("masked", [0, 0.2])
def test_levels_are_those_of_the_exact_arcsinh(width, masked):
    rng = np.random.default_rng(width)
    scales = 10 ** rng.uniform(-3, 28, (1000, 3, 1, 1))
    stamps = (rng.standard_normal((1000, 3, 21, width)) ** 3 * scales).astype(np.float32)
    stamps[rng.random(stamps.shape) < masked] = np.nan
    np.testing.assert_array_equal(make_previews(stamps), exact_previews(stamps))


def test_stamps_without_two_different_pixels_have_one_level():
    stamps = np.full((4, 3, 21, 21), 5, np.float32)
    stamps[1] = np.nan
    stamps[2, :, :11] = 1  # More than half are equal: the MAD is 0.
    stamps[3, 0] = np.nan
    previews = make_previews(stamps)
    np.testing.assert_array_equal(previews, exact_previews(stamps))
    assert (previews[0] == 1).all()
    assert (previews[1] == 0).all()
    assert set(np.unique(previews[2])) == {1, 255}


def test_no_stamps_have_no_previews():
    assert make_previews(np.empty((0, 3, 63, 63), np.float32)).shape == (0, 3, 63, 63)
