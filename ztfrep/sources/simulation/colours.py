"""Colours of the classes: what a source has in the green filter, compared with the red one."""

from dataclasses import dataclass, fields

import numpy as np

from ztfrep.sources.simulation.scene import AGN, ASTEROID, GIANTS, SN, VS, Scenes, Visits
from ztfrep.sources.simulation.schedule import GREEN

_STARS, _GALAXIES = 40, 5  # Of a scene


@dataclass(frozen=True)
class Colours:
    """g - r of the stars and galaxies of n scenes, and of the sources of their alerts, mag."""

    star: np.ndarray  # (n, 40)
    galaxy: np.ndarray  # (n, 5)
    source: np.ndarray  # (n,) the peak's for a supernova
    amplitude: np.ndarray  # (n,) of a variable in green, relative to red, in magnitudes
    is_giant: np.ndarray  # (n,) True for a red giant among the variable stars

    def visits(
        self, labels: np.ndarray, days: np.ndarray, fid: np.ndarray, phase: np.ndarray
    ) -> Visits:
        """Return the visits on `days` `(n, k)` in the filters `fid` `(n, k)`.

        `phase` `(n,)` is that of supernovae on day 0, in days.
        """
        colour = np.repeat(self.source[:, None], days.shape[1], axis=1)
        # A supernova reddens by about a magnitude in the month after its peak, which is some ten
        # days after phase 0.
        reddening = 1.0 / (1 + np.exp(-(days + phase[:, None] - 27) / 8))
        colour += np.where((labels == SN)[:, None], reddening, 0)
        is_green = fid == GREEN
        return Visits(
            days,
            np.where(is_green, self.amplitude[:, None], 1.0),
            np.where(is_green, 10 ** (-0.4 * colour), 1.0),
            is_green,
            phase,
            self.is_giant,
            all_detect=False,
        )

    def take(self, rows: np.ndarray) -> "Colours":
        """Return the colours of the objects in `rows`."""
        return Colours(*(getattr(self, field.name)[rows] for field in fields(self)))


def draw_colours(labels: np.ndarray, rng: np.random.Generator) -> Colours:
    """Draw the colours of scenes of classes `(n,)`."""
    n = len(labels)
    star = np.clip(rng.normal(0.8, 0.4, (n, _STARS)), -0.3, 1.8)
    galaxy = np.clip(rng.normal(0.75, 0.2, (n, _GALAXIES)), 0.1, 1.4)
    # Pulsating and eclipsing stars are bluer than the red giants, which vary slowly.
    is_giant = rng.random(n) < GIANTS
    stellar = np.where(is_giant, rng.normal(2.0, 0.5, n), rng.normal(0.5, 0.3, n))
    choices = [labels == AGN, labels == SN, labels == VS, labels == ASTEROID]
    source = np.select(
        choices,
        [
            rng.normal(0.55, 0.25, n),
            rng.normal(0.05, 0.18, n),
            stellar,
            rng.normal(0.55, 0.1, n),  # reflected sunlight
        ],
        0.0,
    )
    own_star = (labels == AGN) | (labels == VS)
    star[own_star, 0] = source[own_star]
    # Amplitudes of AGN fall with wavelength^-0.479 (MacLeod et al. 2010): 4,770 and 6,231 Angstrom.
    # Pulsating stars vary more in blue light; an eclipse has no colour.
    pulsating = np.where(rng.random(n) < 0.7, rng.normal(1.35, 0.1, n), 1.0)
    amplitude = np.select([labels == AGN, labels == VS], [1.136, pulsating], 1.0)
    return Colours(star, galaxy, source, np.asarray(amplitude, float), is_giant)


def in_filter(scenes: Scenes, colours: Colours, fid: np.ndarray) -> Scenes:
    """Return scenes whose stars and galaxies have the flux of the filters `fid` `(n,)`, in place.

    The changes in flux of alerts have that of their exposure already.
    """
    is_green = (fid == GREEN)[:, None]
    scenes.star_flux = scenes.star_flux * np.where(is_green, 10 ** (-0.4 * colours.star), 1.0)
    flux = scenes.galaxy["flux"] * np.where(is_green, 10 ** (-0.4 * colours.galaxy), 1.0)
    scenes.galaxy = scenes.galaxy | {"flux": flux}
    return scenes
