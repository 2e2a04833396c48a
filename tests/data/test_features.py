import numpy as np

from ztfrep.data import features


def physical(n=50, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, 26)) * features.STD + features.MEAN
    values[:, features.NAMES.index("isdiffpos")] = rng.integers(0, 2, n)
    values[:, features.NAMES.index("ndethist")] = rng.integers(1, 20, n)
    values[:, features.NAMES.index("ncovhist")] = rng.integers(1, 3000, n)
    return values


def test_the_features_stand_in_the_published_order():
    assert len(features.NAMES) == len(set(features.NAMES)) == 26
    assert [features.NAMES[i] for i in (0, 6, 13, 14, 15, 25)] == [
        "sgscore1",
        "isdiffpos",
        "rb",
        "distnr",
        "magnr",
        "sharpnr",
    ]


def test_a_zscore_and_back_is_the_same():
    values = physical()
    np.testing.assert_allclose(features.invert_zscore(features.zscore(values)), values)


def test_clipping_is_upstreams_and_leaves_nan():
    values = np.full((2, 26), -999.0)
    values[1] = np.nan
    clipped = features.clip(values)
    assert clipped[0, features.NAMES.index("sgscore1")] == -1
    assert clipped[0, features.NAMES.index("ra")] == -999
    assert np.isnan(clipped[1]).all()


def test_published_scaling_is_recognised_in_float32_and_with_nan():
    scores = features.zscore(physical()).astype(np.float32)
    scores[3] = np.nan
    assert features.scaled_as_published(scores)


def test_other_scaling_is_noticed():
    values = physical()
    own = (values - values.mean(axis=0)) / values.std(axis=0)
    assert not features.scaled_as_published(own)
    # Counts alone would pass: the sign is scaled by another deviation.
    sign_only = features.zscore(values)
    sign_only[:, features.NAMES.index("isdiffpos")] *= 1.1
    assert not features.scaled_as_published(sign_only)
    # The sign alone would pass.
    counts_only = features.zscore(values)
    counts_only[:, features.NAMES.index("ncovhist")] *= 1.1
    assert not features.scaled_as_published(counts_only)


def test_one_sign_alone_tells_nothing_against():
    values = physical()
    values[:, features.NAMES.index("isdiffpos")] = 1
    assert features.scaled_as_published(features.zscore(values))
