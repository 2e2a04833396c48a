"""The Gaussian process per filter: exact, causal, and fitted by its error."""

import numpy as np
import pytest
import torch
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from tests.evaluation.small_objects import objects, observations
from ztfrep.evaluation.gaussian_process import Kernel, fit_kernel, forecast_by_process
from ztfrep.models.object.base import MAGNITUDE

KERNELS = [(Kernel("exponential", 0.5, 4.0, 0.1), 0.5), (Kernel("matern", 0.5, 4.0, 0.1), 1.5)]


@pytest.mark.parametrize(("kernel", "nu"), KERNELS, ids=["exponential", "matern"])
def test_a_forecast_is_the_mean_of_the_process_given_all_before_in_the_filter(kernel, nu):
    table = observations([5])
    forecast = forecast_by_process(kernel, objects([5], table))[0] * 1.5 + 19
    process = GaussianProcessRegressor(
        ConstantKernel(0.25) * Matern(4.0, nu=nu) + ConstantKernel(9.0) + WhiteKernel(0.01),
        optimizer=None,
    )
    for step in range(2, 10):
        before = table[(table["detection"] < step) & (table["fid"] == table["fid"][step])]
        process.fit(before[["mjd"]], before["magpsf"] - 19)
        expected = process.predict(table.loc[[step], ["mjd"]])[0] + 19
        assert forecast[step] == pytest.approx(expected, abs=1e-4)
    # Without a detection in its filter, the last one in any.
    assert forecast[1] == pytest.approx(table["magpsf"][0], abs=1e-5)


def test_a_forecast_does_not_depend_on_the_magnitude_and_on_later_ones():
    kernel, table = KERNELS[0][0], observations([4])
    forecast = forecast_by_process(kernel, objects([4], table))
    for step in range(1, 8):
        changed = table.assign(magpsf=table["magpsf"] + (table["detection"] >= step))
        others = forecast_by_process(kernel, objects([4], changed))
        torch.testing.assert_close(others[:, : step + 1], forecast[:, : step + 1])


def test_the_kernel_of_slow_variation_is_chosen_for_slow_variation():
    rng = np.random.default_rng(0)
    lengths = [8] * 40
    table = observations(lengths)
    mean = rng.uniform(17, 20, 40)[table["row"]]
    fast, slow = (
        objects(lengths, table.assign(magpsf=mean + rng.normal(0, 0.05, len(table)) + drift))
        for drift in (rng.normal(0, 0.8, len(table)), 0.3 * table["detection"])
    )
    chosen = [fit_kernel(part) for part in (fast, slow)]

    def error(kernel, part):
        difference = forecast_by_process(kernel, part) - part.photometry[..., MAGNITUDE]
        return float(difference.abs()[:, 2:].mean())

    assert error(chosen[0], fast) <= error(chosen[1], fast)
    assert error(chosen[1], slow) < error(chosen[0], slow)
