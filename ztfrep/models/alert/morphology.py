"""Morphology of stamps: numbers that do not change when an image is rotated or mirrored.

They are computed, not learnt, so that they have the same meaning for real and simulated stamps.
"""

import torch
from torch import Tensor

from ztfrep.data.stamps import CONTEXT_CHANNELS, CROP_CHANNELS, FRACTION_CHANNELS

_RINGS, _MODES = 11, 4
# Pixels from the centre within which two channels are correlated.
_RADII = (3, 5, 8)
_PAIRS = ((0, 1), (0, 2), (1, 2))
_CLIP = 12.0  # arcsinh of 81,000 MAD
_EPSILON = 1e-6

# Length of the part that is computed of the crop, and length of the morphology.
_N_CROP = 3 * _RINGS * 4 + 3 * _MODES * (_RINGS - 1) + len(_RADII) * len(_PAIRS)
N_MORPHOLOGY = _N_CROP + 3 * _RINGS * 2


def compute_morphology(crop_and_context: Tensor) -> tuple[Tensor, Tensor]:
    """Return the morphology `(n, 327)` of stamps `(n, 8, s, s)`, and its mask.

    Of the crop: mean and standard deviation in rings of one pixel about the centre; the same of the
    image divided by its largest value, which measures the width of a point source independently of
    its brightness; amplitudes of the first four Fourier modes around each ring; correlations of the
    channels within three radii. Of the context: mean and standard deviation in the rings. The mask,
    bool `(n, 327)`, is False for numbers of a crop or context without an observed pixel.
    """
    crop, context = crop_and_context[:, CROP_CHANNELS], crop_and_context[:, CONTEXT_CHANNELS]
    counts = crop.clamp(-_CLIP, _CLIP).sinh()
    largest = counts.flatten(2).abs().amax(dim=2).clamp(min=_EPSILON)
    relative = counts / largest[..., None, None]
    of_crop = [
        *_ring_profiles(crop), *_ring_profiles(relative), _fourier_modes(crop), _correlations(crop)
    ]  # fmt: skip
    observed = crop_and_context[:, FRACTION_CHANNELS].flatten(2).any(dim=2)
    sizes = torch.tensor([_N_CROP, N_MORPHOLOGY - _N_CROP], device=crop.device)
    values = torch.cat([*of_crop, *_ring_profiles(context)], dim=1)
    return values, observed.repeat_interleave(sizes, dim=1)


def _ring_profiles(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation in each ring: `(n, c * 11)` each."""
    weights = _ring_weights(images).T
    pixels = images.flatten(2)
    mean = pixels @ weights
    deviation = (pixels.square() @ weights - mean.square()).clamp(min=0).sqrt()
    return mean.flatten(1), deviation.flatten(1)


def _fourier_modes(images: Tensor) -> Tensor:
    """Return amplitudes of the Fourier modes 1 to 4 in each ring but the centre: `(n, c * 40)`."""
    axis = _axis(images)
    angle = torch.atan2(axis[:, None], axis).flatten()
    order = torch.arange(1, _MODES + 1, device=images.device)[:, None, None] * angle
    rings, pixels = _ring_weights(images)[1:], images.flatten(2)
    parts = [pixels @ (rings * wave).flatten(0, 1).T for wave in (order.cos(), order.sin())]
    return torch.hypot(*parts).flatten(1)


def _correlations(images: Tensor) -> Tensor:
    """Return the correlation of each pair of channels within each radius: `(n, 9)`."""
    axis = _axis(images)
    radius = torch.hypot(axis[:, None], axis).flatten()
    correlations = []
    for maximum in _RADII:
        pixels = images.flatten(2)[:, :, radius < maximum]
        pixels = pixels - pixels.mean(dim=2, keepdim=True)
        pixels = pixels / pixels.norm(dim=2, keepdim=True).clamp(min=_EPSILON)
        correlations += [
            (pixels[:, first] * pixels[:, second]).sum(dim=1) for first, second in _PAIRS
        ]
    return torch.stack(correlations, dim=1)


def _ring_weights(images: Tensor) -> Tensor:
    """Return the weights `(11, s * s)` that average over each ring."""
    axis = _axis(images)
    radius = torch.hypot(axis, axis[:, None])
    inside = (radius - torch.arange(_RINGS, device=images.device)[:, None, None]).abs() <= 0.5
    weights = inside.to(images.dtype).flatten(1)
    return weights / weights.sum(dim=1, keepdim=True)


def _axis(images: Tensor) -> Tensor:
    """Return pixel coordinates from the centre along one side: `(s,)`."""
    side = images.shape[-1]
    return torch.arange(side, device=images.device, dtype=images.dtype) - (side - 1) / 2
