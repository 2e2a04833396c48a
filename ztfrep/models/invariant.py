"""The autoencoder whose vectors do not change when the sky is turned or mirrored.

Stamps and metadata make one vector, and either may be missing. Its first part, the meaning, comes
from all eight poses of the stamps and from the metadata; its second, the detail, from the stamps
laid in a pose of their own, so that they can be drawn again.
"""

import math
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from ztfrep.models.alerts import AlertInput, AlertOutput
from ztfrep.models.poses import POSES, laid, laid_back, turned

_SIDE, _CHANNELS, _PIXELS = 21, 3, 3 * 21 * 21
_FEATURES, _BINS = 26, 16
_WIDTHS = (32, 32, 64, 96)
_HIDDEN = 128


class InvariantAutoencoder(nn.Module):
    """Vectors of `latent_dim` numbers, half of them meaning, half detail."""

    modalities: ClassVar = ("stamps", "wide", "features")
    edges: Tensor
    mean_pixels: Tensor
    tilt: Tensor

    def __init__(self, *, latent_dim: int, dropout: float, classes: int) -> None:
        super().__init__()
        detail = latent_dim // 2
        self.meaning = latent_dim - detail
        self.look = nn.Sequential(
            *_block(8, _WIDTHS[0], stride=1),
            *_block(_WIDTHS[0], _WIDTHS[1], stride=2),
            *_block(_WIDTHS[1], _WIDTHS[2], stride=1),
            *_block(_WIDTHS[2], _WIDTHS[3], stride=2),
            nn.Flatten(),
            nn.Linear(_WIDTHS[3] * 6 * 6, _HIDDEN),
            nn.ReLU(),
        )
        self.measure = nn.Sequential(
            nn.Linear(_FEATURES * (_BINS + 1), _HIDDEN),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(_HIDDEN, _HIDDEN),
            nn.ReLU(),
        )
        # What stands for stamps or metadata that are missing.
        self.no_stamps = nn.Parameter(torch.zeros(_HIDDEN))
        self.no_features = nn.Parameter(torch.zeros(_HIDDEN))
        self.fuse = nn.Sequential(
            nn.Linear(2 * _HIDDEN, 2 * _HIDDEN),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(2 * _HIDDEN, self.meaning),
        )
        self.detail = nn.Linear(_PIXELS, detail)
        self.draw = nn.Linear(latent_dim, _PIXELS)
        self.retouch = nn.Sequential(
            nn.Linear(latent_dim, 2 * _HIDDEN), nn.ReLU(), nn.Linear(2 * _HIDDEN, _PIXELS)
        )
        self.describe = nn.Sequential(
            nn.Linear(latent_dim, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, _FEATURES)
        )
        self.classifier = nn.Sequential(
            nn.ReLU(), nn.Dropout(dropout), nn.Linear(self.meaning, classes)
        )
        self.register_buffer("edges", torch.zeros(_FEATURES, _BINS + 1))
        self.register_buffer("mean_pixels", torch.zeros(_PIXELS))
        # No two poses of an image weigh alike, unless it is symmetric.
        place = torch.linspace(-1, 1, _SIDE)
        tilt = place * math.cos(math.pi / 8) + place[:, None] * math.sin(math.pi / 8)
        self.register_buffer("tilt", tilt.flatten(), persistent=False)

    def prepare(self, train: AlertInput) -> None:
        """Take from the train rows the quantiles of the features and the first details.

        The details begin as principal components of the pixels, which no other start betters.
        """
        values = np.where(train.known.cpu(), train.features.cpu(), np.nan)
        levels = np.linspace(0, 1, _BINS + 1)
        for place in np.flatnonzero(np.isfinite(values).any(axis=0)):
            self.edges[place] = torch.from_numpy(np.nanquantile(values[:, place], levels))
        seen = train.observed.flatten(1).all(dim=1)
        pixels = laid(train.pixels[seen], self.poses(*train)[seen]).flatten(1).double()
        if len(pixels) < 2:
            return
        mean = pixels.mean(dim=0)
        variances, components = torch.linalg.eigh((pixels - mean).T @ (pixels - mean))
        size = self.detail.out_features
        strongest = components[:, variances.argsort(descending=True)[:size]].float()
        with torch.no_grad():
            self.mean_pixels.copy_(mean)
            self.detail.weight.copy_(strongest.T)
            self.detail.bias.zero_()
            self.draw.weight.zero_()
            self.draw.weight[:, self.meaning :] = strongest
            self.draw.bias.copy_(mean)
            last = self.retouch[-1]
            assert isinstance(last, nn.Linear)
            last.weight.zero_()
            last.bias.zero_()

    def forward(self, alerts: AlertInput) -> AlertOutput:
        """Encode, decode and classify alerts."""
        vectors = self.encode(*alerts)
        return AlertOutput(
            vectors,
            self.decode(vectors, self.poses(*alerts)),
            self.describe(vectors),
            self.logits(vectors),
        )

    def encode(
        self, pixels: Tensor, observed: Tensor, views: Tensor, features: Tensor, known: Tensor
    ) -> Tensor:
        """Turn alerts into vectors `(n, latent_dim)`."""
        seen = observed.flatten(1).any(dim=1)[:, None]
        stamps = torch.where(seen, self._looked_at(views), self.no_stamps)
        measured = self.measure(self._binned(features, known))
        metadata = torch.where(known.any(dim=1)[:, None], measured, self.no_features)
        meaning = self.fuse(torch.cat([stamps, metadata], dim=1))
        return torch.cat([meaning, self._detailed(pixels, observed, views)], dim=1)

    def _looked_at(self, views: Tensor) -> Tensor:
        """Average over all poses, or in training over two: an estimate that costs a quarter."""
        poses = torch.randperm(POSES)[:2].tolist() if self.training else range(POSES)
        return torch.stack([self.look(turned(views, pose)) for pose in poses]).mean(dim=0)

    def _binned(self, features: Tensor, known: Tensor) -> Tensor:
        """Encode features piecewise linearly over their quantiles (Gorishniy et al. 2022)."""
        low, high = self.edges[:, :-1], self.edges[:, 1:]
        share = (features[:, :, None] - low) / (high - low).clamp(min=1e-6)
        return torch.cat([(share.clamp(0, 1) * known[:, :, None]).flatten(1), known.float()], dim=1)

    def _detailed(self, pixels: Tensor, observed: Tensor, views: Tensor) -> Tensor:
        mean = self.mean_pixels.unflatten(0, (_CHANNELS, _SIDE, _SIDE))
        poses = self.poses(pixels, observed, views)
        filled = torch.where(laid(observed, poses), laid(pixels, poses), mean)
        detail: Tensor = self.detail(filled.flatten(1) - self.mean_pixels)
        return detail

    def poses(self, _: Tensor, observed: Tensor, views: Tensor, *__: Tensor) -> Tensor:
        """Choose the pose in which the light leans to one side most: int64 `(n,)`."""
        # The brightest pixels would decide alone.
        light = views[:, :_CHANNELS].clamp(-5, 5).mean(dim=1)
        leaning = [turned(light, pose).flatten(1) @ self.tilt for pose in range(POSES)]
        return torch.stack(leaning, dim=1).argmax(dim=1)

    def decode(self, vectors: Tensor, poses: Tensor | None) -> Tensor:
        """Turn vectors `(n, latent_dim)` into pixels `(n, 3, 21, 21)`, laid in `poses` `(n,)`.

        Without poses the stamps lie as the network lays them.
        """
        pixels = self.draw(vectors) + self.retouch(vectors)
        pixels = pixels.unflatten(1, (_CHANNELS, _SIDE, _SIDE))
        return pixels if poses is None else laid_back(pixels, poses)

    def logits(self, vectors: Tensor) -> Tensor:
        """Classify vectors `(n, latent_dim)` by their meaning."""
        logits: Tensor = self.classifier(vectors[:, : self.meaning])
        return logits


def _block(channels: int, out: int, *, stride: int) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(channels, out, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU(),
    )
