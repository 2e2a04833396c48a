"""From raw stamps and metadata to the input of a network of alerts."""

import numpy as np
import pytest
from pydantic import ValidationError

from ztfrep.data.features import ALERCE_FEATURES, PHYSICAL, ZSCORED_UNKNOWN
from ztfrep.data.stamps import crop_and_context, crop_and_scale
from ztfrep.models.alert.preprocessing import AlertPreprocessing, FeatureScaling

EXCLUDED = ["rb", "distnr", "magnr"]
N_FEATURES = len(ALERCE_FEATURES)


def metadata(n=6, **columns):
    """Return random physical metadata, some columns replaced."""
    values = np.random.default_rng(0).uniform(1, 2, (n, N_FEATURES))
    for name, column in columns.items():
        values[:, ALERCE_FEATURES.index(name)] = column
    return values


def column(values, name):
    return values[:, ALERCE_FEATURES.index(name)]


def test_a_feature_that_was_clipped_to_minus_one_is_unknown_and_counts_in_no_statistic():
    values = metadata(
        distpsnr1=[2.0, -1.0, 4.0, np.nan, 6.0, -999.0],
        chinr=[1.0, -1.0, 1.5, 1.2, 1.1, 0.9],
        sharpnr=[-1.0, -1.0, 0.1, 0.2, 0.1, 0.0],
    )
    scaling = FeatureScaling.fit(values, PHYSICAL)
    scaled, mask = scaling.transform(values, PHYSICAL)
    assert column(mask, "distpsnr1").tolist() == [True, False, True, False, True, False]
    assert scaling.mean[ALERCE_FEATURES.index("distpsnr1")] == pytest.approx(4)
    # A sharpness of -1 is a measurement if the reference source exists.
    assert column(mask, "sharpnr").tolist() == [True, False, True, True, True, True]
    assert (scaled[~mask] == 0).all()
    assert (scaled.dtype, mask.dtype) == (np.float32, bool)


def test_a_zscore_of_minus_one_is_known():
    values = metadata(distpsnr1=[1.0, -1.0, 0.5, 0.2, -1.0, 0.1])
    _, mask = FeatureScaling.fit(values, ZSCORED_UNKNOWN).transform(values, ZSCORED_UNKNOWN)
    assert column(mask, "distpsnr1").all()


def test_fitted_features_have_mean_0_and_standard_deviation_1():
    values = metadata(50)
    values[::7] = np.nan
    scaled, mask = FeatureScaling.fit(values, PHYSICAL).transform(values, PHYSICAL)
    complete = scaled[mask.all(axis=1)]
    np.testing.assert_allclose(complete.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(complete.std(axis=0), 1, rtol=1e-5)


def test_excluded_features_are_masked_and_the_others_are_not():
    values = metadata()
    everything, mask_of_everything = FeatureScaling.fit(values, PHYSICAL).transform(
        values, PHYSICAL
    )
    some, mask = FeatureScaling.fit(values, PHYSICAL, EXCLUDED).transform(values, PHYSICAL)
    assert mask_of_everything.all()
    for name in ALERCE_FEATURES.names:
        if name in EXCLUDED:
            assert not column(mask, name).any()
            assert not column(some, name).any()
        else:
            assert column(mask, name).all()
            np.testing.assert_array_equal(column(some, name), column(everything, name))


def test_features_of_another_unit_are_all_masked():
    values = metadata()
    scaled, mask = FeatureScaling.fit(values, PHYSICAL).transform(values, ZSCORED_UNKNOWN)
    assert not mask.any()
    assert not scaled.any()


def test_the_scaling_of_a_network_without_metadata_masks_all_of_it():
    scaled, mask = FeatureScaling.none().transform(metadata(), PHYSICAL)
    assert not mask.any()
    assert not scaled.any()


def test_metadata_without_a_unit_is_masked_by_every_scaling():
    for scaling in (FeatureScaling.none(), FeatureScaling.fit(metadata(), PHYSICAL)):
        scaled, mask = scaling.transform(metadata(), "none")
        assert not mask.any()
        assert not scaled.any()


def test_scaling_does_not_change_its_input():
    values = metadata(distpsnr1=-999.0)
    before = values.copy()
    for unit in (PHYSICAL, ZSCORED_UNKNOWN):
        FeatureScaling.fit(values, unit, EXCLUDED).transform(values, unit)
    np.testing.assert_array_equal(values, before)


@pytest.mark.parametrize(
    "change",
    [
        {"names": ["x"] * N_FEATURES},
        {"names": list(reversed(ALERCE_FEATURES.names))},
        {"unit": "furlong"},
        {"mean": [0.0] * (N_FEATURES - 1)},
        {"mean": [float("nan")] * N_FEATURES},
        {"std": [0.0] * N_FEATURES},
        {"excluded": ["brightness"]},
    ],
    ids=repr,
)
def test_a_scaling_of_other_features_or_impossible_numbers_is_refused(change):
    content = FeatureScaling.fit(metadata(), PHYSICAL).model_dump()
    with pytest.raises(ValidationError):
        FeatureScaling.model_validate(content | change)


@pytest.mark.parametrize("method", ["none", "minmax", "asinh"])
@pytest.mark.parametrize("context", [True, False])
def test_stamps_are_cropped_and_scaled_and_their_context_is_computed_if_asked(method, context):
    stamps = np.random.default_rng(0).normal(100, 10, (4, 3, 63, 63)).astype(np.float32)
    stamps[0, :, 30:33] = np.nan
    scaling = FeatureScaling.fit(metadata(4), PHYSICAL)
    preprocessing = AlertPreprocessing(method, scaling, context=context)
    pixels, mask, images, features, feature_mask = preprocessing(stamps, metadata(4), PHYSICAL)
    expected_pixels, expected_mask = crop_and_scale(stamps, method)
    np.testing.assert_array_equal(pixels, expected_pixels)
    np.testing.assert_array_equal(mask, expected_mask)
    expected = crop_and_context(stamps) if context else np.empty((4, 0, 21, 21))
    np.testing.assert_array_equal(images, expected)
    expected_features, expected_feature_mask = scaling.transform(metadata(4), PHYSICAL)
    np.testing.assert_array_equal(features, expected_features)
    np.testing.assert_array_equal(feature_mask, expected_feature_mask)
    assert pixels.dtype == images.dtype == features.dtype == np.float32


def test_the_input_does_not_depend_on_an_affine_scaling_of_the_counts():
    stamps = np.random.default_rng(0).normal(100, 10, (4, 3, 63, 63)).astype(np.float32)
    for method in ("minmax", "asinh"):
        preprocessing = AlertPreprocessing(method, FeatureScaling.none(), context=True)
        counts, scaled = (
            preprocessing(part, metadata(4), PHYSICAL) for part in (stamps, 3 * stamps + 50)
        )
        for part, scaled_part in zip(counts, scaled, strict=True):
            np.testing.assert_allclose(scaled_part, part, atol=2e-5)
