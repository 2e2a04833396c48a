"""Loss terms of alert networks: means over the pixels, features or rows that have a value."""

import torch
from torch import Tensor, nn

# Standardised targets are clipped to +- this value, so that an outlier does not dominate.
_CLIP = 5.0
# Divisor of the cosine similarities in the contrastive loss.
_TEMPERATURE = 0.1


def reconstruction_loss(
    reconstruction: Tensor, pixels: Tensor, mask: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the mean squared error over the observed pixels, and their number."""
    count = mask.sum()
    squared = (reconstruction - pixels).square() * mask
    return squared.sum() / count.clamp(min=1), count


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


def contrastive_loss(vectors: Tensor, labels: Tensor) -> Tensor:
    """Return the supervised contrastive loss of a batch (Khosla et al. 2020, NeurIPS, eq. 2).

    Vectors are `(n, d)`, labels int64 `(n,)`, -1 where unlabelled. The loss is 0 if no two rows
    have the same label.
    """
    normalised = nn.functional.normalize(vectors, dim=1)
    diagonal = torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
    similarity = (normalised @ normalised.T / _TEMPERATURE).masked_fill(diagonal, -torch.inf)
    log_probability = similarity - similarity.logsumexp(dim=1, keepdim=True)
    positive = (labels[:, None] == labels) & (labels >= 0)[:, None] & ~diagonal
    pairs = positive.sum(dim=1)
    mean = log_probability.masked_fill(~positive, 0).sum(dim=1) / pairs.clamp(min=1)
    return -mean.sum() / (pairs > 0).sum().clamp(min=1)
