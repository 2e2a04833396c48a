"""The autoencoder whose vectors do not change when stamps are rotated by right angles or mirrored.

A vector encodes stamps and metadata; either may be missing. It has two parts. The semantic part is
learnt from the metadata and from the stamps, which are read in a canonical orientation and in its
opposite. The PCA part has principal components of the stamps in the canonical orientation. A
decoder, which is learnt too, reconstructs the stamps from it, as they are and without noise; it
does not change the vectors. An orthogonal matrix mixes the two parts: it preserves distances, and
makes the variances of the numbers of a vector similar.
"""

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from ztfrep.data.stamps import CROP, CROP_CHANNELS
from ztfrep.models.alert import losses
from ztfrep.models.alert.base import (
    N_FEATURES,
    N_PIXELS,
    AlertInput,
    AlertNetwork,
    AlertOutput,
)
from ztfrep.models.alert.covariance import principal_components
from ztfrep.models.alert.decoder import DecodedStamps, StampDecoder
from ztfrep.models.alert.feature_bins import encode_features, fit_bin_edges
from ztfrep.models.alert.invariant_config import InvariantConfig
from ztfrep.models.alert.mixing import orthogonal_matrix
from ztfrep.models.alert.morphology import N_MORPHOLOGY, compute_morphology
from ztfrep.models.alert.noise_levels import NoiseLevels, draw_noise_targets, scale_noise
from ztfrep.models.alert.orientation import N_ORIENTATIONS, Orientations
from ztfrep.models.alert.preprocessing import FeatureScaling
from ztfrep.models.alert.stamp_encoder import make_stamp_encoder
from ztfrep.models.loss_terms import LossTerms, accuracy, row_count

# Bins between a feature's quantiles. With 8 the accuracy on the 500 validation rows of the sample
# at scale 0.03 is 0.898, with 16 0.906; the interval is +-0.025.
_BINS = 16
# Width of the linear layers, and standard deviations to which a morphology is clipped. Other values
# were not measured.
_HIDDEN = 128
_MORPHOLOGY_CLIP = 4.0
_MIN_STD = 1e-3


class _Outputs(NamedTuple):
    """What is computed of alerts before their stamps are decoded."""

    vectors: Tensor
    logits: Tensor
    features: Tensor
    morphology: Tensor


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
        self.stamp_encoder = make_stamp_encoder(config.encoder_widths, _HIDDEN)
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
        # The last module with weights: those of the others are drawn as without a decoder.
        self.decoder = StampDecoder(n_components, config.decoder_width)
        self.register_buffer("bin_edges", torch.zeros(N_FEATURES, _BINS + 1))
        self.register_buffer("mean_pixels", torch.zeros(N_PIXELS))
        self.register_buffer("components", torch.zeros(n_components, N_PIXELS))
        # Multiplies the semantic part, whose numbers have a standard deviation of 1.
        self.register_buffer("semantic_scale", torch.ones(()))
        mixing = torch.empty(size, size)
        # On the meta device only shapes are needed, and the decomposition would be a waste of time.
        self.register_buffer("mixing", mixing if mixing.is_meta else orthogonal_matrix(size))
        self.register_buffer("morphology_mean", torch.zeros(N_MORPHOLOGY))
        self.register_buffer("morphology_std", torch.ones(N_MORPHOLOGY))
        self.orientations = Orientations(CROP)
        weights = self.orientations.asymmetric_weights()
        self.register_buffer("orientation_weights", weights, persistent=False)

    def fit_statistics(self, train: AlertInput) -> None:
        """Compute quantiles of the features, scale of the morphology, and principal components."""
        fit_bin_edges(train.features, train.feature_mask, self.bin_edges)
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
            components, variances = principal_components(
                stamps, len(self.components), self.config.covariance_shrinkage
            )
            self.components.copy_(components)
            largest = variances[0].clamp(min=_MIN_STD).sqrt()
            self.semantic_scale.copy_(self.config.semantic_scale * largest)
            self.fit_decoder(train)

    def fit_decoder(self, train: AlertInput) -> None:
        """Compute the statistics of the decoder, after those of the encoder."""
        deviation, correlation, noise = self.noise_targets(train)
        noise = scale_noise(noise, NoiseLevels(deviation, correlation))
        noise, stamps = (
            self.orientations.apply_to(part, self.orientation(train)).flatten(1)
            for part in (noise, train.pixels)
        )
        complete = train.pixel_mask.flatten(1).all(dim=1)
        scores = (stamps - self.mean_pixels) @ self.components.T
        self.decoder.fit_statistics(
            scores[complete], noise[complete] @ self.components.T, stamps[complete]
        )

    def row_wise(self) -> Sequence[nn.Module]:
        """Return the stamp encoder."""
        return (self.stamp_encoder,)

    def forward(self, alerts: AlertInput) -> AlertOutput:
        """Encode, reconstruct and classify alerts, and predict metadata and morphology."""
        orientation = self.orientation(alerts)
        outputs = self._outputs(alerts, orientation)
        decoded = (
            self.orientations.revert(pixels, orientation)
            for pixels in self._decode(self._split(outputs.vectors.detach())[1])
        )
        vectors, logits, features, morphology = outputs
        reconstruction, denoised = decoded
        return AlertOutput(vectors, reconstruction, logits, features, morphology, denoised)

    def _outputs(self, alerts: AlertInput, orientation: Tensor) -> _Outputs:
        vectors = self._encode(alerts, orientation)
        semantic, _ = self._split(vectors)
        heads = (self.classifier_head, self.feature_head, self.morphology_head)
        return _Outputs(vectors, *(head(semantic) for head in heads))

    def encode(self, alerts: AlertInput) -> Tensor:
        """Return vectors `(n, latent_dim)`."""
        return self._encode(alerts, self.orientation(alerts))

    def _encode(self, alerts: AlertInput, orientation: Tensor) -> Tensor:
        has_stamps = alerts.pixel_mask.flatten(1).any(dim=1)[:, None]
        encoded = self._encode_stamps(alerts.crop_and_context, orientation)
        stamps = torch.where(has_stamps, encoded, self.missing_stamps)
        binned = encode_features(alerts.features, alerts.feature_mask, self.bin_edges)
        encoded = self.metadata_encoder(binned)
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
        pixels = self._decode(self._split(vectors)[1]).reconstruction
        return pixels if orientation is None else self.orientations.revert(pixels, orientation)

    def denoise(self, vectors: Tensor, orientation: Tensor | None = None) -> Tensor:
        """Return pixels without noise `(n, 3, 21, 21)`; see `AlertNetwork.denoise`."""
        pixels = self._decode(self._split(vectors)[1]).denoised
        return pixels if orientation is None else self.orientations.revert(pixels, orientation)

    def _decode(self, scores: Tensor) -> DecodedStamps:
        decoded: DecodedStamps = self.decoder(scores, self.mean_pixels, self.components)
        return decoded

    def classify(self, vectors: Tensor) -> Tensor:
        """Return logits `(n, classes)` of the semantic part."""
        logits: Tensor = self.classifier_head(self._split(vectors)[0])
        return logits

    def predict_features(self, vectors: Tensor) -> Tensor:
        """Return standardised metadata `(n, features)` predicted from the semantic part."""
        predicted: Tensor = self.feature_head(self._split(vectors)[0])
        return predicted

    def targets(self, alerts: AlertInput) -> tuple[Tensor, ...]:
        """Return the targets of the heads and of the decoder, for terms that have a weight.

        The standardised morphology `(n, 327)` of the stamps and its mask; deviation and correlation
        of their noise, see `NoiseLevels`, and a random noise of deviation 1 `(n, 3, 21, 21)`.
        """
        targets: tuple[Tensor, ...] = ()
        if self.config.morphology_weight:
            targets += self._standardised_morphology(alerts.crop_and_context)
        if self.config.denoising_weight:
            targets += self.noise_targets(alerts)
        return targets

    def noise_targets(self, alerts: AlertInput) -> tuple[Tensor, ...]:
        """Return deviation and correlation of the stamps' noise, and noise of deviation 1."""
        return draw_noise_targets(alerts.pixels, alerts.pixel_mask)

    def loss(
        self,
        alerts: AlertInput,
        original: AlertInput,
        targets: tuple[Tensor, ...],
        labels: Tensor,
    ) -> LossTerms:
        """Return the loss of a batch and its terms; see `AlertNetwork.loss`.

        The target of the feature head includes metadata that augmentation dropped: they must be
        predicted from the stamps. The morphology of alerts without stamps is masked. The terms of
        the decoder have no gradient in the encoder.
        """
        config, orientation = self.config, self.orientation(alerts)
        output = self._outputs(alerts, orientation)
        smoothing = config.label_smoothing if self.training else 0.0
        n_labelled = (labels >= 0).sum()
        classification = losses.cross_entropy(output.logits, labels, smoothing)
        terms = {
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
            (target, mask), targets = targets[:2], targets[2:]
            mask = mask & alerts.pixel_mask.flatten(1).any(dim=1)[:, None]
            terms["morphology"] = losses.regression_loss(output.morphology, target, mask)
            total = total + config.morphology_weight * terms["morphology"][0]
        if config.contrastive_weight:
            contrastive = losses.contrastive_loss(output.vectors, labels, config.temperature)
            terms["contrastive"] = contrastive, n_labelled
            total = total + config.contrastive_weight * contrastive
        terms |= self.decoder_terms(alerts, output.vectors.detach(), orientation, targets)
        total = total + config.reconstruction_weight * terms["reconstruction"][0]
        if config.denoising_weight:
            total = total + config.denoising_weight * terms["denoising"][0]
        return {"loss": (total, row_count(labels)), **terms}

    def decoder_terms(
        self,
        alerts: AlertInput,
        vectors: Tensor,
        orientation: Tensor,
        targets: Sequence[Tensor],
    ) -> LossTerms:
        """Return the loss terms of the decoder; in training of the first half of the rows.

        They are a random half, because batches are shuffled. `targets` are the `noise_targets`.
        """
        rows = slice(0, -(-len(vectors) // 2) if self.training else None)
        orientation = orientation[rows]
        pixels, mask = (
            self.orientations.apply_to(part[rows], orientation)
            for part in (alerts.pixels, alerts.pixel_mask)
        )
        scores = self._split(vectors[rows])[1]
        decoded = self._decode(scores)
        terms = {"reconstruction": losses.reconstruction_loss(decoded.reconstruction, pixels, mask)}
        if self.config.denoising_weight:
            deviation, correlation, noise = (part[rows] for part in targets)
            # Another alert has this alert's random numbers in every epoch, so that the decoder
            # cannot learn them.
            noise = scale_noise(noise.roll(1, 0), NoiseLevels(deviation, correlation))
            noise = self.orientations.apply_to(noise, orientation) * mask
            moved = scores + losses.NOISE_STEP * (noise.flatten(1) @ self.components.T)
            terms["denoising"] = losses.denoising_risk(
                decoded.denoised, self._decode(moved).denoised, pixels, noise, mask
            )
        return terms

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

    def _standardised_morphology(self, crop_and_context: Tensor) -> tuple[Tensor, Tensor]:
        """Return the morphology, standardised by the train rows and clipped, and its mask."""
        # A standard deviation is a difference of two large numbers, which bfloat16 cannot resolve.
        with torch.autocast(crop_and_context.device.type, enabled=False):
            morphology, mask = compute_morphology(crop_and_context)
        scaled = (morphology - self.morphology_mean) / self.morphology_std
        return scaled.clamp(-_MORPHOLOGY_CLIP, _MORPHOLOGY_CLIP), mask


def _masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    return (values * mask).sum(dim=0) / mask.sum(dim=0).clamp(min=1)
