import numpy as np
import pytest
import torch

from ztfrep.data.stamps import CROP, crop, mask_pixels


def test_pixels_with_the_value_for_no_data_are_masked():
    pixels = np.array([1.0, np.nan, np.inf, -3.4e38, -5.0], np.float32)
    np.testing.assert_array_equal(mask_pixels(pixels), [1, np.nan, np.nan, np.nan, -5])


@pytest.mark.parametrize("zeros", [np.zeros, torch.zeros])
@pytest.mark.parametrize("size", [21, 27, 63])
def test_a_crop_is_the_centre(size, zeros):
    images = zeros((2, 3, size, size))
    images[..., size // 2, size // 2] = 1
    cropped = crop(images)
    assert cropped.shape == (2, 3, CROP, CROP)
    assert (cropped[..., 10, 10] == 1).all()
    assert cropped.sum() == 6


@pytest.mark.parametrize("zeros", [np.zeros, torch.zeros])
def test_a_stamp_too_small_to_crop_is_refused(zeros):
    with pytest.raises(ValueError, match="20 x 63"):
        crop(zeros((1, 3, 20, 63)))
