"""Training parameters of every network: optimizer, learning rate, epochs, batches."""

import math
from typing import Literal

from ztfrep.fields import BatchSize, Epochs, LearningRate, Patience, Table


class Recipe(Table):
    """The training parameters that the table of every architecture in `params.yaml` has."""

    optimizer: Literal["adam", "adamw", "sgd"]
    """adam | adamw | sgd."""
    learning_rate: LearningRate
    """Learning rate at the start."""
    schedule: Literal["constant", "cosine"]
    """constant | cosine: the rate falls to 0 over the epochs."""
    epochs: Epochs | None
    """Maximum number of epochs; null: the budget of the source; 0: no training."""
    batch_size: BatchSize
    """Rows per batch."""
    patience: Patience
    """Epochs without a better validation loss before training stops."""

    def learning_rate_at(self, epoch: int, epochs: int) -> float:
        """Return the learning rate of an epoch from 1 to `epochs`."""
        if self.schedule == "constant":
            return self.learning_rate
        done = (epoch - 1) / epochs
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * done))

    def batch_size_at(self, epoch: int, epochs: int) -> int:
        """Return the rows per batch in an epoch from 1 to `epochs`."""
        return self.batch_size
