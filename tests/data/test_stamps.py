import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ztfrep.data.stamps import (
    CROP,
    crop,
    crop_and_context,
    crop_and_scale,
    downsample_context,
    mask_pixels,
    scale,
)


def stamps(n=4, size=63, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 3, size, size)).astype(np.float32)


def test_pixels_with_the_value_for_no_data_are_masked():
    pixels = np.array([1.0, np.nan, np.inf, -3.4e38, -5.0], np.float32)
    np.testing.assert_array_equal(mask_pixels(pixels), [1, np.nan, np.nan, np.nan, -5])


@pytest.mark.parametrize("size", [21, 27, 63])
def test_a_crop_is_the_centre(size):
    images = np.zeros((2, 3, size, size))
    images[..., size // 2, size // 2] = 1
    cropped = crop(images)
    assert cropped.shape == (2, 3, CROP, CROP)
    assert (cropped[..., 10, 10] == 1).all()
    assert cropped.sum() == 6


def test_a_stamp_too_small_to_crop_is_refused():
    with pytest.raises(ValueError, match="20 x 63"):
        crop(np.zeros((1, 3, 20, 63)))


@given(st.floats(0.01, 1e4), st.floats(-1e4, 1e4), st.sampled_from(["minmax", "asinh"]))
def test_an_affine_scaling_of_the_counts_changes_nothing(gain, offset, method):
    images = stamps().astype(np.float64)
    scaled, _ = crop_and_scale(images * gain + offset, method)
    np.testing.assert_allclose(scaled, crop_and_scale(images, method)[0], atol=2e-4)


def test_the_crop_comes_before_the_scaling():
    images = stamps()
    images[:, :, 0, 0] = 1e6  # A bright neighbour outside the crop must not flatten what is inside.
    pixels, _ = crop_and_scale(images, "minmax")
    assert pixels.min(axis=(2, 3)).max() == 0
    assert pixels.max(axis=(2, 3)).min() == 1


@pytest.mark.parametrize("method", ["none", "minmax", "asinh"])
def test_masked_pixels_do_not_change_the_others(method):
    images = stamps()
    images[0, 1, 20:40, 30] = np.nan
    images[1] = np.nan
    pixels, observed = crop_and_scale(images, method)
    assert pixels.dtype == np.float32
    assert np.isfinite(pixels).all()
    assert (pixels[~observed] == 0).all()
    assert not observed[1].any()
    np.testing.assert_array_equal(observed, np.isfinite(crop(images)))
    whole, _ = crop_and_scale(stamps(), method)
    np.testing.assert_array_equal(pixels[2:], whole[2:])


@pytest.mark.parametrize("method", ["minmax", "asinh"])
def test_a_constant_stamp_is_zero_not_nan(method):
    pixels, _ = scale(np.full((1, 3, CROP, CROP), 7, np.float32), method)
    assert (pixels == 0).all()


def test_a_stamp_constant_but_for_one_pixel_does_not_become_constant():
    images = np.zeros((1, 3, CROP, CROP), np.float32)
    images[..., 10, 10] = 5
    pixels, _ = scale(images, "asinh")
    assert pixels[0, 0, 10, 10] == pytest.approx(np.arcsinh(1))


def test_scaling_none_does_not_change_the_pixels():
    images = stamps(size=21)
    np.testing.assert_array_equal(scale(images, "none")[0], images)


def test_an_unknown_scaling_is_refused():
    with pytest.raises(ValueError, match="Unknown scaling 'log'. Must be one of: none, minmax"):
        scale(stamps(), "log")


def test_the_context_is_averaged_around_the_centre_over_observed_pixels():
    images = np.zeros((1, 3, 63, 63), np.float32)
    images[0, 0, 30:33, 30:33] = 9
    images[0, 1] = np.nan
    images[0, 1, 0, 0] = 4
    context = downsample_context(images)
    assert context[0, 0, 10, 10] == 9
    assert context[0, 0].sum() == 9
    # A cell of one observed pixel has that pixel's value; one of none has none.
    assert context[0, 1, 0, 0] == 4
    assert np.isnan(context[0, 1]).sum() == 440
    assert np.isnan(downsample_context(stamps(2, 27))).all()


@pytest.mark.parametrize("size", [27, 63])
def test_crop_and_context_do_not_change_with_an_affine_scaling(size):
    images = stamps(3, size)
    images[1, 2, :, : size // 2] = np.nan
    inputs = crop_and_context(images)
    assert inputs.shape == (3, 8, CROP, CROP)
    assert inputs.dtype == np.float32
    assert np.isfinite(inputs).all()
    np.testing.assert_allclose(crop_and_context(images * 3 - 40), inputs, atol=2e-4)
    assert (inputs[:, 7] == 0).all() == (size == 27)
    assert inputs[1, 6].min() == pytest.approx(2 / 3)
    assert (inputs[1, 2, :, :10] == 0).all()
