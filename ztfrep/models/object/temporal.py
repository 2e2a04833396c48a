"""The recurrent network that reads every observation and has a state after each.

It runs only forward in time: later observations do not change an earlier state.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from pydantic import model_validator
from torch import Tensor, nn

from ztfrep.fields import Weight
from ztfrep.models.loss_terms import LossTerms, accuracy, row_count
from ztfrep.models.object import sequence_losses
from ztfrep.models.object.base import (
    MAGNITUDE,
    MAGNITUDE_MASK,
    N_PHOTOMETRY,
    N_TIMES,
    ObjectConfig,
    ObjectInput,
    ObjectNetwork,
    last_step,
)

_ATTENTION_HEADS = 4
_MIN_STD = 1e-3


class TemporalConfig(ObjectConfig):
    """The table `recurrent.temporal` of `params.yaml`."""

    cell: Literal["gru", "lstm", "attention"]
    """gru | lstm | attention (causal)."""
    forecast_weight: Weight
    """Loss weight of the forecast of the next observation's vector and magnitude."""

    @model_validator(mode="after")
    def _check_hidden(self) -> "TemporalConfig":
        if self.cell == "attention" and self.hidden % _ATTENTION_HEADS:
            raise ValueError(
                f"hidden {self.hidden} with cell attention; "
                f"expected a multiple of {_ATTENTION_HEADS}"
            )
        return self


class TemporalRecurrent(ObjectNetwork):
    """Network whose states combine a recurrent cell with the mean over the observations so far."""

    Config = TemporalConfig
    reads_all_observations: ClassVar = True
    config: TemporalConfig
    vector_mean: Tensor
    vector_std: Tensor

    def __init__(self, config: TemporalConfig, *, input_dim: int, classes: int) -> None:
        super().__init__()
        self.config = config
        hidden, dropout = config.hidden, config.dropout
        self.register_buffer("vector_mean", torch.zeros(input_dim))
        self.register_buffer("vector_std", torch.ones(input_dim))
        self.vector_encoder = nn.Linear(input_dim, hidden)
        self.missing_vector = nn.Parameter(torch.zeros(hidden))
        self.observation_encoder = nn.Linear(N_TIMES + N_PHOTOMETRY, hidden)
        self.dropout = nn.Dropout(dropout)
        if config.cell == "attention":
            layer = nn.TransformerEncoderLayer(
                hidden, _ATTENTION_HEADS, 2 * hidden, dropout, batch_first=True, norm_first=True
            )
            self.cell: nn.Module = nn.TransformerEncoder(
                layer, config.layers, enable_nested_tensor=False
            )
        else:
            cell = {"gru": nn.GRU, "lstm": nn.LSTM}[config.cell]
            self.cell = cell(hidden, hidden, config.layers, batch_first=True)
        self.fusion = nn.Linear(2 * hidden, hidden)
        self.classifier_head = nn.Sequential(
            nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, classes)
        )
        # The next observation's vector and magnitude.
        self.forecast_head = nn.Linear(hidden, input_dim + 1)

    def fit_statistics(self, train: ObjectInput) -> None:
        """Compute mean and standard deviation of the train vectors."""
        vectors = train.vectors[train.vector_mask]
        if len(vectors) > 1:
            self.vector_mean.copy_(vectors.mean(dim=0))
            self.vector_std.copy_(vectors.std(dim=0).clamp(min=_MIN_STD))

    def row_wise(self) -> Sequence[nn.Module]:
        """Return the recurrent cell; no module with attention, whose cell has dropout."""
        return () if self.config.cell == "attention" else (self.cell,)

    def encode(self, objects: ObjectInput) -> Tensor:
        """Return vectors `(n, hidden)`: the state after the last observation."""
        return last_step(self._states(objects), objects.lengths)

    def classify(self, vectors: Tensor) -> Tensor:
        """Return logits `(n, classes)`."""
        logits: Tensor = self.classifier_head(vectors)
        return logits

    def forecast_magnitude(self, objects: ObjectInput) -> Tensor:
        """Return a forecast of the next observation's magnitude at each step: `(n, steps)`."""
        forecast: Tensor = self.forecast_head(self._states(objects))[:, :, -1]
        return forecast

    def loss(self, objects: ObjectInput, labels: Tensor, class_weights: Tensor | None) -> LossTerms:
        """Return the loss of a batch and its terms.

        The classification loss is the average of that after the last observation and the mean over
        all observations. The forecast loss is that of the next vector and magnitude, where known.
        """
        states, mask = self._states(objects), objects.observation_mask()
        step_logits = self.classify(states)
        logits = last_step(step_logits, objects.lengths)
        step_losses = sequence_losses.cross_entropy(
            step_logits.flatten(0, 1), labels.repeat_interleave(mask.shape[1]), class_weights
        )
        final = sequence_losses.cross_entropy(logits, labels, class_weights)
        classification = 0.5 * final + 0.5 * sequence_losses.masked_mean(
            step_losses.view_as(mask), mask
        )
        total, n_labelled = sequence_losses.mean_over_labelled(classification, labels)
        terms = {"accuracy": accuracy(logits, labels)}
        if self.config.forecast_weight:
            error = self._forecast_error(self.forecast_head(states), objects, mask)
            total = total + self.config.forecast_weight * error
            terms["forecast"] = error, row_count(labels)
        return {"loss": (total, n_labelled), **terms}

    def _forecast_error(self, forecast: Tensor, objects: ObjectInput, mask: Tensor) -> Tensor:
        """Return the mean squared error of forecast vectors and magnitudes over all objects."""
        following = mask[:, 1:]
        target = self._standardised(objects.vectors)[:, 1:]
        vector = (forecast[:, :-1, :-1] - target).square().mean(dim=2)
        magnitude = (forecast[:, :-1, -1] - objects.photometry[:, 1:, MAGNITUDE]).square()
        has_magnitude = objects.photometry[:, 1:, MAGNITUDE_MASK] > 0
        errors = sequence_losses.masked_mean(
            vector, following & objects.vector_mask[:, 1:]
        ) + sequence_losses.masked_mean(magnitude, following & has_magnitude)
        return errors.mean()

    def _standardised(self, vectors: Tensor) -> Tensor:
        """Return vectors of mean 0 and standard deviation 1 over the train rows."""
        return (vectors - self.vector_mean) / self.vector_std

    def _states(self, objects: ObjectInput) -> Tensor:
        """Return the state after each observation: `(n, steps, hidden)`."""
        vectors = self.vector_encoder(self.dropout(self._standardised(objects.vectors)))
        vectors = torch.where(objects.vector_mask[..., None], vectors, self.missing_vector)
        observations = vectors + self.observation_encoder(
            torch.cat([objects.times, objects.photometry], dim=2)
        )
        steps = observations.shape[1]
        if self.config.cell == "attention":
            future = torch.ones(steps, steps, dtype=torch.bool, device=observations.device).triu(1)
            states = self.cell(observations, mask=future, is_causal=True)
        else:
            states, _ = self.cell(observations)
        counts = torch.arange(1, steps + 1, device=observations.device)[:, None]
        mean = observations.cumsum(dim=1) / counts
        fused: Tensor = self.fusion(torch.cat([states, mean], dim=2))
        return fused
