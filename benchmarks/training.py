"""Stamps per second of training and encoding each autoencoder on the CPU; `benchmarks.gpu` for one.

The baseline of the same run, in turn with ours, is the usual loop: a DataLoader over single stamps,
targets computed in every batch, the loss read at every batch. The rates are also given as fractions
of the rate at which this machine multiplies large matrices.

    python -m benchmarks.training
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.measuring import save
from ztfrep.data.alert_schema import CLASSES
from ztfrep.encoders.alert_batches import encode
from ztfrep.encoders.devices import make_deterministic
from ztfrep.models.alert import ARCHITECTURES, get_alert_network
from ztfrep.models.alert.base import N_FEATURES, AlertConfig, AlertInput, AlertNetwork
from ztfrep.models.alert.preprocessing import FeatureScaling
from ztfrep.params import read_params
from ztfrep.training.alert_training import alert_loss, make_dataset
from ztfrep.training.steps import Dataset, Steps, make_optimizer

_LEARNING_RATE = 0.0001
_ENCODED_ROWS = 128
_MATRIX = 2048


def main() -> None:
    """Measure every architecture, then save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stamps", type=int, default=4096, help="stamps per epoch")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    make_deterministic(options.threads)
    params = read_params(Path(__file__).parents[1] / "params.yaml")
    alerts = random_alerts(options.stamps)
    matrix = _matrix_rate()
    result: dict[str, Any] = {
        "stamps": options.stamps,
        "batch": options.batch,
        "threads": options.threads,
        "matrix_gflop_per_s": round(matrix / 1e9, 1),
    }
    for name in ARCHITECTURES:
        config = getattr(params.autoencoder, name)
        result[name] = _measure(partial(network_of, name, config), alerts, matrix, options)
    save("training", result)


def _measure(
    network: Callable[[], AlertNetwork],
    alerts: Dataset,
    matrix: float,
    options: argparse.Namespace,
) -> dict[str, Any]:
    seconds: dict[str, list[float]] = {"ours": [], "usual": [], "encode": []}
    trained = network().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    data = make_dataset(trained, channels_last(AlertInput(*alerts[:-1])), alerts[-1])
    optimizer = make_optimizer(trained.config, trained.parameters(), torch.device("cpu"))
    steps = Steps(trained, data, alert_loss, "float32", optimizer)
    rows, usual = torch.arange(options.stamps), network()
    inputs = AlertInput(*data[: len(AlertInput._fields)])
    for _ in range(options.repeats):
        seconds["ours"].append(_seconds(lambda: steps.run(rows, options.batch)))
        seconds["usual"].append(_seconds(lambda: usual_epoch(usual, alerts, options.batch, "cpu")))
        seconds["encode"].append(
            _seconds(
                lambda: [
                    encode(trained, inputs.rows(part), "float32")
                    for part in rows.split(_ENCODED_ROWS)
                ]
            )
        )
    best = {name: min(times) / options.stamps for name, times in seconds.items()}
    # Encoding has left the network in evaluation, where it reads more orientations.
    trained.train()
    step_flop = _flop(lambda: steps.take(rows[: options.batch])) / options.batch
    encode_flop = _flop(lambda: trained.eval().encode(inputs.rows(rows[:64]))) / 64
    return {
        "train_stamps_per_s": round(1 / best["ours"]),
        "usual_loop_stamps_per_s": round(1 / best["usual"]),
        "ratio": round(best["usual"] / best["ours"], 2),
        "train_mflop_per_stamp": round(step_flop / 1e6, 1),
        "train_fraction_of_matrix_rate": round(step_flop / best["ours"] / matrix, 2),
        "encode_stamps_per_s": round(1 / best["encode"]),
        "encode_mflop_per_stamp": round(encode_flop / 1e6, 1),
        "encode_fraction_of_matrix_rate": round(encode_flop / best["encode"] / matrix, 2),
    }


def random_alerts(n: int) -> Dataset:
    """Return the input of n alerts, whose class is the position of a bright pixel, and labels."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.rand(n, 3, 21, 21, generator=generator)
    labels = torch.randint(0, len(CLASSES), (n,), generator=generator)
    pixels[torch.arange(n), 0, labels * 4, 10] += 1
    pixel_mask = torch.ones_like(pixels, dtype=torch.bool)
    crop_and_context = torch.cat([pixels, pixels, torch.ones(n, 2, 21, 21)], dim=1)
    features = torch.randn(n, N_FEATURES, generator=generator)
    feature_mask = torch.ones(n, N_FEATURES, dtype=torch.bool)
    return (*AlertInput(pixels, pixel_mask, crop_and_context, features, feature_mask), labels)


def channels_last(alerts: AlertInput) -> AlertInput:
    """Return alerts with images in the memory format `channels_last`."""
    last = torch.channels_last
    return alerts._replace(
        pixels=alerts.pixels.contiguous(memory_format=last),
        crop_and_context=alerts.crop_and_context.contiguous(memory_format=last),
    )


def network_of(architecture: str, config: AlertConfig) -> AlertNetwork:
    """Return an untrained network, always with the same weights."""
    torch.manual_seed(0)
    network_class: Any = get_alert_network(architecture)
    network: AlertNetwork = network_class(
        config, classes=len(CLASSES), feature_scaling=FeatureScaling.none()
    )
    return network


def usual_epoch(network: nn.Module, alerts: Dataset, batch: int, device: str) -> list[float]:
    """Train an epoch in the usual loop, and return the loss of each batch."""
    optimizer = torch.optim.Adam(network.train().parameters(), lr=_LEARNING_RATE)
    losses = []
    for rows in DataLoader(TensorDataset(*alerts), batch_size=batch, shuffle=True):
        *parts, labels = (part.to(device) for part in rows)
        targets = network.targets(AlertInput(*parts))  # type: ignore[operator]
        loss = alert_loss(network, (*parts, *targets, labels))["loss"][0]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def _matrix_rate() -> float:
    """Return the floating-point operations per second of a product of large float32 matrices."""
    matrix = torch.rand(_MATRIX, _MATRIX)
    return 2 * _MATRIX**3 / min(_seconds(lambda: matrix @ matrix) for _ in range(10))


def _flop(work: Callable[[], object]) -> float:
    with FlopCounterMode(display=False) as counter:
        work()
    return float(counter.get_total_flops())


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
