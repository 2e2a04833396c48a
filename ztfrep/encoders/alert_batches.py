"""Alerts as the input of a network, in batches, and their vectors."""

import logging
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ztfrep.data.alerts import AlertSource
from ztfrep.models.alert.base import AlertInput, AlertNetwork


class EncodedBatch(NamedTuple):
    """Vectors float32 `(n, d)` of alerts, and the orientations `(n,)` of their stamps."""

    vectors: np.ndarray
    orientations: np.ndarray


def input_batches(
    network: AlertNetwork, alerts: AlertSource, rows: int, *, with_metadata: bool = True
) -> Iterator[AlertInput]:
    """Return the network's input of every alert that has stamps, at most `rows` at a time.

    Metadata of another unit than that of the network's train rows is ignored, with a warning.
    """
    unit = alerts.feature_unit if with_metadata else "none"
    ignored = "features" in network.modalities and _is_of_another_unit(network, unit)
    for batch in alerts.batches(rows):
        if ignored and np.isfinite(batch.metadata).any():
            logging.warning(
                "the metadata is in unit %s and the network was trained on unit %s: it is ignored",
                unit,
                network.preprocessing.feature_scaling.unit,
            )
            ignored = False
        yield network.preprocess(batch.stamps, batch.metadata, unit)


def _is_of_another_unit(network: AlertNetwork, unit: str) -> bool:
    return unit not in (network.preprocessing.feature_scaling.unit, "none")


def concatenate(batches: Iterable[AlertInput]) -> AlertInput:
    """Return batches as one, with images in the memory format that convolutions are fastest in."""
    whole = AlertInput(*(torch.cat(parts) for parts in zip(*batches, strict=True)))
    return whole._replace(
        pixels=whole.pixels.contiguous(memory_format=torch.channels_last),
        crop_and_context=whole.crop_and_context.contiguous(memory_format=torch.channels_last),
    )


def encode_batches(
    network: AlertNetwork, batches: Iterable[AlertInput], device: torch.device, precision: str
) -> Iterator[EncodedBatch]:
    """Return vectors and orientations of the alerts, batch by batch."""
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
