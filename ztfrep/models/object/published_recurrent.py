"""The published recurrent network, and the parameters of its training.

A stacked GRU or LSTM whose last step is classified. The names of its parameters in checkpoints
begin with `rnn` and `fc`.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

from torch import Tensor, nn

from ztfrep.models.loss_terms import LossTerms, accuracy
from ztfrep.models.object import sequence_losses
from ztfrep.models.object.base import (
    ObjectConfig,
    ObjectInput,
    ObjectNetwork,
    last_step,
)


class PublishedRecurrentConfig(ObjectConfig):
    """The table `recurrent.published` of `params.yaml`."""

    cell: Literal["gru", "lstm"]
    """gru | lstm."""


class PublishedRecurrent(ObjectNetwork):
    """The published network. It reads only the vectors of the alerts."""

    Config = PublishedRecurrentConfig
    reads_all_observations: ClassVar = False
    config: PublishedRecurrentConfig

    def __init__(self, config: PublishedRecurrentConfig, *, input_dim: int, classes: int) -> None:
        super().__init__()
        self.config = config
        cell = {"gru": nn.GRU, "lstm": nn.LSTM}[config.cell]
        self.rnn = cell(input_dim, config.hidden, config.layers, batch_first=True)
        self.fc = nn.Sequential(
            nn.Linear(config.hidden, 64),
            nn.Dropout(config.dropout),
            nn.ReLU(),
            nn.Linear(64, 32),
            nn.ReLU(),
            nn.Linear(32, 16),
            nn.ReLU(),
            nn.Linear(16, classes),
        )

    def row_wise(self) -> Sequence[nn.Module]:
        """Return the recurrent cell."""
        return (self.rnn,)

    def encode(self, objects: ObjectInput) -> Tensor:
        """Return vectors `(n, hidden)`: the state after the last observation."""
        # The network runs forward in time, so padding does not affect earlier states.
        states, _ = self.rnn(objects.vectors)
        return last_step(states, objects.lengths)

    def classify(self, vectors: Tensor) -> Tensor:
        """Return logits `(n, classes)`."""
        logits: Tensor = self.fc(vectors)
        return logits

    def loss(self, objects: ObjectInput, labels: Tensor, class_weights: Tensor | None) -> LossTerms:
        """Return the cross-entropy of a batch, and its accuracy."""
        logits = self.classify(self.encode(objects))
        losses = sequence_losses.cross_entropy(logits, labels, class_weights)
        return {
            "loss": sequence_losses.mean_over_labelled(losses, labels),
            "accuracy": accuracy(logits, labels),
        }
