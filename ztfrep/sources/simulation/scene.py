"""Scenes: the host, the stars, the neighbours and the change in flux of an alert."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from ztfrep.data.alert_schema import CLASSES
from ztfrep.sources.simulation import optics

AGN, SN, VS, ASTEROID, BOGUS = range(len(CLASSES))
# Kinds of artefacts of bogus alerts; REAL is none.
REAL, COSMIC_RAY, BAD_COLUMN, SATURATED, MISALIGNED, NOISE_PEAK, CLOUDED = range(7)

GIANTS = 0.5  # Fraction of the variable stars, by the colours of real ones


@dataclass(frozen=True)
class Composition:
    """Fractions of subclasses in the classes of a data set.

    Members of all but `quasars` have the same appearance in a stamp: a point source at an empty
    position or next to an unrelated star. Their metadata differ.
    """

    quasars: float  # of the AGN: brighter than their hosts
    outbursts: float  # of the variable stars: without a star in the template
    hostless: float  # of the supernovae: without a host in the template
    nuclear: float  # of the supernovae: in the centre of their hosts
    host: float  # mag, mean of the hosts of supernovae
    crossing: float  # of the asteroids: passing a star
    noise_peaks: float  # of the bogus: similar to a faint source
    # of the bogus: a bright star behind clouds, from which too little was subtracted. Those of the
    # survey are in the exposures with the brightest limits instead.
    clouded: float


# The fraction of alerts of clouds in the published data is not known: a small one hardly changes
# the level of a probe of the pixels.
FIRST_ALERTS = Composition(
    quasars=0.3, outbursts=0.05, hostless=0.08, nuclear=0.04, host=17.5,
    crossing=0.05, noise_peaks=0.07, clouded=0.02,
)  # fmt: skip
# The AGN of the series come from catalogues of quasars, and an outburst is detected again.
SERIES = Composition(
    quasars=0.9, outbursts=0.14, hostless=0.12, nuclear=0.0, host=17.5,
    crossing=0.0, noise_peaks=0.0, clouded=0.0,
)  # fmt: skip
# The survey is as real alerts are: half of the AGN are stars by sgscore1, and a quarter of the
# supernovae is within half a pixel of a source in the template, whose median magnitude is 19.7.
SURVEY = Composition(
    quasars=0.5, outbursts=0.05, hostless=0.15, nuclear=0.2, host=18.7,
    crossing=0.05, noise_peaks=0.07, clouded=0.05,
)  # fmt: skip


@dataclass(frozen=True)
class Visits:
    """When n objects are exposed, k times each, and in which light."""

    days: np.ndarray  # (n, k) ascending
    # (n, k) of the filter of each exposure, relative to the red one: the amplitude of a variable
    # in magnitudes, and the flux of the alert's source.
    amplitude: np.ndarray
    light: np.ndarray
    is_green: np.ndarray  # (n, k)
    phase: np.ndarray  # (n,) of a supernova on day 0, in days
    is_giant: np.ndarray  # (n,) of a variable star
    # True: every exposure detects the source. False: the one of the largest change does.
    all_detect: bool

    def rows(self, rows: np.ndarray) -> "Visits":
        """Return the visits of the objects in `rows`."""
        names = [field.name for field in fields(self) if field.name != "all_detect"]
        return replace(self, **{name: getattr(self, name)[rows] for name in names})


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

    def objects(self) -> "Scenes":
        """Return the scenes without their exposures, k = 0."""
        return replace(
            self,
            change=self.change[:, :0],
            seeing=self.seeing[:, :0],
            elongation=self.elongation[:, :0],
            limit=self.limit[:, :0],
        )

    def take(self, rows: np.ndarray, **exposures: np.ndarray) -> "Scenes":
        """Return the scenes of the objects in `rows` `(m,)`, with other exposures.

        `exposures` are `change`, `seeing`, `elongation` and `limit`, without the axis of k: one
        exposure each.
        """
        parts: dict[str, Any] = {
            field.name: _take(getattr(self, field.name), rows)
            for field in fields(self)
            if field.name not in exposures
        }
        parts |= {name: values[:, None] for name, values in exposures.items()}
        return Scenes(**parts)


def concatenate(scenes: Sequence[Scenes]) -> Scenes:
    """Concatenate scenes of as many exposures."""
    parts: dict[str, Any] = {}
    for field in fields(Scenes):
        values = [getattr(part, field.name) for part in scenes]
        if isinstance(values[0], dict):
            parts[field.name] = {k: np.concatenate([v[k] for v in values]) for k in values[0]}
        else:
            parts[field.name] = np.concatenate(values)
    return Scenes(**parts)


def _take(values: np.ndarray | dict[str, np.ndarray], rows: np.ndarray) -> Any:
    if isinstance(values, dict):
        return {name: array[rows] for name, array in values.items()}
    return values[rows]
