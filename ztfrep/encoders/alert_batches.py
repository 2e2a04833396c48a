"""Batches of alerts: the input of a network, and the vectors that it computes."""

import logging
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ztfrep.data.alerts import AlertSource
from ztfrep.models.alert.base import AlertInput, AlertNetwork


class EncodedBatch(NamedTuple):
    """Vectors of alerts, float32 `(n, d)`, and orientations of their stamps, int64 `(n,)`."""

    vectors: np.ndarray
    orientations: np.ndarray


def input_batches(
    network: AlertNetwork, alerts: AlertSource, rows: int, *, with_metadata: bool = True
) -> Iterator[AlertInput]:
    """Yield the network's input for all alerts that have stamps, at most `rows` at a time.

    Metadata is masked if its unit differs from that of the network's train rows; a warning is
    logged.
    """
    unit = alerts.feature_unit if with_metadata else "none"
    trained_unit = network.preprocessing.feature_scaling.unit
    warn = "features" in network.modalities and unit not in (trained_unit, "none")
    for batch in alerts.batches(rows):
        if warn and np.isfinite(batch.metadata).any():
            logging.warning(
                "the metadata is in unit %s and the network was trained on unit %s: it is ignored",
                unit,
                trained_unit,
            )
            warn = False
        yield network.preprocess(batch.stamps, batch.metadata, unit)


def concatenate(batches: Iterable[AlertInput]) -> AlertInput:
    """Return the rows of all batches, with images in the memory format `channels_last`."""
    whole = AlertInput(*(torch.cat(parts) for parts in zip(*batches, strict=True)))
    return whole._replace(
        pixels=whole.pixels.contiguous(memory_format=torch.channels_last),
        crop_and_context=whole.crop_and_context.contiguous(memory_format=torch.channels_last),
    )


def encode_batches(
    network: AlertNetwork, batches: Iterable[AlertInput], device: torch.device, precision: str
) -> Iterator[EncodedBatch]:
    """Yield vectors and orientations of each batch. `precision` is `float32` or `bf16`."""
    for batch in batches:
        on_device = batch.to(device)
        vectors = encode(network, on_device, precision)
        with torch.inference_mode():
            orientations = network.orientation(on_device)
        yield EncodedBatch(vectors, orientations.cpu().numpy())


def encode(network: nn.Module, batch: NamedTuple, precision: str) -> np.ndarray:
    """Return float32 vectors `(n, d)` of a batch, which is on the device of the network.

    `precision` is `float32` or `bf16`. Raises ValueError if a vector is not finite.
    """
    network.eval()
    device_type = batch[0].device.type
    mixed = torch.autocast(device_type, torch.bfloat16, enabled=precision == "bf16")
    with torch.inference_mode(), mixed:
        encoded: Tensor = network.encode(batch)  # type: ignore[operator]
    vectors: np.ndarray = encoded.float().cpu().numpy()
    if not np.isfinite(vectors).all():
        raise ValueError("the network computes vectors that are not finite")
    return vectors
