"""The eight ways in which a square stamp can lie: turned by right angles, and mirrored."""

import torch
from torch import Tensor

POSES = 8
# A mirror image turned is a mirror image about another axis, which is its own inverse.
_INVERSE = (0, 3, 2, 1, 4, 5, 6, 7)


def turned(images: Tensor, pose: int) -> Tensor:
    """Lay square images `(..., s, s)` in another of the eight poses; 0 is as they are."""
    if pose >= POSES // 2:
        images = images.flip(-1)
    return torch.rot90(images, pose % 4, (-2, -1))


def laid(images: Tensor, poses: Tensor) -> Tensor:
    """Lay each of images `(n, c, s, s)` in its own pose `(n,)`."""
    every = torch.stack([turned(images, pose) for pose in range(POSES)], dim=1)
    return every[torch.arange(len(images), device=images.device), poses]


def laid_back(images: Tensor, poses: Tensor) -> Tensor:
    """Undo `laid`."""
    return laid(images, torch.tensor(_INVERSE, device=poses.device)[poses])
