"""Terms of a loss, whichever network it is of."""

import torch
from torch import Tensor

# By name: a mean, and the number of things that it is a mean of. "loss" is the one to minimise.
LossTerms = dict[str, tuple[Tensor, Tensor]]


def accuracy(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the accuracy over the labelled rows (-1 is unlabelled), and their number."""
    count = (labels >= 0).sum()
    return (logits.argmax(dim=1) == labels).sum() / count.clamp(min=1), count


def row_count(rows: Tensor) -> Tensor:
    """Return the number of rows as a tensor on their device."""
    return torch.tensor(len(rows), device=rows.device)
