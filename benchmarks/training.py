"""Stamps per second of training and encoding each autoencoder, on each available device.

The baseline of the same run is the usual loop: a DataLoader over single stamps, with the loss read
at every batch. On a GPU, the loss after an epoch is compared with that of the CPU, which draws
other random numbers.

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

from benchmarks.measuring import save
from ztfrep.data.alert_schema import CLASSES
from ztfrep.encoders.devices import make_deterministic
from ztfrep.models.alert import ARCHITECTURES, get_alert_network
from ztfrep.models.alert.base import N_FEATURES, AlertConfig, AlertInput
from ztfrep.models.alert.preprocessing import FeatureScaling
from ztfrep.models.recipe import Recipe
from ztfrep.params import read_params
from ztfrep.training.alert_training import alert_loss
from ztfrep.training.fit import Dataset, fit

Network = Callable[[str], nn.Module]
_LEARNING_RATE = 0.0001
_ENCODED_ROWS = 512


def main() -> None:
    """Measure every architecture on every device, then save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stamps", type=int, default=4096, help="stamps per epoch")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    make_deterministic(options.threads)
    params = read_params(Path(__file__).parents[1] / "params.yaml")
    data = _random_alerts(options.stamps)
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    result: dict[str, object] = {"stamps": options.stamps, "batch": options.batch}
    for name in ARCHITECTURES:
        config = getattr(params.autoencoder, name)
        result[name] = _measure(partial(_network, name, config), data, devices, options)
    save("training", result)


def _measure(
    network: Network, data: Dataset, devices: list[str], options: argparse.Namespace
) -> dict[str, object]:
    result: dict[str, object] = {}
    losses = {}
    for device in devices:
        ours = [_our_epoch(network(device), data, options.batch, device) for _ in range(3)]
        usual = [_usual_epoch(network(device), data, options.batch, device) for _ in range(3)]
        encode = [_encode(network(device), data, device) for _ in range(3)]
        losses[device] = ours[0][1]
        result[device] = {
            "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
            "threads": options.threads,
            "train_stamps_per_s": round(options.stamps / min(t for t, _ in ours)),
            "usual_loop_stamps_per_s": round(options.stamps / min(usual)),
            "ratio": round(min(usual) / min(t for t, _ in ours), 2),
            "encode_stamps_per_s": round(options.stamps / min(encode)),
            "loss_after_an_epoch": losses[device],
        }
    if "cuda" in losses:
        result["loss_difference"] = abs(losses["cuda"] - losses["cpu"])
    return result


def _random_alerts(n: int) -> Dataset:
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


def _network(architecture: str, config: AlertConfig, device: str) -> nn.Module:
    torch.manual_seed(0)
    network_class: Any = get_alert_network(architecture)
    network: nn.Module = network_class(
        config, classes=len(CLASSES), feature_scaling=FeatureScaling.none()
    )
    return network.to(device)


def _timed(work: partial, device: str) -> tuple[float, Any]:
    if device == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    value = work()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start, value


def _our_epoch(network: nn.Module, data: Dataset, batch: int, device: str) -> tuple[float, float]:
    data = _channels_last(data, device)
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    data = (*data[:-1], *network.targets(AlertInput(*data[:-1])), data[-1])
    rows = torch.arange(len(data[-1]), device=device)
    recipe = Recipe(
        optimizer="adam", learning_rate=_LEARNING_RATE, schedule="constant", epochs=1,
        batch_size=batch, patience=1,
    )  # fmt: skip
    validation = tuple(part[:64] for part in data)
    work = partial(
        fit, network, data, rows, validation, alert_loss, recipe,
        epochs=1, seed=0, precision="float32",
    )  # fmt: skip
    seconds, progress = _timed(work, device)
    return seconds, progress.history[1]["train_loss"]


def _channels_last(data: Dataset, device: str) -> Dataset:
    moved = [part.to(device) for part in data]
    last = torch.channels_last
    return tuple(p.contiguous(memory_format=last) if p.ndim == 4 else p for p in moved)


def _usual_epoch(network: nn.Module, data: Dataset, batch: int, device: str) -> float:
    optimizer = torch.optim.Adam(network.parameters(), lr=_LEARNING_RATE)

    def work() -> list[float]:
        losses = []
        for rows in DataLoader(TensorDataset(*data), batch_size=batch, shuffle=True):
            *parts, labels = (part.to(device) for part in rows)
            targets = network.targets(AlertInput(*parts))
            loss = alert_loss(network, (*parts, *targets, labels))["loss"][0]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    return _timed(partial(work), device)[0]


def _encode(network: nn.Module, data: Dataset, device: str) -> float:
    network = network.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    alerts = AlertInput(*_channels_last(data, "cpu")[:-1])

    def work() -> None:
        with torch.inference_mode():
            for rows in torch.arange(len(alerts.pixels)).split(_ENCODED_ROWS):
                batch = alerts.rows(rows).to(torch.device(device))
                network.encode(batch).cpu()  # type: ignore[operator]

    return _timed(partial(work), device)[0]


if __name__ == "__main__":
    main()
