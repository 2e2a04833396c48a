"""The recurrent network that reads every epoch, and gives a vector after each.

It runs forward in time alone, so that what it says after an epoch is what it would have said then.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from ztfrep.models.object.base import PHOTOMETRY, TIMES, ObjectOutput, SeriesInput

_HEADS = 4
_SMALLEST_SPREAD = 1e-3


class TemporalRecurrent(nn.Module):
    """Vectors of `hidden` numbers from a GRU, an LSTM or causal attention, and the mean epoch."""

    all_epochs: ClassVar = True

    def __init__(
        self, *, cell: str, input_dim: int, hidden: int, layers: int, dropout: float, classes: int
    ) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(input_dim))
        self.register_buffer("spread", torch.ones(input_dim))
        self.of_vector = nn.Linear(input_dim, hidden)
        self.no_vector = nn.Parameter(torch.zeros(hidden))
        self.of_epoch = nn.Linear(TIMES + PHOTOMETRY, hidden)
        self.dropout = nn.Dropout(dropout)
        if cell == "attention":
            layer = nn.TransformerEncoderLayer(
                hidden, _HEADS, 2 * hidden, dropout, batch_first=True, norm_first=True
            )
            self.cell: nn.Module = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        else:
            kind = {"gru": nn.GRU, "lstm": nn.LSTM}[cell]
            self.cell = kind(hidden, hidden, layers, batch_first=True)
        self.join = nn.Linear(2 * hidden, hidden)
        self.fc = nn.Sequential(nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, classes))
        self.foretell = nn.Linear(hidden, input_dim + 1)

    mean: Tensor
    spread: Tensor

    def prepare(self, train: SeriesInput) -> None:
        """Take the mean and spread of the train vectors."""
        vectors = train.vectors[train.seen]
        if len(vectors) > 1:
            self.mean.copy_(vectors.mean(dim=0))
            self.spread.copy_(vectors.std(dim=0).clamp(min=_SMALLEST_SPREAD))

    def forward(self, series: SeriesInput) -> ObjectOutput:
        """Read objects; judge and foretell after every epoch."""
        states = self._states(*series)
        vectors = _last(states, series.lengths)
        steps = self.fc(states)
        return ObjectOutput(vectors, _last(steps, series.lengths), steps, self.foretell(states))

    def encode(
        self, vectors: Tensor, seen: Tensor, times: Tensor, photometry: Tensor, lengths: Tensor
    ) -> Tensor:
        """Turn objects into vectors `(n, hidden)`: the state after the last epoch."""
        return _last(self._states(vectors, seen, times, photometry, lengths), lengths)

    def scaled(self, vectors: Tensor) -> Tensor:
        """Bring vectors to a mean of 0 and a spread of 1 over the train rows."""
        return (vectors - self.mean) / self.spread

    def _states(
        self, vectors: Tensor, seen: Tensor, times: Tensor, photometry: Tensor, _: Tensor
    ) -> Tensor:
        looks = torch.where(
            seen[..., None], self.of_vector(self.dropout(self.scaled(vectors))), self.no_vector
        )
        epochs = looks + self.of_epoch(torch.cat([times, photometry], dim=2))
        steps = epochs.shape[1]
        if isinstance(self.cell, nn.TransformerEncoder):
            later = torch.ones(steps, steps, dtype=torch.bool, device=epochs.device).triu(1)
            read = self.cell(epochs, mask=later, is_causal=True)
        else:
            read, _ = self.cell(epochs)
        counts = torch.arange(1, steps + 1, device=epochs.device)[:, None]
        mean = epochs.cumsum(dim=1) / counts
        states: Tensor = self.join(torch.cat([read, mean], dim=2))
        return states


def _last(steps: Tensor, lengths: Tensor) -> Tensor:
    return steps[torch.arange(len(steps), device=steps.device), lengths - 1]
