"""The eight orientations of a square stamp: rotations by right angles, and mirror images."""

import math

import torch
from torch import Tensor, nn

N_ORIENTATIONS = 8
# Index of the inverse of each orientation. A mirror image, rotated or not, is its own inverse.
_INVERSE = (0, 3, 2, 1, 4, 5, 6, 7)


def reorient(images: Tensor, orientation: int) -> Tensor:
    """Return square images `(..., s, s)` in one of the eight orientations; 0 changes nothing."""
    if orientation >= N_ORIENTATIONS // 2:
        images = images.flip(-1)
    return torch.rot90(images, orientation % 4, (-2, -1))


class Orientations(nn.Module):
    """Changes the orientation of each image of `side` x `side` pixels, by its own index."""

    pixels: Tensor
    inverse: Tensor

    def __init__(self, side: int) -> None:
        super().__init__()
        index = torch.arange(side * side, device="cpu").view(side, side)
        # Where each pixel of a reoriented image comes from.
        pixels = torch.stack([reorient(index, k).flatten() for k in range(N_ORIENTATIONS)])
        self.register_buffer("pixels", pixels, persistent=False)
        self.register_buffer("inverse", torch.tensor(_INVERSE, device="cpu"), persistent=False)

    def asymmetric_weights(self) -> Tensor:
        """Return weights float64 `(8, s * s)`, whose sums with an image order its orientations.

        They are a gradient along an oblique direction: no two orientations of an image have the
        same weighted sum, unless the image is symmetric. In float64, so that rounding does not
        decide between two.
        """
        side = math.isqrt(self.pixels.shape[1])
        axis = torch.linspace(-1, 1, side, dtype=torch.float64, device="cpu")
        weights = axis * math.cos(math.pi / 8) + axis[:, None] * math.sin(math.pi / 8)
        return torch.stack([reorient(weights, index).flatten() for index in _INVERSE])

    def apply_to(self, images: Tensor, orientations: Tensor) -> Tensor:
        """Return images `(n, c, s, s)`, each in its own orientation, in the format `channels_last`.

        `orientations` is int64 `(n,)`.
        """
        n, channels, side, _ = images.shape
        first = torch.arange(n, device=images.device)[:, None] * (side * side)
        rows = (self.pixels[orientations] + first).flatten()
        flat = images.permute(0, 2, 3, 1).reshape(n * side * side, channels)
        return flat[rows].view(n, side, side, channels).permute(0, 3, 1, 2)

    def revert(self, images: Tensor, orientations: Tensor) -> Tensor:
        """Return the images from which `apply_to` computes these images."""
        return self.apply_to(images, self.inverse[orientations])
