"""Random variation of training alerts: missing parts, noise, shifts and rotations."""

import math

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from ztfrep.data.stamps import CONTEXT_CHANNELS
from ztfrep.models.alert.base import AlertInput, Augmentation

# Channels of `crop_and_context` that are images.
_IMAGES = slice(0, 6)


def augment(alerts: AlertInput, augmentation: Augmentation) -> AlertInput:
    """Return alerts with random variations.

    An alert loses its stamps, the context of its stamps or its metadata with the probabilities
    `drop_stamps`, `drop_context` and `drop_features`, independently of the other alerts. No alert
    loses both stamps and metadata. `noise` is the standard deviation of the noise that is added to
    crop and context, in units of that of the sky. All alerts of a batch are shifted by the same
    number of pixels, at most `shift` in each direction. Each alert is rotated by its own angle, at
    most `rotation` degrees in either direction. All random numbers are drawn on the device.
    """
    pixels, pixel_mask, images, features, feature_mask = alerts
    uniform = torch.rand(len(pixels), device=pixels.device)
    if augmentation.shift:
        pixels, pixel_mask, images = _shift(pixels, pixel_mask, images, augmentation.shift)
    if augmentation.rotation:
        pixels, pixel_mask, images = _rotate(pixels, pixel_mask, images, augmentation.rotation)
    if augmentation.noise:
        images = images.clone()
        noise = augmentation.noise * torch.randn_like(images[:, _IMAGES])
        images[:, _IMAGES] += noise * (images[:, _IMAGES] != 0)
    # An alert without metadata keeps its stamps.
    no_stamps = (uniform < augmentation.drop_stamps) & feature_mask.any(dim=1)
    no_features = (uniform > 1 - augmentation.drop_features) & pixel_mask.flatten(1).any(dim=1)
    no_context = torch.rand(len(pixels), device=pixels.device) < augmentation.drop_context
    images = torch.where(_broadcast(no_stamps, images), 0, images)
    images = torch.where(_broadcast(no_context, images) & _is_context(images), 0, images)
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
    pixels: Tensor, mask: Tensor, images: Tensor, max_degrees: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Rotate each alert by its own angle; pixels from outside the stamp are not observed."""
    angle = (2 * torch.rand(len(pixels), device=pixels.device) - 1) * math.radians(max_degrees)
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    matrix = torch.stack([torch.stack([cos, -sin, zero], 1), torch.stack([sin, cos, zero], 1)], 1)

    def rotate(values: Tensor) -> Tensor:
        grid = affine_grid(matrix, list(values.shape), align_corners=False)
        return grid_sample(values, grid, align_corners=False)

    # A pixel is observed if it is interpolated from observed pixels only.
    observed = rotate(mask.float()) > 0.999
    return torch.where(observed, rotate(pixels), 0), observed, rotate(images)


def _shift(
    pixels: Tensor, mask: Tensor, images: Tensor, max_pixels: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Shift all alerts of a batch equally; pixels from outside the stamp are not observed."""
    side = pixels.shape[-1]
    shift = torch.randint(-max_pixels, max_pixels + 1, (2, 1), device=pixels.device)
    source = torch.arange(side, device=pixels.device) - shift
    rows, columns = source.clamp(0, side - 1)
    inside_rows, inside_columns = (source >= 0) & (source < side)
    inside = inside_rows[:, None] & inside_columns

    def move(values: Tensor) -> Tensor:
        return values[:, :, rows[:, None], columns].masked_fill(~inside, 0)

    # The context is not shifted: its pixels are larger than the shift.
    shifted = torch.where(_is_context(images), images, move(images))
    return move(pixels), move(mask), shifted


def _is_context(images: Tensor) -> Tensor:
    """Return True for the channels of the context and its observed fraction: `(8, 1, 1)`."""
    channels = torch.zeros(images.shape[1], 1, 1, dtype=torch.bool, device=images.device)
    # An assignment would copy a number from the host.
    channels[CONTEXT_CHANNELS].fill_(True)
    channels[-1:].fill_(True)
    return channels
