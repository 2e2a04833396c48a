"""The scaling of stamps and metadata in torch, compared with that in numpy."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import ztfrep
from tests.models.alert.numpy_preprocessing import preprocess
from ztfrep.data.alerts import Alerts
from ztfrep.data.features import ALERCE_FEATURES, PHYSICAL, SENTINEL, ZSCORED_UNKNOWN
from ztfrep.data.stamps import CROP, SCALING_METHODS
from ztfrep.models.alert.base import AlertInput
from ztfrep.models.alert.preprocessing import AlertPreprocessing, FeatureScaling
from ztfrep.models.alert.stamp_scaling import (
    _arcsinh,
    crop_and_context,
    crop_and_scale,
    mask_stamps,
)

NAMES = ALERCE_FEATURES.names
MAX_DIFFERENCE = 1e-6
# Beyond 1, float32 resolves a difference of 1.2e-7 of the value: several roundings are allowed.
MAX_RELATIVE_DIFFERENCE = 5e-7


def stamps(n=4, size=63, seed=0):
    generator = np.random.default_rng(seed)
    pixels = generator.normal(300, 20, (n, 3, size, size))
    pixels[:, :, size // 2, size // 2] += 3000
    return pixels.astype(np.float32)


def metadata(n=4, seed=0):
    return np.random.default_rng(seed).uniform(0, 15, (n, len(NAMES)))


def scaling(unit=PHYSICAL, excluded=()):
    return FeatureScaling.fit(metadata(50, seed=1), unit, excluded)


def assert_equal(stamps, metadata, *, method="minmax", features=None, context=True):
    """Assert that both preprocessings return the same; return the result."""
    features = features or scaling()
    with np.errstate(all="ignore"):
        alerts = Alerts.from_arrays(stamps, dict(zip(NAMES, metadata.T, strict=True)))
        expected = preprocess(
            alerts.stamps, alerts.metadata, alerts.feature_unit,
            stamp_scaling=method, feature_scaling=features, context=context,
        )  # fmt: skip
    preprocessing = AlertPreprocessing(method, features, context=context)
    computed = AlertInput(*preprocessing(torch.from_numpy(stamps), torch.from_numpy(metadata)))
    for name, values, wanted in zip(computed._fields, computed, expected, strict=True):
        assert values.shape == wanted.shape, name
        assert values.numpy().dtype == wanted.dtype, name
        if wanted.dtype == bool:
            np.testing.assert_array_equal(values, wanted, err_msg=name)
        else:
            np.testing.assert_allclose(
                values, wanted, rtol=MAX_RELATIVE_DIFFERENCE, atol=MAX_DIFFERENCE, err_msg=name
            )
    return computed


def scaled(pixels, method):
    """Return the scaled crops of an array of stamps, and the mask of observed pixels."""
    return crop_and_scale(*mask_stamps(torch.from_numpy(pixels)), method)


def images_of(pixels):
    """Return crop and context of an array of stamps."""
    return crop_and_context(*mask_stamps(torch.from_numpy(pixels)))


def test_arcsinh_has_the_precision_of_float32_over_its_whole_range():
    # Every normal positive exponent, and several hundred numbers of each.
    tiny, largest = np.finfo(np.float32).tiny, np.finfo(np.float32).max
    ends = np.array([tiny, largest], np.float32).view(np.uint32)
    values = np.linspace(*ends, 200_001).astype(np.uint32).view(np.float32)
    assert values[-1] == largest
    computed = _arcsinh(torch.from_numpy(values)).double().numpy()
    np.testing.assert_allclose(computed, np.arcsinh(values.astype(np.float64)), rtol=2e-7)
    opposite = _arcsinh(torch.from_numpy(-values)).double().numpy()
    np.testing.assert_array_equal(opposite, -computed)
    # Below the normal numbers only the absolute error is small.
    below = np.linspace(0, ends[0], 1001).astype(np.uint32).view(np.float32)
    np.testing.assert_allclose(_arcsinh(torch.from_numpy(below)), below, rtol=0, atol=2e-45)


def test_arcsinh_of_0_is_0_and_of_what_is_no_number_none():
    special = torch.tensor([0.0, torch.inf, -torch.inf, torch.nan])
    expected = torch.tensor([0.0, torch.inf, -torch.inf, torch.nan])
    torch.testing.assert_close(_arcsinh(special), expected, equal_nan=True, rtol=0, atol=0)


def test_pixels_that_are_no_counts_are_masked_and_0():
    values = torch.tensor([1.0, torch.nan, torch.inf, -3.4e38, -5.0, 9e29])
    pixels, observed = mask_stamps(values)
    assert observed.tolist() == [True, False, False, False, True, True]
    assert torch.equal(pixels, torch.where(observed, values, 0.0))


@given(st.floats(0.01, 1e4), st.floats(-1e4, 1e4), st.sampled_from(["minmax", "asinh"]))
def test_an_affine_scaling_of_the_counts_changes_nothing(gain, offset, method):
    # In float64, where rounding of the scaled counts is not what is measured.
    pixels = np.random.default_rng(0).normal(size=(4, 3, 63, 63))
    changed, _ = scaled(pixels * gain + offset, method)
    torch.testing.assert_close(changed, scaled(pixels, method)[0], atol=1e-6, rtol=0)


def test_the_crop_comes_before_the_scaling():
    pixels = stamps()
    pixels[:, :, 0, 0] = 1e6  # A bright neighbour outside the crop must not flatten what is inside.
    crops, _ = scaled(pixels, "minmax")
    assert crops.amin(dim=(2, 3)).max() == 0
    assert crops.amax(dim=(2, 3)).min() == 1


@pytest.mark.parametrize("method", SCALING_METHODS)
def test_masked_pixels_do_not_change_the_others(method):
    pixels = stamps()
    pixels[0, 1, 20:40, 30] = np.nan
    pixels[1] = np.nan
    crops, observed = scaled(pixels, method)
    assert crops.dtype == torch.float32
    assert torch.isfinite(crops).all()
    assert (crops[~observed] == 0).all()
    assert not observed[1].any()
    assert torch.equal(observed, torch.from_numpy(np.isfinite(pixels[..., 21:42, 21:42])))
    assert torch.equal(crops[2:], scaled(stamps(), method)[0][2:])
    # What is under the mask has no effect.
    filled = np.where(np.isfinite(pixels), pixels, -3.4e38)
    assert torch.equal(scaled(filled, method)[0], crops)


@pytest.mark.parametrize("method", ["minmax", "asinh"])
def test_a_constant_stamp_is_zero_not_nan(method):
    assert (scaled(np.full((1, 3, CROP, CROP), 7, np.float32), method)[0] == 0).all()


def test_a_stamp_constant_but_for_one_pixel_does_not_become_constant():
    pixels = np.zeros((1, 3, CROP, CROP), np.float32)
    pixels[..., 10, 10] = 5
    assert scaled(pixels, "asinh")[0][0, 0, 10, 10] == pytest.approx(np.arcsinh(1))


def test_scaling_none_does_not_change_the_pixels():
    assert torch.equal(scaled(stamps(size=21), "none")[0], torch.from_numpy(stamps(size=21)))


def test_an_unknown_scaling_is_refused():
    with pytest.raises(ValueError, match="Unknown scaling 'log'. Must be one of: none, minmax"):
        scaled(stamps(), "log")


def test_the_context_is_averaged_around_the_centre_over_observed_pixels():
    pixels = np.zeros((1, 3, 63, 63), np.float32)
    # The mean of a cell of one observed pixel is that pixel.
    pixels[0, 0, 30:33, 30:33], pixels[0, 0, 31, 31] = np.nan, 8
    # Two cells of three values each, the rest unobserved.
    pixels[0, 1] = np.nan
    pixels[0, 1, 0, :3], pixels[0, 1, 62, 60:] = [1, 2, 3], [2, 4, 6]
    context = images_of(pixels)[0, 3:6]
    # All others are 0, so the width is the largest deviation.
    assert context[0, 10, 10] == pytest.approx(np.arcsinh(1))
    assert (context[0] != 0).sum() == 1
    # Means 2 and 4 are at one MAD from their median, 3.
    assert context[1, 0, 0] == pytest.approx(-np.arcsinh(1))
    assert context[1, 20, 20] == pytest.approx(np.arcsinh(1))
    assert (context[1] != 0).sum() == 2


@pytest.mark.parametrize("size", [27, 63])
def test_crop_and_context_do_not_change_with_an_affine_scaling(size):
    pixels = np.random.default_rng(0).normal(size=(3, 3, size, size)).astype(np.float32)
    pixels[1, 2, :, : size // 2] = np.nan
    images = images_of(pixels)
    assert images.shape == (3, 8, CROP, CROP)
    assert images.dtype == torch.float32
    assert torch.isfinite(images).all()
    torch.testing.assert_close(images_of(pixels * 3 - 40), images, atol=2e-4, rtol=0)
    assert (images[:, 7] == 0).all() == (size == 27)
    assert images[1, 6].min() == pytest.approx(2 / 3)
    assert (images[1, 2, :, :10] == 0).all()


@pytest.mark.parametrize("context", [True, False])
@pytest.mark.parametrize("method", SCALING_METHODS)
@pytest.mark.parametrize("size", [21, 41, 42, 63, 64])
def test_stamps_of_any_size_and_scaling_are_equal(method, size, context):
    assert_equal(stamps(size=size), metadata(), method=method, context=context)


def all_masked(pixels):
    pixels[0] = np.nan
    pixels[1, 1] = -3.4e38
    pixels[2, 2] = np.inf


def crop_masked(pixels):
    pixels[..., 21:42, 21:42] = np.nan


def mostly_masked(pixels):
    # Counts of observed pixels that are even and odd, of one and of two.
    pixels[0, 0] = np.nan
    pixels[0, 0, 30, 30:34] = [1, 2, 4, 8]
    pixels[0, 1] = np.nan
    pixels[0, 1, 31, 31] = 5
    pixels[0, 2, 40:] = np.nan
    pixels[1, 0] = np.nan
    pixels[1, 0, 31, 31:33] = [3, 7]


def constant(pixels):
    pixels[0] = 7
    pixels[1] = 0
    pixels[2] = 7
    pixels[2, :, 31, 31] = 9


def huge(pixels):
    pixels[0] = 9e29
    pixels[0, 0, 31, 31] = -9e29
    pixels[1] *= 1e25
    pixels[2, 0] = 1e30
    pixels[3, 1] = np.finfo(np.float32).max


def tiny(pixels):
    pixels *= 1e-30


@pytest.mark.parametrize("method", SCALING_METHODS)
@pytest.mark.parametrize("change", [all_masked, crop_masked, mostly_masked, constant, huge, tiny])
def test_odd_stamps_are_equal(change, method):
    pixels = stamps()
    change(pixels)
    computed = assert_equal(pixels, metadata(), method=method)
    assert torch.isfinite(computed.pixels).all()


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1), st.floats(-4, 6), st.floats(-1e4, 1e4))
def test_randomly_masked_stamps_are_equal(seed, masked, magnitude, offset):
    generator = np.random.default_rng(seed)
    pixels = (stamps(2, seed=seed) * 10**magnitude + offset).astype(np.float32)
    # Few different values, so that more than half of the pixels may be equal.
    pixels[1] = np.round(pixels[1] / pixels[1].std())
    pixels[generator.random(pixels.shape) < masked] = np.nan
    assert_equal(pixels, metadata(2), method="asinh")


numbers = st.one_of(
    st.sampled_from([SENTINEL, -1.0, -0.5, 0.0, 20.0, 360.0, 360.01, 360.02, -90.01, -90.02]),
    st.sampled_from([np.nan, np.inf, -np.inf, 1e39, -3.4e38, 3000.0, 2000.0, 1.5, 15.0]),
    st.floats(-1000, 4000),
)


@given(st.lists(numbers, min_size=len(NAMES), max_size=len(NAMES)))
def test_any_metadata_are_equal(values):
    rows = np.array([values, values[::-1]])
    assert_equal(stamps(2, 21), rows, features=scaling(excluded=["ra", "dec"]), context=False)


def test_metadata_of_each_odd_value_are_equal_and_masked():
    rows = np.repeat(metadata(1), 4, axis=0)
    rows[0], rows[1], rows[2] = np.nan, SENTINEL, np.inf
    computed = assert_equal(stamps(), rows)
    assert not computed.feature_mask[:3].any()
    assert computed.feature_mask[3].all()
    sharpness, chi = (ALERCE_FEATURES.index(name) for name in ("sharpnr", "chinr"))
    rows[3, chi] = SENTINEL
    assert not assert_equal(stamps(), rows).feature_mask[3, [sharpness, chi]].any()


@pytest.mark.parametrize("unit", [ZSCORED_UNKNOWN, "none"])
def test_metadata_are_masked_if_the_network_was_trained_on_another_unit(unit):
    computed = assert_equal(stamps(), metadata(), features=scaling(unit))
    assert not computed.feature_mask.any()


@pytest.mark.skipif("ZTFREP_REAL_DATA" not in os.environ, reason="ZTFREP_REAL_DATA is not set")
@pytest.mark.parametrize("method", SCALING_METHODS)
def test_real_alerts_are_equal(method):
    folder = Path(os.environ["ZTFREP_REAL_DATA"]) / "real-alerts"
    alerts = ztfrep.read_packets(folder / "ztf_public_2018.tar.gz")
    assert_equal(alerts.stamps, alerts.metadata, method=method)
