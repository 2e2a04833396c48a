"""Loss terms of object networks."""

from torch import Tensor, nn


def cross_entropy(logits: Tensor, labels: Tensor, class_weights: Tensor | None) -> Tensor:
    """Return the cross-entropy of each row `(n,)`, 0 where unlabelled (-1)."""
    return nn.functional.cross_entropy(
        logits, labels, weight=class_weights, ignore_index=-1, reduction="none"
    )


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Return the mean over the steps in the mask of values `(n, steps)`: `(n,)`, 0 if none."""
    return (values * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)


def mean_over_labelled(losses: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean of the losses `(n,)` over the labelled rows, and their number."""
    count = (labels >= 0).sum()
    return losses.sum() / count.clamp(min=1), count
