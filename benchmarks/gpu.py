"""Training and encoding on a GPU: checked against the CPU first, then timed.

    python -m benchmarks.gpu
    python -m benchmarks.gpu --pipeline    # and the stages at full size, after fetch

Checks: prepared input and vectors are those of the CPU; captured steps have the losses of steps
that are not captured; two trainings have the same bytes. A check that fails ends the run. Rates are
in stamps per second: of training as the stage trains (captured), without capture, and in the usual
loop (a DataLoader over single stamps); in float32, bfloat16, and compiled; of encoding prepared
input, and of encoding a Parquet table, reading and preparing included. `--device cpu` runs the same
with fewer rows, to test this program where no GPU is.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.measuring import save
from benchmarks.random_tables import write_random_table
from benchmarks.training import channels_last, network_of, random_alerts, usual_epoch
from ztfrep.encoders.alert_batches import encode, encode_batches
from ztfrep.encoders.devices import make_deterministic
from ztfrep.models.alert.base import AlertInput, AlertNetwork
from ztfrep.params import read_params
from ztfrep.training.alert_training import alert_loss, make_dataset
from ztfrep.training.steps import Dataset, Steps, make_optimizer

ROOT = Path(__file__).parents[1]
_TRAINED = {"invariant": (64, 512, 1024, 4096), "published": (64, 512, 4096)}
_PREPARED, _VECTORS, _LOSSES = 1e-5, 1e-4, 1e-4


def main() -> None:
    """Check, measure, then save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    parser.add_argument("--pipeline", action="store_true", help="run the stages at full size too")
    parser.add_argument("--no-compile", action="store_true", help="without torch.compile")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        sys.exit("error: torch sees no GPU; run with --device cpu to test this program")
    device = torch.device(options.device)
    small = device.type == "cpu"
    make_deterministic(os.cpu_count() or 1)
    config = {
        name: getattr(read_params(ROOT / "params.yaml").autoencoder, name) for name in _TRAINED
    }
    alerts = random_alerts(256 if small else 16384)
    result: dict[str, Any] = {
        "device": "cpu" if small else torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "checks": {},
        "training": {},
        "encoding": {},
    }
    for name in _TRAINED:
        networks = [_network(name, config[name], where) for where in ("cpu", options.device)]
        result["checks"][name] = _check(networks, alerts, device)
        print(name, result["checks"][name], flush=True)
    for name, sizes in _TRAINED.items():
        rates = result["training"][name] = {}
        for size in (8, 16) if small else sizes:
            rates[size] = _training_rates(name, config[name], alerts, size, device, options)
            print(name, size, rates[size], flush=True)
        result["encoding"][name] = _encoding_rates(
            _network(name, config[name], options.device), alerts, device, options.seconds
        )
        print(name, result["encoding"][name], flush=True)
    network = _network("invariant", config["invariant"], options.device)
    result["encoding from Parquet"] = {
        f"stamps of {side} pixels": _table_rate(network, 500 if small else rows, side)
        for side, rows in ((21, 100_000), (63, 30_000))
    }
    print(result["encoding from Parquet"], flush=True)
    if options.pipeline:
        result["stages at full size, seconds"] = _pipeline()
    if small:
        print("not saved: no GPU was measured")
    else:
        save("gpu", result, shown=())


def _network(name: str, config: Any, device: str) -> AlertNetwork:
    network = network_of(name, config)
    return network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def _check(networks: list[AlertNetwork], alerts: Dataset, device: torch.device) -> dict[str, float]:
    """Return differences from the CPU and from eager steps; exit if one is large."""
    generator = np.random.default_rng(0)
    stamps = generator.normal(300, 20, (64, 3, 63, 63)).astype(np.float32)
    stamps[0, :, 20:40], stamps[1, 1] = np.nan, -3.4e38
    metadata = generator.normal(18, 1, (64, alerts[3].shape[1]))
    prepared = [network.preprocess(stamps, metadata, "physical") for network in networks]
    first = AlertInput(*(part[:64] for part in alerts[:-1]))
    vectors = [
        encode(network, first.to(where), "float32")
        for network, where in zip(networks, (torch.device("cpu"), device), strict=True)
    ]
    on_device = networks[1]
    data = _on_device(on_device, alerts, device)
    eager, captured, again = (
        _losses(on_device, data, device, capture)
        for capture in (False, device.type == "cuda", device.type == "cuda")
    )
    differences = {
        "prepared input": max(
            float((a.float().cpu() - b.float().cpu()).abs().max())
            for a, b in zip(*prepared, strict=True)
            if a.numel()
        ),
        "vectors": float(np.abs(vectors[0] - vectors[1]).max() / np.abs(vectors[0]).max()),
        "captured losses": max(abs(a - b) for a, b in zip(eager[0], captured[0], strict=True)),
        "bytes of two trainings": float(captured[1] != again[1]),
    }
    limits = (_PREPARED, _VECTORS, _LOSSES, 0)
    for (name, difference), limit in zip(differences.items(), limits, strict=True):
        if not difference <= limit:
            sys.exit(f"error: {name} differ by {difference}; expected at most {limit}")
    return differences


def _losses(
    network: AlertNetwork, data: Dataset, device: torch.device, capture: bool
) -> tuple[list[float], bytes]:
    """Return the losses of some epochs from the same weights and seed, and the weights' bytes."""
    state = {name: value.clone() for name, value in network.state_dict().items()}
    steps = Steps(
        network, data, alert_loss, "float32",
        make_optimizer(network.config, network.parameters(), device), capture=capture,
    )  # fmt: skip
    losses = []
    for epoch in range(3):
        torch.manual_seed(epoch)
        losses.append(steps.run(torch.arange(min(1000, len(data[0])), device=device), 64)["loss"])
    weights = b"".join(v.cpu().numpy().tobytes() for v in network.state_dict().values())
    network.load_state_dict(state)
    return losses, weights


def _on_device(network: AlertNetwork, alerts: Dataset, device: torch.device) -> Dataset:
    moved = channels_last(AlertInput(*alerts[:-1]).to(device))
    return make_dataset(network, moved, alerts[-1].to(device))


def _training_rates(
    name: str,
    config: Any,
    alerts: Dataset,
    size: int,
    device: torch.device,
    options: argparse.Namespace,
) -> dict[str, Any]:
    """Return stamps per second by variant."""
    variants = {
        "captured float32": ("float32", None, False),
        "captured bf16": ("bf16", None, False),
        "not captured float32": ("float32", False, False),
    }
    if not options.no_compile:
        variants["compiled bf16"] = ("bf16", None, True)
    rates: dict[str, Any] = {}
    for variant, (precision, capture, compiled) in variants.items():
        network = _network(name, config, str(device))
        data = _on_device(network, alerts, device)
        steps = Steps(
            network, data, alert_loss, precision,
            make_optimizer(config, network.parameters(), device),
            capture=capture, compiled=compiled,
        )  # fmt: skip
        order = torch.arange(len(data[0]) // size * size, device=device)
        start = time.perf_counter()
        steps.run(order[:size], size)
        rates[f"{variant}, start in s"] = round(time.perf_counter() - start, 2)
        rates[variant] = _rate(partial(steps.run, order, size), len(order), options.seconds)
    start = time.perf_counter()
    subset = tuple(part[: 16 * size] for part in alerts)
    usual_epoch(network_of(name, config).to(device), subset, size, str(device))
    rates["usual loop"] = round(len(subset[0]) / (time.perf_counter() - start))
    return rates


def _encoding_rates(
    network: AlertNetwork, alerts: Dataset, device: torch.device, seconds: float
) -> dict[str, int]:
    """Return stamps per second of prepared input on the device, in batches of 8,192."""
    batch = AlertInput(*(part.to(device) for part in alerts[:-1])).rows(slice(0, 8192))

    def compute(precision: str) -> Callable[[], object]:
        def work() -> None:
            with (
                torch.inference_mode(),
                torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"),
            ):
                network.eval().encode(batch)
                if device.type == "cuda":
                    torch.cuda.synchronize()

        return work

    return {
        precision: _rate(compute(precision), len(batch.pixels), seconds)
        for precision in ("float32", "bf16")
    }


def _rate(work: Callable[[], object], rows: int, seconds: float) -> int:
    """Return rows per second of the fastest of the repetitions of `work`."""
    work()
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return round(rows / best)


def _table_rate(network: AlertNetwork, rows: int, side: int) -> dict[str, Any]:
    """Return alerts per second of encoding a table, from the file to vectors in memory."""
    with tempfile.TemporaryDirectory() as name:
        table = write_random_table(Path(name) / "t.parquet", rows, side)
        best: float = float("inf")
        for _ in range(3):
            start = time.perf_counter()
            encoded = sum(len(b.vectors) for b in encode_batches(network, table, 4096, "bf16"))
            best = min(best, time.perf_counter() - start)
    return {"rows": encoded, "alerts_per_s": round(encoded / best)}


def _pipeline() -> dict[str, float]:
    """Run the stages at full size in a copy of the repository; return seconds by stage."""
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        files = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
        ).stdout
        for path in filter(None, files.split("\0")):
            target = Path(name) / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / path).read_bytes())
        params = Path(name) / "params.yaml"
        text = params.read_text(encoding="utf-8")
        params.write_text(text.replace("scale: 0.03", "scale: 1.0"), encoding="utf-8")
        for stage in (
            "fetch", "convert", "train_autoencoder", "encode_stamps", "encode_series",
            "train_recurrent", "encode_objects", "evaluate_stamps", "evaluate_series",
        ):  # fmt: skip
            start = time.perf_counter()
            subprocess.run([sys.executable, "-m", f"stages.{stage}"], cwd=name, check=True)
            seconds[stage] = round(time.perf_counter() - start, 1)
            print(stage, seconds[stage], flush=True)
    return {**seconds, "after fetch": round(sum(seconds.values()) - seconds["fetch"], 1)}


if __name__ == "__main__":
    main()
