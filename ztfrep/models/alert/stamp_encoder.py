"""The convolutional network that encodes crop and context of stamps."""

from collections.abc import Sequence

from torch import nn


def make_stamp_encoder(widths: Sequence[int], size: int) -> nn.Sequential:
    """Return a network from images `(n, 8, 21, 21)` to `(n, size)`, with four convolutions.

    `widths` are the channels of the convolutions.
    """
    first, second, third, last = widths
    return nn.Sequential(
        *_convolution(8, first, stride=1),
        *_convolution(first, second, stride=2),
        *_convolution(second, third, stride=1),
        *_convolution(third, last, stride=2),
        nn.Flatten(),
        nn.Linear(last * 6 * 6, size),
        nn.ReLU(),
    )


def _convolution(channels: int, out: int, *, stride: int) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(channels, out, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU(inplace=True),
    )
