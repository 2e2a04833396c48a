"""Batches of alerts: the input of a network, and what it computes of them."""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from ztfrep.data.alerts import AlertBatch, BatchSource
from ztfrep.models.alert.base import AlertInput, AlertNetwork

Result = TypeVar("Result")
# Threads that read and prepare batches beside a GPU.
_GPU_THREADS = 4


class EncodedBatch(NamedTuple):
    """Vectors of alerts, float32 `(n, d)`, and orientations of their stamps, int64 `(n,)`."""

    vectors: np.ndarray
    orientations: np.ndarray


def input_batches(
    network: AlertNetwork, alerts: BatchSource, rows: int, *, with_metadata: bool = True
) -> Iterator[AlertInput]:
    """Yield the network's input for all alerts that have stamps, at most `rows` at a time.

    The input is on the network's device. Metadata is masked if its unit differs from that of the
    network's train rows; a warning is logged.
    """
    for batch, unit in _raw_batches(network, alerts, rows, with_metadata):
        yield network.preprocess(batch.stamps, batch.metadata, unit)


def map_batches(
    network: AlertNetwork,
    alerts: BatchSource,
    rows: int,
    function: Callable[[AlertInput], Result],
    *,
    with_metadata: bool = True,
) -> Iterator[Result]:
    """Yield the results of a function of each of the `input_batches`, in order.

    Batches are prepared and computed in threads, as many as torch uses, while others are read. Each
    thread computes alone: then threads need not wait for each other in every operation.
    """
    threads = torch.get_num_threads()
    device = network.preprocessing.standardise.mean.device

    def compute(batch: AlertBatch, unit: str) -> Result:
        with torch.inference_mode():
            return function(network.preprocess(batch.stamps, batch.metadata, unit))

    pending: deque[Future[Result]] = deque()
    workers = _GPU_THREADS if device.type == "cuda" else threads
    try:
        with ThreadPoolExecutor(
            workers, initializer=torch.set_num_threads, initargs=(1,)
        ) as executor:
            for batch, unit in _raw_batches(network, alerts, rows, with_metadata):
                pending.append(executor.submit(compute, batch, unit))
                # One more than are computed, so that no thread waits and memory has a limit.
                if len(pending) > workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
    finally:
        # The number of a thread of the pool is that of threads that start later.
        torch.set_num_threads(threads)


def _raw_batches(
    network: AlertNetwork, alerts: BatchSource, rows: int, with_metadata: bool
) -> Iterator[tuple[AlertBatch, str]]:
    """Yield batches of stamps and metadata, and the unit of the metadata; see `input_batches`."""
    unit = alerts.feature_unit if with_metadata else "none"
    warn = ignores_unit(network, unit)
    for batch in alerts.batches(rows):
        if warn and np.isfinite(batch.metadata).any():
            warn_of_unit(network, unit)
            warn = False
        yield batch, unit


def ignores_unit(network: AlertNetwork, unit: str) -> bool:
    """Return True if a network that reads metadata was trained on metadata of another unit."""
    trained_unit = network.preprocessing.feature_scaling.unit
    return "features" in network.modalities and unit not in (trained_unit, "none")


def warn_of_unit(network: AlertNetwork, unit: str) -> None:
    """Log a warning of metadata in a unit that the network ignores."""
    logging.warning(
        "the metadata is in unit %s and the network was trained on unit %s: it is ignored",
        unit,
        network.preprocessing.feature_scaling.unit,
    )


def concatenate(batches: Iterable[AlertInput]) -> AlertInput:
    """Return the rows of all batches, with images in the memory format `channels_last`."""
    whole = AlertInput(*(torch.cat(parts) for parts in zip(*batches, strict=True)))
    return whole._replace(
        pixels=whole.pixels.contiguous(memory_format=torch.channels_last),
        crop_and_context=whole.crop_and_context.contiguous(memory_format=torch.channels_last),
    )


def encode_batches(
    network: AlertNetwork, alerts: BatchSource, rows: int, precision: str
) -> Iterator[EncodedBatch]:
    """Yield vectors and orientations of all alerts that have stamps, at most `rows` at a time.

    `precision` is `float32` or `bf16`.
    """
    network.eval()

    def encoded(batch: AlertInput) -> EncodedBatch:
        orientations = network.orientation(batch).cpu().numpy()
        return EncodedBatch(encode(network, batch, precision), orientations)

    return map_batches(network, alerts, rows, encoded)


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
