"""Light curves of the classes: magnitude or flux at each detection."""

import numpy as np


def observation_times(n: int, observations: int, rng: np.random.Generator) -> np.ndarray:
    """Draw days `(n, k)` since the first detection, with several nights between two."""
    gaps = rng.gamma(1.5, 4.0, (n, observations - 1)) + 1
    return np.concatenate([np.zeros((n, 1)), np.cumsum(gaps, axis=1)], axis=1)


def damped_random_walk(days: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw magnitudes `(n, k)` around the mean of an AGN (Kelly et al. 2009; MacLeod et al. 2010).

    Damping time log-normal about 200 days; long-term deviation about 0.45 mag, that of the AGN
    that raise alerts.
    """
    n, observations = days.shape
    tau = 200 * np.exp(rng.normal(0, 0.6, n))
    deviation = 0.45 * np.exp(rng.normal(0, 0.4, n))
    magnitudes = np.empty((n, observations))
    magnitudes[:, 0] = rng.normal(0, deviation)
    for i in range(1, observations):
        memory = np.exp(-(days[:, i] - days[:, i - 1]) / tau)
        noise = rng.normal(0, deviation * np.sqrt(1 - memory**2))
        magnitudes[:, i] = magnitudes[:, i - 1] * memory + noise
    return magnitudes


def supernova(days: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw flux `(n, k)` relative to the peak: rise and fall of Bazin et al. (2009)."""
    n = len(days)
    rise, fall = rng.uniform(3, 7, n)[:, None], (25 * np.exp(rng.normal(0, 0.4, n)))[:, None]
    fall = np.maximum(fall, 2.5 * rise)
    # The majority is detected first on the rise or at the peak, the others on the decline.
    start = rng.normal(-6, 9, n)[:, None]
    phase = days + start
    flux = np.exp(-np.clip(phase, -60, 300) / fall) / (1 + np.exp(-np.clip(phase, -60, 300) / rise))
    peak_time = rise * np.log(fall / rise - 1)
    peak = np.exp(-peak_time / fall) / (1 + np.exp(-peak_time / rise))
    return flux / peak


def variable_star(days: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw magnitudes `(n, k)` around the mean: periodic, eclipsing or irregular.

    Periods from hours to a year, so that three detections seldom show one.
    """
    n = len(days)
    period = 10 ** rng.uniform(-0.7, 2.5, n)[:, None]
    phase = days / period + rng.uniform(0, 1, (n, 1))
    amplitude = 10 ** rng.uniform(-0.7, 0.45, n)[:, None]
    wave = np.sin(2 * np.pi * phase)
    sawtooth = 2 * (phase % 1) - 1
    eclipse = 1.6 * np.exp(-(((phase % 1) - 0.5) ** 2) / 0.01) - 0.3
    irregular = rng.normal(0, 0.7, days.shape)
    kind = rng.choice(4, n, p=[0.4, 0.25, 0.15, 0.2])[:, None]
    return amplitude * np.select(
        [kind == 0, kind == 1, kind == 2], [wave, sawtooth, eclipse], irregular
    )
