"""The interface of object networks: input, and the methods of every architecture.

An architecture is one module with a subclass of `ObjectNetwork`, a line in the registry
(`ztfrep.models.object.ARCHITECTURES`) and a table of its name below `recurrent` in `params.yaml`.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from ztfrep.fields import Probability
from ztfrep.models.loss_terms import LossTerms
from ztfrep.models.recipe import Recipe

# Photometry of an observation: magnitude, its error and the limiting magnitude, all scaled; the
# masks of the three; the filter, one-hot.
N_PHOTOMETRY = 9
MAGNITUDE, LIMIT = 0, 2
MAGNITUDE_MASK, LIMIT_MASK = 3, 5
FILTER = slice(6, 9)
# Centre and scale of the magnitudes, in mag, near mean and standard deviation in the survey.
SCALES = {"magpsf": (19.0, 1.5), "sigmapsf": (0.1, 0.1), "diffmaglim": (20.0, 1.0)}
# Values of `fid`: g, r, i.
FILTERS = (1, 2, 3)
# Times of an observation: log(1 + days) since the previous and since the first observation; 1 where
# both are known.
N_TIMES = 3
GAP, TIME_MASK = 0, 2


class ObjectInput(NamedTuple):
    """A batch of n objects with their observations in time order, zero-padded.

    Attributes
    ----------
    vectors : float32 (n, steps, d)
        The vectors of the alerts.
    vector_mask : bool (n, steps)
        True where an observation has a vector: prior detections and upper limits have none.
    times : float32 (n, steps, 3)
        Logarithms of times in days; see `N_TIMES`. 0 where unknown.
    photometry : float32 (n, steps, 9)
        Scaled magnitudes, masks and filters; see `N_PHOTOMETRY`. 0 where unknown.
    lengths : int64 (n,)
        Number of observations of each object, 1 or more.
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
        """Return True for steps that are observations, False for padding: bool `(n, steps)`."""
        steps = torch.arange(self.vector_mask.shape[1], device=self.lengths.device)
        return steps < self.lengths[:, None]


class ObjectConfig(Recipe):
    """The parameters that the table of every architecture below `recurrent` has."""

    hidden: Annotated[int, Field(ge=2, le=2048)]
    """Length of a vector."""
    layers: Annotated[int, Field(ge=1, le=16)]
    """Layers of the recurrent cell."""
    dropout: Probability
    """Dropout probability."""
    class_balance: Literal["oversample", "weights", "undersample", "none"]
    """oversample: rare classes several times | weights: of the loss | undersample | none."""
    max_observations: Annotated[int, Field(ge=1, le=10_000)]
    """Maximum number of observations of an object that are read: its last ones."""


class ObjectNetwork(nn.Module, ABC):
    """A network that reads the observations of an object in time order, with a classifier head."""

    Config: ClassVar[type[ObjectConfig]]
    # False if the input has only the observations that have a vector.
    reads_all_observations: ClassVar[bool]
    config: ObjectConfig

    def fit_statistics(self, train: ObjectInput) -> None:
        """Compute statistics of the train rows before training; does nothing by default."""

    def row_wise(self) -> Sequence[nn.Module]:
        """Return the slowest modules, whose rows several processes may share.

        They compute the output of a row from that row alone, but for batch norm, and draw no random
        numbers. None by default: every process computes everything.
        """
        return ()

    @abstractmethod
    def encode(self, objects: ObjectInput) -> Tensor:
        """Return vectors `(n, hidden)`: the state after the last observation."""

    @abstractmethod
    def classify(self, vectors: Tensor) -> Tensor:
        """Return logits `(n, classes)` of vectors `(n, hidden)`."""

    @abstractmethod
    def loss(self, objects: ObjectInput, labels: Tensor, class_weights: Tensor | None) -> LossTerms:
        """Return the loss of a batch and its terms.

        `labels` int64 `(n,)` are -1 where unlabelled; `class_weights` is `(classes,)` or None.
        """

    def forecast_magnitude(self, objects: ObjectInput) -> Tensor | None:
        """Return a forecast of the magnitude of each observation, `(n, steps)`.

        It is computed from the observations before, and from the time and the filter of the
        observation itself. It is scaled as in `ObjectInput.photometry`. None for a network without
        a forecast.
        """
        return None


def last_step(steps: Tensor, lengths: Tensor) -> Tensor:
    """Return the step `lengths - 1` of each row of `(n, steps, ...)`: `(n, ...)`."""
    return steps[torch.arange(steps.shape[0], device=steps.device), lengths - 1]
