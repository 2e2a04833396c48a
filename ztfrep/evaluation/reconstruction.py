"""Errors of reconstructed stamps over their observed pixels."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ztfrep.evaluation.bootstrap import Bootstrap, Scores, with_interval

# The PSNR of a perfect reconstruction is 300 dB instead of infinity.
_MIN_MSE = 1e-30


@dataclass(frozen=True, eq=False)
class SquaredErrors:
    """Sums of squared errors, float64, and counts of observed pixels, int: `(n, c)` each."""

    sums: np.ndarray
    counts: np.ndarray


def squared_errors(
    pixels: np.ndarray, pixel_mask: np.ndarray, reconstructed: np.ndarray
) -> SquaredErrors:
    """Sum the squared errors of the observed pixels by row and channel.

    Arrays are `(n, c, H, W)`. Raises ValueError if a channel has no observed pixel, or if an
    observed pixel or its reconstruction is not finite.
    """
    errors = np.where(pixel_mask, reconstructed.astype(np.float64) - pixels, 0) ** 2
    sums, counts = errors.sum(axis=(2, 3)), pixel_mask.sum(axis=(2, 3))
    if not counts.any(axis=0).all():
        raise ValueError("a channel has no observed pixel")
    if not np.isfinite(sums).all():
        raise ValueError("observed pixels or their reconstructions are not all finite")
    return SquaredErrors(sums, counts)


def score_reconstruction(
    errors: SquaredErrors, channels: Sequence[str], bootstrap: Bootstrap
) -> Scores:
    """Return mean squared error and PSNR, over all channels and for each channel, by name.

    The mean squared error over all channels has an interval. PSNR is -10 log10(MSE) in dB, for a
    peak of 1.
    """
    mse = {"": _mean(errors.sums, errors.counts)} | {
        f"_{name}": _mean(errors.sums[:, column], errors.counts[:, column])
        for column, name in enumerate(channels)
    }
    scores = {f"mse{name}": value for name, value in mse.items()}
    scores |= {
        f"psnr{name}": float(-10 * np.log10(max(value, _MIN_MSE))) for name, value in mse.items()
    }
    samples = bootstrap.distribution(_mean, errors.sums, errors.counts)
    return scores | with_interval("mse", mse[""], samples)


def mse_reduction(errors: SquaredErrors, baseline: SquaredErrors, bootstrap: Bootstrap) -> Scores:
    """Return the mean squared error of a baseline minus that of a method on the same rows.

    It is positive if the method is better. The interval is that of the paired difference.
    """
    return bootstrap.score("mse_reduction", _mean, baseline.sums - errors.sums, errors.counts)


def _mean(sums: np.ndarray, counts: np.ndarray) -> float:
    return float(sums.sum() / counts.sum())
