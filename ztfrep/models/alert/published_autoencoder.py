"""The published autoencoder, and the parameters of its training.

The names of its parameters in checkpoints have the index of a layer in `encoder`, `decoder` and
`classifier`.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import model_validator
from torch import Tensor, nn

from ztfrep.fields import BatchSize, Epochs, Weight
from ztfrep.models.alert import losses
from ztfrep.models.alert.base import AlertConfig, AlertInput, AlertNetwork
from ztfrep.models.alert.preprocessing import FeatureScaling
from ztfrep.models.loss_terms import LossTerms, accuracy, row_count


class PublishedConfig(AlertConfig):
    """The table `autoencoder.published` of `params.yaml`."""

    reconstruction_weight: Weight
    """Loss weight of the reconstruction."""
    loss: Literal["published", "cross_entropy"]
    """published: the softmax is applied twice, as in the published training | cross_entropy."""
    final_epochs: Epochs
    """Epochs at the end that use final_batch_size."""
    final_batch_size: BatchSize
    """Rows per batch in the final epochs."""

    @model_validator(mode="after")
    def _check_weights(self) -> "PublishedConfig":
        if self.reconstruction_weight + self.classification_weight == 0:
            raise ValueError(
                "reconstruction_weight and classification_weight are both 0; expected one above 0"
            )
        return self

    def batch_size_at(self, epoch: int, epochs: int) -> int:
        """Return the rows per batch of an epoch, counted from 1, of `epochs` in all."""
        return self.final_batch_size if epoch > epochs - self.final_epochs else self.batch_size


class PublishedAutoencoder(AlertNetwork):
    """The published network: 390,408 parameters for vectors of length 128 and five classes.

    It reads only the crop of the stamps.
    """

    Config = PublishedConfig
    modalities: ClassVar = ("stamps",)
    config: PublishedConfig

    def __init__(
        self, config: PublishedConfig, *, classes: int, feature_scaling: FeatureScaling
    ) -> None:
        super().__init__(config, feature_scaling)
        self.config = config
        self.encoder = nn.Sequential(
            # Three pixels on each side, and one or two more for padding "same" with an even kernel.
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
            nn.Conv2d(128, config.latent_dim, 3, padding="same"),
            nn.ReLU(),
            nn.AvgPool2d(2),
        )
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(config.latent_dim, 64, 2),
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
            nn.Dropout(config.dropout),
            nn.Linear(config.latent_dim, 64),
            nn.ReLU(),
            nn.Linear(64, 64),
            nn.ReLU(),
            nn.Linear(64, 64),
            nn.ReLU(),
            nn.Linear(64, classes),
            nn.Softmax(dim=1),
        )

    def row_wise(self) -> Sequence[nn.Module]:
        """Return the encoder and the decoder."""
        return self.encoder, self.decoder

    def encode(self, alerts: AlertInput) -> Tensor:
        """Return vectors `(n, latent_dim)`."""
        latent: Tensor = self.encoder(alerts.pixels)
        return latent.flatten(1)

    def decode(self, vectors: Tensor, orientation: Tensor | None = None) -> Tensor:
        """Return pixels `(n, 3, 21, 21)` of vectors `(n, latent_dim)`."""
        stamps: Tensor = self.decoder(vectors[:, :, None, None])
        return stamps

    def classify(self, vectors: Tensor) -> Tensor:
        """Return logits `(n, classes)`: the output of the classifier before its softmax."""
        logits: Tensor = self.classifier[:-1](vectors)
        return logits

    def loss(
        self,
        alerts: AlertInput,
        original: AlertInput,
        targets: tuple[Tensor, ...],
        labels: Tensor,
    ) -> LossTerms:
        """Return the loss of a batch and its terms; see `AlertNetwork.loss`.

        With `loss: published` the softmax is applied twice, as in the published training, which
        bounds the loss and makes its gradient smaller.
        """
        config, output = self.config, self(alerts)
        logits = output.logits.softmax(dim=1) if config.loss == "published" else output.logits
        classification = losses.cross_entropy(logits, labels)
        reconstruction = losses.reconstruction_loss(
            output.reconstruction, alerts.pixels, alerts.pixel_mask
        )
        total = (
            config.reconstruction_weight * reconstruction[0]
            + config.classification_weight * classification
        )
        return {
            "loss": (total, row_count(labels)),
            "reconstruction": reconstruction,
            "classification": (classification, (labels >= 0).sum()),
            "accuracy": accuracy(output.logits, labels),
        }
