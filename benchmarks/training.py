"""Stamps per second of training and encoding each autoencoder, on each device at hand.

Beside it, in the same run, the usual loop: a DataLoader over single stamps, the loss read at every
batch. Where there is a GPU, its losses after an epoch are compared with the CPU's.

    python -m benchmarks.training
"""

import argparse
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.measuring import save
from ztfrep.models.alert import losses as autoencoder
from ztfrep.models.alert.base import AlertInput
from ztfrep.training.fit import Dataset, Recipe, fit, make_deterministic

Network = Callable[[str], nn.Module]
_WEIGHTS = {"kind": "cross_entropy", "reconstruction_weight": 0.95, "classification_weight": 0.05}


def main() -> None:
    """Measure every device, then save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stamps", type=int, default=4096, help="stamps per epoch")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    make_deterministic(options.threads)
    data = _stamps(options.stamps)
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    result: dict[str, object] = {"stamps": options.stamps, "batch": options.batch}
    for name in autoencoder.ARCHITECTURES:
        result[name] = _measured(partial(_network, name), data, devices, options)
    save("training", result)


def _measured(
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


def _stamps(n: int) -> Dataset:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.rand(n, 3, 21, 21, generator=generator)
    labels = torch.randint(0, 5, (n,), generator=generator)
    pixels[torch.arange(n), 0, labels * 4, 10] += 1
    observed = torch.ones_like(pixels, dtype=torch.bool)
    views = torch.cat([pixels, pixels, torch.ones(n, 2, 21, 21)], dim=1)
    features = torch.randn(n, 26, generator=generator)
    alerts = AlertInput(pixels, observed, views, features, torch.ones(n, 26, dtype=torch.bool))
    return (*alerts, labels)


def _network(architecture: str, device: str) -> nn.Module:
    torch.manual_seed(0)
    sizes: dict[str, float] = {"latent_dim": 128, "dropout": 0.2, "classes": 5}
    if architecture == "invariant":
        sizes["detail"] = 0.84
    return autoencoder.build(architecture, **sizes).to(device)


def _losses(model: nn.Module, batch: Dataset) -> dict[str, tuple[Tensor, Tensor]]:
    *parts, labels = batch
    alerts = AlertInput(*parts)
    return autoencoder.losses(model(alerts), alerts, labels, **_WEIGHTS)


def _timed(work: partial, device: str) -> tuple[float, object]:
    if device == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    value = work()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start, value


def _our_epoch(model: nn.Module, data: Dataset, batch: int, device: str) -> tuple[float, float]:
    data = _fastest(data, device)
    model = model.to(memory_format=torch.channels_last)
    rows = torch.arange(len(data[-1]), device=device)
    recipe = Recipe("adam", 0.0001, 1, batch, batch, 0, 1, "float32", seed=0)
    few = tuple(part[:64] for part in data)
    seconds, progress = _timed(partial(fit, model, data, rows, few, _losses, recipe), device)
    return seconds, progress.history[1]["train_loss"]


def _fastest(data: Dataset, device: str) -> Dataset:
    moved = [part.to(device) for part in data]
    last = torch.channels_last
    return tuple(p.contiguous(memory_format=last) if p.ndim == 4 else p for p in moved)


def _usual_epoch(model: nn.Module, data: Dataset, batch: int, device: str) -> float:
    optimizer = torch.optim.Adam(model.parameters(), lr=0.0001)

    def work() -> list[float]:
        seen = []
        for rows in DataLoader(TensorDataset(*data), batch_size=batch, shuffle=True):
            loss = _losses(model, tuple(part.to(device) for part in rows))["loss"][0]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            seen.append(loss.item())
        return seen

    return _timed(partial(work), device)[0]


def _encode(model: nn.Module, data: Dataset, device: str) -> float:
    model = model.to(memory_format=torch.channels_last).eval()
    data = _fastest(data, "cpu")

    def work() -> None:
        with torch.inference_mode():
            for rows in torch.arange(len(data[-1])).split(512):
                model.encode(*(part[rows].to(device) for part in data[:-1])).cpu()

    return _timed(partial(work), device)[0]


if __name__ == "__main__":
    main()
