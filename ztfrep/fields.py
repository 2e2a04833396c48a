"""Types of the fields of parameter tables and model cards: numbers with bounds, paths, seeds.

Bounds are far beyond what is of use, and below what exhausts a machine before anything is said.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

# The path that stands for "no file": DVC needs every dependency to exist.
NO_FILE = "data/none"

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
    """A table of `params.yaml`: strict types, no unknown key, immutable."""

    # Strict: 1 is a float, "1" and true are not.
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)
