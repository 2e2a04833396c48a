"""The recurrent network of an object: the vectors of its alerts in time order to one vector.

`published` is the network of the published work: a stacked GRU or LSTM whose last step is read.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn


class ObjectOutput(NamedTuple):
    """What a recurrent network makes of series: `(n, hidden)` and `(n, classes)`."""

    vectors: Tensor
    logits: Tensor


class PublishedRecurrent(nn.Module):
    """The published network; `rnn` and `fc` carry its checkpoints' parameter names."""

    def __init__(
        self, *, cell: str, input_dim: int, hidden: int, layers: int, dropout: float, classes: int
    ) -> None:
        super().__init__()
        kind = {"gru": nn.GRU, "lstm": nn.LSTM}[cell]
        self.rnn = kind(input_dim, hidden, layers, batch_first=True)
        self.fc = nn.Sequential(
            nn.Linear(hidden, 64),
            nn.Dropout(dropout),
            nn.ReLU(),
            nn.Linear(64, 32),
            nn.ReLU(),
            nn.Linear(32, 16),
            nn.ReLU(),
            nn.Linear(16, classes),
        )

    def forward(self, series: Tensor, lengths: Tensor) -> ObjectOutput:
        """Read series `(n, steps, d)` of which the first `lengths` `(n,)` steps are real."""
        vectors = self.encode(series, lengths)
        return ObjectOutput(vectors, self.fc(vectors))

    def encode(self, series: Tensor, lengths: Tensor) -> Tensor:
        """Turn series into vectors `(n, hidden)`: the state after the last real step."""
        # The network runs forward in time, so that padding cannot reach an earlier state.
        states, _ = self.rnn(series)
        return states[torch.arange(len(series), device=series.device), lengths - 1]


def losses(
    output: ObjectOutput, labels: Tensor, class_weights: Tensor | None
) -> dict[str, tuple[Tensor, Tensor]]:
    """Give the loss and the accuracy, each with the number of labelled series it is a mean of.

    Series labelled -1 count nowhere; `class_weights` `(classes,)` scale each series' loss.
    """
    labelled = (labels >= 0).sum()
    total = nn.functional.cross_entropy(
        output.logits, labels, weight=class_weights, ignore_index=-1, reduction="sum"
    )
    hits = (output.logits.argmax(dim=1) == labels).sum() / labelled.clamp(min=1)
    return {"loss": (total / labelled.clamp(min=1), labelled), "accuracy": (hits, labelled)}


ARCHITECTURES: dict[str, type[PublishedRecurrent]] = {"published": PublishedRecurrent}


def build(architecture: str, **sizes: float | str) -> PublishedRecurrent:
    """Make an untrained recurrent network of a registered architecture."""
    return ARCHITECTURES[architecture](**sizes)  # type: ignore[arg-type]
