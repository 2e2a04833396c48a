"""The parameters: `params.yaml`, typed, and checked before anything runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, ValidationError, create_model, model_validator

from ztfrep.data.features import ALERCE_FEATURES
from ztfrep.fields import (
    NO_FILE,
    BatchSize,
    Epochs,
    FilePath,
    Patience,
    Rate,
    Seed,
    Share,
    Table,
    Threads,
    Weight,
    resolve_path,
)
from ztfrep.schema_errors import explain
from ztfrep.sources import SOURCES, get_source
from ztfrep.strict_yaml import read_yaml

# Names of these in modules that import them from this one.
__all__ = ["NO_FILE", "Params", "given_file", "read_params"]
given_file = resolve_path

# Values of the three colour planes of a stamp of 21 x 21 pixels: no vector needs more numbers, and
# there are no more principal components.
_PIXELS = 3 * 21 * 21
# Heads of the attention among epochs, which share the numbers of a vector.
_HEADS = 4

# The inverse strength of a probe's regularisation.
Slack = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]
# Fewer rows than these do not hold one of each class.
Rows = Annotated[int, Field(ge=10, le=1_000_000)]
_NAMES = ALERCE_FEATURES.names
FeatureName = Literal[_NAMES]  # type: ignore[valid-type]

if TYPE_CHECKING:
    Sources = Any
else:
    # One table per source, by its name.
    Sources = create_model(
        "Sources", __base__=Table, **{name: (get_source(name).Config, ...) for name in SOURCES}
    )


class Budget(Table):
    """Epochs that suit a source."""

    autoencoder_epochs: Epochs
    recurrent_epochs: Epochs


class Budgets(Table):
    """One budget per source."""

    sample: Budget
    local: Budget
    drive: Budget
    alerts: Budget


class Convert(Table):
    """How series are split."""

    test_fraction: Annotated[float, Field(gt=0, le=1 / 3)]
    min_test_objects: Annotated[int, Field(ge=0, le=1_000_000)]
    seed: Seed


class Fit(Table):
    """How a network is trained, whichever it is."""

    optimizer: Literal["adam", "adamw", "sgd"]
    learning_rate: Rate
    schedule: Literal["constant", "cosine"]
    epochs: Epochs | None
    batch_size: BatchSize
    final_batch_size: BatchSize
    final_epochs: Epochs
    patience: Patience


class Autoencoder(Fit):
    """The vector of an alert."""

    architecture: Literal["published", "invariant"]
    # A vector of one number has no plane to be drawn on.
    latent_dim: Annotated[int, Field(ge=2, le=_PIXELS)]
    detail: Annotated[float, Field(gt=0, lt=1)]
    left_out: Annotated[list[FeatureName], Field(max_length=len(ALERCE_FEATURES))]
    dropout: Share
    weights: FilePath
    rescale: Literal["none", "minmax", "asinh"]
    loss: Literal["cross_entropy", "published"]
    reconstruction_weight: Weight
    classification_weight: Weight
    features_weight: Weight
    shapes_weight: Weight
    contrastive_weight: Weight
    label_smoothing: Share
    without_stamps: Share
    without_wide: Share
    without_features: Share
    noise: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
    shift: Annotated[int, Field(ge=0, le=5)]
    rotation: Annotated[float, Field(ge=0, le=180)]
    sampling: Literal["copies", "distinct", "balanced"]

    @model_validator(mode="after")
    def _learns_something(self) -> "Autoencoder":
        if self.reconstruction_weight + self.classification_weight == 0:
            raise ValueError(
                "reconstruction_weight and classification_weight are both 0; expected one above 0"
            )
        return self


class Encode(Table):
    """How vectors are written."""

    batch_size: BatchSize


class Recurrent(Fit):
    """The vector of an object."""

    architecture: Literal["published", "temporal"]
    cell: Literal["gru", "lstm", "attention"]
    hidden: Annotated[int, Field(ge=2, le=2048)]
    layers: Annotated[int, Field(ge=1, le=16)]
    dropout: Share
    weights: FilePath
    balance: Literal["sampler", "weights", "undersample", "none"]
    next_weight: Weight
    most_epochs: Annotated[int, Field(ge=1, le=10_000)]

    @model_validator(mode="after")
    def _has_such_a_cell(self) -> "Recurrent":
        if self.architecture == "published" and self.cell == "attention":
            raise ValueError("architecture published with cell attention; expected gru or lstm")
        if self.cell == "attention" and self.hidden % _HEADS:
            raise ValueError(
                f"hidden {self.hidden} with cell attention; expected a multiple of {_HEADS}"
            )
        return self


class Evaluate(Table):
    """The protocol's constants."""

    encodings: Literal["own", "published"]
    max_train_rows: Rows
    knn_neighbours: Annotated[int, Field(ge=1, le=10_000)]
    linear_c: Slack
    svm_c: Slack
    forest_trees: Annotated[int, Field(ge=1, le=10_000)]
    forest_without: Annotated[list[FeatureName], Field(max_length=len(ALERCE_FEATURES))]
    map_rows: Annotated[int, Field(ge=10, le=100_000)]

    @model_validator(mode="after")
    def _leaves_a_feature(self) -> "Evaluate":
        if len(set(self.forest_without)) == len(ALERCE_FEATURES):
            raise ValueError("forest_without of every feature; expected one left; shorten the list")
        return self


class Params(Table):
    """All of `params.yaml`."""

    source: Literal[tuple(SOURCES)]  # type: ignore[valid-type]
    seed: Seed
    threads: Threads
    precision: Literal["float32", "bf16"]
    sources: Sources
    budget: Budgets
    convert: Convert
    autoencoder: Autoencoder
    encode: Encode
    recurrent: Recurrent
    evaluate: Evaluate

    @model_validator(mode="after")
    def _has_what_it_evaluates(self) -> "Params":
        published = self.evaluate.encodings == "published"
        if published and not (self.source == "drive" and self.sources.drive.encoded):
            raise ValueError(
                f"evaluate.encodings published with source {self.source} and sources.drive.encoded "
                f"{str(self.sources.drive.encoded).lower()}; expected the downloaded encodings; "
                "add -S source=drive -S sources.drive.encoded=true"
            )
        return self

    def epochs(self, network: Literal["autoencoder", "recurrent"]) -> int:
        """Epochs to train a network: its own number, or its source's budget."""
        own: int | None = getattr(self, network).epochs
        budget: int = getattr(getattr(self.budget, self.source), f"{network}_epochs")
        return budget if own is None else own


def read_params(path: str | Path = "params.yaml") -> Params:
    """Read and check a parameter file.

    Raises InputError that names the first wrong key by its path, what was found and expected.
    """
    content = read_yaml(path)
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        raise explain(path, Params, error) from error
