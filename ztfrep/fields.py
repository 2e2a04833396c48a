"""Types of parameters: bounded numbers, paths, and the base class of a table of parameters."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from ztfrep.errors import InputError, quote

# The path that means "no file": DVC requires every dependency to exist.
NO_FILE = "data/none"
# Maximum of characters of a path in a message: nearly all paths are shown whole.
_SHOWN_CHARACTERS = 300

# Bounds are far above useful values, and below values that exhaust a machine without a message.
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Threads = Annotated[int, Field(ge=1, le=256)]
Epochs = Annotated[int, Field(ge=0, le=10_000)]
Patience = Annotated[int, Field(ge=1, le=10_000)]
BatchSize = Annotated[int, Field(ge=1, le=65_536)]
LearningRate = Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)]
Weight = Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
# 1 is excluded: a layer that drops everything learns nothing.
Probability = Annotated[float, Field(ge=0, lt=1)]
FilePath = Annotated[str, Field(max_length=4096)]


class Table(BaseModel):
    """A table of parameters. Refuses unknown keys, and `"1"` and true in place of a number."""

    # Strict: 1 is a float, "1" and true are not.
    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        allow_inf_nan=False,
        # The docstring of a field is its description, also in `params.yaml`.
        use_attribute_docstrings=True,
    )


def resolve_path(key: str, path: str, *, folder: bool = False) -> Path | None:
    """Return the path of a path parameter, None for `NO_FILE`.

    `key` is the name of the parameter for an error. With `folder`, the path may be that of a
    folder. Raises InputError for a relative path and for a path without a file.
    """
    if path == NO_FILE:
        return None
    if not Path(path).is_absolute():
        raise InputError(
            f"params.yaml: {key}",
            found=f"the relative path {quote(path, _SHOWN_CHARACTERS)}",
            expected="an absolute path",
            remedy="experiments run in other folders, so write the whole path",
        )
    try:
        exists = Path(path).is_file() or (folder and Path(path).is_dir())
    except OSError:  # A name of more than 255 bytes.
        exists = False
    if not exists:
        raise InputError(
            f"params.yaml: {key}",
            found=f"no file at {quote(path, _SHOWN_CHARACTERS)}",
            expected="a file or a folder" if folder else "a file",
            remedy=f"correct {key}; docs/parameters.md shows how to quote a path after -S",
        )
    return Path(path)
