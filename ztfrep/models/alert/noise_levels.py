"""Estimates of the noise of scaled stamps, from the pixels alone.

The noise of a stamp is modelled as that of the sky and the photon noise of its sources; that of the
difference contains that of the science exposure. The functions take crops in any affine scale.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ztfrep.models.alert.stamp_scaling import masked_median

# The filter that removes sources wider than two pixels (Immerkaer 1996): its output for white noise
# of deviation 1 has a deviation of 6.
_SECOND_DIFFERENCE = (1.0, -2.0, 1.0)
# Deviation of its output for the noise of science, template and difference. Neighbouring pixels of
# science exposures and differences correlate by 0.02 and 0.03 (medians of the skies of 2,175 real
# alerts), so their noise is white. Those of templates, which are resampled, correlate by 0.34, and
# in the simulation by 0.20 and, at two pixels, by -0.13, which is used here.
_FILTERED = (6.0, 4.2, 6.0)
# The one-dimensional kernel of a noise of this correlation.
_RESAMPLING = (-0.07, 0.11, 1.0, 0.11, -0.07)
# Brightness, in deviations of the sky, at which the variance of a source's photon noise is that of
# the sky: for a science exposure the deviation in counts times the gain, 12 x 6.2 in the simulation
# and 7 x 6.2 in real alerts (medians). For a template 45 was measured in the simulation.
_PHOTON_SCALES = (60.0, 45.0, 60.0)
_MAD = 1.4826  # Standard deviation of a Gaussian in units of its MAD
_SEED = 1
_CLIP = 4.0  # Deviations; a source in both channels must not dominate their correlation.


class NoiseLevels(NamedTuple):
    """The noise of n stamps.

    Attributes
    ----------
    deviation : float32 (n, 3, s, s)
        Standard deviation of the noise of every pixel, 0 where nothing was observed.
    correlation : float32 (n,)
        Correlation of the noise of science and difference, between -1 and 1. It is negative for a
        difference of template minus science.
    """

    deviation: Tensor
    correlation: Tensor


def estimate_noise(pixels: Tensor, observed: Tensor) -> NoiseLevels:
    """Estimate the noise of stamps `(n, 3, s, s)`; pixels that were not observed are 0."""
    deviation, filtered, inside = _sky_noise(pixels, observed)
    sky = masked_median(pixels.flatten(2), observed.flatten(2))
    safe = torch.where(deviation > 0, deviation, 1.0)
    sources = ((pixels.flatten(2) - sky) / safe).clamp(min=0)
    # The light of a difference's sources is that of the science exposure.
    sources = torch.cat([sources[:, :2], sources[:, :1]], dim=1)
    sources = sources / torch.tensor(_PHOTON_SCALES, device=pixels.device)[:, None]
    noise = (deviation * (1 + sources).sqrt()).unflatten(2, pixels.shape[2:])
    standardised = (filtered / safe).clamp(-_CLIP, _CLIP) * (inside & (deviation > 0))
    science, difference = standardised[:, 0], standardised[:, 2]
    product = (science * difference).sum(dim=1)
    size = science.norm(dim=1) * difference.norm(dim=1)
    return NoiseLevels(noise * observed, product / torch.where(size > 0, size, 1.0))


def _sky_noise(pixels: Tensor, observed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the deviation of the sky's noise `(n, 3, 1)`, the filtered stamps, and their mask.

    The filtered stamps are in units of the sky's noise, `(n, 3, m)`.
    """
    step = torch.tensor(_SECOND_DIFFERENCE, dtype=pixels.dtype, device=pixels.device)
    kernel = (step[:, None] * step)[None, None]

    def convolve(images: Tensor, weights: Tensor) -> Tensor:
        flat = nn.functional.conv2d(images.flatten(0, 1)[:, None], weights)
        return flat.unflatten(0, images.shape[:2]).flatten(2)

    inside = convolve(observed.to(pixels.dtype), torch.ones_like(kernel)) > 8.5
    filtered = convolve(pixels, kernel) / torch.tensor(_FILTERED, device=pixels.device)[:, None]
    mad = torch.where(inside.any(2, keepdim=True), masked_median(filtered.abs(), inside), 0.0)
    return _MAD * mad, filtered, inside


def draw_noise_targets(pixels: Tensor, observed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the `NoiseLevels` of stamps, and random noise of deviation 1 `(n, 3, s, s)`.

    The noise is float16, which takes half the memory; it depends on the position of a row alone.
    """
    # A generator of its own: the random numbers of a training stay what they are without noise.
    generator = torch.Generator().manual_seed(_SEED)
    noise = draw_noise(len(pixels), pixels.shape[-1], generator)
    return (*estimate_noise(pixels, observed), noise.half().to(pixels.device))


def draw_noise(rows: int, size: int, generator: torch.Generator) -> Tensor:
    """Draw noise of deviation 1 `(rows, 3, size, size)`, which is correlated in the template."""
    kernel = torch.tensor(_RESAMPLING)
    kernel = kernel / kernel.norm()
    # The margin is lost in the convolution.
    margin = len(_RESAMPLING) // 2
    noise = torch.randn(rows, 3, size + 2 * margin, size + 2 * margin, generator=generator)
    inside = noise[:, :, margin:-margin, margin:-margin]
    template = nn.functional.conv2d(noise[:, 1:2], (kernel[:, None] * kernel)[None, None])
    return torch.cat([inside[:, :1], template, inside[:, 2:]], dim=1)


def scale_noise(noise: Tensor, levels: NoiseLevels) -> Tensor:
    """Scale noise of deviation 1 `(n, 3, s, s)` to that of stamps, and correlate its channels."""
    noise, correlation = noise.float(), levels.correlation[:, None, None]
    rest = (1 - correlation.square()).clamp(min=0).sqrt()
    difference = correlation * noise[:, 0] + rest * noise[:, 2]
    mixed = torch.stack([noise[:, 0], noise[:, 1], difference], dim=1)
    return mixed * levels.deviation
