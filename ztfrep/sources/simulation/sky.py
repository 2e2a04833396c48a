"""Positions of the classes on the sky, and coordinate systems."""

import numpy as np

from ztfrep.data.alert_schema import CLASSES

SOUTHERN_LIMIT = -30.0  # deg, of the survey's footprint
OBLIQUITY = 23.4392911  # deg, J2000 (IAU 1976)
# Galactic north pole and the position angle of the centre, J2000 (Murray 1989), deg.
_POLE_RA, _POLE_DEC, _NODE = 192.85948, 27.12825, 122.93192
# Fraction of a class near the galactic plane, and near the ecliptic.
_IN_PLANE = dict(zip(CLASSES, (0.02, 0.03, 0.75, 0.05, 0.3), strict=True))
_IN_ECLIPTIC = dict(zip(CLASSES, (0.0, 0.0, 0.0, 0.93, 0.05), strict=True))


def ecliptic(ra: np.ndarray, dec: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Convert equatorial positions to ecliptic latitude and longitude, all in degrees, J2000."""
    a, d, e = np.radians(ra), np.radians(dec), np.radians(OBLIQUITY)
    latitude = np.arcsin(np.sin(d) * np.cos(e) - np.cos(d) * np.sin(e) * np.sin(a))
    longitude = np.arctan2(np.sin(a) * np.cos(e) + np.tan(d) * np.sin(e), np.cos(a))
    return np.degrees(latitude), np.degrees(longitude) % 360


def galactic(ra: np.ndarray, dec: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Convert equatorial positions to galactic latitude and longitude, all in degrees, J2000."""
    a, d, p = np.radians(ra - _POLE_RA), np.radians(dec), np.radians(_POLE_DEC)
    latitude = np.arcsin(np.sin(d) * np.sin(p) + np.cos(d) * np.cos(p) * np.cos(a))
    east = np.cos(d) * np.sin(a)
    north = np.sin(d) * np.cos(p) - np.cos(d) * np.sin(p) * np.cos(a)
    return np.degrees(latitude), (_NODE - np.degrees(np.arctan2(east, north))) % 360


def positions(labels: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw right ascension and declination in degrees, `(n,)` each, for classes `(n,)`."""
    plane = np.array([_IN_PLANE[name] for name in CLASSES])[labels]
    zodiac = np.array([_IN_ECLIPTIC[name] for name in CLASSES])[labels]
    region = rng.random(len(labels))
    ra, dec = np.empty(len(labels)), np.empty(len(labels))
    missing = np.arange(len(labels))
    while missing.size:
        n = missing.size
        a = rng.uniform(0, 360, n)
        d = np.degrees(np.arcsin(rng.uniform(-0.5, 1, n)))
        latitude = np.abs(galactic(a, d)[0])
        orbit = np.abs(ecliptic(a, d)[0])
        probability = np.where(
            region[missing] < plane[missing],
            np.exp(-latitude / 7),
            np.where(
                region[missing] > 1 - zodiac[missing],
                np.exp(-orbit / 7),
                # Extinction hides objects behind the plane.
                1 - np.exp(-latitude / 9),
            ),
        )
        accepted = rng.random(n) < probability
        ra[missing[accepted]], dec[missing[accepted]] = a[accepted], d[accepted]
        missing = missing[~accepted]
    return ra, dec
