"""Radial profiles of stamps: what is left of an image once its angles are forgotten."""

import torch
from torch import Tensor

_RINGS = 11
_SCALES, _CHANNELS = 2, 3
PROFILES = _SCALES * _CHANNELS * _RINGS * 2
# An eighth view and a seventh tell whether anything was observed, near and wide.
_SHARES = slice(6, 8)


def radial_profiles(views: Tensor) -> tuple[Tensor, Tensor]:
    """Measure views `(n, 8, s, s)`: mean and deviation in rings of a pixel about the centre.

    Returns float `(n, 132)` of the six images, and bool of the same shape, whether the scale that a
    number belongs to was observed at all.
    """
    rings = _rings(views.shape[-1], views)
    images = views[:, : _SCALES * _CHANNELS].flatten(2)
    mean = images @ rings.T
    deviation = (images.square() @ rings.T - mean.square()).clamp(min=0).sqrt()
    measured = torch.cat([mean, deviation], dim=2).flatten(1)
    observed = views[:, _SHARES].flatten(2).any(dim=2)
    return measured, observed.repeat_interleave(PROFILES // _SCALES, dim=1)


def _rings(side: int, like: Tensor) -> Tensor:
    """Give the weights `(11, side * side)` that average over each ring."""
    place = torch.arange(side, device=like.device, dtype=like.dtype) - (side - 1) / 2
    radius = torch.hypot(place, place[:, None])
    inside = (radius - torch.arange(_RINGS, device=like.device)[:, None, None]).abs() <= 0.5
    weights = inside.to(like.dtype).flatten(1)
    return weights / weights.sum(dim=1, keepdim=True)
