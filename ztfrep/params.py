"""The parameters: the types of `params.yaml`, and its validation."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import Field, ValidationError, create_model, model_validator

from ztfrep.data.strict_yaml import read_yaml
from ztfrep.evaluation.protocol import EvaluationProtocol
from ztfrep.fields import (
    NO_FILE,
    BatchSize,
    Epochs,
    FilePath,
    Seed,
    Table,
    Threads,
    resolve_path,
)
from ztfrep.models.alert import ARCHITECTURES as ALERT_ARCHITECTURES
from ztfrep.models.alert import get_alert_network
from ztfrep.models.object import ARCHITECTURES as OBJECT_ARCHITECTURES
from ztfrep.models.object import get_object_network
from ztfrep.models.released_start import ReleasedOptions, ReleasedStart
from ztfrep.schema_errors import explain
from ztfrep.sources import SOURCES, get_source

Network = Literal["autoencoder", "recurrent"]
_SOURCE_NAMES = tuple(SOURCES)
# The sources of a user's own alerts, which may have few labels.
_OWN_SOURCES = ("alerts", "local")
if TYPE_CHECKING:
    Sources: TypeAlias = Any
    Budgets: TypeAlias = Any


class Budget(Table):
    """Epochs that suit a source."""

    autoencoder_epochs: Epochs
    """Epochs of the autoencoder if its own table has null."""
    recurrent_epochs: Epochs
    """Epochs of the recurrent network if its own table has null."""


if not TYPE_CHECKING:
    # One table per source, and one budget, by its name.
    Sources = create_model(
        "Sources", __base__=Table, **{name: (get_source(name).Config, ...) for name in SOURCES}
    )
    Budgets = create_model("Budgets", __base__=Table, **dict.fromkeys(SOURCES, (Budget, ...)))


class Convert(Table):
    """How series are split."""

    test_fraction: Annotated[float, Field(gt=0, le=1 / 3)]
    """Fraction of the series in the test split, and as many in the validation split."""
    min_test_objects: Annotated[int, Field(ge=0, le=1_000_000)]
    """Series of the rarest class in each of the two, if that is more."""
    seed: Seed
    """Seed of the split of the series."""


class NetworkTable(Table):
    """A network: its architecture, and a table of parameters per architecture."""

    architecture: str
    """Name of the architecture; its table of parameters is the one below of that name."""
    weights: FilePath
    """Start from this file: absolute path of a published checkpoint or of weights.safetensors."""

    @property
    def config(self) -> Any:
        """The parameters of the architecture."""
        return getattr(self, self.architecture)


class AutoencoderTable(NetworkTable):
    """The table `autoencoder`."""

    start: Literal["auto", "released", "nothing"]
    """Where training starts if weights is data/none: released: the released encoder | nothing |
    auto: the former for sources alerts and local with few labels, see below, else nothing."""
    released: ReleasedOptions


class Encode(Table):
    """How vectors are written."""

    batch_size: BatchSize
    """Alerts per batch: more than fit in a processor's cache take longer each."""


class Evaluate(EvaluationProtocol):
    """The table `evaluate`."""

    encodings: Literal["own", "published"]
    """own | published: the downloaded base.npy and baseRecurrente.npy instead."""


class Params(Table):
    """All of `params.yaml`. Attributes are tables and values by their keys.

    `autoencoder` and `recurrent` are a `NetworkTable` with the tables of its architectures.
    """

    source: Literal[_SOURCE_NAMES]  # type: ignore[valid-type]
    """sample: a simulated survey | local: your own pickles | drive: the published pickles |
    alerts: real alert packets | survey: a simulated survey as alert packets."""
    seed: Seed
    """Seed of training and evaluation; the rows do not depend on it."""
    threads: Threads
    """Threads: the same seed and threads compute the same bytes on one machine."""
    precision: Literal["float32", "bf16"]
    """float32 | bf16 (mixed)."""
    sources: Sources
    budget: Budgets
    convert: Convert
    autoencoder: Any
    encode: Encode
    recurrent: Any
    evaluate: Evaluate

    @model_validator(mode="after")
    def _validate_encodings(self) -> "Params":
        published = self.evaluate.encodings == "published"
        if published and not (self.source == "drive" and self.sources.drive.encoded):
            raise ValueError(
                f"evaluate.encodings published with source {self.source} and sources.drive.encoded "
                f"{str(self.sources.drive.encoded).lower()}; expected the downloaded encodings; "
                "add -S source=drive -S sources.drive.encoded=true"
            )
        return self

    def epochs(self, network: Network) -> int:
        """Return the epochs to train a network: its own number, or the budget of the source."""
        own: int | None = getattr(self, network).config.epochs
        budget: int = getattr(getattr(self.budget, self.source), f"{network}_epochs")
        return budget if own is None else own

    def start_weights(self, network: Network) -> Path | None:
        """Return the file of weights that training starts from, None without one.

        Raises InputError for a relative path and for a path without a file.
        """
        return resolve_path(f"{network}.weights", getattr(self, network).weights)

    def released_start(self) -> ReleasedStart | None:
        """Return how the autoencoder may start from the released one; None if it does not."""
        table = self.autoencoder
        if table.weights != NO_FILE or table.start == "nothing":
            return None
        if table.start == "auto" and self.source not in _OWN_SOURCES:
            return None
        return ReleasedStart(table.released, required=table.start == "released")


@cache
def params_with_networks() -> type[Params]:
    """Return the type of the whole `params.yaml`, with the tables of the networks.

    Takes seconds: the tables are in the files of the networks, which import torch.
    """
    networks: Any = {
        "autoencoder": _network_table(
            AutoencoderTable, {name: get_alert_network(name).Config for name in ALERT_ARCHITECTURES}
        ),
        "recurrent": _network_table(
            NetworkTable, {name: get_object_network(name).Config for name in OBJECT_ARCHITECTURES}
        ),
    }
    fields: Any = {name: (table, ...) for name, table in networks.items()}
    params: type[Params] = create_model("Params", __base__=Params, **fields)
    return params


def _network_table(base: type[NetworkTable], configs: dict[str, type[Table]]) -> type[NetworkTable]:
    names = tuple(configs)
    description = NetworkTable.model_fields["architecture"].description
    fields: Any = {
        "architecture": (Literal[names], Field(description=description)),
        **{name: (config, ...) for name, config in configs.items()},
    }
    table: type[NetworkTable] = create_model(base.__name__, __base__=base, **fields)
    return table


def read_params(path: str | Path = "params.yaml", *, networks: bool = True) -> Params:
    """Read and check a parameter file.

    Without `networks` the tables `autoencoder` and `recurrent` are not checked, and torch is not
    imported. Raises InputError for the first wrong key.
    """
    content = read_yaml(path)
    params = _validate(path, Params, content)
    # The networks come second: importing torch takes seconds.
    return _validate(path, params_with_networks(), content) if networks else params


def _validate(path: str | Path, kind: type[Params], content: Any) -> Params:
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise explain(path, kind, error) from error
