"""The stamps of detections as packets have them: cut at edges, with pixels without data, as FITS.

Numbers are those of the stamps of 2,175 real alerts.
"""

import gzip
from typing import NamedTuple

import numpy as np

from ztfrep.sources.packets.cutouts import COLUMNS, ROWS, STAMP_SIZE
from ztfrep.sources.packets.fits import BLOCK, CARD
from ztfrep.sources.simulation import optics
from ztfrep.sources.simulation.colours import in_filter
from ztfrep.sources.simulation.exposures import (
    central_sign,
    render_exposure,
    render_template,
    scale_template_noise,
)
from ztfrep.sources.simulation.scene import BOGUS, Scenes
from ztfrep.sources.simulation.schedule import Schedule
from ztfrep.sources.simulation.survey_objects import SurveyObjects

# Fraction of the stamps that lack a strip of pixels at a side, which are NaN in all three stamps;
# and the fraction of stamps without some pixels whose template has the lowest number instead. The
# median of such pixels is 224, a tenth of the stamps has more than 1,135.
_STRIPS, _LOWEST_IN_TEMPLATE = 0.04, 0.05
# A bright star has a square without data: 10.6 % of the stamps, which have squares of 7 to 24
# pixels with a median of 12. No alert is in one.
_SQUARE_MAGNITUDE, _SQUARE, _SQUARE_GROWTH, _LARGEST_SQUARE = 14.5, 7.0, 0.12, 26.0
_MASKED_PIXELS, _SPREAD, _MOST_PIXELS = 224.0, 1.25, 1500.0
_LOWEST = np.float32(-3.4e38)
_TEMPLATE_SKY, _SKY_SPREAD = 119.0, 0.5  # counts, the median of the templates' medians
_HALF = STAMP_SIZE // 2


class Stamps(NamedTuple):
    """The stamps of n detections: a list of images `(3, H, W)`, float32, and the signs `(n,)`.

    The order is science, template, difference.
    """

    images: list[np.ndarray]
    sign: np.ndarray


def render_stamps(
    objects: SurveyObjects,
    schedule: Schedule,
    rows: np.ndarray,
    pixel: np.ndarray,
    *,
    seed: int,
    rng: np.random.Generator,
) -> Stamps:
    """Render the stamps of the observations `rows`; `pixel` `(n, 2)` is their place in the readout.

    All stamps of an object in one filter have the same template. The sign of an artefact is that
    of its stamp, and that of another source the one that it was measured with.
    """
    table = objects.observations
    owner, exposure = table.object[rows], table.exposure[rows]
    fid = schedule.fid[exposure]
    scenes = objects.scenes.take(
        owner,
        change=table.change[rows],
        seeing=schedule.seeing[exposure],
        elongation=table.elongation[rows],
        limit=schedule.limit[exposure],
    )
    scenes = in_filter(scenes, objects.colours.take(owner), fid)
    galaxies = optics.render_galaxies(**scenes.galaxy, size=STAMP_SIZE)
    template = render_template(scenes, galaxies, STAMP_SIZE)
    own = [np.random.default_rng([seed, 8, *pair]) for pair in zip(owner, fid, strict=True)]
    sky = _TEMPLATE_SKY * np.exp([r.normal(0, _SKY_SPREAD) for r in own])
    white = np.stack([r.standard_normal((STAMP_SIZE,) * 2, dtype=np.float32) for r in own])
    # The depth of a template does not depend on the science exposure.
    depth = optics.counts(np.full(len(rows), 20.4)) / 5 / np.sqrt(optics.noise_area(np.array(2.3)))
    noise = scale_template_noise(white, template, depth)
    science, difference = render_exposure(scenes, 0, galaxies, noise, STAMP_SIZE, rng)
    sign = np.where(
        scenes.label == BOGUS, central_sign(difference), np.where(table.measured[rows] < 0, -1, 1)
    )
    science += schedule.sky[exposure].astype(np.float32)[:, None, None]
    template += noise + sky.astype(np.float32)[:, None, None]
    difference *= sign[:, None, None].astype(np.float32)
    stamps = np.stack([science, template, difference], axis=1)
    _mask(stamps, scenes, rng)
    return Stamps([_cut(image, *at) for image, at in zip(stamps, pixel, strict=True)], sign)


def to_fits(image: np.ndarray) -> bytes:
    """Return an image `(H, W)` as a gzipped FITS file; the same image is the same bytes."""
    height, width = image.shape
    cards = [
        f"{'SIMPLE':8}= {'T':>20}",
        f"{'BITPIX':8}= {-32:>20}",
        f"{'NAXIS':8}= {2:>20}",
        f"{'NAXIS1':8}= {width:>20}",
        f"{'NAXIS2':8}= {height:>20}",
        f"{'BUNIT':8}= 'DN      '",
        "END",
    ]
    header = "".join(f"{card:{CARD}}" for card in cards).ljust(BLOCK).encode()
    data = image.astype(">f4").tobytes()
    # Pixels of noise compress by a third at any level.
    return gzip.compress(header + data + bytes(-len(data) % BLOCK), compresslevel=1, mtime=0)


def _mask(stamps: np.ndarray, scenes: Scenes, rng: np.random.Generator) -> None:
    """Remove pixels of stamps `(n, 3, m, m)`: squares at bright stars, and strips at sides."""
    position = np.arange(STAMP_SIZE) - _HALF
    magnitude = optics.magnitude(np.maximum(scenes.star_flux, 1e-9))
    masked = np.zeros((len(stamps), STAMP_SIZE, STAMP_SIZE), bool)
    for stamp, star in zip(*np.nonzero(magnitude < _SQUARE_MAGNITUDE), strict=True):
        growth = 10 ** (_SQUARE_GROWTH * (_SQUARE_MAGNITUDE - magnitude[stamp, star]))
        half = min(_SQUARE * growth, _LARGEST_SQUARE) / 2
        x, y = scenes.star_x[stamp, star], scenes.star_y[stamp, star]
        if max(abs(x), abs(y)) > half + 1:
            inside = np.abs(position - x) < half
            masked[stamp] |= (np.abs(position - y) < half)[:, None] & inside
    # Where exposures do not overlap.
    for stamp in np.flatnonzero(rng.random(len(stamps)) < _STRIPS):
        number = min(_MASKED_PIXELS * np.exp(rng.normal(0, _SPREAD)), _MOST_PIXELS)
        # A straight edge, nearly parallel to a side.
        angle = rng.integers(4) * np.pi / 2 + rng.normal(0, 0.03)
        distance = position * np.cos(angle) + position[:, None] * np.sin(angle)
        masked[stamp] |= distance > _HALF + 0.5 - number / STAMP_SIZE
    lowest = rng.random(len(stamps)) < _LOWEST_IN_TEMPLATE
    for stamp in np.flatnonzero(masked.any(axis=(1, 2))):
        stamps[stamp, :, masked[stamp]] = np.nan
        if lowest[stamp]:
            stamps[stamp, 1, masked[stamp]] = _LOWEST


def _cut(image: np.ndarray, x: int, y: int) -> np.ndarray:
    """Cut a stamp `(3, 63, 63)` around a pixel, from 1, at the edges of the readout."""
    return image[:, _slice(y, ROWS), _slice(x, COLUMNS)]


def _slice(centre: int, size: int) -> slice:
    return slice(max(0, _HALF + 1 - centre), min(STAMP_SIZE, size - centre + _HALF + 1))
