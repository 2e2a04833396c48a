"""The parameters: `params.yaml`, typed, and checked before anything runs."""

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ztfrep import features
from ztfrep.errors import InputError

# The file that stands for "no file": DVC needs every dependency to exist.
NO_FILE = "data/none"

Positive = Annotated[int, Field(ge=1)]
# A vector of one number has no plane to be drawn on.
Several = Annotated[int, Field(ge=2)]
Count = Annotated[int, Field(ge=0)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, lt=1)]
FeatureName = Literal[features.NAMES]  # type: ignore[valid-type]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _Table(BaseModel):
    # Strict: 1 is a float, "1" and true are not.
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Sample(_Table):
    """The simulated survey."""

    scale: Annotated[float, Field(gt=0, le=1)]
    seed: Seed


class Local(_Table):
    """The user's own pickles, as absolute paths."""

    stamps: str
    series: str


class Checksums(_Table):
    """The sha256 that downloaded files must have, where it is known."""

    stamps: Sha256 | None
    series: Sha256 | None
    base: Sha256 | None
    base_recurrente: Sha256 | None


class Drive(_Table):
    """The published files on Google Drive, by the ids of their folders."""

    pickles: str
    encodings: str
    encoded: bool
    timeout: PositiveFloat
    sha256: Checksums


class Alerts(_Table):
    """Alert packets, and a table of labels, as absolute paths."""

    path: str
    labels: str
    label_column: str
    broken_archives: Literal["stop", "keep"]
    max_bad_fraction: Annotated[float, Field(ge=0, le=1)]


class Sources(_Table):
    """One table per source."""

    sample: Sample
    local: Local
    drive: Drive
    alerts: Alerts


class Budget(_Table):
    """Epochs that suit a source."""

    autoencoder_epochs: Count
    recurrent_epochs: Count


class Budgets(_Table):
    """One budget per source."""

    sample: Budget
    local: Budget
    drive: Budget
    alerts: Budget


class Convert(_Table):
    """How series are split."""

    held_out: Annotated[float, Field(gt=0, le=1 / 3)]
    held_out_at_least: Count
    seed: Seed


class Fit(_Table):
    """How a network is trained, whichever it is."""

    optimizer: Literal["adam", "adamw", "sgd"]
    learning_rate: PositiveFloat
    schedule: Literal["constant", "cosine"]
    epochs: Count | None
    batch_size: Positive
    final_batch_size: Positive
    final_epochs: Count
    patience: Positive


class Autoencoder(Fit):
    """The vector of an alert."""

    architecture: Literal["published", "invariant"]
    latent_dim: Several
    detail: Annotated[float, Field(gt=0, lt=1)]
    left_out: list[FeatureName]
    dropout: Share
    weights: str
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
    noise: Weight
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


class Encode(_Table):
    """How vectors are written."""

    batch_size: Positive


class Recurrent(Fit):
    """The vector of an object."""

    architecture: Literal["published", "temporal"]
    cell: Literal["gru", "lstm", "attention"]
    hidden: Several
    layers: Positive
    dropout: Share
    weights: str
    balance: Literal["sampler", "weights", "undersample", "none"]
    next_weight: Weight
    most_epochs: Positive

    @model_validator(mode="after")
    def _has_such_a_cell(self) -> "Recurrent":
        if self.architecture == "published" and self.cell == "attention":
            raise ValueError("architecture published with cell attention; expected gru or lstm")
        return self


class Evaluate(_Table):
    """The protocol's constants."""

    encodings: Literal["own", "published"]
    max_train_rows: Positive
    knn_neighbours: Positive
    linear_c: PositiveFloat
    svm_c: PositiveFloat
    forest_trees: Positive
    forest_without: list[FeatureName]
    map_rows: Annotated[int, Field(ge=10)]


class Params(_Table):
    """All of `params.yaml`."""

    source: Literal["sample", "local", "drive", "alerts"]
    seed: Seed
    threads: Positive
    precision: Literal["float32", "bf16"]
    sources: Sources
    budget: Budgets
    convert: Convert
    autoencoder: Autoencoder
    encode: Encode
    recurrent: Recurrent
    evaluate: Evaluate

    def epochs(self, network: Literal["autoencoder", "recurrent"]) -> int:
        """Epochs to train a network: its own number, or its source's budget."""
        own: int | None = getattr(self, network).epochs
        budget: int = getattr(getattr(self.budget, self.source), f"{network}_epochs")
        return budget if own is None else own


def read_params(path: str | Path = "params.yaml") -> Params:
    """Read and check a parameter file.

    Raises InputError that names the first wrong key by its path, what was found and expected.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        remedy = "run from the repository's root"
        raise InputError(path, found=str(error), expected="a file", remedy=remedy) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        remedy = "mend the syntax"
        raise InputError(path, found=str(error), expected="YAML", remedy=remedy) from error
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        raise _explained(path, error) from error


def given_file(key: str, path: str, *, folder: bool = False) -> Path | None:
    """Turn a path parameter into a path, None for `data/none`; an absent file is refused.

    With `folder`, a folder will do too.
    """
    if path == NO_FILE:
        return None
    if not Path(path).is_absolute():
        raise InputError(
            f"params.yaml: {key}",
            found=f"the relative path {path!r}",
            expected="an absolute path",
            remedy="experiments run in other folders, so write the whole path",
        )
    if not (Path(path).is_file() or (folder and Path(path).is_dir())):
        raise InputError(
            f"params.yaml: {key}",
            found=f"no file at {path}",
            expected="a file or a folder" if folder else "a file",
            remedy=f"correct {key}",
        )
    return Path(path)


def _explained(path: str | Path, error: ValidationError) -> InputError:
    problems = error.errors()
    # An unknown key explains a missing one: it is most often its misspelling.
    first = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
    key = ".".join(str(part) for part in first["loc"])
    where = f"{path}: {key}" if key else str(path)
    if first["type"] == "extra_forbidden":
        siblings = _keys_at(first["loc"][:-1])
        near = difflib.get_close_matches(str(first["loc"][-1]), siblings, n=1)
        remedy = f"did you mean {near[0]!r}?" if near else "remove it or correct its name"
        return InputError(
            where, found="an unknown key", expected=f"one of {', '.join(siblings)}", remedy=remedy
        )
    if first["type"] == "missing":
        remedy = "add the key; params.yaml in Git has every key"
        return InputError(where, found="nothing", expected="a value", remedy=remedy)
    if first["type"] == "value_error":
        found, _, expected = first["msg"].removeprefix("Value error, ").partition("; expected ")
        return InputError(where, found=found, expected=expected, remedy="change one of them")
    message = first["msg"].removeprefix("Input should be ")
    found = f"{first['input']!r} ({type(first['input']).__name__})" if key else "no such table"
    return InputError(where, found=found, expected=message, remedy="correct this value")


def _keys_at(location: tuple[Any, ...]) -> list[str]:
    table: Any = Params
    for part in location:
        table = table.model_fields[part].annotation
    return list(table.model_fields)
