"""The autoencoder of an alert: stamps and metadata to a vector, and back, and to a class.

An architecture is a class and a line in ARCHITECTURES.
"""

import torch
from torch import Tensor, nn

from ztfrep.models.alert.base import AlertInput, AlertOutput
from ztfrep.models.alert.invariant import InvariantAutoencoder
from ztfrep.models.alert.published_autoencoder import PublishedAutoencoder

Autoencoder = PublishedAutoencoder | InvariantAutoencoder
ARCHITECTURES: dict[str, type[Autoencoder]] = {
    "published": PublishedAutoencoder,
    "invariant": InvariantAutoencoder,
}
# A feature so many deviations off is as far as any: one wild value must not lead the others.
_FARTHEST = 5.0
_TEMPERATURE = 0.1


def build(architecture: str, **sizes: float) -> Autoencoder:
    """Make an untrained autoencoder of a registered architecture."""
    return ARCHITECTURES[architecture](**sizes)  # type: ignore[arg-type]


def losses(
    output: AlertOutput,
    alerts: AlertInput,
    labels: Tensor,
    shapes: tuple[Tensor, Tensor] | None = None,
    *,
    kind: str,
    reconstruction_weight: float,
    classification_weight: float,
    features_weight: float = 0.0,
    shapes_weight: float = 0.0,
    contrastive_weight: float = 0.0,
    label_smoothing: float = 0.0,
) -> dict[str, tuple[Tensor, Tensor]]:
    """Give the loss and its parts, each with the number of things that it is a mean of.

    Pixels that are not observed, features that are not known and rows labelled -1 count nowhere.
    `shapes` are values and mask `(n, 327)` of how the stamps are shaped. `kind` is that of
    `classification_loss`. A part without weight, or that the network has no
    output for, is left out.
    """
    n_pixels, n_labelled = alerts.observed.sum(), (labels >= 0).sum()
    squared = (output.reconstruction - alerts.pixels).square() * alerts.observed
    reconstruction = squared.sum() / n_pixels.clamp(min=1)
    classification = classification_loss(output.logits, labels, kind, label_smoothing)
    hits = (output.logits.argmax(dim=1) == labels).sum() / n_labelled.clamp(min=1)
    total = reconstruction_weight * reconstruction + classification_weight * classification
    parts = {
        "reconstruction": (reconstruction, n_pixels),
        "classification": (classification, n_labelled),
        "accuracy": (hits, n_labelled),
    }
    if features_weight and output.features is not None:
        parts["features"] = _told(output.features, alerts.features, alerts.known)
        total = total + features_weight * parts["features"][0]
    if shapes_weight and output.shapes is not None and shapes is not None:
        parts["shapes"] = _told(output.shapes, *shapes)
        total = total + shapes_weight * parts["shapes"][0]
    if contrastive_weight:
        parts["contrastive"] = contrastive_loss(output.vectors, labels), n_labelled
        total = total + contrastive_weight * parts["contrastive"][0]
    return {"loss": (total, torch.tensor(len(labels), device=labels.device)), **parts}


def _told(found: Tensor, values: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """Squared error of what is known, and how much that is."""
    count = known.sum()
    off = (found - values.clamp(-_FARTHEST, _FARTHEST)) * known
    return off.square().sum() / count.clamp(min=1), count


def classification_loss(
    logits: Tensor, labels: Tensor, kind: str, label_smoothing: float = 0.0
) -> Tensor:
    """Cross-entropy over the labelled rows, 0 if there are none; label -1 is unlabelled.

    `published` applies the softmax twice, as the published training did, which bounds the loss and
    flattens its slope; `cross_entropy` is the correct one.
    """
    if kind == "published":
        logits = logits.softmax(dim=1)
    total = nn.functional.cross_entropy(
        logits, labels, ignore_index=-1, reduction="sum", label_smoothing=label_smoothing
    )
    return total / (labels >= 0).sum().clamp(min=1)


def contrastive_loss(vectors: Tensor, labels: Tensor) -> Tensor:
    """Supervised contrastive loss of a batch (Khosla et al. 2020), 0 if no two labels are alike."""
    near = nn.functional.normalize(vectors, dim=1)
    myself = torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
    likeness = (near @ near.T / _TEMPERATURE).masked_fill(myself, -torch.inf)
    others = likeness - likeness.logsumexp(dim=1, keepdim=True)
    alike = (labels[:, None] == labels) & (labels >= 0)[:, None] & ~myself
    pairs = alike.sum(dim=1)
    of_each = others.masked_fill(~alike, 0).sum(dim=1) / pairs.clamp(min=1)
    return -of_each.sum() / (pairs > 0).sum().clamp(min=1)
