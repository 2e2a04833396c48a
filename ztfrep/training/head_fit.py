"""Fits of the classifier head of a network to vectors, and its accuracy.

A fit minimises the cross-entropy, all classes weighted equally, plus a quadratic pull of the
weights, not of the biases, to where they start, by L-BFGS. It is deterministic.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from ztfrep.models.alert.base import AlertNetwork

_MAX_STEPS = 200


def fit_head(network: AlertNetwork, vectors: Tensor, labels: Tensor, c: float) -> None:
    """Fit the classifier head of a network to labelled vectors `(n, d)`, in place.

    `labels` int64 `(n,)` are -1 where unlabelled; `c` is the inverse strength of the pull to the
    head's present weights. Without labels of two classes nothing is changed.
    """
    labelled = labels >= 0
    vectors, labels = vectors[labelled], labels[labelled]
    if len(labels.unique()) < 2:
        return
    network.eval()
    _minimise(network.classify, _head_parameters(network, vectors[:1]), vectors, labels, c)


def head_accuracy(network: AlertNetwork, vectors: Tensor, labels: Tensor) -> float:
    """Return the balanced accuracy of the classifier head of a network on vectors `(n, d)`.

    `labels` int64 `(n,)` are -1 where unlabelled. NaN without labels of two classes.
    """
    labelled = labels >= 0
    vectors, labels = vectors[labelled], labels[labelled]
    if len(labels.unique()) < 2:
        return float("nan")
    network.eval()
    with torch.no_grad():
        right = network.classify(vectors).argmax(dim=1) == labels
    recalls = [right[labels == label].double().mean() for label in labels.unique()]
    return float(torch.stack(recalls).mean())


def _head_parameters(network: AlertNetwork, vectors: Tensor) -> list[nn.Parameter]:
    """Return the parameters that the logits of vectors depend on."""
    parameters = [part for part in network.parameters() if part.requires_grad]
    logits = network.classify(vectors).sum()
    gradients = torch.autograd.grad(logits, parameters, allow_unused=True)
    return [p for p, gradient in zip(parameters, gradients, strict=True) if gradient is not None]


def _minimise(
    classify: Callable[[Tensor], Tensor],
    parameters: Sequence[nn.Parameter],
    vectors: Tensor,
    labels: Tensor,
    c: float,
) -> None:
    """Change parameters so that the logits of vectors have the lowest penalised cross-entropy."""
    start = [parameter.detach().clone() for parameter in parameters]
    counts = torch.bincount(labels)
    # Every class has the same sum of weights, and the mean weight of a row is 1.
    weights = len(labels) / ((counts > 0).sum() * counts.clamp(min=1))
    optimizer = torch.optim.LBFGS(parameters, max_iter=_MAX_STEPS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(classify(vectors), labels, reduction="none")
        # Biases are free: a pull would keep the shift between simulated and real alerts.
        pulls = [
            (part - old).square().sum()
            for part, old in zip(parameters, start, strict=True)
            if part.ndim > 1
        ]
        total = (loss * weights[labels]).mean() + torch.stack(pulls).sum() / (2 * c * len(labels))
        total.backward()
        return total

    with torch.enable_grad():
        optimizer.step(closure)
    optimizer.zero_grad(set_to_none=True)
