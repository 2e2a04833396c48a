"""What a network of objects is: its input, its output, and what every architecture implements.

An architecture is one module with a subclass of `ObjectNetwork`, a line in the registry
(`ztfrep.models.object.ARCHITECTURES`) and a table of its name below `recurrent` in `params.yaml`.
"""

from abc import ABC, abstractmethod
from typing import Annotated, ClassVar, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from ztfrep.fields import Probability
from ztfrep.models.loss_terms import LossTerms
from ztfrep.models.recipe import Recipe

# Of an observation: magnitude, its error, limiting magnitude; the mask of the three; the filter.
N_PHOTOMETRY = 9
MAGNITUDE, MAGNITUDE_MASK = 0, 3
# Of an observation: log(1 + days) since the one before and since the first; their mask.
N_TIMES = 3


class ObjectInput(NamedTuple):
    """A batch of n objects, each with its observations in time order, zeros after the last.

    Attributes
    ----------
    vectors : float32 (n, steps, d)
        The alerts' vectors.
    vector_mask : bool (n, steps)
        True where an observation has a vector: prior detections and upper limits have none.
    times : float32 (n, steps, 3)
    photometry : float32 (n, steps, 9)
        0 where unknown.
    lengths : int64 (n,)
        Observations of each object, 1 or more.
    """

    vectors: Tensor
    vector_mask: Tensor
    times: Tensor
    photometry: Tensor
    lengths: Tensor

    def rows(self, index: Tensor | slice) -> "ObjectInput":
        """Return the objects of an index, mask or slice."""
        return ObjectInput(*(part[index] for part in self))

    def to(self, device: torch.device) -> "ObjectInput":
        """Return the objects on a device."""
        return ObjectInput(*(part.to(device) for part in self))

    def observation_mask(self) -> Tensor:
        """Return which steps are observations and not padding: bool `(n, steps)`."""
        steps = torch.arange(self.vector_mask.shape[1], device=self.lengths.device)
        return steps < self.lengths[:, None]


class ObjectConfig(Recipe):
    """The parameters that the table of every architecture has."""

    hidden: Annotated[int, Field(ge=2, le=2048)]
    """Numbers of a vector."""
    layers: Annotated[int, Field(ge=1, le=16)]
    """Layers of the recurrent cell."""
    dropout: Probability
    """Dropout probability."""
    class_balance: Literal["oversample", "weights", "undersample", "none"]
    """oversample: rare classes several times | weights: of the loss | undersample | none."""
    max_observations: Annotated[int, Field(ge=1, le=10_000)]
    """Observations of an object that are read at most: its last ones."""


class ObjectNetwork(nn.Module, ABC):
    """A network that reads the observations of an object in time order, with a classifier head."""

    Config: ClassVar[type[ObjectConfig]]
    # False: observations without a vector are left out of the input.
    reads_all_observations: ClassVar[bool]
    config: ObjectConfig

    def fit_statistics(self, train: ObjectInput) -> None:
        """Set what is computed from the train rows before training; nothing by default."""

    @abstractmethod
    def encode(self, objects: ObjectInput) -> Tensor:
        """Return vectors `(n, hidden)`: the state after the last observation."""

    @abstractmethod
    def classify(self, vectors: Tensor) -> Tensor:
        """Return logits `(n, classes)` of vectors `(n, hidden)`."""

    @abstractmethod
    def loss(self, objects: ObjectInput, labels: Tensor, class_weights: Tensor | None) -> LossTerms:
        """Return the loss of a batch and its terms.

        `labels` int64 `(n,)`, -1 where unlabelled; `class_weights` `(classes,)` or None.
        """

    def forecast_magnitude(self, objects: ObjectInput) -> Tensor | None:
        """Return the magnitude forecast for the observation after each, `(n, steps)`, or None.

        In the units of `ObjectInput.photometry`; see `ztfrep.models.object.observation_input`.
        """
        return None


def last_step(steps: Tensor, lengths: Tensor) -> Tensor:
    """Return the last real step of each row of `(n, steps, ...)`: `(n, ...)`."""
    return steps[torch.arange(len(steps), device=steps.device), lengths - 1]
