"""Alerts of the simulated survey beside their noise-free scenes, which no network is shown."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ztfrep.sources.simulation import scene, scene_sampler
from ztfrep.sources.simulation.exposures import expose
from ztfrep.sources.simulation.scene import Scenes

# Alerts that are rendered at a time, which take some 100 MB.
_CHUNK = 250


@dataclass(frozen=True)
class NoiseFreeAlerts:
    """n alerts of one exposure each, with and without photon noise.

    Attributes
    ----------
    stamps, noise_free : float32 (n, 3, size, size)
        Science, template and difference in counts, of the same scenes and artefacts.
    scenes : Scenes
        Positions, fluxes and seeing of the alerts.
    sign : int (n,)
        By which both difference stamps are multiplied; see `expose`.
    """

    stamps: np.ndarray
    noise_free: np.ndarray
    scenes: Scenes
    sign: np.ndarray


def render_alerts(labels: np.ndarray, size: int, seed: Sequence[int]) -> NoiseFreeAlerts:
    """Render alerts of classes `(n,)` with and without noise.

    The alerts of the same labels and seed are the same. Those of `write_survey` are of the seeds
    `[seed, 1, split]`, where `split` is 0 for Train, 1 for Validation and 2 for Test.
    """
    parts = []
    for chunk, start in enumerate(range(0, len(labels), _CHUNK)):
        rng = np.random.default_rng([*seed, chunk])
        scenes = scene_sampler.draw(labels[start : start + _CHUNK], 1, rng, scene.FIRST_ALERTS)
        stamps, sign = _render(scenes, size, copy.deepcopy(rng), noise=1.0)
        noise_free, own_sign = _render(scenes, size, rng, noise=0.0)
        noise_free[:, 2] *= (sign * own_sign)[:, None, None]
        parts.append((stamps, noise_free, scenes, sign))
    stamps, noise_free, scenes, sign = zip(*parts, strict=True)
    return NoiseFreeAlerts(
        np.concatenate(stamps),
        np.concatenate(noise_free),
        scene.concatenate(scenes),
        np.concatenate(sign),
    )


def _render(
    scenes: Scenes, size: int, rng: np.random.Generator, *, noise: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return stamps `(n, 3, size, size)` and signs `(n,)`."""
    science, template, difference, sign = expose(scenes, size, rng, noise=noise)
    return np.stack([science[:, 0], template, difference[:, 0]], axis=1), sign[:, 0]
