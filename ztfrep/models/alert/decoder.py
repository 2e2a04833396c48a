"""A convolutional decoder of principal components, as stamps with and without their noise."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ztfrep.data.alert_schema import CHANNELS
from ztfrep.data.stamps import CROP

# Bounds of the gains at the start: beyond them a sigmoid has hardly a gradient.
_FIRST_GAINS = 0.05, 0.95
# Standard deviations of a pixel that are one unit of the convolutions. With one the squared error
# after 300 steps was 0.54 of that of PCA, with five 0.49 to 0.51; single runs of earlier variants.
_DEVIATIONS = 5.0
# Of activations below 0. With 0 and a learning rate of 0.003 the corrections stayed near 0.
_SLOPE = 0.1
_MIN_UNIT = 1e-6


class DecodedStamps(NamedTuple):
    """Pixels `(n, 3, 21, 21)` in canonical orientation, with their noise and without."""

    reconstruction: Tensor
    denoised: Tensor


class StampDecoder(nn.Module):
    """Decodes scores of principal components, whose weighted sum is a first guess.

    For the denoised stamps each score is first multiplied by a gain between 0 and 1, which a small
    network computes from all scores: a Wiener filter of its own for every alert. Convolutions then
    correct both images. Before training the corrections are 0, and the gains those of the Wiener
    filter of all train alerts.

    Parameters
    ----------
    components : int
        Number of scores k.
    width : int
        Channels of the convolutions.
    """

    score_unit: Tensor
    pixel_unit: Tensor

    def __init__(self, components: int, width: int) -> None:
        super().__init__()
        self.register_buffer("score_unit", torch.ones(()))
        self.register_buffer("pixel_unit", torch.ones(()))
        last_gains = nn.Linear(4 * width, components)
        self.gains = nn.Sequential(nn.Linear(components, 4 * width), nn.ReLU(), last_gains)
        images = len(DecodedStamps._fields) * len(CHANNELS)
        self.first = nn.Conv2d(images, width, 3, padding=1)
        # Added to the output of the first layer: the alert is in the centre of every stamp.
        self.position = nn.Parameter(torch.zeros(width, CROP, CROP))
        self.middle = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
        self.last = nn.Conv2d(width, images, 3, padding=1)
        for weights in (*last_gains.parameters(), *self.last.parameters()):
            nn.init.zeros_(weights)

    def fit_statistics(self, scores: Tensor, noise: Tensor, pixels: Tensor) -> None:
        """Set the units and the first gains.

        `scores` `(n, k)` are those of the train stamps, `noise` `(n, k)` those of samples of their
        noise, and `pixels` `(n, ...)` the train stamps.
        """
        signal, noise_variance = scores.var(dim=0), noise.square().mean(dim=0)
        self.score_unit.copy_(noise_variance.mean().sqrt().clamp(min=_MIN_UNIT))
        deviation = pixels.var(dim=0).mean().sqrt()
        self.pixel_unit.copy_((_DEVIATIONS * deviation).clamp(min=_MIN_UNIT))
        gains = 1 - noise_variance / signal.clamp(min=_MIN_UNIT**2)
        *_, last = self.gains.parameters()
        last.data.copy_(gains.clamp(*_FIRST_GAINS).logit())

    def forward(self, scores: Tensor, mean: Tensor, components: Tensor) -> DecodedStamps:
        """Return the stamps of scores `(n, k)`.

        `mean` `(1323,)` is that of the pixels, and `components` are `(k, 1323)`.
        """
        gains = self.gains(scores / self.score_unit).sigmoid()
        guesses = torch.cat([scores, gains * scores]) @ components
        images = torch.cat(_as_images(guesses).chunk(2), dim=1) / self.pixel_unit
        images = images.contiguous(memory_format=torch.channels_last)
        hidden = nn.functional.leaky_relu(self.first(images) + self.position, _SLOPE)
        for layer in self.middle:
            hidden = nn.functional.leaky_relu(layer(hidden), _SLOPE)
        corrected = (images + self.last(hidden)) * self.pixel_unit
        return DecodedStamps(*(_as_images(mean[None]) + part for part in corrected.chunk(2, dim=1)))


def _as_images(pixels: Tensor) -> Tensor:
    return pixels.unflatten(1, (len(CHANNELS), CROP, CROP))
