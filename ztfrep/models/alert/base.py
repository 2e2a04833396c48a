"""The interface of alert networks: input, output, and the methods of every architecture.

An architecture is one module with a subclass of `AlertNetwork`, a line in the registry
(`ztfrep.models.alert.ARCHITECTURES`) and a table of its name below `autoencoder` in `params.yaml`.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from ztfrep.data.alert_schema import CHANNELS
from ztfrep.data.features import ALERCE_FEATURES
from ztfrep.data.stamps import CROP
from ztfrep.fields import Probability, Weight
from ztfrep.models.alert.preprocessing import AlertPreprocessing, FeatureScaling, StampScaling
from ztfrep.models.loss_terms import LossTerms
from ztfrep.models.recipe import Recipe

N_FEATURES = len(ALERCE_FEATURES)
# Pixels of a crop, in all channels. A vector is at most as long.
N_PIXELS = len(CHANNELS) * CROP * CROP


class AlertInput(NamedTuple):
    """A batch of n alerts. Missing values are 0 and masked.

    Attributes
    ----------
    pixels : float32 (n, 3, 21, 21)
        The central crop of the stamps (science, template, difference), scaled: the target of the
        reconstruction.
    pixel_mask : bool (n, 3, 21, 21)
        True where a pixel was observed.
    crop_and_context : float32 (n, 8, 21, 21)
        See `ztfrep.models.alert.stamp_scaling.crop_and_context`. `(n, 0, 21, 21)` for a network
        without it.
    features : float32 (n, features)
        Standardised metadata.
    feature_mask : bool (n, features)
        True where the feature has a value.
    """

    pixels: Tensor
    pixel_mask: Tensor
    crop_and_context: Tensor
    features: Tensor
    feature_mask: Tensor

    def rows(self, index: Tensor | np.ndarray | slice) -> "AlertInput":
        """Return the alerts of an index, mask or slice."""
        return AlertInput(*(part[index] for part in self))

    def to(self, device: torch.device) -> "AlertInput":
        """Return the alerts on a device."""
        return AlertInput(*(part.to(device) for part in self))


class AlertOutput(NamedTuple):
    """The output of a network for n alerts.

    Attributes
    ----------
    vectors : (n, d)
    reconstruction : (n, 3, 21, 21)
        The crop, in the scale of `AlertInput.pixels` and the orientation of the input.
    logits : (n, classes)
    features : (n, features) or None
        Predicted metadata, standardised; None for a network without that head.
    morphology : (n, 327) or None
        Predicted morphology; None for a network without that head.
    denoised : (n, 3, 21, 21) or None
        As the reconstruction, but without noise; None for a network without that output.
    """

    vectors: Tensor
    reconstruction: Tensor
    logits: Tensor
    features: Tensor | None = None
    morphology: Tensor | None = None
    denoised: Tensor | None = None


class Augmentation(NamedTuple):
    """Parameters of the random variation of training alerts; see `ztfrep.training.augmentation`."""

    drop_stamps: float = 0.0
    drop_context: float = 0.0
    drop_features: float = 0.0
    noise: float = 0.0
    shift: int = 0
    rotation: float = 0.0


class AlertConfig(Recipe):
    """The parameters that the table of every architecture below `autoencoder` has."""

    latent_dim: Annotated[int, Field(ge=2, le=N_PIXELS)]
    """Length of a vector."""
    dropout: Probability
    """Dropout probability."""
    stamp_scaling: StampScaling
    """minmax | asinh: of the crop, by its median and MAD | none."""
    classification_weight: Weight
    """Loss weight of the cross-entropy."""
    sampling: Literal["balanced", "distinct", "copies"]
    """balanced: rows of rare classes several times | distinct: each row once |
    copies: each row as often as the source repeats it."""

    @property
    def masked_features(self) -> list[str]:
        """Names of the metadata features that the network never sees."""
        return []

    @property
    def augmentation(self) -> Augmentation:
        """The random variation of training alerts; none by default."""
        return Augmentation()

    @property
    def uses_labels(self) -> bool:
        """True if the labels of the train split affect the training."""
        return self.classification_weight > 0 or self.sampling == "balanced"


class AlertNetwork(nn.Module, ABC):
    """An autoencoder of alerts with a classifier head, and its preprocessing."""

    Config: ClassVar[type[AlertConfig]]
    # The parts of an alert that the network reads: some of "stamps" (the crop), "context" (the
    # whole stamp) and "features" (the metadata).
    modalities: ClassVar[tuple[str, ...]]
    config: AlertConfig

    def __init__(self, config: AlertConfig, feature_scaling: FeatureScaling) -> None:
        super().__init__()
        self.preprocessing = AlertPreprocessing(
            config.stamp_scaling, feature_scaling, context="context" in self.modalities
        )

    def preprocess(self, stamps: np.ndarray, metadata: np.ndarray, unit: str) -> AlertInput:
        """Return the network's input for raw arrays, on its device; see `AlertPreprocessing`."""
        device = self.preprocessing.standardise.mean.device
        tensors = (_as_tensor(array).to(device) for array in (stamps, metadata))
        return AlertInput(*self.preprocessing(*tensors, unit))

    def forward(self, alerts: AlertInput) -> AlertOutput:
        """Encode, reconstruct and classify alerts, and predict their metadata."""
        vectors = self.encode(alerts)
        return AlertOutput(
            vectors,
            self.decode(vectors, self.orientation(alerts)),
            self.classify(vectors),
            self.predict_features(vectors),
        )

    def fit_statistics(self, train: AlertInput) -> None:
        """Compute statistics of the train rows before training; does nothing by default."""

    def row_wise(self) -> Sequence[nn.Module]:
        """Return the slowest modules, whose rows several processes may share.

        They compute the output of a row from that row alone, but for batch norm, and draw no random
        numbers. None by default: every process computes everything.
        """
        return ()

    @abstractmethod
    def encode(self, alerts: AlertInput) -> Tensor:
        """Return vectors float32 `(n, d)`."""

    @abstractmethod
    def decode(self, vectors: Tensor, orientation: Tensor | None = None) -> Tensor:
        """Return pixels `(n, 3, 21, 21)` of vectors `(n, d)`.

        `orientation` int64 `(n,)` is the output of the method `orientation`. With None the pixels
        are in the canonical orientation of the network.
        """

    @abstractmethod
    def classify(self, vectors: Tensor) -> Tensor:
        """Return logits `(n, classes)` of vectors `(n, d)`."""

    def targets(self, alerts: AlertInput) -> tuple[Tensor, ...]:
        """Return tensors `(n, ...)` of alerts that the loss compares with; none by default.

        They do not depend on weights: they are computed once, of the alerts before augmentation.
        """
        return ()

    @abstractmethod
    def loss(
        self,
        alerts: AlertInput,
        original: AlertInput,
        targets: tuple[Tensor, ...],
        labels: Tensor,
    ) -> LossTerms:
        """Return the loss of a batch and its terms.

        `alerts` are the input of the network, `original` the same alerts before augmentation, and
        `targets` what the method of that name returns for them; `labels` int64 `(n,)` are -1 where
        unlabelled.
        """

    def orientation(self, alerts: AlertInput) -> Tensor:
        """Return the orientation of each alert's stamps, int64 `(n,)`.

        Vectors that are invariant to the orientation do not contain it, so `decode` needs it. 0 by
        default, for networks without a canonical orientation.
        """
        return alerts.pixels.new_zeros(len(alerts.pixels), dtype=torch.int64)

    def denoise(self, vectors: Tensor, orientation: Tensor | None = None) -> Tensor | None:
        """Return an estimate of the noise-free pixels `(n, 3, 21, 21)` of vectors, or None.

        Scale and orientation are as in `decode`. None by default, for networks that only
        reconstruct the pixels with their noise.
        """
        return None

    def predict_features(self, vectors: Tensor) -> Tensor | None:
        """Return standardised metadata `(n, features)` predicted from vectors, or None."""
        return None


def _as_tensor(array: np.ndarray) -> Tensor:
    """Return an array as a tensor, a copy if the array is read-only, which a tensor cannot be."""
    return torch.from_numpy(array) if array.flags.writeable else torch.tensor(array)
