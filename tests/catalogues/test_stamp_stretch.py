import numpy as np
import pytest

from ztfrep.catalogues.stamp_stretch import _pixels, stretch_preview
from ztfrep.data.stamp_previews import make_previews


def stamp(peak, *, seed=0, size=63):
    """Return counts of noise of 10 and a source in the middle, whose peak is in units of it."""
    rows, columns = np.indices((size, size)) - size // 2
    source = peak * np.exp(-(rows**2 + columns**2) / 8)
    noise = np.random.default_rng(seed).normal(0, 1, (size, size))
    return (1000 + 10 * (noise + source)).astype(np.float32)


def preview(counts):
    return make_previews(counts[None, None])[0, 0]


def test_the_levels_of_a_preview_lead_back_to_pixels_in_units_of_their_mad():
    counts = stamp(200)
    pixels = _pixels(preview(counts), np.ones(counts.shape, bool))
    mad = np.median(np.abs(counts - np.median(counts)))
    expected = (counts - np.median(counts)) / mad
    np.testing.assert_allclose(pixels, expected, rtol=0.15, atol=0.1)


def test_brighter_pixels_have_higher_levels_and_masked_ones_are_zero():
    counts = stamp(50)
    counts[10:14, 20:30] = np.nan
    levels = stretch_preview(preview(counts))
    observed = np.isfinite(counts)
    assert (levels[~observed] == 0).all() and (levels[observed] >= 1).all()
    order = np.argsort(counts[observed])
    assert (np.diff(levels[observed][order].astype(int)) >= 0).all()


@pytest.mark.parametrize(
    ("peak", "darkest", "brightest"), [(500, 0, 30), (30, 20, 80), (6, 50, 130)]
)
def test_the_source_is_white_and_the_noise_is_darker_the_brighter_it_is(peak, darkest, brightest):
    levels = stretch_preview(preview(stamp(peak)))
    assert levels[28:35, 28:35].max() == 255
    assert darkest < np.median(levels) < brightest


def test_a_brighter_star_at_the_side_does_not_hide_the_source():
    counts = stamp(20)
    alone = stretch_preview(preview(counts))
    counts[2:6, 2:6] = 1e5
    beside = stretch_preview(preview(counts))
    assert beside[2:6, 2:6].min() == 255
    # Levels of a preview with such a star are coarser.
    assert np.abs(alone[20:44, 20:44].astype(int) - beside[20:44, 20:44]).mean() < 5


def test_stamps_without_noise_or_pixels_have_levels():
    counts = np.full((9, 9), 3.0, np.float32)
    assert len(np.unique(stretch_preview(preview(counts)))) == 1
    counts[4, 4] = 5
    levels = stretch_preview(preview(counts))
    assert levels[4, 4] == 255 and (levels[:4] == 1).all()
    assert not stretch_preview(np.zeros((9, 9), np.uint8)).any()
