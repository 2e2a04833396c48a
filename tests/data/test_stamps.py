import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ztfrep.data.stamps import crop, mask_pixels, prepare, rescale, shrink, two_scales


def stamps(n=4, size=63, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 3, size, size)).astype(np.float32)


def test_pixels_without_data_are_masked_by_value_too():
    pixels = np.array([1.0, np.nan, np.inf, -3.4e38, -5.0], np.float32)
    np.testing.assert_array_equal(mask_pixels(pixels), [1, np.nan, np.nan, np.nan, -5])


@pytest.mark.parametrize("size", [21, 27, 63])
def test_a_crop_keeps_the_centre(size):
    images = np.zeros((2, 3, size, size))
    images[..., size // 2, size // 2] = 1
    cropped = crop(images)
    assert cropped.shape == (2, 3, 21, 21)
    assert (cropped[..., 10, 10] == 1).all()
    assert cropped.sum() == 6


def test_a_stamp_too_small_to_crop_is_refused():
    with pytest.raises(ValueError, match="20 x 63"):
        crop(np.zeros((1, 3, 20, 63)))


@given(st.floats(0.01, 1e4), st.floats(-1e4, 1e4), st.sampled_from(["minmax", "asinh"]))
def test_an_affine_scaling_of_the_counts_changes_nothing(gain, offset, how):
    images = stamps().astype(np.float64)
    scaled, _ = prepare(images * gain + offset, how)
    np.testing.assert_allclose(scaled, prepare(images, how)[0], atol=2e-4)


def test_the_crop_comes_before_the_scaling():
    images = stamps()
    images[:, :, 0, 0] = 1e6  # A bright neighbour outside the crop must not flatten what is inside.
    pixels, _ = prepare(images, "minmax")
    assert pixels.min(axis=(2, 3)).max() == 0
    assert pixels.max(axis=(2, 3)).min() == 1


@pytest.mark.parametrize("how", ["none", "minmax", "asinh"])
def test_masked_pixels_neither_count_nor_change_the_others(how):
    images = stamps()
    images[0, 1, 20:40, 30] = np.nan
    images[1] = np.nan
    pixels, observed = prepare(images, how)
    assert pixels.dtype == np.float32
    assert np.isfinite(pixels).all()
    assert (pixels[~observed] == 0).all()
    assert not observed[1].any()
    np.testing.assert_array_equal(observed, np.isfinite(crop(images)))
    whole, _ = prepare(stamps(), how)
    np.testing.assert_array_equal(pixels[2:], whole[2:])


@pytest.mark.parametrize("how", ["minmax", "asinh"])
def test_a_constant_stamp_is_zero_not_nan(how):
    pixels, _ = rescale(np.full((1, 3, 21, 21), 7, np.float32), how)
    assert (pixels == 0).all()


def test_a_stamp_alike_but_for_a_few_pixels_keeps_them():
    images = np.zeros((1, 3, 21, 21), np.float32)
    images[..., 10, 10] = 5
    pixels, _ = rescale(images, "asinh")
    assert pixels[0, 0, 10, 10] == pytest.approx(np.arcsinh(1))


def test_none_leaves_the_pixels():
    images = stamps(size=21)
    np.testing.assert_array_equal(rescale(images, "none")[0], images)


def test_an_unknown_rescaling_is_named():
    with pytest.raises(ValueError, match="Unknown rescaling 'log'. Must be one of: none, minmax"):
        rescale(stamps(), "log")


def test_a_stamp_is_shrunk_about_its_centre_and_by_what_was_observed():
    images = np.zeros((1, 3, 63, 63), np.float32)
    images[0, 0, 30:33, 30:33] = 9
    images[0, 1] = np.nan
    images[0, 1, 0, 0] = 4
    small = shrink(images)
    assert small[0, 0, 10, 10] == 9
    assert small[0, 0].sum() == 9
    # A cell of one observed pixel has that pixel's value; one of none has none.
    assert small[0, 1, 0, 0] == 4
    assert np.isnan(small[0, 1]).sum() == 440
    assert np.isnan(shrink(stamps(2, 27))).all()


@pytest.mark.parametrize("size", [27, 63])
def test_two_scales_show_what_an_affine_change_does_not_alter(size):
    images = stamps(3, size)
    images[1, 2, :, : size // 2] = np.nan
    seen = two_scales(images)
    assert seen.shape == (3, 8, 21, 21)
    assert seen.dtype == np.float32
    assert np.isfinite(seen).all()
    np.testing.assert_allclose(two_scales(images * 3 - 40), seen, atol=2e-4)
    assert (seen[:, 7] == 0).all() == (size == 27)
    assert seen[1, 6].min() == pytest.approx(2 / 3)
    assert (seen[1, 2, :, :10] == 0).all()
