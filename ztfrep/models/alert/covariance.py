"""Covariance of the pixels of stamps, and the principal components that follow from it."""

import torch
from torch import Tensor

from ztfrep.models.alert.orientation import N_ORIENTATIONS, reorient


def principal_components(images: Tensor, number: int, shrinkage: float) -> tuple[Tensor, Tensor]:
    """Return components float64 `(number, c * s * s)` and all variances, the largest first.

    `images` are `(n, c, s, s)`; see `shrunk_covariance`.
    """
    variances, directions = torch.linalg.eigh(shrunk_covariance(images, shrinkage))
    return directions.flip(1)[:, :number].T, variances.flip(0)


def shrunk_covariance(images: Tensor, shrinkage: float) -> Tensor:
    """Return the covariance of the pixels, shrunk towards that over all orientations."""
    covariances = []
    for index in range(N_ORIENTATIONS):
        pixels = reorient(images, index).flatten(1)
        pixels = (pixels - pixels.mean(dim=0)).double()
        covariances.append(pixels.T @ pixels / len(pixels))
    return (1 - shrinkage) * covariances[0] + shrinkage * torch.stack(covariances).mean(dim=0)
