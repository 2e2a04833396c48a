"""The autoencoder whose vectors do not change when stamps are rotated by right angles or mirrored.

A vector encodes stamps and metadata; either may be missing. It has two parts. The semantic part is
learnt from the metadata and from the stamps, which are read in a canonical orientation and in its
opposite. The PCA part has principal components of the stamps in the canonical orientation; the
stamps are reconstructed from it. An orthogonal matrix mixes the two parts: it preserves distances,
and makes the variances of the numbers of a vector similar.
"""

import math
from collections.abc import Sequence
from typing import Annotated, ClassVar

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from ztfrep.data.alert_schema import CHANNELS
from ztfrep.data.feature_names import FeatureNames
from ztfrep.data.stamps import CROP, CROP_CHANNELS
from ztfrep.fields import Fraction, Probability, Weight
from ztfrep.models.alert import losses
from ztfrep.models.alert.base import (
    N_FEATURES,
    N_PIXELS,
    AlertConfig,
    AlertInput,
    AlertNetwork,
    AlertOutput,
    Augmentation,
)
from ztfrep.models.alert.morphology import N_MORPHOLOGY, compute_morphology
from ztfrep.models.alert.orientation import N_ORIENTATIONS, Orientations, reorient
from ztfrep.models.alert.preprocessing import FeatureScaling
from ztfrep.models.loss_terms import LossTerms, accuracy, row_count

_BINS = 16
_WIDTHS = (32, 32, 64, 96)
_HIDDEN = 128
_MIN_STD = 1e-3
_MORPHOLOGY_CLIP = 4.0  # standard deviations
# Standard deviation of a number of the semantic part, in units of the largest in the PCA part.
_SEMANTIC_SCALE = 0.4
# Weight of the covariance over all orientations, which has less noise than that over one.
_SHRINKAGE = 0.6


class InvariantConfig(AlertConfig):
    """The table `autoencoder.invariant` of `params.yaml`."""

    pca_fraction: Fraction
    """Fraction of a vector that holds principal components, for the reconstruction."""
    excluded_features: FeatureNames
    """Metadata features that the network never sees."""
    feature_weight: Weight
    """Loss weight of the prediction of the metadata from the vector."""
    morphology_weight: Weight
    """Loss weight of the prediction of the stamps' morphology from the semantic part."""
    contrastive_weight: Weight
    """Loss weight of the supervised contrastive loss."""
    label_smoothing: Probability
    """Label smoothing of the cross-entropy."""
    drop_stamps: Probability
    """Modality dropout in training: probability that an alert loses its stamps."""
    drop_context: Probability
    """Probability that it loses the context of its stamps."""
    drop_features: Probability
    """Probability that it loses its metadata."""
    noise: Annotated[float, Field(ge=0, le=100)]
    """Standard deviation of the noise added in training, in units of the sky's."""
    shift: Annotated[int, Field(ge=0, le=5)]
    """Largest shift of the stamps in training, pixels."""
    rotation: Annotated[float, Field(ge=0, le=180)]
    """Largest rotation of the stamps in training, degrees."""

    @model_validator(mode="after")
    def _check_weights(self) -> "InvariantConfig":
        weights = ("classification", "feature", "morphology", "contrastive")
        if not any(getattr(self, f"{name}_weight") for name in weights):
            raise ValueError(
                f"{', '.join(f'{name}_weight' for name in weights)} are all 0; expected one above 0"
            )
        return self

    @property
    def masked_features(self) -> list[str]:
        """Names of the metadata features that the network never sees."""
        return self.excluded_features

    @property
    def augmentation(self) -> Augmentation:
        """How the training alerts are varied."""
        return Augmentation(*(getattr(self, name) for name in Augmentation._fields))

    @property
    def uses_labels(self) -> bool:
        """Whether labels of the train split change what is learnt."""
        return super().uses_labels or self.contrastive_weight > 0


class InvariantAutoencoder(AlertNetwork):
    """Vectors of `latent_dim` numbers that mix a semantic part with a PCA part."""

    Config = InvariantConfig
    modalities: ClassVar = ("stamps", "context", "features")
    config: InvariantConfig
    bin_edges: Tensor
    mean_pixels: Tensor
    components: Tensor
    semantic_scale: Tensor
    mixing: Tensor
    morphology_mean: Tensor
    morphology_std: Tensor
    orientation_weights: Tensor

    def __init__(
        self, config: InvariantConfig, *, classes: int, feature_scaling: FeatureScaling
    ) -> None:
        super().__init__(config, feature_scaling)
        self.config = config
        size, dropout = config.latent_dim, config.dropout
        n_components = min(max(1, round(config.pca_fraction * size)), size - 1)
        self.semantic_size = size - n_components
        self.stamp_encoder = nn.Sequential(
            *_convolution(8, _WIDTHS[0], stride=1),
            *_convolution(_WIDTHS[0], _WIDTHS[1], stride=2),
            *_convolution(_WIDTHS[1], _WIDTHS[2], stride=1),
            *_convolution(_WIDTHS[2], _WIDTHS[3], stride=2),
            nn.Flatten(),
            nn.Linear(_WIDTHS[3] * 6 * 6, _HIDDEN),
            nn.ReLU(),
        )
        self.metadata_encoder = nn.Sequential(
            nn.Linear(N_FEATURES * (_BINS + 1), _HIDDEN),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(_HIDDEN, _HIDDEN),
            nn.ReLU(),
        )
        # These replace the encoders' outputs where stamps or metadata are missing.
        self.missing_stamps = nn.Parameter(torch.zeros(_HIDDEN))
        self.missing_metadata = nn.Parameter(torch.zeros(_HIDDEN))
        self.fusion = nn.Sequential(
            nn.Linear(2 * _HIDDEN, 2 * _HIDDEN),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(2 * _HIDDEN, self.semantic_size),
        )
        self.batch_norm = nn.BatchNorm1d(self.semantic_size, affine=False)
        self.feature_head = nn.Sequential(
            nn.Linear(self.semantic_size, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, N_FEATURES)
        )
        self.morphology_head = nn.Sequential(
            nn.Linear(self.semantic_size, 2 * _HIDDEN),
            nn.ReLU(),
            nn.Linear(2 * _HIDDEN, N_MORPHOLOGY),
        )
        self.classifier_head = nn.Sequential(
            nn.ReLU(), nn.Dropout(dropout), nn.Linear(self.semantic_size, classes)
        )
        self.register_buffer("bin_edges", torch.zeros(N_FEATURES, _BINS + 1))
        self.register_buffer("mean_pixels", torch.zeros(N_PIXELS))
        self.register_buffer("components", torch.zeros(n_components, N_PIXELS))
        # Multiplies the semantic part, whose numbers have a standard deviation of 1.
        self.register_buffer("semantic_scale", torch.ones(()))
        mixing = torch.empty(size, size)
        # On the meta device only shapes are needed, and the decomposition would be a waste of time.
        self.register_buffer("mixing", mixing if mixing.is_meta else _orthogonal_matrix(size))
        self.register_buffer("morphology_mean", torch.zeros(N_MORPHOLOGY))
        self.register_buffer("morphology_std", torch.ones(N_MORPHOLOGY))
        self.orientations = Orientations(CROP)
        # The weights are a gradient along an oblique direction: no two orientations of an image
        # have the same weighted sum, unless the image is symmetric. In float64, so that rounding
        # does not decide between two.
        axis = torch.linspace(-1, 1, CROP, dtype=torch.float64, device="cpu")
        weights = axis * math.cos(math.pi / 8) + axis[:, None] * math.sin(math.pi / 8)
        inverse = self.orientations.inverse.tolist()
        weights = torch.stack([reorient(weights, index).flatten() for index in inverse])
        self.register_buffer("orientation_weights", weights, persistent=False)

    def fit_statistics(self, train: AlertInput) -> None:
        """Compute quantiles of the features, scale of the morphology, and principal components."""
        values = np.where(train.feature_mask.cpu(), train.features.cpu(), np.nan)
        levels = np.linspace(0, 1, _BINS + 1)
        for column in np.flatnonzero(np.isfinite(values).any(axis=0)):
            self.bin_edges[column] = torch.from_numpy(np.nanquantile(values[:, column], levels))
        morphology, mask = compute_morphology(train.crop_and_context)
        self.morphology_mean.copy_(_masked_mean(morphology, mask))
        std = _masked_mean((morphology - self.morphology_mean).square(), mask).sqrt()
        self.morphology_std.copy_(torch.where(std > _MIN_STD, std, 1.0))
        complete = train.pixel_mask.flatten(1).all(dim=1)
        if complete.any():
            stamps = self.orientations.apply_to(
                train.pixels[complete], self.orientation(train)[complete]
            )
            self.mean_pixels.copy_(stamps.flatten(1).mean(dim=0))
            variances, directions = torch.linalg.eigh(_shrunk_covariance(stamps))
            self.components.copy_(directions.flip(1)[:, : len(self.components)].T)
            largest = variances[-1].clamp(min=_MIN_STD).sqrt()
            self.semantic_scale.copy_(_SEMANTIC_SCALE * largest)

    def row_wise(self) -> Sequence[nn.Module]:
        """Return the stamp encoder."""
        return (self.stamp_encoder,)

    def forward(self, alerts: AlertInput) -> AlertOutput:
        """Encode, reconstruct and classify alerts, and predict metadata and morphology."""
        orientation = self.orientation(alerts)
        vectors = self._encode(alerts, orientation)
        semantic, _ = self._split(vectors)
        return AlertOutput(
            vectors,
            self.decode(vectors, orientation),
            self.classifier_head(semantic),
            self.feature_head(semantic),
            self.morphology_head(semantic),
        )

    def encode(self, alerts: AlertInput) -> Tensor:
        """Return vectors `(n, latent_dim)`."""
        return self._encode(alerts, self.orientation(alerts))

    def _encode(self, alerts: AlertInput, orientation: Tensor) -> Tensor:
        has_stamps = alerts.pixel_mask.flatten(1).any(dim=1)[:, None]
        encoded = self._encode_stamps(alerts.crop_and_context, orientation)
        stamps = torch.where(has_stamps, encoded, self.missing_stamps)
        encoded = self.metadata_encoder(self._binned(alerts.features, alerts.feature_mask))
        has_metadata = alerts.feature_mask.any(dim=1)[:, None]
        metadata = torch.where(has_metadata, encoded, self.missing_metadata)
        # Batch norm needs at least two rows to update its statistics.
        self.batch_norm.train(self.training and len(stamps) > 1)
        fused = self.fusion(torch.cat([stamps, metadata], dim=1))
        semantic = self.batch_norm(fused) * self.semantic_scale
        return torch.cat([semantic, self._project(alerts, orientation)], dim=1) @ self.mixing

    def orientation(self, alerts: AlertInput) -> Tensor:
        """Return the orientation with the largest weighted brightness: int64 `(n,)`."""
        # Clipped, so that the brightest pixels do not dominate the sums.
        brightness = alerts.crop_and_context[:, CROP_CHANNELS].clamp(-5, 5).mean(dim=1)
        sums = brightness.flatten(1).double() @ self.orientation_weights.T
        return sums.argmax(dim=1)

    def decode(self, vectors: Tensor, orientation: Tensor | None = None) -> Tensor:
        """Return pixels `(n, 3, 21, 21)`, in the canonical orientation if None is passed."""
        pixels = self.mean_pixels + self._split(vectors)[1] @ self.components
        pixels = pixels.unflatten(1, (len(CHANNELS), CROP, CROP))
        return pixels if orientation is None else self.orientations.revert(pixels, orientation)

    def classify(self, vectors: Tensor) -> Tensor:
        """Return logits `(n, classes)` of the semantic part."""
        logits: Tensor = self.classifier_head(self._split(vectors)[0])
        return logits

    def predict_features(self, vectors: Tensor) -> Tensor:
        """Return standardised metadata `(n, features)` predicted from the semantic part."""
        predicted: Tensor = self.feature_head(self._split(vectors)[0])
        return predicted

    def targets(self, alerts: AlertInput) -> tuple[Tensor, ...]:
        """Return the standardised morphology `(n, 327)` of the stamps, and its mask."""
        if not self.config.morphology_weight:
            return ()
        return self._standardised_morphology(alerts.crop_and_context)

    def loss(
        self,
        alerts: AlertInput,
        original: AlertInput,
        targets: tuple[Tensor, ...],
        labels: Tensor,
    ) -> LossTerms:
        """Return the loss of a batch and its terms; see `AlertNetwork.loss`.

        The target of the feature head includes metadata that augmentation dropped: they must be
        predicted from the stamps. The morphology of alerts without stamps is masked. The
        reconstruction loss is only reported, since the principal components are not trained.
        """
        config, output = self.config, self(alerts)
        smoothing = config.label_smoothing if self.training else 0.0
        n_labelled = (labels >= 0).sum()
        classification = losses.cross_entropy(output.logits, labels, smoothing)
        terms = {
            "reconstruction": losses.reconstruction_loss(
                output.reconstruction, alerts.pixels, alerts.pixel_mask
            ),
            "classification": (classification, n_labelled),
            "accuracy": accuracy(output.logits, labels),
        }
        total = config.classification_weight * classification
        if config.feature_weight:
            terms["features"] = losses.regression_loss(
                output.features, original.features, original.feature_mask
            )
            total = total + config.feature_weight * terms["features"][0]
        if config.morphology_weight:
            target, mask = targets
            mask = mask & alerts.pixel_mask.flatten(1).any(dim=1)[:, None]
            terms["morphology"] = losses.regression_loss(output.morphology, target, mask)
            total = total + config.morphology_weight * terms["morphology"][0]
        if config.contrastive_weight:
            terms["contrastive"] = losses.contrastive_loss(output.vectors, labels), n_labelled
            total = total + config.contrastive_weight * terms["contrastive"][0]
        return {"loss": (total, row_count(labels)), **terms}

    def _split(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Return the semantic part, of standard deviation 1, and the PCA part of vectors."""
        parts = vectors @ self.mixing.T
        return parts[:, : self.semantic_size] / self.semantic_scale, parts[:, self.semantic_size :]

    def _project(self, alerts: AlertInput, orientation: Tensor) -> Tensor:
        """Return the principal components of the stamps in their canonical orientation."""
        pixels, mask = (
            self.orientations.apply_to(part, orientation).flatten(1)
            for part in (alerts.pixels, alerts.pixel_mask)
        )
        return ((pixels - self.mean_pixels) * mask) @ self.components.T

    def _encode_stamps(self, crop_and_context: Tensor, orientation: Tensor) -> Tensor:
        """Return the mean output of the stamp encoder over two orientations: `(n, 128)`.

        These are the canonical one and its opposite, so that the output is invariant. In training
        each alert has one random orientation instead: that takes half the time, and the vectors
        are as good.
        """
        if self.training:
            random = torch.randint_like(orientation, N_ORIENTATIONS)
            encoded: Tensor = self.stamp_encoder(
                self.orientations.apply_to(crop_and_context, random)
            )
            return encoded
        images = self.orientations.apply_to(crop_and_context, orientation)
        encoded = self.stamp_encoder(torch.cat([images, images.flip((2, 3))]))
        return encoded.unflatten(0, (2, -1)).mean(dim=0)

    def _binned(self, features: Tensor, mask: Tensor) -> Tensor:
        """Return the piecewise linear encoding of features, and their mask: `(n, features * 17)`.

        The bins are between quantiles (Gorishniy et al. 2022, NeurIPS, section 3.2).
        """
        low, high = self.bin_edges[:, :-1], self.bin_edges[:, 1:]
        fraction = (features[:, :, None] - low) / (high - low).clamp(min=1e-6)
        binned = (fraction.clamp(0, 1) * mask[:, :, None]).flatten(1)
        return torch.cat([binned, mask.float()], dim=1)

    def _standardised_morphology(self, crop_and_context: Tensor) -> tuple[Tensor, Tensor]:
        """Return the morphology, standardised by the train rows and clipped, and its mask."""
        # A standard deviation is a difference of two large numbers, which bfloat16 cannot resolve.
        with torch.autocast(crop_and_context.device.type, enabled=False):
            morphology, mask = compute_morphology(crop_and_context)
        scaled = (morphology - self.morphology_mean) / self.morphology_std
        return scaled.clamp(-_MORPHOLOGY_CLIP, _MORPHOLOGY_CLIP), mask


def _shrunk_covariance(images: Tensor) -> Tensor:
    """Return the covariance of the pixels, shrunk towards that over all orientations."""
    covariances = []
    for index in range(N_ORIENTATIONS):
        pixels = reorient(images, index).flatten(1)
        pixels = (pixels - pixels.mean(dim=0)).double()
        covariances.append(pixels.T @ pixels / len(pixels))
    return (1 - _SHRINKAGE) * covariances[0] + _SHRINKAGE * torch.stack(covariances).mean(dim=0)


def _orthogonal_matrix(size: int) -> Tensor:
    """Return a random orthogonal matrix `(size, size)`, always the same.

    The numbers of a mixed vector have similar variances. Standardising them, as a search or a probe
    does, then changes distances little, and does not amplify components that are mostly noise.
    """
    normal = np.random.default_rng(0).normal(size=(size, size))
    matrix, _ = np.linalg.qr(normal)
    return torch.from_numpy(matrix).float()


def _masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    return (values * mask).sum(dim=0) / mask.sum(dim=0).clamp(min=1)


def _convolution(channels: int, out: int, *, stride: int) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(channels, out, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU(inplace=True),
    )
