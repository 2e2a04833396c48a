"""Shapes of stamps: numbers that are left of an image once it is forgotten how it lies.

They are measured and not learnt, so that they mean the same on the sky as in a simulation.
"""

import torch
from torch import Tensor

from ztfrep.models.alert.base import NEAR, SHARES, WIDE

_RINGS, _MODES = 11, 4
# Within so many pixels of the centre two channels are compared.
_RADII = (3, 5, 8)
_PAIRS = ((0, 1), (0, 2), (1, 2))
_FARTHEST = 12.0  # arcsinh of some 80,000 MAD
_SMALLEST = 1e-6

# How many numbers are measured of the near images, and of both.
_OF_NEAR = 3 * _RINGS * 4 + 3 * _MODES * (_RINGS - 1) + len(_RADII) * len(_PAIRS)
SHAPES = _OF_NEAR + 3 * _RINGS * 2


def measured_shapes(views: Tensor) -> tuple[Tensor, Tensor]:
    """Measure views `(n, 8, s, s)` of stamps: float `(n, 327)`.

    Of the near images mean and deviation in rings of a pixel about the centre; the same of the
    image in units of its largest value, which tells a point's width whatever the noise; amplitudes
    of the first four Fourier modes around each ring; correlations of the channels within three
    radii. Then of the wide images mean and deviation. Bool of the same shape tells whether the
    scale that a number belongs to was observed at all.
    """
    near, wide = views[:, NEAR], views[:, WIDE]
    counts = near.clamp(-_FARTHEST, _FARTHEST).sinh()
    largest = counts.flatten(2).abs().amax(dim=2).clamp(min=_SMALLEST)
    whole = counts / largest[..., None, None]
    of_near = [*_profile(near), *_profile(whole), _modes(near), _correlations(near)]
    observed = views[:, SHARES].flatten(2).any(dim=2)
    sizes = torch.tensor([_OF_NEAR, SHAPES - _OF_NEAR], device=views.device)
    return torch.cat([*of_near, *_profile(wide)], dim=1), observed.repeat_interleave(sizes, dim=1)


def _profile(images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation in each ring: `(n, c * 11)` each."""
    weights = _rings(images).T
    pixels = images.flatten(2)
    mean = pixels @ weights
    deviation = (pixels.square() @ weights - mean.square()).clamp(min=0).sqrt()
    return mean.flatten(1), deviation.flatten(1)


def _modes(images: Tensor) -> Tensor:
    """Amplitudes of the Fourier modes 1 to 4 around each ring but the centre: `(n, c * 40)`."""
    place = _places(images)
    angle = torch.atan2(place[:, None], place).flatten()
    order = torch.arange(1, _MODES + 1, device=images.device)[:, None, None] * angle
    rings, pixels = _rings(images)[1:], images.flatten(2)
    parts = [pixels @ (rings * wave).flatten(0, 1).T for wave in (order.cos(), order.sin())]
    return torch.hypot(*parts).flatten(1)


def _correlations(images: Tensor) -> Tensor:
    """Correlate channels pair by pair within each radius: `(n, 9)`."""
    place = _places(images)
    radius = torch.hypot(place[:, None], place).flatten()
    found = []
    for most in _RADII:
        pixels = images.flatten(2)[:, :, radius < most]
        pixels = pixels - pixels.mean(dim=2, keepdim=True)
        pixels = pixels / pixels.norm(dim=2, keepdim=True).clamp(min=_SMALLEST)
        found += [(pixels[:, one] * pixels[:, other]).sum(dim=1) for one, other in _PAIRS]
    return torch.stack(found, dim=1)


def _rings(like: Tensor) -> Tensor:
    """Give the weights `(11, s * s)` that average over each ring."""
    place = _places(like)
    radius = torch.hypot(place, place[:, None])
    inside = (radius - torch.arange(_RINGS, device=like.device)[:, None, None]).abs() <= 0.5
    weights = inside.to(like.dtype).flatten(1)
    return weights / weights.sum(dim=1, keepdim=True)


def _places(like: Tensor) -> Tensor:
    side = like.shape[-1]
    return torch.arange(side, device=like.device, dtype=like.dtype) - (side - 1) / 2
