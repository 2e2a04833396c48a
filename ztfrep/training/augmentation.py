"""Random variation of training alerts: missing parts, noise, shifts and rotations."""

import math

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from ztfrep.data.stamps import CONTEXT_CHANNELS
from ztfrep.models.alert.base import AlertInput, Augmentation

# Channels of `crop_and_context`: the observed fraction of the context; the crop and its fraction.
_CONTEXT_FRACTION = 7
_CROP = [0, 1, 2, 6]
_IMAGES = slice(0, 6)


def augment(alerts: AlertInput, augmentation: Augmentation) -> AlertInput:
    """Vary alerts at random, each independently of the others.

    With the probabilities `drop_stamps`, `drop_context` and `drop_features` an alert loses its
    stamps, the context of its stamps, or its metadata; none loses both stamps and metadata. `noise`
    is the standard deviation of the noise added to crop and context, in units of the sky's. All
    alerts of a batch are shifted by the same number of pixels, `shift` at most; each is rotated by
    an angle of its own, `rotation` degrees at most.
    """
    pixels, pixel_mask, images, features, feature_mask = alerts
    chance = torch.rand(len(pixels), device=pixels.device)
    if augmentation.shift:
        pixels, pixel_mask, images = _shift(pixels, pixel_mask, images, augmentation.shift)
    if augmentation.rotation:
        pixels, pixel_mask, images = _rotate(pixels, pixel_mask, images, augmentation.rotation)
    if augmentation.noise:
        images = images.clone()
        noise = augmentation.noise * torch.randn_like(images[:, _IMAGES])
        images[:, _IMAGES] += noise * (images[:, _IMAGES] != 0)
    # An alert without metadata keeps its stamps.
    no_stamps = (chance < augmentation.drop_stamps) & feature_mask.any(dim=1)
    no_features = (chance > 1 - augmentation.drop_features) & pixel_mask.flatten(1).any(dim=1)
    no_context = torch.rand(len(pixels), device=pixels.device) < augmentation.drop_context
    images = torch.where(_broadcast(no_stamps, images), 0, images)
    context = torch.zeros(images.shape[1], dtype=torch.bool, device=images.device)
    context[CONTEXT_CHANNELS], context[_CONTEXT_FRACTION] = True, True
    images = torch.where(_broadcast(no_context, images) & context[:, None, None], 0, images)
    return AlertInput(
        pixels,
        pixel_mask & ~_broadcast(no_stamps, pixel_mask),
        images,
        features,
        feature_mask & ~(no_features & ~no_stamps)[:, None],
    )


def _broadcast(rows: Tensor, values: Tensor) -> Tensor:
    return rows.view(-1, *(1,) * (values.ndim - 1))


def _rotate(
    pixels: Tensor, mask: Tensor, images: Tensor, largest: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Rotate each alert by an angle of its own; pixels from beyond a corner are not observed."""
    angle = (2 * torch.rand(len(pixels), device=pixels.device) - 1) * math.radians(largest)
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    matrix = torch.stack([torch.stack([cos, -sin, zero], 1), torch.stack([sin, cos, zero], 1)], 1)

    def rotated(values: Tensor) -> Tensor:
        grid = affine_grid(matrix, list(values.shape), align_corners=False)
        return grid_sample(values, grid, align_corners=False)

    # A pixel interpolated from one that was not observed was not observed either.
    observed = rotated(mask.float()) > 0.999
    return torch.where(observed, rotated(pixels), 0), observed, rotated(images)


def _shift(
    pixels: Tensor, mask: Tensor, images: Tensor, largest: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Shift all alerts of a batch equally; pixels from beyond an edge are not observed."""
    down, right = torch.randint(-largest, largest + 1, (2,)).tolist()
    pixels, mask, shifted = (
        torch.roll(part, (down, right), (-2, -1)) for part in (pixels, mask, images)
    )
    # The context would move by less than one of its pixels: it stays.
    shifted[:, CONTEXT_CHANNELS] = images[:, CONTEXT_CHANNELS]
    shifted[:, _CONTEXT_FRACTION] = images[:, _CONTEXT_FRACTION]
    inside = torch.zeros_like(mask[0, 0])
    side = inside.shape[0]
    rows = slice(max(0, down), side + min(0, down))
    columns = slice(max(0, right), side + min(0, right))
    inside[rows, columns] = True
    shifted[:, _CROP] = torch.where(inside, shifted[:, _CROP], 0)
    return torch.where(inside, pixels, 0), mask & inside, shifted
