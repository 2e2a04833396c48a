"""The autoencoder of an alert: stamps to a vector, and back, and to a class.

`published` is the network of the published work, layer by layer: its checkpoints name parameters by
the layers' places in `encoder`, `decoder` and `classifier`.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn


class AlertOutput(NamedTuple):
    """What an autoencoder makes of alerts: `(n, d)`, `(n, 3, 21, 21)`, `(n, classes)`."""

    vectors: Tensor
    reconstruction: Tensor
    logits: Tensor


class PublishedAutoencoder(nn.Module):
    """The published network; 390,408 parameters with 128 numbers and five classes.

    Stamps are `(n, 3, 21, 21)`, channels science, template, difference.
    """

    def __init__(self, *, latent_dim: int, dropout: float, classes: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            # Three pixels of margin, and one and two more for "same" under the even kernel.
            nn.ZeroPad2d((4, 5, 4, 5)),
            nn.Conv2d(3, 16, 4),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding="same"),
            nn.ReLU(),
            nn.AvgPool2d(2),
            nn.Conv2d(32, 32, 3, padding="same"),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, padding="same"),
            nn.ReLU(),
            nn.AvgPool2d(2),
            nn.Conv2d(64, 64, 3, padding="same"),
            nn.ReLU(),
            nn.Conv2d(64, 128, 3, padding="same"),
            nn.ReLU(),
            nn.AvgPool2d(2),
            nn.Conv2d(128, latent_dim, 3, padding="same"),
            nn.ReLU(),
            nn.AvgPool2d(2),
        )
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(latent_dim, 64, 2),
            nn.ReLU(),
            nn.ConvTranspose2d(64, 64, 3, stride=2),
            nn.ReLU(),
            nn.ConvTranspose2d(64, 32, 1),
            nn.ReLU(),
            nn.ConvTranspose2d(32, 32, 2, stride=2),
            nn.ReLU(),
            nn.ConvTranspose2d(32, 32, 1),
            nn.ReLU(),
            nn.ConvTranspose2d(32, 16, 3, stride=2),
            nn.ReLU(),
            nn.ConvTranspose2d(16, 16, 1),
            nn.ReLU(),
            nn.ConvTranspose2d(16, 3, 1),
            nn.ReLU(),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(latent_dim, 64),
            nn.ReLU(),
            nn.Linear(64, 64),
            nn.ReLU(),
            nn.Linear(64, 64),
            nn.ReLU(),
            nn.Linear(64, classes),
            nn.Softmax(dim=1),
        )

    def forward(self, pixels: Tensor) -> AlertOutput:
        """Encode, decode and classify stamps `(n, 3, 21, 21)`."""
        vectors = self.encode(pixels)
        return AlertOutput(vectors, self.decode(vectors), self.logits(vectors))

    def encode(self, pixels: Tensor) -> Tensor:
        """Turn stamps `(n, 3, 21, 21)` into vectors `(n, latent_dim)`."""
        latent: Tensor = self.encoder(pixels)
        return latent.flatten(1)

    def decode(self, vectors: Tensor) -> Tensor:
        """Turn vectors `(n, latent_dim)` into stamps `(n, 3, 21, 21)`."""
        stamps: Tensor = self.decoder(vectors[:, :, None, None])
        return stamps

    def logits(self, vectors: Tensor) -> Tensor:
        """Classify vectors `(n, latent_dim)`: the classifier's output before its softmax."""
        logits: Tensor = self.classifier[:-1](vectors)
        return logits


def losses(
    output: AlertOutput,
    pixels: Tensor,
    observed: Tensor,
    labels: Tensor,
    *,
    kind: str,
    reconstruction_weight: float,
    classification_weight: float,
) -> dict[str, tuple[Tensor, Tensor]]:
    """Give the loss and its parts, each with the number of things that it is a mean of.

    Pixels that are not `observed` and rows labelled -1 count nowhere. `kind` is that of
    `classification_loss`.
    """
    n_pixels, n_labelled = observed.sum(), (labels >= 0).sum()
    squared = (output.reconstruction - pixels).square() * observed
    reconstruction = squared.sum() / n_pixels.clamp(min=1)
    classification = classification_loss(output.logits, labels, kind)
    hits = (output.logits.argmax(dim=1) == labels).sum() / n_labelled.clamp(min=1)
    total = reconstruction_weight * reconstruction + classification_weight * classification
    return {
        "loss": (total, torch.tensor(len(labels), device=labels.device)),
        "reconstruction": (reconstruction, n_pixels),
        "classification": (classification, n_labelled),
        "accuracy": (hits, n_labelled),
    }


def classification_loss(logits: Tensor, labels: Tensor, kind: str) -> Tensor:
    """Cross-entropy over the labelled rows, 0 if there are none; label -1 is unlabelled.

    `published` applies the softmax twice, as the published training did, which bounds the loss and
    flattens its slope; `cross_entropy` is the correct one.
    """
    if kind == "published":
        logits = logits.softmax(dim=1)
    total = nn.functional.cross_entropy(logits, labels, ignore_index=-1, reduction="sum")
    return total / (labels >= 0).sum().clamp(min=1)


ARCHITECTURES: dict[str, type[PublishedAutoencoder]] = {"published": PublishedAutoencoder}


def build(architecture: str, **sizes: float) -> PublishedAutoencoder:
    """Make an untrained autoencoder of a registered architecture."""
    return ARCHITECTURES[architecture](**sizes)  # type: ignore[arg-type]
