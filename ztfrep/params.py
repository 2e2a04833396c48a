"""The parameters: `params.yaml`, typed, and checked before anything runs."""

from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, create_model, model_validator

from ztfrep.data.features import ALERCE_FEATURES
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
from ztfrep.schema_errors import explain
from ztfrep.strict_yaml import read_yaml

# Names of these in modules that import them from this one.
__all__ = ["NO_FILE", "Params", "given_file", "read_params"]
given_file = resolve_path

Network = Literal["autoencoder", "recurrent"]
# The inverse strength of a probe's regularisation.
Slack = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]
# Fewer rows than these do not hold one of each class.
Rows = Annotated[int, Field(ge=10, le=1_000_000)]
_NAMES = ALERCE_FEATURES.names
FeatureName = Literal[_NAMES]  # type: ignore[valid-type]
Sha256 = Annotated[
    str, Field(pattern="^[0-9a-f]{64}$", json_schema_extra={"expected": "64 hexadecimal digits"})
]
# `ztfrep.sources.drive` checks the same form before it makes a path of an id.
DriveId = Annotated[
    str,
    Field(
        pattern="^[A-Za-z0-9_-]{10,100}$",
        json_schema_extra={
            "expected": "the last part of the folder's address: 10 to 100 letters, digits, - and _"
        },
    ),
]


class Sample(Table):
    """The simulated survey."""

    scale: Annotated[float, Field(gt=0, le=1)]
    seed: Seed


class Local(Table):
    """The user's own pickles, as absolute paths."""

    stamps: FilePath
    series: FilePath


class Checksums(Table):
    """The sha256 that downloaded files must have, where it is known."""

    stamps: Sha256 | None
    series: Sha256 | None
    base: Sha256 | None
    base_recurrente: Sha256 | None


class Drive(Table):
    """The published files on Google Drive, by the ids of their folders."""

    pickles: DriveId
    encodings: DriveId
    encoded: bool
    timeout: Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
    sha256: Checksums


class Alerts(Table):
    """Alert packets, and a table of labels, as absolute paths."""

    path: FilePath
    labels: FilePath
    label_column: Annotated[str, Field(min_length=1, max_length=200)]
    broken_archives: Literal["stop", "keep"]
    max_bad_fraction: Annotated[float, Field(ge=0, le=1)]


class Sources(Table):
    """One table per source."""

    sample: Sample
    local: Local
    drive: Drive
    alerts: Alerts


class Budget(Table):
    """Epochs that suit a source."""

    autoencoder_epochs: Epochs
    """Epochs of the autoencoder if its own table has null."""
    recurrent_epochs: Epochs
    """Epochs of the recurrent network if its own table has null."""


class Budgets(Table):
    """One budget per source."""

    sample: Budget
    local: Budget
    drive: Budget
    alerts: Budget


class Convert(Table):
    """How series are split."""

    held_out: Annotated[float, Field(gt=0, le=1 / 3)]
    held_out_at_least: Annotated[int, Field(ge=0, le=1_000_000)]
    seed: Seed


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


class Encode(Table):
    """How vectors are written."""

    batch_size: BatchSize
    """Alerts per batch: more than fit in a processor's cache take longer each."""


class Evaluate(Table):
    """The constants of the evaluation protocol."""

    encodings: Literal["own", "published"]
    """own | published: the downloaded base.npy and baseRecurrente.npy instead."""
    max_train_rows: Rows
    """Train rows for the probes, drawn by class: the SVM is quadratic in them."""
    knn_neighbours: Annotated[int, Field(ge=1, le=10_000)]
    """Neighbours of the k-nearest-neighbours probe."""
    linear_c: Slack
    """Inverse regularisation strength C of the linear probe."""
    svm_c: Slack
    """C of the RBF SVM."""
    forest_trees: Annotated[int, Field(ge=1, le=10_000)]
    """Trees of the random forest."""
    forest_excluded_features: Annotated[list[FeatureName], Field(max_length=len(ALERCE_FEATURES))]
    """Features that the forest never sees; ALeRCE's classifier excludes them too."""
    map_rows: Annotated[int, Field(ge=10, le=100_000)]
    """Rows of a latent map."""

    @model_validator(mode="after")
    def _leaves_a_feature(self) -> "Evaluate":
        if len(set(self.forest_excluded_features)) == len(ALERCE_FEATURES):
            raise ValueError(
                "forest_excluded_features of every feature; expected one left; shorten the list"
            )
        return self


class Params(Table):
    """All of `params.yaml`. Attributes are tables and values by their keys.

    `autoencoder` and `recurrent` are a `NetworkTable` with the tables of its architectures.
    """

    source: Literal["sample", "local", "drive", "alerts"]
    """sample: a simulated survey | local: your own pickles | drive: the published pickles |
    alerts: real alert packets."""
    seed: Seed
    """Seed of training and evaluation; the rows are the same whatever it is."""
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
    def _has_what_it_evaluates(self) -> "Params":
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

        Raises InputError for a relative path and for one where there is no file.
        """
        return resolve_path(f"{network}.weights", getattr(self, network).weights)


@cache
def params_with_networks() -> type[Params]:
    """Return the type of `params.yaml` whole: imports the networks, whose files have their tables.

    Takes seconds, since it imports torch.
    """
    networks: Any = {
        "autoencoder": _network_table(
            {name: get_alert_network(name).Config for name in ALERT_ARCHITECTURES}
        ),
        "recurrent": _network_table(
            {name: get_object_network(name).Config for name in OBJECT_ARCHITECTURES}
        ),
    }
    fields: Any = {name: (table, ...) for name, table in networks.items()}
    whole: type[Params] = create_model("Params", __base__=Params, **fields)
    return whole


def _network_table(configs: dict[str, type[Table]]) -> type[NetworkTable]:
    names = tuple(configs)
    description = NetworkTable.model_fields["architecture"].description
    fields: Any = {
        "architecture": (Literal[names], Field(description=description)),
        **{name: (config, ...) for name, config in configs.items()},
    }
    table: type[NetworkTable] = create_model("NetworkTable", __base__=NetworkTable, **fields)
    return table


def read_params(path: str | Path = "params.yaml", *, networks: bool = True) -> Params:
    """Read and check a parameter file.

    Without `networks` the tables `autoencoder` and `recurrent` are left unchecked, which saves
    importing torch. Raises InputError that names the first wrong key by its path, what was found
    and what is expected.
    """
    content = read_yaml(path)
    kind = params_with_networks() if networks else Params
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise explain(path, kind, error) from error
