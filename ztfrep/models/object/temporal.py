"""The recurrent network that reads every observation and has a vector after each.

It runs only forward in time: later observations do not change an earlier vector.
"""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from ztfrep.fields import Probability, Weight
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
from ztfrep.models.object.forecast_query import N_QUERY, forecast_query
from ztfrep.models.object.light_curve_statistics import (
    N_STATISTICS,
    light_curve_statistics,
    running_maximum,
    step_before,
)

_ATTENTION_HEADS = 4
_MIN_STD = 1e-3


class TemporalConfig(ObjectConfig):
    """The table `recurrent.temporal` of `params.yaml`."""

    cell: Literal["gru", "lstm", "attention"]
    """gru | lstm | attention (causal)."""
    forecast_weight: Weight
    """Loss weight of the forecast of the next observation's vector and magnitude."""
    early_weight: Annotated[float, Field(ge=0, le=1)]
    """Weight of the classification loss after every detection; the rest is that after the last."""
    drop_alerts: Probability
    """Probability that an alert with a magnitude loses its vector in training."""

    @model_validator(mode="after")
    def _check_hidden(self) -> "TemporalConfig":
        if self.cell == "attention" and self.hidden % _ATTENTION_HEADS:
            raise ValueError(
                f"hidden {self.hidden} with cell attention; "
                f"expected a multiple of {_ATTENTION_HEADS}"
            )
        return self


class TemporalRecurrent(ObjectNetwork):
    """Network whose vector adds what a recurrent cell knows to linear maps of the alerts' vectors.

    The vector after an observation is the sum of linear maps of the mean and of the last alert's
    vector so far, and of the output of a recurrent cell that reads every observation with the
    statistics of the light curve. Logits are linear in it, so that a probe of the mean alert is a
    network of this kind.
    """

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
        self.dropout = nn.Dropout(dropout)
        self.vector_encoder = nn.Linear(input_dim, hidden)
        self.missing_vector = nn.Parameter(torch.zeros(hidden))
        self.observation_encoder = nn.Sequential(
            nn.Linear(N_TIMES + N_PHOTOMETRY + N_STATISTICS, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
        )
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
        self.mean_map = nn.Linear(input_dim, hidden, bias=False)
        self.last_map = nn.Linear(input_dim, hidden, bias=False)
        self.fusion = nn.Linear(2 * hidden, hidden)
        self.classifier_head = nn.Linear(hidden, classes)
        # An observation's vector, and its magnitude minus the last one in its filter.
        self.forecast_head = nn.Sequential(
            nn.Linear(hidden + N_QUERY, 2 * hidden), nn.ReLU(), nn.Linear(2 * hidden, input_dim + 1)
        )

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
        """Return vectors `(n, hidden)`: that after the last observation."""
        return last_step(self.encode_steps(objects), objects.lengths)

    def encode_steps(self, objects: ObjectInput) -> Tensor:
        """Return the vector after each observation: `(n, steps, hidden)`."""
        mask = objects.vector_mask[..., None]
        alerts = torch.where(mask, self._standardised(objects.vectors), 0.0)
        mean = alerts.cumsum(dim=1) / mask.cumsum(dim=1).clamp(min=1)
        last = _last_vector(alerts, objects.vector_mask)

        vectors = torch.where(mask, self.vector_encoder(self.dropout(alerts)), self.missing_vector)
        statistics = light_curve_statistics(objects)
        observations = self.observation_encoder(
            torch.cat([objects.times, objects.photometry, statistics], dim=2)
        )
        states = self._run_cell(vectors + observations)
        fused = self.fusion(self.dropout(torch.relu(torch.cat([states, observations], dim=2))))
        total: Tensor = (
            self.mean_map(self.dropout(mean)) + self.last_map(self.dropout(last)) + fused
        )
        return total

    def _run_cell(self, observations: Tensor) -> Tensor:
        """Return the states `(n, steps, hidden)` of the recurrent cell."""
        steps = observations.shape[1]
        if self.config.cell == "attention":
            future = torch.ones(steps, steps, dtype=torch.bool, device=observations.device).triu(1)
            states: Tensor = self.cell(observations, mask=future, is_causal=True)
        else:
            states, _ = self.cell(observations)
        return states

    def classify(self, vectors: Tensor) -> Tensor:
        """Return logits `(n, classes)`."""
        logits: Tensor = self.classifier_head(vectors)
        return logits

    def forecast_magnitude(self, objects: ObjectInput) -> Tensor:
        """Return a forecast of the magnitude of each observation: `(n, steps)`; see the base."""
        return self._forecast(self.encode_steps(objects), objects)[1]

    def _forecast(self, encoded: Tensor, objects: ObjectInput) -> tuple[Tensor, Tensor]:
        """Return forecasts of the vector and of the magnitude of each observation.

        They are `(n, steps, d)`, standardised, and `(n, steps)`. The magnitude is the last one in
        the filter of the observation, or without one in any filter, plus a forecast of the change.
        """
        query = forecast_query(objects)
        forecast = self.forecast_head(torch.cat([step_before(encoded), query.values], dim=2))
        return forecast[..., :-1], query.last_magnitude + forecast[..., -1]

    def loss(self, objects: ObjectInput, labels: Tensor, class_weights: Tensor | None) -> LossTerms:
        """Return the loss of a batch and its terms.

        The classification loss is a weighted average of that after the last observation and the
        mean over all detections. The forecast loss is that of the vector and of the magnitude of
        each observation but the first, where known.
        """
        has_magnitude = objects.photometry[..., MAGNITUDE_MASK] > 0
        read = objects
        if self.training and self.config.drop_alerts:
            # Nothing would be left of an alert without a magnitude.
            drawn = torch.rand(objects.vector_mask.shape, device=labels.device)
            kept = (drawn >= self.config.drop_alerts) | ~has_magnitude
            read = objects._replace(vector_mask=objects.vector_mask & kept)
        encoded, mask = self.encode_steps(read), objects.observation_mask()
        step_logits = self.classify(encoded)
        logits = last_step(step_logits, objects.lengths)
        step_losses = sequence_losses.cross_entropy(
            step_logits.flatten(0, 1), labels.repeat_interleave(mask.shape[1]), class_weights
        )
        final = sequence_losses.cross_entropy(logits, labels, class_weights)
        detected = mask & (objects.vector_mask | has_magnitude)
        early = sequence_losses.masked_mean(step_losses.view_as(mask), detected)
        weight = self.config.early_weight
        total, n_labelled = sequence_losses.mean_over_labelled(
            (1 - weight) * final + weight * early, labels
        )
        terms = {"accuracy": accuracy(logits, labels)}
        if self.config.forecast_weight:
            vectors, magnitudes = self._forecast(encoded, objects)
            following = mask & (torch.arange(mask.shape[1], device=mask.device) > 0)
            target = self._standardised(objects.vectors)
            vector_errors = (vectors - target).square().mean(dim=2)
            magnitude_errors = (magnitudes - objects.photometry[..., MAGNITUDE]).abs()
            error = sequence_losses.masked_mean(
                vector_errors, following & objects.vector_mask
            ) + sequence_losses.masked_mean(magnitude_errors, following & has_magnitude)
            total = total + self.config.forecast_weight * error.mean()
            terms["forecast"] = error.mean(), row_count(labels)
        return {"loss": (total, n_labelled), **terms}

    def _standardised(self, vectors: Tensor) -> Tensor:
        """Return vectors of mean 0 and standard deviation 1 over the train rows."""
        return (vectors - self.vector_mean) / self.vector_std


def _last_vector(vectors: Tensor, mask: Tensor) -> Tensor:
    """Return the last of vectors `(n, steps, d)` in the mask so far; 0 before the first."""
    position = torch.arange(mask.shape[1], device=mask.device)
    latest = running_maximum(torch.where(mask, position, 0)[..., None])
    return vectors.gather(1, latest.expand_as(vectors))
