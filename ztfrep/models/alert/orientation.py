"""The eight orientations of a square stamp: rotations by right angles, and mirror images."""

import torch
from torch import Tensor

N_ORIENTATIONS = 8
# Index of the inverse of each orientation. A mirror image, rotated or not, is its own inverse.
_INVERSE = (0, 3, 2, 1, 4, 5, 6, 7)


def reorient(images: Tensor, orientation: int) -> Tensor:
    """Return square images `(..., s, s)` in one of the eight orientations; 0 changes nothing."""
    if orientation >= N_ORIENTATIONS // 2:
        images = images.flip(-1)
    return torch.rot90(images, orientation % 4, (-2, -1))


def orient(images: Tensor, orientations: Tensor) -> Tensor:
    """Return images `(n, c, s, s)`, each in its own orientation; `orientations` is int64 `(n,)`."""
    reoriented = torch.stack([reorient(images, index) for index in range(N_ORIENTATIONS)], dim=1)
    return reoriented[torch.arange(images.shape[0], device=images.device), orientations]


def orient_back(images: Tensor, orientations: Tensor) -> Tensor:
    """Return the images from which `orient` computes these images."""
    return orient(images, torch.tensor(_INVERSE, device=orientations.device)[orientations])
