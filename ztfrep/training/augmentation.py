"""Alerts as they might have come: parts missing, noise added, a pixel aside, turned a little."""

import math

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from ztfrep.models.alert.base import WIDE, AlertInput

_WIDE_SHARE = 7


def augmented(
    alerts: AlertInput,
    *,
    without_stamps: float,
    without_wide: float,
    without_features: float,
    noise: float,
    shift: int,
    rotation: float = 0.0,
) -> AlertInput:
    """Vary alerts at random, each by itself.

    The shares `without_...` of the alerts lose their stamps, the wider view of them, or their
    metadata; none loses both stamps and metadata. `noise` is the deviation of what is added to the
    views, in units of the sky's own there; `shift` is the most pixels that an alert moves aside,
    `rotation` the most degrees that it is turned by.
    """
    pixels, observed, views, features, known = alerts
    chance = torch.rand(len(pixels), device=pixels.device)
    if shift:
        pixels, observed, views = _shifted(pixels, observed, views, shift)
    if rotation:
        pixels, observed, views = _rotated(pixels, observed, views, rotation)
    if noise:
        views = views.clone()
        views[:, :6] += noise * torch.randn_like(views[:, :6]) * (views[:, :6] != 0)
    # Who has no metadata keeps the stamps.
    has_metadata = known.any(dim=1)
    blind = (chance < without_stamps) & has_metadata
    unmeasured = (chance > 1 - without_features) & observed.flatten(1).any(dim=1)
    narrow = torch.rand(len(pixels), device=pixels.device) < without_wide
    views = torch.where(_each(blind, views), 0, views)
    wide = torch.zeros(views.shape[1], dtype=torch.bool, device=views.device)
    wide[WIDE], wide[_WIDE_SHARE] = True, True
    views = torch.where(_each(narrow, views) & wide[:, None, None], 0, views)
    return AlertInput(
        pixels,
        observed & ~_each(blind, observed),
        views,
        features,
        known & ~(unmeasured & ~blind)[:, None],
    )


def _each(rows: Tensor, like: Tensor) -> Tensor:
    return rows.view(-1, *(1,) * (like.ndim - 1))


def _rotated(
    pixels: Tensor, observed: Tensor, views: Tensor, most: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Turn each alert by an angle of its own; what comes in at a corner is not observed."""
    angle = (2 * torch.rand(len(pixels), device=pixels.device) - 1) * math.radians(most)
    cos, sin, none = angle.cos(), angle.sin(), torch.zeros_like(angle)
    turns = torch.stack([torch.stack([cos, -sin, none], 1), torch.stack([sin, cos, none], 1)], 1)

    def turned(images: Tensor) -> Tensor:
        grid = affine_grid(turns, list(images.shape), align_corners=False)
        return grid_sample(images, grid, align_corners=False)

    # A pixel between two of which one was not observed was not either.
    seen = turned(observed.float()) > 0.999
    return torch.where(seen, turned(pixels), 0), seen, turned(views)


def _shifted(
    pixels: Tensor, observed: Tensor, views: Tensor, most: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Move all alerts of a batch aside alike; what comes in at an edge is not observed."""
    down, right = torch.randint(-most, most + 1, (2,)).tolist()
    moved = [torch.roll(part, (down, right), (-2, -1)) for part in (pixels, observed, views)]
    # The wider view moves by less than a pixel of its own: it stays.
    moved[2][:, WIDE], moved[2][:, _WIDE_SHARE] = views[:, WIDE], views[:, _WIDE_SHARE]
    inside = torch.zeros_like(observed[0, 0])
    side = inside.shape[0]
    rows = slice(max(0, down), side + min(0, down))
    columns = slice(max(0, right), side + min(0, right))
    inside[rows, columns] = True
    near = [0, 1, 2, 6]
    moved[2][:, near] = torch.where(inside, moved[2][:, near], 0)
    return torch.where(inside, moved[0], 0), moved[1] & inside, moved[2]
