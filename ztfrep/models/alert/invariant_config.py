"""The parameters of the invariant autoencoder."""

from typing import Annotated

from pydantic import Field, model_validator

from ztfrep.data.feature_names import FeatureNames
from ztfrep.fields import Fraction, Probability, Weight
from ztfrep.models.alert.base import AlertConfig, Augmentation

Width = Annotated[int, Field(ge=1, le=1024)]


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
    temperature: Annotated[float, Field(ge=0.01, le=10)]
    """Divisor of the cosine similarities in the contrastive loss."""
    reconstruction_weight: Weight
    """Loss weight of the reconstruction, which trains the decoder alone."""
    denoising_weight: Weight
    """Loss weight of the denoised stamps, which train the decoder alone."""
    decoder_width: Annotated[int, Field(ge=1, le=1024)]
    """Channels of the decoder's convolutions."""
    encoder_widths: Annotated[list[Width], Field(min_length=4, max_length=4)]
    """Channels of the stamp encoder's four convolutions."""
    semantic_scale: Annotated[float, Field(gt=0, le=100)]
    """Standard deviation of a number of the semantic part, in units of the largest in the PCA
    part."""
    covariance_shrinkage: Annotated[float, Field(ge=0, le=1)]
    """Weight of the pixels' covariance over all orientations, which has less noise than that of
    the canonical one."""
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
