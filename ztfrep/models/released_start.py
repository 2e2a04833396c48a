"""Parameters of a training that starts from the released encoder."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from ztfrep.fields import Epochs, LearningRate, Table


class ReleasedOptions(Table):
    """The table `autoencoder.released` of `params.yaml`."""

    below: Annotated[int, Field(ge=0, le=1_000_000_000)]
    """With start auto, the labelled train alerts from which on training starts from nothing."""
    training: Literal["validation", "frozen", "tuned"]
    """frozen: only the classifier head is fitted | tuned: all weights are trained | validation: the
    one whose head has the higher balanced accuracy on the validation split."""
    learning_rate: LearningRate
    """Learning rate at the start if it is tuned, in place of that of the architecture's table."""
    epochs: Epochs
    """Number of epochs if it is tuned; fewer if the architecture's table has fewer."""
    head_c: Annotated[float, Field(gt=0, le=1e6)]
    """Inverse strength C of the pull of the head's weights to the released ones when it is
    fitted."""


@dataclass(frozen=True)
class ReleasedStart:
    """How a training may start from the released encoder.

    With `required` it does, or an error is raised; without, it does if the labelled train rows are
    fewer than `options.below` and the parameters are those of a network that fits the weights.
    """

    options: ReleasedOptions
    required: bool
