import numpy as np
import pytest

from ztfrep.data.features import (
    ALERCE_FEATURES,
    PHYSICAL,
    ZSCORED_UNKNOWN,
    is_published_zscore,
)


def physical(n=50, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, len(ALERCE_FEATURES))) * ALERCE_FEATURES.std + ALERCE_FEATURES.mean
    values[:, ALERCE_FEATURES.index("isdiffpos")] = rng.integers(0, 2, n)
    values[:, ALERCE_FEATURES.index("ndethist")] = rng.integers(1, 20, n)
    values[:, ALERCE_FEATURES.index("ncovhist")] = rng.integers(1, 3000, n)
    return values


def test_the_features_have_the_published_order():
    names = ALERCE_FEATURES.names
    assert len(ALERCE_FEATURES) == len(names) == len(set(names)) == 26
    assert [names[i] for i in (0, 6, 13, 14, 15, 25)] == [
        "sgscore1",
        "isdiffpos",
        "rb",
        "distnr",
        "magnr",
        "sharpnr",
    ]


def test_columns_are_those_of_the_names_in_their_order():
    columns = ALERCE_FEATURES.columns(["magnr", "sgscore1"])
    assert [ALERCE_FEATURES.names[column] for column in columns] == ["magnr", "sgscore1"]
    with pytest.raises(ValueError, match="Unknown feature .brightness.*: sgscore1, "):
        ALERCE_FEATURES.columns(["magnr", "brightness"])


def test_the_longitudes_alone_are_periodic():
    angles = [f.name for f in ALERCE_FEATURES.features if f.unit == "deg"]
    assert ALERCE_FEATURES.periods == {
        name: 360 for name in angles if name == "ra" or name.endswith("_long")
    }
    for name, period in ALERCE_FEATURES.periods.items():
        assert ALERCE_FEATURES.valid_ranges[name] == (0, period)


def test_a_zscore_and_back_is_the_same():
    values = physical()
    scores = ALERCE_FEATURES.zscore(values)
    np.testing.assert_allclose(ALERCE_FEATURES.invert_zscore(scores), values)


def test_clipping_is_the_published_one_and_leaves_nan():
    values = np.full((2, len(ALERCE_FEATURES)), -999.0)
    values[1] = np.nan
    clipped = ALERCE_FEATURES.clip(values)
    assert clipped[0, ALERCE_FEATURES.index("sgscore1")] == -1
    assert clipped[0, ALERCE_FEATURES.index("ra")] == -999
    assert np.isnan(clipped[1]).all()


def test_minus_one_is_not_measured_where_a_value_is_never_negative():
    values = np.full((1, len(ALERCE_FEATURES)), -1.0)
    measured = dict(zip(ALERCE_FEATURES.names, ALERCE_FEATURES.is_measured(values)[0], strict=True))
    missing = {name for name, is_measured in measured.items() if not is_measured}
    # Sharpness is measured where chi is.
    assert missing == {*ALERCE_FEATURES.nonnegative, "sharpnr"}
    values[:, ALERCE_FEATURES.index("chinr")] = 1
    assert ALERCE_FEATURES.is_measured(values)[0, ALERCE_FEATURES.index("sharpnr")]
    assert not ALERCE_FEATURES.is_measured(np.full_like(values, np.nan)).any()


def test_impossible_values_are_masked_by_their_unit():
    values = physical(3)
    values[0, ALERCE_FEATURES.index("ra")] = 361
    values[1, ALERCE_FEATURES.index("magpsf")] = -999
    values[2, ALERCE_FEATURES.index("rb")] = np.inf
    values[:, ALERCE_FEATURES.columns(["dec", "ecl_lat", "ecl_long", "gal_lat", "gal_long"])] = 1
    values[1:, ALERCE_FEATURES.index("ra")] = 0
    masked = np.isnan(ALERCE_FEATURES.mask_impossible(values, PHYSICAL))
    columns = ALERCE_FEATURES.columns(["ra", "magpsf", "rb"])
    assert list(zip(*np.nonzero(masked), strict=True)) == list(enumerate(columns))
    masked = np.isnan(ALERCE_FEATURES.mask_impossible(values, ZSCORED_UNKNOWN))
    assert list(zip(*np.nonzero(masked), strict=True)) == [(2, columns[2])]


def test_the_published_zscore_is_recognised_in_float32_and_with_nan():
    scores = ALERCE_FEATURES.zscore(physical()).astype(np.float32)
    scores[3] = np.nan
    assert is_published_zscore(scores)


def test_another_zscore_is_recognised():
    values = physical()
    own = (values - values.mean(axis=0)) / values.std(axis=0)
    assert not is_published_zscore(own)
    # Counts alone would pass: the sign is scaled by another deviation.
    sign_only = ALERCE_FEATURES.zscore(values)
    sign_only[:, ALERCE_FEATURES.index("isdiffpos")] *= 1.1
    assert not is_published_zscore(sign_only)
    # The sign alone would pass.
    counts_only = ALERCE_FEATURES.zscore(values)
    counts_only[:, ALERCE_FEATURES.index("ncovhist")] *= 1.1
    assert not is_published_zscore(counts_only)


def test_a_single_sign_is_accepted_as_the_published_zscore():
    values = physical()
    values[:, ALERCE_FEATURES.index("isdiffpos")] = 1
    assert is_published_zscore(ALERCE_FEATURES.zscore(values))
