import numpy as np
import pytest

from ztfrep.evaluation.bootstrap import Bootstrap
from ztfrep.evaluation.reconstruction import mse_reduction, score_reconstruction, squared_errors

NAMES = ("science", "template", "difference")


def images(n=20, seed=0):
    rng = np.random.default_rng(seed)
    return rng.random((n, 3, 4, 4)).astype(np.float32), rng.random((n, 3, 4, 4)) > 0.2


def score(pixels, mask, reconstructed, names=NAMES):
    errors = squared_errors(pixels, mask, reconstructed)
    return score_reconstruction(errors, names, rows(len(pixels)))


def rows(n):
    return Bootstrap.within_classes(np.zeros(n), seed=0, repeats=200)


def test_mse_and_psnr_are_those_by_hand():
    pixels, mask = np.zeros((2, 2, 1, 2)), np.ones((2, 2, 1, 2), bool)
    reconstructed = pixels.copy()
    reconstructed[0, 0, 0, 0] = 0.2
    scores = score(pixels, mask, reconstructed, NAMES[:2])
    assert scores["mse"] == pytest.approx(0.04 / 8)
    assert scores["mse_science"] == pytest.approx(0.01)
    assert scores["psnr_science"] == pytest.approx(20)
    assert scores["psnr_template"] == pytest.approx(300)


def test_masked_pixels_do_not_count():
    pixels, mask = images()
    reconstructed = pixels + 0.1
    changed = np.where(mask, reconstructed, 1e6)
    assert score(pixels, mask, reconstructed) == score(pixels, mask, changed)
    with pytest.raises(ValueError, match="no observed pixel"):
        squared_errors(pixels, np.zeros_like(mask), reconstructed)


def test_values_that_are_not_finite_are_refused_where_they_would_count():
    pixels, mask = images()
    reconstructed = pixels.copy()
    reconstructed[0, 0][mask[0, 0]] = np.nan
    for original, decoded in (
        (pixels, reconstructed),
        (reconstructed, pixels),
        (pixels, reconstructed + np.inf),
    ):
        with pytest.raises(ValueError, match="observed pixels or their reconstructions"):
            squared_errors(original, mask, decoded)
    mask[0, 0] = False
    assert score(pixels, mask, reconstructed)["mse"] == 0


def test_the_interval_is_of_the_mean_over_pixels_of_resampled_rows():
    pixels, mask = images(200)
    scores = score(pixels, mask, pixels + np.random.default_rng(1).normal(0, 0.1, pixels.shape))
    assert 0.008 < scores["mse_low"] < scores["mse"] < scores["mse_high"] < 0.012


def test_the_reduction_is_the_baselines_error_minus_ours_on_the_same_rows():
    rng = np.random.default_rng(1)
    pixels = rng.normal(size=(50, 3, 4, 4))
    mask = rng.random(pixels.shape) < 0.8
    ours = pixels + rng.normal(0, 0.1, pixels.shape)
    baseline = ours + rng.normal(0, 0.05, pixels.shape)
    errors = [squared_errors(pixels, mask, decoded) for decoded in (ours, baseline)]
    reduction = mse_reduction(*errors, rows(50))
    scores = [score(pixels, mask, decoded) for decoded in (ours, baseline)]
    assert reduction["mse_reduction"] == pytest.approx(scores[1]["mse"] - scores[0]["mse"])
    low, high = reduction["mse_reduction_low"], reduction["mse_reduction_high"]
    assert 0 < low < reduction["mse_reduction"] < high
    # Narrower than the interval of either.
    assert high - low < (scores[0]["mse_high"] - scores[0]["mse_low"])
    assert set(mse_reduction(errors[0], errors[0], rows(50)).values()) == {0.0}
