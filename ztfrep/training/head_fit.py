"""Fits of linear classifiers to vectors: of a network's head, and of a probe of two networks.

Both minimise the cross-entropy, all classes weighted equally, plus a quadratic pull of the weights,
not of the biases, to where they start (for a probe: 0), by L-BFGS. They are deterministic.
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


def probe_accuracy(
    train: Tensor, train_labels: Tensor, vectors: Tensor, labels: Tensor, c: float
) -> float:
    """Return the balanced accuracy of a linear probe, fitted to train vectors, on other vectors.

    Vectors are `(m, d)` and `(n, d)`, standardised by the train ones; labels are -1 where
    unlabelled. NaN if a set has no labels of two classes.
    """
    known, scored = train_labels >= 0, labels >= 0
    train, train_labels = train[known].double(), train_labels[known]
    vectors, labels = vectors[scored].double(), labels[scored]
    if min(len(train_labels.unique()), len(labels.unique())) < 2:
        return float("nan")
    mean, std = train.mean(dim=0), train.std(dim=0, correction=0).clamp(min=1e-9)
    classes = int(train_labels.max()) + 1
    probe = nn.Linear(train.shape[1], classes, dtype=torch.float64, device=train.device)
    nn.init.zeros_(probe.weight)
    nn.init.zeros_(probe.bias)
    _minimise(probe, list(probe.parameters()), (train - mean) / std, train_labels, c)
    with torch.no_grad():
        right = probe((vectors - mean) / std).argmax(dim=1) == labels
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
