"""How the brightness of a class changes: the change of flux at each detection."""

import numpy as np


def observation_times(n: int, epochs: int, rng: np.random.Generator) -> np.ndarray:
    """Days `(n, epochs)` since the first detection: a few nights between two."""
    gaps = rng.gamma(1.5, 4.0, (n, epochs - 1)) + 1
    return np.concatenate([np.zeros((n, 1)), np.cumsum(gaps, axis=1)], axis=1)


def damped_random_walk(days: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Magnitudes `(n, epochs)` about the mean of an AGN (Kelly et al. 2009; MacLeod et al. 2010).

    Damping time log-normal about 200 days; long-term deviation about 0.45 mag, that of the AGN
    that raise alerts.
    """
    n, epochs = days.shape
    tau = 200 * np.exp(rng.normal(0, 0.6, n))
    deviation = 0.45 * np.exp(rng.normal(0, 0.4, n))
    found = np.empty((n, epochs))
    found[:, 0] = rng.normal(0, deviation)
    for epoch in range(1, epochs):
        memory = np.exp(-(days[:, epoch] - days[:, epoch - 1]) / tau)
        noise = rng.normal(0, deviation * np.sqrt(1 - memory**2))
        found[:, epoch] = found[:, epoch - 1] * memory + noise
    return found


def supernova(days: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Flux `(n, epochs)` relative to the peak: rise and fall of Bazin et al. (2009)."""
    n = len(days)
    rise, fall = rng.uniform(3, 7, n)[:, None], (25 * np.exp(rng.normal(0, 0.4, n)))[:, None]
    fall = np.maximum(fall, 2.5 * rise)
    # Most are found on the rise or about the peak, some on the decline.
    start = rng.normal(-6, 9, n)[:, None]
    phase = days + start
    flux = np.exp(-np.clip(phase, -60, 300) / fall) / (1 + np.exp(-np.clip(phase, -60, 300) / rise))
    top = rise * np.log(fall / rise - 1)
    peak = np.exp(-top / fall) / (1 + np.exp(-top / rise))
    return flux / peak


def variable_star(days: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Magnitudes `(n, epochs)` about the mean: periodic, eclipsing or irregular.

    Periods from hours to a year, so that three detections seldom show one.
    """
    n = len(days)
    period = 10 ** rng.uniform(-0.7, 2.5, n)[:, None]
    phase = days / period + rng.uniform(0, 1, (n, 1))
    amplitude = 10 ** rng.uniform(-0.7, 0.45, n)[:, None]
    wave = np.sin(2 * np.pi * phase)
    saw = 2 * (phase % 1) - 1
    eclipse = 1.6 * np.exp(-(((phase % 1) - 0.5) ** 2) / 0.01) - 0.3
    irregular = rng.normal(0, 0.7, days.shape)
    kind = rng.choice(4, n, p=[0.4, 0.25, 0.15, 0.2])[:, None]
    return amplitude * np.select([kind == 0, kind == 1, kind == 2], [wave, saw, eclipse], irregular)
