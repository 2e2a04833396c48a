"""From raw stamps and metadata to the input of a network of alerts."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from tests.models.alert import numpy_preprocessing
from ztfrep.data.features import ALERCE_FEATURES, PHYSICAL, ZSCORED_UNKNOWN
from ztfrep.models.alert.preprocessing import AlertPreprocessing, FeatureScaling, Standardisation

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


def transform(scaling, values, unit):
    """Return standardised metadata and the mask of known values as arrays, computed by torch."""
    scaled, mask = Standardisation(scaling)(torch.from_numpy(values), unit)
    return scaled.numpy(), mask.numpy()


def test_a_feature_that_was_clipped_to_minus_one_is_unknown_and_counts_in_no_statistic():
    values = metadata(
        distpsnr1=[2.0, -1.0, 4.0, np.nan, 6.0, -999.0],
        chinr=[1.0, -1.0, 1.5, 1.2, 1.1, 0.9],
        sharpnr=[-1.0, -1.0, 0.1, 0.2, 0.1, 0.0],
    )
    scaling = FeatureScaling.fit(values, PHYSICAL)
    scaled, mask = transform(scaling, values, PHYSICAL)
    assert column(mask, "distpsnr1").tolist() == [True, False, True, False, True, False]
    assert scaling.mean[ALERCE_FEATURES.index("distpsnr1")] == pytest.approx(4)
    # A sharpness of -1 is a measurement if the reference source exists.
    assert column(mask, "sharpnr").tolist() == [True, False, True, True, True, True]
    assert (scaled[~mask] == 0).all()
    assert (scaled.dtype, mask.dtype) == (np.float32, bool)


def test_a_zscore_of_minus_one_is_known():
    values = metadata(distpsnr1=[1.0, -1.0, 0.5, 0.2, -1.0, 0.1])
    scaling = FeatureScaling.fit(values, ZSCORED_UNKNOWN)
    _, mask = transform(scaling, values, ZSCORED_UNKNOWN)
    assert column(mask, "distpsnr1").all()


def test_fitted_features_have_mean_0_and_standard_deviation_1():
    values = metadata(50)
    values[::7] = np.nan
    scaled, mask = transform(FeatureScaling.fit(values, PHYSICAL), values, PHYSICAL)
    complete = scaled[mask.all(axis=1)]
    np.testing.assert_allclose(complete.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(complete.std(axis=0), 1, rtol=1e-5)


def test_excluded_features_are_masked_and_the_others_are_not():
    values = metadata()
    everything, mask_of_everything, some, mask = (
        part
        for excluded in ([], EXCLUDED)
        for part in transform(FeatureScaling.fit(values, PHYSICAL, excluded), values, PHYSICAL)
    )
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
    scaled, mask = transform(FeatureScaling.fit(values, PHYSICAL), values, ZSCORED_UNKNOWN)
    assert not mask.any()
    assert not scaled.any()


def test_the_scaling_of_a_network_without_metadata_masks_all_of_it():
    scaled, mask = transform(FeatureScaling.none(), metadata(), PHYSICAL)
    assert not mask.any()
    assert not scaled.any()


def test_metadata_without_a_unit_is_masked_by_every_scaling():
    for scaling in (FeatureScaling.none(), FeatureScaling.fit(metadata(), PHYSICAL)):
        scaled, mask = transform(scaling, metadata(), "none")
        assert not mask.any()
        assert not scaled.any()


def test_scaling_does_not_change_its_input():
    values = metadata(distpsnr1=-999.0)
    before = values.copy()
    for unit in (PHYSICAL, ZSCORED_UNKNOWN):
        transform(FeatureScaling.fit(values, unit, EXCLUDED), values, unit)
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


def preprocess(preprocessing, stamps, metadata, unit):
    """Return the input of a network for arrays."""
    return preprocessing(torch.from_numpy(stamps), torch.from_numpy(metadata), unit)


def raw_stamps(side=63):
    return np.random.default_rng(0).normal(100, 10, (4, 3, side, side)).astype(np.float32)


@pytest.mark.parametrize("unit", [PHYSICAL, ZSCORED_UNKNOWN, "none"])
@pytest.mark.parametrize("method", ["none", "minmax", "asinh"])
@pytest.mark.parametrize("context", [True, False])
def test_stamps_are_cropped_and_scaled_and_their_context_is_computed_if_asked(
    method, context, unit
):
    stamps, values = raw_stamps(), metadata(4, distnr=[-1.0, np.nan, 3.0, 40.0])
    stamps[0, :, 30:33] = np.nan
    scaling = FeatureScaling.fit(values, PHYSICAL, EXCLUDED[:1])
    computed = preprocess(
        AlertPreprocessing(method, scaling, context=context), stamps, values, unit
    )
    expected = numpy_preprocessing.preprocess(
        stamps, values, unit, stamp_scaling=method, feature_scaling=scaling, context=context
    )
    for part, wanted in zip(computed, expected, strict=True):
        assert part.numpy().dtype == wanted.dtype
        np.testing.assert_allclose(part, wanted, rtol=5e-7, atol=1e-6)
    assert computed[2].shape == (4, 8 if context else 0, 21, 21)


def test_images_are_in_the_format_of_convolutions():
    preprocessing = AlertPreprocessing("asinh", FeatureScaling.none(), context=True)
    pixels, _, images, *_ = preprocess(preprocessing, raw_stamps(), metadata(4), PHYSICAL)
    for part in (pixels, images):
        assert part.is_contiguous(memory_format=torch.channels_last)


def test_preprocessing_does_not_change_its_input():
    stamps = raw_stamps(21)
    stamps[0, :, :4], stamps[1, 0, 3, 3] = np.nan, -3.4e38
    before = stamps.copy()
    for method in ("none", "minmax", "asinh"):
        preprocessing = AlertPreprocessing(method, FeatureScaling.none(), context=True)
        preprocess(preprocessing, stamps, metadata(4), PHYSICAL)
    np.testing.assert_array_equal(stamps, before)


def test_no_number_of_the_preprocessing_is_saved_with_the_weights():
    scaling = FeatureScaling.fit(metadata(), PHYSICAL)
    assert AlertPreprocessing("minmax", scaling, context=True).state_dict() == {}


def test_the_input_does_not_depend_on_an_affine_scaling_of_the_counts():
    stamps = raw_stamps()
    for method in ("minmax", "asinh"):
        preprocessing = AlertPreprocessing(method, FeatureScaling.none(), context=True)
        counts, scaled = (
            preprocess(preprocessing, part, metadata(4), PHYSICAL)
            for part in (stamps, 3 * stamps + 50)
        )
        for part, scaled_part in zip(counts, scaled, strict=True):
            np.testing.assert_allclose(scaled_part, part, atol=2e-5)
