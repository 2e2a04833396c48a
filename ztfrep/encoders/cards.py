"""The card of a trained network: the content of `model.json`, with a bound for every number.

A card has all that is needed to build the network and to preprocess its input.
"""

import json
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import Field, create_model, field_validator, model_validator

from ztfrep.data.alert_schema import CHANNELS, CLASSES
from ztfrep.data.stamps import CROP
from ztfrep.errors import quote
from ztfrep.fields import NO_FILE, FilePath, Seed, Table
from ztfrep.models.alert import ARCHITECTURES as ALERT_ARCHITECTURES
from ztfrep.models.alert import get_alert_network
from ztfrep.models.alert.base import N_PIXELS, AlertConfig, AlertNetwork
from ztfrep.models.alert.preprocessing import FeatureScaling
from ztfrep.models.object import ARCHITECTURES as OBJECT_ARCHITECTURES
from ztfrep.models.object import get_object_network
from ztfrep.models.object.base import ObjectConfig, ObjectNetwork

FORMAT: Literal["ztfrep-model-3"] = "ztfrep-model-3"

# The file of a card has a maximum size, and with it the history.
_MAX_EPOCHS = 10_000

_Text = Annotated[str, Field(min_length=1, max_length=100)]
_Number = Annotated[int, Field(ge=-(2**53), le=2**53)] | float
_Record = dict[_Text, _Number]
_Epochs = Annotated[int, Field(ge=0, le=_MAX_EPOCHS)]


class ModelCard(Table):
    """The fields of every card.

    Attributes
    ----------
    network : str
        `autoencoder` or `recurrent`.
    architecture : str
        A name in `ARCHITECTURES`.
    config : Table
        The parameters of the network and of its training.
    start_weights : str
        The file of weights that training started from, `released` for those of the released
        encoder, or `data/none`.
    best_epoch, epochs : int
        The epoch of the saved weights, and the number of epochs trained.
    best : dict
        The record of `best_epoch` in `history`, without its `epoch`.
    selection : dict
        The figures of the decision between the released encoder as it is and a tuned one; empty
        for a training that did not start from it.
    history : list of dict
        A record of metrics per epoch. The first, of epoch 0, is that of the start weights.
    """

    ARCHITECTURES: ClassVar[Mapping[str, str]]

    format: Literal["ztfrep-model-3"] = FORMAT
    network: str
    architecture: str
    config: Table
    classes: Annotated[list[_Text], Field(min_length=1, max_length=100)]
    start_weights: FilePath = NO_FILE
    best_epoch: _Epochs
    epochs: _Epochs
    best: _Record
    selection: _Record = {}
    seed: Seed
    threads: Annotated[int, Field(ge=1, le=1 << 20)]
    precision: Literal["float32", "bf16"]
    ztfrep: _Text
    torch: _Text
    history: Annotated[
        list[_Record], Field(min_length=1, max_length=_MAX_EPOCHS + 1, fail_fast=True)
    ]

    @classmethod
    def for_architecture(cls, name: str) -> type[Self]:
        """Return the class of cards whose `config` is of the architecture's own class."""
        raise NotImplementedError

    @model_validator(mode="after")
    def _check_history(self) -> Self:
        if len(self.history) != self.epochs + 1:
            raise _mismatch("history", f"{len(self.history)} records", f"{self.epochs + 1}")
        for epoch, record in enumerate(self.history):
            if record.get("epoch") != epoch or "validation_loss" not in record:
                expected = f"the number {epoch} and a validation_loss"
                raise _mismatch(f"history.{epoch}", "a record of another kind", expected)
        losses = [record["validation_loss"] for record in self.history]
        # Trainings that start from the released encoder keep their last epoch.
        keeps_last = bool(self.selection) and self.best_epoch == self.epochs
        if self.best_epoch != losses.index(min(losses)) and not keeps_last:
            expected = f"{losses.index(min(losses))}, the first of the lowest validation loss"
            raise _mismatch("best_epoch", str(self.best_epoch), expected)
        record = self.history[self.best_epoch]
        if self.best != {name: value for name, value in record.items() if name != "epoch"}:
            raise _mismatch("best", "another record", f"that of epoch {self.best_epoch}")
        return self


class AlertCard(ModelCard):
    """The card of an autoencoder of alerts, with the statistics of its preprocessing."""

    ARCHITECTURES = ALERT_ARCHITECTURES
    network: Literal["autoencoder"] = "autoencoder"
    config: AlertConfig
    crop: int = CROP
    channels: Annotated[list[str], Field(max_length=len(CHANNELS))] = list(CHANNELS)
    features: FeatureScaling

    @classmethod
    def for_architecture(cls, name: str) -> type[Self]:
        """Return the class of cards whose `config` is of the architecture's own class."""
        return _specialise(cls, name, get_alert_network(name).Config)

    @property
    def vector_length(self) -> int:
        """Length of the network's vectors."""
        return self.config.latent_dim

    def build(self) -> AlertNetwork:
        """Return the network, untrained."""
        architecture: Any = get_alert_network(self.architecture)
        network: AlertNetwork = architecture(
            self.config, classes=len(self.classes), feature_scaling=self.features
        )
        return network

    @field_validator("crop")
    @classmethod
    def _check_crop(cls, crop: int) -> int:
        return _require_equal(crop, CROP)

    @field_validator("channels")
    @classmethod
    def _check_channels(cls, channels: list[str]) -> list[str]:
        return _require_equal(channels, list(CHANNELS))

    @field_validator("classes")
    @classmethod
    def _check_classes(cls, classes: list[str]) -> list[str]:
        return _require_equal(classes, list(CLASSES))

    @model_validator(mode="after")
    def _check_excluded_features(self) -> Self:
        excluded, expected = self.features.excluded, self.config.masked_features
        if excluded != expected:
            raise _mismatch(
                "features.excluded",
                format_value(excluded),
                f"{format_value(expected)}, as in config",
            )
        return self


class ObjectCard(ModelCard):
    """The card of a recurrent network of objects; its input is vectors of length `input_dim`."""

    ARCHITECTURES = OBJECT_ARCHITECTURES
    network: Literal["recurrent"] = "recurrent"
    config: ObjectConfig
    input_dim: Annotated[int, Field(ge=2, le=N_PIXELS)]

    @classmethod
    def for_architecture(cls, name: str) -> type[Self]:
        """Return the class of cards whose `config` is of the architecture's own class."""
        return _specialise(cls, name, get_object_network(name).Config)

    @property
    def vector_length(self) -> int:
        """Length of the network's vectors."""
        return self.config.hidden

    def build(self) -> ObjectNetwork:
        """Return the network, untrained."""
        architecture: Any = get_object_network(self.architecture)
        network: ObjectNetwork = architecture(
            self.config, input_dim=self.input_dim, classes=len(self.classes)
        )
        return network


Card = TypeVar("Card", AlertCard, ObjectCard)


@cache
def _specialise(card_class: Any, architecture: str, config: type[Table]) -> Any:
    """Return a subclass of a card's class for one architecture and the class of its `config`."""
    return create_model(
        card_class.__name__,
        __base__=card_class,
        architecture=(Literal[architecture], ...),  # type: ignore[arg-type]
        config=(config, ...),
    )


def _require_equal(value: Any, expected: Any) -> Any:
    if value != expected:
        text = expected if isinstance(expected, int) else ", ".join(expected)
        raise ValueError(f"; expected {text}")
    return value


def _mismatch(key: str, found: str, expected: str) -> ValueError:
    return ValueError(f"{key}; found {found}; expected {expected}")


def format_value(value: Any) -> str:
    """Return a short description of a JSON value for an error message."""
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, list):
        short = all(isinstance(part, str) for part in value[:4]) and len(value) < 4
        return ", ".join(map(quote, value)) if value and short else f"a list of {len(value):,}"
    if isinstance(value, dict):
        return f"an object of {len(value)} keys"
    return quote(json.dumps(value)).strip("'")
