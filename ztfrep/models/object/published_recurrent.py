"""The recurrent network of an object: its epochs in time order to one vector.

`published` is the network of the published work: a stacked GRU or LSTM whose last step is read. An
architecture is a class and a line in ARCHITECTURES.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from ztfrep.models.object.base import MAGNITUDE, MAGNITUDE_KNOWN, ObjectOutput, SeriesInput
from ztfrep.models.object.temporal import TemporalRecurrent


class PublishedRecurrent(nn.Module):
    """The published network; `rnn` and `fc` carry its checkpoints' parameter names.

    Of an epoch it takes the vector alone, and the epochs without one are not for it.
    """

    all_epochs: ClassVar = False

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

    def prepare(self, train: SeriesInput) -> None:
        """Take nothing from the train rows before training."""

    def forward(self, series: SeriesInput) -> ObjectOutput:
        """Read objects."""
        vectors = self.encode(*series)
        return ObjectOutput(vectors, self.fc(vectors))

    def encode(
        self, vectors: Tensor, seen: Tensor, times: Tensor, photometry: Tensor, lengths: Tensor
    ) -> Tensor:
        """Turn objects into vectors `(n, hidden)`: the state after the last real step."""
        # The network runs forward in time, so that padding cannot reach an earlier state.
        states, _ = self.rnn(vectors)
        return states[torch.arange(len(vectors), device=vectors.device), lengths - 1]


Recurrent = PublishedRecurrent | TemporalRecurrent
ARCHITECTURES: dict[str, type[Recurrent]] = {
    "published": PublishedRecurrent,
    "temporal": TemporalRecurrent,
}


def build(architecture: str, **sizes: float | str) -> Recurrent:
    """Make an untrained recurrent network of a registered architecture."""
    return ARCHITECTURES[architecture](**sizes)  # type: ignore[arg-type]


def losses(
    output: ObjectOutput,
    series: SeriesInput,
    labels: Tensor,
    class_weights: Tensor | None,
    scaled: Tensor | None = None,
    next_weight: float = 0.0,
) -> dict[str, tuple[Tensor, Tensor]]:
    """Give the loss and its parts, each with the number of series that it is a mean of.

    Series labelled -1 are classified nowhere; `class_weights` `(classes,)` scale each series' loss.
    A network that judges after every epoch is judged after every epoch: half of the loss is the
    last epoch's, half the mean over all. `scaled` `(n, steps, d)` are the vectors that a network is
    to foretell.
    """
    labelled = (labels >= 0).sum()
    judged = _cross_entropy(output.logits, labels, class_weights)
    real = torch.arange(series.seen.shape[1], device=labels.device) < series.lengths[:, None]
    if output.steps is not None:
        each = _cross_entropy(
            output.steps.flatten(0, 1), labels.repeat_interleave(real.shape[1]), class_weights
        )
        judged = 0.5 * judged + 0.5 * _mean_of(each.view_as(real), real)
    classification = judged.sum() / labelled.clamp(min=1)
    hits = (output.logits.argmax(dim=1) == labels).sum() / labelled.clamp(min=1)
    total, parts = classification, {"accuracy": (hits, labelled)}
    if next_weight and output.next is not None and scaled is not None:
        foretold = _foretold(output.next, scaled, series, real)
        total = total + next_weight * foretold
        parts["next"] = foretold, torch.tensor(len(labels), device=labels.device)
    return {"loss": (total, labelled), **parts}


def _cross_entropy(logits: Tensor, labels: Tensor, class_weights: Tensor | None) -> Tensor:
    return nn.functional.cross_entropy(
        logits, labels, weight=class_weights, ignore_index=-1, reduction="none"
    )


def _mean_of(values: Tensor, chosen: Tensor) -> Tensor:
    """Average the chosen values of each row: `(n,)`, 0 where there is none."""
    return (values * chosen).sum(dim=1) / chosen.sum(dim=1).clamp(min=1)


def _foretold(foretold: Tensor, scaled: Tensor, series: SeriesInput, real: Tensor) -> Tensor:
    """Squared error of the next epoch's vector and magnitude, where there are such."""
    after = real[:, 1:]
    vector = (foretold[:, :-1, :-1] - scaled[:, 1:]).square().mean(dim=2)
    magnitude = (foretold[:, :-1, -1] - series.photometry[:, 1:, MAGNITUDE]).square()
    known = series.photometry[:, 1:, MAGNITUDE_KNOWN] > 0
    each = _mean_of(vector, after & series.seen[:, 1:]) + _mean_of(magnitude, after & known)
    return each.mean()
