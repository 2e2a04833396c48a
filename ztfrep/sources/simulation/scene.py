"""Scenes: the host, the stars, the neighbours and the change in flux of an alert."""

from dataclasses import dataclass

import numpy as np

from ztfrep.data.alert_schema import CLASSES
from ztfrep.sources.simulation import optics

AGN, SN, VS, ASTEROID, BOGUS = range(len(CLASSES))
# Kinds of artefacts of bogus alerts; REAL is none.
REAL, COSMIC_RAY, BAD_COLUMN, SATURATED, MISALIGNED, NOISE_PEAK = range(6)


@dataclass(frozen=True)
class Composition:
    """Fractions of subclasses in the classes of a data set.

    Members of all but `quasars` have the same appearance in a stamp: a point source at an empty
    position or next to an unrelated star. Their metadata differ.
    """

    quasars: float  # of the AGN: brighter than their hosts
    outbursts: float  # of the variable stars: without a star in the template
    hostless: float  # of the supernovae: without a host in the template
    crossing: float  # of the asteroids: passing a star
    noise_peaks: float  # of the bogus: similar to a faint source


FIRST_ALERTS = Composition(
    quasars=0.235, outbursts=0.05, hostless=0.08, crossing=0.05, noise_peaks=0.07
)
# The AGN of the series come from catalogues of quasars, and an outburst is detected again.
SERIES = Composition(quasars=0.9, outbursts=0.14, hostless=0.12, crossing=0.0, noise_peaks=0.0)


@dataclass
class Scenes:
    """n scenes of k exposures; positions in pixels from the stamp's centre, fluxes in counts."""

    label: np.ndarray  # (n,)
    ra: np.ndarray  # (n,) deg
    dec: np.ndarray
    x: np.ndarray  # (n,) of the alert
    y: np.ndarray
    change: np.ndarray  # (n, k) flux of the alert: science minus template
    trail: np.ndarray  # (n,) length in pixels
    trail_angle: np.ndarray  # (n,) rad
    artefact: np.ndarray  # (n,) REAL or a kind of bogus
    star_x: np.ndarray  # (n, 40)
    star_y: np.ndarray
    star_flux: np.ndarray
    galaxy: dict[str, np.ndarray]  # x, y, flux, radius, index, axis_ratio, angle: (n, 5)
    seeing: np.ndarray  # (n, k) FWHM of the science exposure, pixels
    template_seeing: np.ndarray  # (n,)
    elongation: np.ndarray  # (n, k, 2) quadrupole of the science exposure's light, square pixels
    template_elongation: np.ndarray  # (n, 2)
    limit: np.ndarray  # (n, k) five-sigma limiting magnitude of the science exposure

    def __len__(self) -> int:
        return len(self.label)

    @property
    def noise(self) -> np.ndarray:
        """Standard deviation of a science exposure's sky, counts per pixel, `(n, k)`."""
        return optics.counts(self.limit) / 5 / np.sqrt(optics.noise_area(self.seeing))
