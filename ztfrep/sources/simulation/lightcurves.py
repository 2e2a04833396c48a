"""Light curves of the classes: magnitude or flux at each exposure, and in the template.

Time-scales and amplitudes without another source are those with which the detections of a month
differ as those of 2,040 real objects do (`benchmarks/light_curves.py`).
"""

from typing import NamedTuple

import numpy as np


class Curve(NamedTuple):
    """Magnitudes of n variables around their mean: at k exposures, and in the two templates."""

    magnitudes: np.ndarray  # (n, k)
    # (n, 2) of the red and the green template, which are means of exposures of some months.
    template: np.ndarray


def observation_times(n: int, observations: int, rng: np.random.Generator) -> np.ndarray:
    """Draw days `(n, k)` since the first detection, with several nights between two."""
    gaps = rng.gamma(1.5, 4.0, (n, observations - 1)) + 1
    return np.concatenate([np.zeros((n, 1)), np.cumsum(gaps, axis=1)], axis=1)


def active_nucleus(days: np.ndarray, rng: np.random.Generator) -> Curve:
    """Draw an AGN: a damped random walk on `days` `(n, k)`.

    The template is older than the walk's memory, and the same moment in both filters.
    """
    deviation = 0.45 * np.exp(rng.normal(0, 0.4, len(days)))
    walk = damped_random_walk(days, 600 * np.exp(rng.normal(0, 0.6, len(days))), deviation, rng)
    template = rng.normal(0, 0.5 * deviation)[:, None] + rng.normal(0, 0.02, (len(days), 2))
    return Curve(walk, template)


def damped_random_walk(
    days: np.ndarray, tau: np.ndarray, deviation: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Draw magnitudes `(n, k)` around the mean (Kelly et al. 2009; MacLeod et al. 2010).

    `tau` `(n,)` is the damping time in days, `deviation` `(n,)` that after much longer times, mag.
    """
    n, observations = days.shape
    magnitudes = np.empty((n, observations))
    magnitudes[:, 0] = rng.normal(0, deviation)
    for i in range(1, observations):
        memory = np.exp(-(days[:, i] - days[:, i - 1]) / tau)
        noise = rng.normal(0, deviation * np.sqrt(1 - memory**2))
        magnitudes[:, i] = magnitudes[:, i - 1] * memory + noise
    return magnitudes


def first_phases(n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw the phases `(n,)` of supernovae at their first detection, see `supernova`.

    The majority is detected first on the rise or at the peak, the others on the decline.
    """
    return rng.normal(-6, 9, n)


def supernova(phase: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw flux `(n, k)` relative to the peak: rise and fall of Bazin et al. (2009).

    `phase` `(n, k)` in days; the peak is some ten days after phase 0.
    """
    n = len(phase)
    rise, fall = rng.uniform(3, 7, n)[:, None], (60 * np.exp(rng.normal(0, 0.5, n)))[:, None]
    fall = np.maximum(fall, 2.5 * rise)
    flux = np.exp(-np.clip(phase, -60, 300) / fall) / (1 + np.exp(-np.clip(phase, -60, 300) / rise))
    peak_time = rise * np.log(fall / rise - 1)
    peak = np.exp(-peak_time / fall) / (1 + np.exp(-peak_time / rise))
    return flux / peak


def variable_star(days: np.ndarray, is_giant: np.ndarray, rng: np.random.Generator) -> Curve:
    """Draw variable stars on `days` `(n, k)`: red giants `(n,)` are slow, the others are not.

    Giants have periods of 50 to 600 days, so that they are brighter or fainter than the template
    for a month. The others are RR Lyrae stars, contact and detached binaries, Cepheids and
    irregular stars: their templates are near their mean, and their detections of both signs.
    """
    n = len(days)
    kind = rng.choice(5, n, p=[0.36, 0.2, 0.16, 0.08, 0.2])
    period = 10 ** np.select(
        [is_giant, kind == 0, kind == 1, kind == 2],
        [
            rng.uniform(1.7, 2.8, n),
            rng.uniform(-0.6, -0.1, n),
            rng.uniform(-0.6, -0.15, n),
            rng.uniform(-0.2, 1.0, n),
        ],
        rng.uniform(0.3, 1.6, n),
    )
    amplitude = 10 ** np.where(is_giant, rng.uniform(-0.8, 0.2, n), rng.uniform(-0.75, -0.2, n))
    phase = days / period[:, None] + rng.uniform(0, 1, (n, 1))
    wave = np.sin(2 * np.pi * phase)
    # Of an RR Lyrae star: a fast rise, and a slow fall.
    sawtooth = 2 * np.minimum((phase % 1) / 0.85, (1 - phase % 1) / 0.15) - 1
    contact = 1 - 2 * np.abs(np.sin(2 * np.pi * phase)) + 0.27
    eclipse = 2.5 * np.exp(-(((phase % 1) - 0.5) ** 2) / 0.008)
    tau, deviation = 10 ** rng.uniform(0.7, 1.8, n), np.full(n, 0.8)
    irregular = damped_random_walk(days, tau, deviation, rng)
    shape = np.select(
        [is_giant[:, None], *(kind[:, None] == number for number in range(4))],
        [wave, sawtooth, contact, eclipse, wave],
        irregular,
    )
    slow = is_giant | (kind == 4)
    # Of a detached binary, the template has no eclipse.
    scale = np.select([slow, kind == 2], [1.0, 0.05], 0.25)
    template = scale[:, None] * (0.45 * rng.normal(0, 1, (n, 1)) + 0.25 * rng.normal(0, 1, (n, 2)))
    return Curve(amplitude[:, None] * shape, amplitude[:, None] * template)
