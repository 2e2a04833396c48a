"""Loss terms of alert networks: means over the pixels, features or rows that have a value."""

import torch
from torch import Tensor, nn

# Standardised targets are clipped to +- this value, so that an outlier does not dominate.
_CLIP = 5.0
# By which the noise of the denoising risk is multiplied. With 0.3 the squared error against the
# noise-free scene was 0.501 of that of PCA, with 1.0 0.510: single runs, so that it hardly matters.
NOISE_STEP = 0.3


def reconstruction_loss(
    reconstruction: Tensor, pixels: Tensor, mask: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the mean squared error over the observed pixels, and their number."""
    count = mask.sum()
    squared = (reconstruction - pixels).square() * mask
    return squared.sum() / count.clamp(min=1), count


def denoising_risk(
    denoised: Tensor, moved: Tensor, pixels: Tensor, noise: Tensor, mask: Tensor
) -> tuple[Tensor, Tensor]:
    """Return an estimate of the squared error against noise-free pixels, and their number.

    Stein's unbiased risk estimate with a random derivative (Ramani et al. 2008, IEEE Trans. Image
    Process. 17, eq. 14), plus the variance of the noise, which no weight changes. `denoised` is
    computed from `pixels`, and `moved` from pixels + NOISE_STEP * `noise`, where `noise` is a
    sample of the noise of the pixels; all `(n, c, H, W)`. The estimate is the mean over the pixels
    in the mask, and may be negative for a few rows.
    """
    count = mask.sum()
    derivative = noise * (moved - denoised) / NOISE_STEP
    risk = ((denoised - pixels).square() + 2 * derivative) * mask
    return risk.sum() / count.clamp(min=1), count


def regression_loss(predicted: Tensor, target: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean squared error over the targets in the mask, clipped, and their number."""
    count = mask.sum()
    error = (predicted - target.clamp(-_CLIP, _CLIP)) * mask
    return error.square().sum() / count.clamp(min=1), count


def cross_entropy(logits: Tensor, labels: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Return the mean cross-entropy over the labelled rows, 0 without any; -1 is unlabelled."""
    total = nn.functional.cross_entropy(
        logits, labels, ignore_index=-1, reduction="sum", label_smoothing=label_smoothing
    )
    return total / (labels >= 0).sum().clamp(min=1)


def contrastive_loss(vectors: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Return the supervised contrastive loss of a batch (Khosla et al. 2020, NeurIPS, eq. 2).

    Vectors are `(n, d)`, labels int64 `(n,)`, -1 where unlabelled; cosine similarities are divided
    by the temperature. The loss is 0 if no two rows have the same label.
    """
    normalised = nn.functional.normalize(vectors, dim=1)
    diagonal = torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
    similarity = (normalised @ normalised.T / temperature).masked_fill(diagonal, -torch.inf)
    log_probability = similarity - similarity.logsumexp(dim=1, keepdim=True)
    positive = (labels[:, None] == labels) & (labels >= 0)[:, None] & ~diagonal
    pairs = positive.sum(dim=1)
    mean = log_probability.masked_fill(~positive, 0).sum(dim=1) / pairs.clamp(min=1)
    return -mean.sum() / (pairs > 0).sum().clamp(min=1)
