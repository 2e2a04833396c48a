import numpy as np
import pytest

from tests.models.alert import numpy_preprocessing
from ztfrep.data.stamps import CROP, crop, mask_pixels, scale


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


@pytest.mark.parametrize("size", [21, 63])
def test_scaled_stamps_are_arcsinh_of_the_deviations_from_the_median(size):
    images = stamps(size=size)
    images[0, 0] = 7
    images[0, 1, 3:9] = np.nan
    images[0, 2, 0, 0] = np.nan
    images[1] = np.nan
    images[2, 0, 1:] = 0
    pixels, observed = scale(images, "asinh")
    expected, mask = numpy_preprocessing.scale(images, "asinh")
    assert pixels.dtype == np.float32
    np.testing.assert_allclose(pixels, expected, rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(observed, mask)


def test_scaling_to_an_unknown_method_is_refused():
    with pytest.raises(ValueError, match="Unknown scaling 'log'. Must be one of: asinh"):
        scale(stamps(), "log")
