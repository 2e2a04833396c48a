"""The autoencoder whose vectors do not change when the sky is turned or mirrored.

Stamps and metadata make one vector, and either may be missing. Its first part, the meaning, is
learnt from all eight poses of the stamps and from the metadata; its second, the detail, are
principal components of the stamps laid in a pose of their own, so that they can be drawn again. A
vector is both, mixed: its distances are theirs, and none of its numbers is fainter than another.
"""

import math
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from ztfrep.models.alert.base import AlertInput, AlertOutput
from ztfrep.models.alert.morphology import SHAPES, measured_shapes
from ztfrep.models.alert.orientation import POSES, laid, laid_back, turned

_SIDE, _CHANNELS, _PIXELS = 21, 3, 3 * 21 * 21
_FEATURES, _BINS = 26, 16
_WIDTHS = (32, 32, 64, 96)
_HIDDEN = 128
_SMALLEST_SPREAD = 1e-3
_FARTHEST = 4.0  # deviations that a measured shape may be off
# Deviation of a number of the meaning, in those of the strongest detail.
_LOUDNESS = 0.4
# Share of the covariance that knows no direction: what leans one way by chance counts less.
_SYMMETRIC = 0.6


class InvariantAutoencoder(nn.Module):
    """Vectors of `latent_dim` numbers that mix meaning with detail, a share `detail` of them."""

    modalities: ClassVar = ("stamps", "wide", "features")
    edges: Tensor
    mean_pixels: Tensor
    components: Tensor
    loudness: Tensor
    mixing: Tensor
    mean_shapes: Tensor
    spread_shapes: Tensor
    tilt: Tensor

    def __init__(self, *, latent_dim: int, detail: float, dropout: float, classes: int) -> None:
        super().__init__()
        details = min(max(1, round(detail * latent_dim)), latent_dim - 1)
        self.meaning = latent_dim - details
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
        self.evened = nn.BatchNorm1d(self.meaning, affine=False)
        self.describe = nn.Sequential(
            nn.Linear(self.meaning, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, _FEATURES)
        )
        self.shape = nn.Sequential(
            nn.Linear(self.meaning, 2 * _HIDDEN), nn.ReLU(), nn.Linear(2 * _HIDDEN, SHAPES)
        )
        self.classifier = nn.Sequential(
            nn.ReLU(), nn.Dropout(dropout), nn.Linear(self.meaning, classes)
        )
        self.register_buffer("edges", torch.zeros(_FEATURES, _BINS + 1))
        self.register_buffer("mean_pixels", torch.zeros(_PIXELS))
        self.register_buffer("components", torch.zeros(details, _PIXELS))
        # Of the meaning, whose numbers have a deviation of one.
        self.register_buffer("loudness", torch.ones(()))
        mixing = torch.empty(latent_dim, latent_dim)
        # On the meta device a network is its shapes alone, and must cost nothing.
        self.register_buffer("mixing", mixing if mixing.is_meta else _mixing(latent_dim))
        self.register_buffer("mean_shapes", torch.zeros(SHAPES))
        self.register_buffer("spread_shapes", torch.ones(SHAPES))
        # No two poses of an image weigh alike, unless it is symmetric.
        place = torch.linspace(-1, 1, _SIDE, device="cpu")
        tilt = place * math.cos(math.pi / 8) + place[:, None] * math.sin(math.pi / 8)
        self.register_buffer("tilt", tilt.flatten(), persistent=False)

    def prepare(self, train: AlertInput) -> None:
        """Take from the train rows what is not learnt step by step.

        That is the quantiles of the features, the scale of the shapes, and the components that
        the details are.
        """
        values = np.where(train.known.cpu(), train.features.cpu(), np.nan)
        levels = np.linspace(0, 1, _BINS + 1)
        for place in np.flatnonzero(np.isfinite(values).any(axis=0)):
            self.edges[place] = torch.from_numpy(np.nanquantile(values[:, place], levels))
        measured, known = measured_shapes(train.views)
        self.mean_shapes.copy_(_mean(measured, known))
        deviation = _mean((measured - self.mean_shapes).square(), known).sqrt()
        self.spread_shapes.copy_(torch.where(deviation > _SMALLEST_SPREAD, deviation, 1.0))
        seen = train.observed.flatten(1).all(dim=1)
        if seen.any():
            stamps = laid(train.pixels[seen], self.poses(*train)[seen])
            self.mean_pixels.copy_(stamps.flatten(1).mean(dim=0))
            variances, directions = torch.linalg.eigh(_covariance(stamps))
            self.components.copy_(directions.flip(1)[:, : len(self.components)].T)
            self.loudness.copy_(_LOUDNESS * variances[-1].clamp(min=_SMALLEST_SPREAD).sqrt())

    def forward(self, alerts: AlertInput) -> AlertOutput:
        """Encode, decode and classify alerts."""
        vectors = self.encode(*alerts)
        return AlertOutput(
            vectors,
            self.decode(vectors, self.poses(*alerts)),
            self.described(vectors),
            self.shape(self._parts(vectors)[0]),
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
        # One alert by itself has no deviation to learn from.
        self.evened.train(self.training and len(pixels) > 1)
        fused = self.fuse(torch.cat([stamps, metadata], dim=1))
        meaning = self.evened(fused) * self.loudness
        detail = self._detailed(pixels, observed, views)
        return torch.cat([meaning, detail], dim=1) @ self.mixing

    def _parts(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Take vectors apart: meaning `(n, meaning)` and detail `(n, the others)`."""
        both = vectors @ self.mixing.T
        return both[:, : self.meaning] / self.loudness, both[:, self.meaning :]

    def _detailed(self, pixels: Tensor, observed: Tensor, views: Tensor) -> Tensor:
        poses = self.poses(pixels, observed, views)
        off = laid(pixels, poses).flatten(1) - self.mean_pixels
        return (off * laid(observed, poses).flatten(1)) @ self.components.T

    def _looked_at(self, views: Tensor) -> Tensor:
        """Average over all poses, or in training over two: an estimate that costs a quarter."""
        poses = torch.randperm(POSES)[:2].tolist() if self.training else range(POSES)
        return torch.stack([self.look(turned(views, pose)) for pose in poses]).mean(dim=0)

    def _binned(self, features: Tensor, known: Tensor) -> Tensor:
        """Encode features piecewise linearly over their quantiles (Gorishniy et al. 2022)."""
        low, high = self.edges[:, :-1], self.edges[:, 1:]
        share = (features[:, :, None] - low) / (high - low).clamp(min=1e-6)
        return torch.cat([(share.clamp(0, 1) * known[:, :, None]).flatten(1), known.float()], dim=1)

    def poses(self, _: Tensor, __: Tensor, views: Tensor, *___: Tensor) -> Tensor:
        """Choose the pose in which the light leans to one side most: int64 `(n,)`."""
        # The brightest pixels would decide alone.
        light = views[:, :_CHANNELS].clamp(-5, 5).mean(dim=1)
        leaning = [turned(light, pose).flatten(1) @ self.tilt for pose in range(POSES)]
        return torch.stack(leaning, dim=1).argmax(dim=1)

    def decode(self, vectors: Tensor, poses: Tensor | None) -> Tensor:
        """Turn vectors `(n, latent_dim)` into pixels `(n, 3, 21, 21)`, laid in `poses` `(n,)`.

        Without poses the stamps lie as the network lays them.
        """
        pixels = self.mean_pixels + self._parts(vectors)[1] @ self.components
        pixels = pixels.unflatten(1, (_CHANNELS, _SIDE, _SIDE))
        return pixels if poses is None else laid_back(pixels, poses)

    def described(self, vectors: Tensor) -> Tensor:
        """Tell the features `(n, 26)`, standardised, from the meaning of vectors."""
        features: Tensor = self.describe(self._parts(vectors)[0])
        return features

    def shapes(self, views: Tensor) -> tuple[Tensor, Tensor]:
        """Measure the shapes of views, scaled as over the train rows; values and mask."""
        # A deviation is a difference of two large numbers: in bfloat16 nothing would be left of it.
        with torch.autocast(views.device.type, enabled=False):
            measured, known = measured_shapes(views)
        scaled = (measured - self.mean_shapes) / self.spread_shapes
        return scaled.clamp(-_FARTHEST, _FARTHEST), known

    def logits(self, vectors: Tensor) -> Tensor:
        """Classify vectors `(n, latent_dim)` by their meaning."""
        logits: Tensor = self.classifier(self._parts(vectors)[0])
        return logits


def _covariance(images: Tensor) -> Tensor:
    """Covariance of the pixels, shrunk towards that of the images in all poses."""
    products = []
    for pose in range(POSES):
        pixels = turned(images, pose).flatten(1)
        pixels = (pixels - pixels.mean(dim=0)).double()
        products.append(pixels.T @ pixels / len(pixels))
    return (1 - _SYMMETRIC) * products[0] + _SYMMETRIC * torch.stack(products).mean(dim=0)


def _mixing(size: int) -> Tensor:
    """Give an orthogonal matrix that spreads every number over all numbers of a vector.

    They vary alike then, so that to scale each by its own deviation, as a search or a probe does,
    leaves distances as they are, and does not raise the faintest noise to the strongest signal.
    """
    normal = np.random.default_rng(0).normal(size=(size, size))
    mixing, _ = np.linalg.qr(normal)
    return torch.from_numpy(mixing).float()


def _mean(values: Tensor, known: Tensor) -> Tensor:
    return (values * known).sum(dim=0) / known.sum(dim=0).clamp(min=1)


def _block(channels: int, out: int, *, stride: int) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(channels, out, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU(),
    )
