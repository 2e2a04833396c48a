"""The published autoencoder, layer by layer.

Its checkpoints name parameters by the layers' places in `encoder`, `decoder` and `classifier`.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from ztfrep.models.alert.base import AlertInput, AlertOutput


class PublishedAutoencoder(nn.Module):
    """The published network; 390,408 parameters with 128 numbers and five classes.

    Of an alert it takes the pixels alone, and it knows no pose.
    """

    modalities: ClassVar = ("stamps",)

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

    def forward(self, alerts: AlertInput) -> AlertOutput:
        """Encode, decode and classify alerts."""
        vectors = self.encode(*alerts)
        reconstruction = self.decode(vectors, self.poses(*alerts))
        return AlertOutput(vectors, reconstruction, None, None, self.logits(vectors))

    def prepare(self, train: AlertInput) -> None:
        """Take nothing from the train rows before training."""

    def encode(self, pixels: Tensor, *_: Tensor) -> Tensor:
        """Turn alerts into vectors `(n, latent_dim)`."""
        latent: Tensor = self.encoder(pixels)
        return latent.flatten(1)

    def poses(self, pixels: Tensor, *_: Tensor) -> Tensor:
        """Tell how stamps lie: int64 `(n,)`, 0, since nothing here turns them."""
        return pixels.new_zeros(len(pixels), dtype=torch.int64)

    def decode(self, vectors: Tensor, _: Tensor | None) -> Tensor:
        """Turn vectors `(n, latent_dim)` into pixels `(n, 3, 21, 21)`."""
        stamps: Tensor = self.decoder(vectors[:, :, None, None])
        return stamps

    def logits(self, vectors: Tensor) -> Tensor:
        """Classify vectors `(n, latent_dim)`: the classifier's output before its softmax."""
        logits: Tensor = self.classifier[:-1](vectors)
        return logits
