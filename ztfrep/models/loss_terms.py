"""Terms of a loss that networks of alerts and of objects share."""

import torch
from torch import Tensor

# By name: the mean over a batch, and the number of values averaged. "loss" is minimised.
LossTerms = dict[str, tuple[Tensor, Tensor]]


def accuracy(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the accuracy over the labelled rows (-1 is unlabelled), and their number."""
    count = (labels >= 0).sum()
    return (logits.argmax(dim=1) == labels).sum() / count.clamp(min=1), count


def row_count(rows: Tensor) -> Tensor:
    """Return the number of rows as a tensor on their device."""
    # A copy from the host, as torch.tensor would make, cannot be captured as a CUDA graph.
    return torch.full((), len(rows), device=rows.device)
