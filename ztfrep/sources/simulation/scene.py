"""The scenes of stamps: hosts, stars, neighbours, and the change that made the alert."""

from dataclasses import dataclass

import numpy as np

from ztfrep.data.alert_schema import CLASSES
from ztfrep.sources.simulation import lightcurves, optics, sky

AGN, SN, VS, ASTEROID, BOGUS = range(len(CLASSES))
# What a bogus alert is.
REAL, COSMIC_RAY, BAD_COLUMN, SATURATED, MISALIGNED, NOISE_PEAK = range(6)
_STARS, _GALAXIES = 40, 5  # Of a scene; the first is the alert's own star or host.
_RADIUS = 40.0  # pixels around the centre within which neighbours are
_FAINTEST = 22.3


@dataclass(frozen=True)
class Kinds:
    """The composition of the classes of a data set: fractions of their members.

    All but `quasars` have the same appearance in a stamp, a point of light where there was none or
    next to an unrelated star; the metadata differ.
    """

    quasars: float  # of the AGN: those brighter than their hosts
    outbursts: float  # of the variable stars: those whose star no template shows
    hostless: float  # of the supernovae: those whose host no template shows
    crossing: float  # of the asteroids: those that pass a star
    noise_peaks: float  # of the bogus: those that look like a faint source


FIRST_ALERTS = Kinds(quasars=0.235, outbursts=0.05, hostless=0.08, crossing=0.05, noise_peaks=0.07)
# The AGN of the series come from catalogues of quasars, and an outburst is detected again.
SERIES = Kinds(quasars=0.9, outbursts=0.14, hostless=0.12, crossing=0.0, noise_peaks=0.0)
# Of the bogus that are no noise peaks.
_FAULTS = np.array([0.62, 0.165, 0.144, 0.071])


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
    shape: np.ndarray  # (n, k, 2) quadrupole of the science exposure's light, square pixels
    template_shape: np.ndarray  # (n, 2)
    limit: np.ndarray  # (n, k) five-sigma limiting magnitude of the science exposure

    def __len__(self) -> int:
        return len(self.label)

    @property
    def noise(self) -> np.ndarray:
        """Standard deviation of a science exposure's sky, counts per pixel, `(n, k)`."""
        return optics.counts(self.limit) / 5 / np.sqrt(optics.noise_area(self.seeing))


def draw(
    labels: np.ndarray, exposures: int, rng: np.random.Generator, kinds: Kinds = FIRST_ALERTS
) -> Scenes:
    """Draw scenes for classes `(n,)`, with `exposures` detections each."""
    n = len(labels)
    ra, dec = sky.positions(labels, rng)
    latitude = np.abs(sky.galactic(ra, dec)[0])
    limit = np.clip(
        rng.normal(20.35, 0.45, (n, 1)) + rng.normal(0, 0.15, (n, exposures)), 18.5, 21.4
    )
    seeing = np.clip(np.exp(rng.normal(np.log(2.3), 0.2, (n, exposures))), 1.5, 4.5)
    artefact = np.where(
        labels == BOGUS,
        np.where(
            rng.random(n) < kinds.noise_peaks,
            NOISE_PEAK,
            rng.choice([COSMIC_RAY, BAD_COLUMN, SATURATED, MISALIGNED], n, p=_FAULTS),
        ),
        REAL,
    )
    scenes = Scenes(
        label=labels,
        ra=ra,
        dec=dec,
        x=rng.uniform(-0.5, 0.5, n),
        y=rng.uniform(-0.5, 0.5, n),
        change=np.zeros((n, exposures)),
        trail=np.where((labels == ASTEROID) & (rng.random(n) < 0.3), rng.uniform(0.5, 4, n), 0),
        trail_angle=rng.uniform(0, np.pi, n),
        artefact=artefact,
        **_neighbours(n, latitude, rng),
        seeing=seeing,
        template_seeing=np.clip(np.exp(rng.normal(np.log(2.2), 0.1, n)), 1.6, 3.2),
        shape=rng.normal(0, 0.07, (n, exposures, 2)),
        template_shape=rng.normal(0, 0.04, (n, 2)),
        limit=limit,
    )
    _add_alert(scenes, kinds, rng)
    return scenes


def _neighbours(n: int, latitude: np.ndarray, rng: np.random.Generator) -> dict:
    """Draw field stars, crowded near the galactic plane, and field galaxies, rare behind it."""
    density = np.clip(2.5 + 65 * np.exp(-latitude / 9) * np.exp(rng.normal(0, 0.5, n)), 0, 38)
    present = np.arange(_STARS) < 1 + rng.poisson(density)[:, None]
    present[:, 0] = False
    # Counts of stars grow by 10^0.32 a magnitude: the inverse of their distribution.
    depth = np.log10(rng.random((n, _STARS))) / 0.32
    star_magnitude = np.maximum(_FAINTEST + depth, 12)
    x, y = _disk((n, _STARS), rng)
    number = rng.poisson(np.where(latitude < 8, 0.2, 1.6))
    shown = np.arange(_GALAXIES) < 1 + number[:, None]
    shown[:, 0] = False
    galaxy_x, galaxy_y = _disk((n, _GALAXIES), rng)
    galaxy_magnitude = np.maximum(21.8 + np.log10(rng.random((n, _GALAXIES))) / 0.45, 15)
    galaxy = {
        "x": galaxy_x,
        "y": galaxy_y,
        "flux": np.where(shown, optics.counts(galaxy_magnitude), 0),
        "radius": _half_light_radius(galaxy_magnitude, rng),
        "index": np.exp(rng.normal(np.log(1.6), 0.5, (n, _GALAXIES))).clip(0.6, 4.5),
        "axis_ratio": rng.uniform(0.35, 1, (n, _GALAXIES)),
        "angle": rng.uniform(0, np.pi, (n, _GALAXIES)),
    }
    flux = np.where(present, optics.counts(star_magnitude), 0)
    return {"star_x": x, "star_y": y, "star_flux": flux, "galaxy": galaxy}


def _half_light_radius(magnitude: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Pixels: brighter galaxies are wider, with a scatter of 0.4 in the logarithm."""
    mean = 1.5 * 10 ** (-0.14 * (magnitude - 20))
    return np.clip(mean * np.exp(rng.normal(0, 0.4, magnitude.shape)), 0.4, 12)


def _disk(shape: tuple[int, int], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    radius, angle = _RADIUS * np.sqrt(rng.random(shape)), rng.uniform(0, 2 * np.pi, shape)
    return radius * np.cos(angle), radius * np.sin(angle)


def _add_alert(scenes: Scenes, kinds: Kinds, rng: np.random.Generator) -> None:
    """Put the alert's own star or host into the scenes, and its change at each exposure."""
    n, exposures = scenes.change.shape
    days = lightcurves.observation_times(n, exposures, rng)
    # Difference of the limit and the magnitude of an object's faintest detection.
    spare = 0.5 + rng.gamma(2.0, np.array([0.45, 0.8, 1.4, 0.5, 1.2])[scenes.label])
    faintest = optics.counts(scenes.limit - np.minimum(spare, 5.5)[:, None])
    _add_agn(scenes, np.flatnonzero(scenes.label == AGN), days, faintest, kinds.quasars, rng)
    _add_supernovae(scenes, np.flatnonzero(scenes.label == SN), days, faintest, kinds.hostless, rng)
    _add_variable_stars(
        scenes, np.flatnonzero(scenes.label == VS), days, faintest, kinds.outbursts, rng
    )
    _add_asteroids(scenes, np.flatnonzero(scenes.label == ASTEROID), faintest, kinds.crossing, rng)
    _add_bogus(scenes, np.flatnonzero(scenes.label == BOGUS), faintest, rng)


def _detected(shape: np.ndarray, faintest: np.ndarray) -> np.ndarray:
    """Scale changes `(m, k)` so that each is brighter than its own faintest detection."""
    # Where the light curve is near zero, the detection is that of another night.
    largest = np.abs(shape).max(axis=1, keepdims=True)
    sign = np.where(shape < 0, -1, 1)
    relative = sign * np.maximum(np.abs(shape), 0.2 * largest) / largest
    return relative * (faintest / np.abs(relative)).max(axis=1, keepdims=True)


def _relative_change(magnitudes: np.ndarray) -> np.ndarray:
    return 10 ** (-0.4 * magnitudes) - 1


def _add_agn(
    scenes: Scenes,
    rows: np.ndarray,
    days: np.ndarray,
    faintest: np.ndarray,
    quasars: float,
    rng: np.random.Generator,
) -> None:
    shape = _relative_change(lightcurves.damped_random_walk(days[rows], rng))
    change = _detected(shape, faintest[rows])
    scenes.change[rows] = change
    nucleus = (np.abs(change) / np.maximum(np.abs(shape), 0.15)).max(axis=1)
    scenes.star_flux[rows, 0] = np.clip(nucleus, *optics.counts(np.array([21.0, 14.5])))
    _centre_star(scenes, rows)
    # Quasars are brighter than their hosts; Seyferts are fainter.
    host = optics.magnitude(scenes.star_flux[rows, 0]) + np.where(
        rng.random(len(rows)) < quasars,
        rng.normal(2.0, 1.0, len(rows)),
        rng.normal(-1.5, 0.8, len(rows)),
    )
    _set_host(scenes, rows, np.maximum(host, 14.5), rng, index=2.2)
    scenes.galaxy["x"][rows, 0] = scenes.x[rows]
    scenes.galaxy["y"][rows, 0] = scenes.y[rows]


def _add_supernovae(
    scenes: Scenes,
    rows: np.ndarray,
    days: np.ndarray,
    faintest: np.ndarray,
    hostless: float,
    rng: np.random.Generator,
) -> None:
    scenes.change[rows] = _detected(lightcurves.supernova(days[rows], rng), faintest[rows])
    host = np.clip(rng.normal(17.5, 1.5, len(rows)), 14.0, 21.5)
    dwarf = rng.random(len(rows)) < hostless
    host = np.where(dwarf, rng.uniform(22.0, 24.5, len(rows)), host)
    _set_host(scenes, rows, host, rng, index=1.4)
    # Supernovae follow the light: an exponential disc's radii, in half-light radii.
    radius = scenes.galaxy["radius"][rows, 0] * rng.gamma(2, 0.55, len(rows))
    angle = rng.uniform(0, 2 * np.pi, len(rows))
    scenes.galaxy["x"][rows, 0] = scenes.x[rows] + radius * np.cos(angle)
    scenes.galaxy["y"][rows, 0] = scenes.y[rows] + radius * np.sin(angle)


def _add_variable_stars(
    scenes: Scenes,
    rows: np.ndarray,
    days: np.ndarray,
    faintest: np.ndarray,
    outbursts: float,
    rng: np.random.Generator,
) -> None:
    shape = _relative_change(lightcurves.variable_star(days[rows], rng))
    change = _detected(shape, faintest[rows])
    scenes.change[rows] = change
    star = (np.abs(change) / np.maximum(np.abs(shape), 0.03)).max(axis=1)
    # A star cannot fade by more than it has.
    star = np.maximum(star, -1.05 * change.min(axis=1))
    scenes.star_flux[rows, 0] = np.clip(star, *optics.counts(np.array([21.8, 12.8])))
    scenes.change[rows] = np.maximum(change, -0.95 * scenes.star_flux[rows, :1])
    hidden = rows[rng.random(len(rows)) < outbursts]
    scenes.star_flux[hidden, 0] = optics.counts(rng.uniform(21.5, 24.0, len(hidden)))
    scenes.change[hidden] = np.abs(scenes.change[hidden])
    _centre_star(scenes, rows)


def _add_asteroids(
    scenes: Scenes,
    rows: np.ndarray,
    faintest: np.ndarray,
    crossing: float,
    rng: np.random.Generator,
) -> None:
    scenes.change[rows] = faintest[rows] * np.exp(rng.normal(0, 0.1, faintest[rows].shape))
    passed = rows[rng.random(len(rows)) < crossing]
    scenes.star_flux[passed, 0] = optics.counts(rng.uniform(16.0, 21.0, len(passed)))
    scenes.star_x[passed, 0] = scenes.x[passed] + rng.normal(0, 0.6, len(passed))
    scenes.star_y[passed, 0] = scenes.y[passed] + rng.normal(0, 0.6, len(passed))


def _add_bogus(
    scenes: Scenes, rows: np.ndarray, faintest: np.ndarray, rng: np.random.Generator
) -> None:
    kind = scenes.artefact[rows]
    scenes.change[rows] = faintest[rows]
    bright = np.where(kind == SATURATED, rng.uniform(11.0, 14.0, len(rows)), 0)
    bright = np.where(kind == MISALIGNED, rng.uniform(14.2, 18.0, len(rows)), bright)
    stars = rows[bright > 0]
    scenes.star_flux[stars, 0] = optics.counts(bright[bright > 0])
    # Some lie in the glare of a saturated star, the others on the star's core.
    glare = (kind[bright > 0] == SATURATED) & (rng.random(len(stars)) < 0.5)
    offset = np.where(glare, 5.0, 0.7)
    scenes.star_x[stars, 0] = scenes.x[stars] + rng.normal(0, offset)
    scenes.star_y[stars, 0] = scenes.y[stars] + rng.normal(0, offset)


def _centre_star(scenes: Scenes, rows: np.ndarray) -> None:
    scenes.star_x[rows, 0], scenes.star_y[rows, 0] = scenes.x[rows], scenes.y[rows]


def _set_host(
    scenes: Scenes, rows: np.ndarray, magnitude: np.ndarray, rng: np.random.Generator, index: float
) -> None:
    scenes.galaxy["flux"][rows, 0] = optics.counts(magnitude)
    scenes.galaxy["radius"][rows, 0] = _half_light_radius(magnitude, rng)
    scenes.galaxy["index"][rows, 0] = np.clip(
        index * np.exp(rng.normal(0, 0.4, len(rows))), 0.6, 4.5
    )
