"""The card of a trained network: what `model.json` says, typed, with a bound for every number."""

import json
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ztfrep.data import features
from ztfrep.data.alert_schema import CHANNELS, CLASSES, FEATURE_UNITS
from ztfrep.data.filetypes import quote
from ztfrep.data.stamps import CROP, SCALING_METHODS
from ztfrep.params import NO_FILE, Autoencoder, FeatureName, Recurrent, Seed

FORMAT: Literal["ztfrep-model-2"] = "ztfrep-model-2"

# Components of 3 x 21 x 21 pixels: an alert has no more.
_PIXELS = len(CHANNELS) * CROP * CROP
# A longer history would not fit in a card's file.
_MOST_EPOCHS = 10_000

_Text = Annotated[str, Field(min_length=1, max_length=100)]
_Number = Annotated[int, Field(ge=-(2**53), le=2**53)] | float
_Record = dict[_Text, _Number]
_Share = Annotated[float, Field(ge=0, lt=1)]
_Epochs = Annotated[int, Field(ge=0, le=_MOST_EPOCHS)]
_PerFeature = Field(min_length=len(features.NAMES), max_length=len(features.NAMES))


class _Part(BaseModel):
    # Strict: 1 is a float, "1" and true are not.
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class FeatureScaling(_Part):
    """The scale of a network's metadata: unit, mean and deviation over its train rows, each (26,).

    Features that are `left_out` are unknown to the network.
    """

    names: Annotated[list[str], _PerFeature] = list(features.NAMES)
    unit: Literal[FEATURE_UNITS]  # type: ignore[valid-type]
    mean: Annotated[list[float], _PerFeature]
    std: Annotated[list[Annotated[float, Field(gt=0)]], _PerFeature]
    left_out: Annotated[list[FeatureName], Field(max_length=len(features.NAMES))]

    @field_validator("names")
    @classmethod
    def _are_ours(cls, names: list[str]) -> list[str]:
        return _equal(names, list(features.NAMES))


class AlertSizes(_Part):
    """The arguments of an autoencoder; `detail` is the invariant one's alone."""

    latent_dim: Annotated[int, Field(ge=2, le=_PIXELS)]
    detail: Annotated[float, Field(gt=0, lt=1)] | None = None
    dropout: _Share
    classes: Annotated[int, Field(ge=1, le=100)]


class ObjectSizes(_Part):
    """The arguments of a recurrent network."""

    cell: Literal["gru", "lstm", "attention"]
    input_dim: Annotated[int, Field(ge=2, le=_PIXELS)]
    hidden: Annotated[int, Field(ge=2, le=16_384)]
    layers: Annotated[int, Field(ge=1, le=256)]
    dropout: _Share
    classes: Annotated[int, Field(ge=1, le=100)]


class ModelCard(_Part):
    """What every card says: the classes by name, how training went, with which versions.

    `history` has a record per epoch, the untrained network's first; `best` is that of `best_epoch`.
    """

    format: Literal["ztfrep-model-2"] = FORMAT
    network: str
    architecture: str
    sizes: AlertSizes | ObjectSizes
    classes: Annotated[list[_Text], Field(min_length=1, max_length=100)]
    best_epoch: _Epochs
    epochs: _Epochs
    best: _Record
    seed: Seed
    threads: Annotated[int, Field(ge=1, le=1 << 20)]
    precision: Literal["float32", "bf16"]
    ztfrep: _Text
    torch: _Text
    history: Annotated[
        list[_Record], Field(min_length=1, max_length=_MOST_EPOCHS + 1, fail_fast=True)
    ]

    @model_validator(mode="after")
    def _history_is_that_of_the_epochs(self) -> "ModelCard":
        if len(self.history) != self.epochs + 1:
            raise _differ("history", f"{len(self.history)} records", f"{self.epochs + 1}")
        for epoch, record in enumerate(self.history):
            if record.get("epoch") != epoch or "validation_loss" not in record:
                expected = f"the number {epoch} and a validation_loss"
                raise _differ(f"history.{epoch}", "a record of another kind", expected)
        losses = [record["validation_loss"] for record in self.history]
        if self.best_epoch != losses.index(min(losses)):
            expected = f"{losses.index(min(losses))}, the first of the lowest validation loss"
            raise _differ("best_epoch", str(self.best_epoch), expected)
        best = {n: v for n, v in self.history[self.best_epoch].items() if n != "epoch"}
        if self.best != best:
            raise _differ("best", "another record", f"that of epoch {self.best_epoch}")
        return self


class AutoencoderCard(ModelCard):
    """The card of an autoencoder of alerts, with all that its input is prepared by.

    That is the size `crop` in pixels and the order `channels` of the stamps, how they are scaled
    (`rescale`), and the scale of the metadata.
    """

    network: Literal["autoencoder"] = "autoencoder"
    architecture: Literal["published", "invariant"]
    sizes: AlertSizes
    rescale: Literal[SCALING_METHODS]  # type: ignore[valid-type]
    crop: int = CROP
    channels: Annotated[list[str], Field(max_length=len(CHANNELS))] = list(CHANNELS)
    features: FeatureScaling
    params: Autoencoder

    @field_validator("crop")
    @classmethod
    def _is_the_crop(cls, crop: int) -> int:
        return _equal(crop, CROP)

    @field_validator("channels")
    @classmethod
    def _are_the_channels(cls, channels: list[str]) -> list[str]:
        return _equal(channels, list(CHANNELS))

    @field_validator("classes")
    @classmethod
    def _are_the_classes(cls, classes: list[str]) -> list[str]:
        return _equal(classes, list(CLASSES))

    @model_validator(mode="after")
    def _is_of_its_parameters(self) -> "AutoencoderCard":
        invariant = self.architecture == "invariant"
        if invariant != (self.sizes.detail is not None):
            expected = "a number" if invariant else f"none for architecture {self.architecture}"
            raise _differ("sizes.detail", str(self.sizes.detail), expected)
        trained: dict[str, tuple[Any, Any]] = {
            "architecture": (self.architecture, self.params.architecture),
            "rescale": (self.rescale, self.params.rescale),
            "sizes.latent_dim": (self.sizes.latent_dim, self.params.latent_dim),
            "sizes.dropout": (self.sizes.dropout, self.params.dropout),
            "sizes.classes": (self.sizes.classes, len(self.classes)),
        }
        if invariant:
            trained["sizes.detail"] = (self.sizes.detail, self.params.detail)
        # A network that started from another's weights has the scale of that one.
        if self.params.weights == NO_FILE:
            trained["features.left_out"] = (self.features.left_out, self.params.left_out)
        _agree(trained)
        return self


class RecurrentCard(ModelCard):
    """The card of a recurrent network of objects; it reads the last `most_epochs` epochs."""

    network: Literal["recurrent"] = "recurrent"
    architecture: Literal["published", "temporal"]
    sizes: ObjectSizes
    most_epochs: Annotated[int, Field(ge=1, le=1 << 31)]
    params: Recurrent

    @model_validator(mode="after")
    def _is_of_its_parameters(self) -> "RecurrentCard":
        sizes, trained = self.sizes, self.params
        _agree(
            {
                "architecture": (self.architecture, trained.architecture),
                "most_epochs": (self.most_epochs, trained.most_epochs),
                "sizes.cell": (sizes.cell, trained.cell),
                "sizes.hidden": (sizes.hidden, trained.hidden),
                "sizes.layers": (sizes.layers, trained.layers),
                "sizes.dropout": (sizes.dropout, trained.dropout),
                "sizes.classes": (sizes.classes, len(self.classes)),
            }
        )
        # Four heads share the numbers evenly.
        if sizes.cell == "attention" and sizes.hidden % 4:
            raise _differ("sizes.hidden", str(sizes.hidden), "a multiple of 4 for cell attention")
        return self


Card = TypeVar("Card", bound=ModelCard)


def _equal(found: Any, expected: Any) -> Any:
    if found != expected:
        shown = expected if isinstance(expected, int) else ", ".join(expected)
        raise ValueError(f"; expected {shown}")
    return found


def _differ(key: str, found: str, expected: str) -> ValueError:
    return ValueError(f"{key}; found {found}; expected {expected}")


def _agree(pairs: dict[str, tuple[Any, Any]]) -> None:
    for key, (found, trained) in pairs.items():
        if found != trained:
            name = "classes" if key == "sizes.classes" else f"params.{key.rpartition('.')[2]}"
            raise _differ(key, shown(found), f"{shown(trained)}, as {name} has it")


def shown(value: Any) -> str:
    """Return a JSON value for a message, cut."""
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, list):
        few = all(isinstance(part, str) for part in value[:4]) and len(value) < 4
        return ", ".join(map(quote, value)) if value and few else f"a list of {len(value):,}"
    if isinstance(value, dict):
        return f"an object of {len(value)} keys"
    return quote(json.dumps(value)).strip("'")
