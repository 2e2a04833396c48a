"""Orientations in which the stamp encoder reads an alert: what vectors are worth, and their rate.

    python -m benchmarks.orientations --stamps data/parquet/stamps.parquet --seeds 3

The default autoencoder is trained with two opposite random orientations of each alert, or with one.
Its vectors are then computed of 1, 2 (canonical and opposite), 4 or 8 orientations, beginning with
the canonical one, so that all are invariant. Linear probes of the train rows' vectors are scored on
the validation rows: of vectors of stamps and metadata, and of stamps alone. With `--real`, the
table of real alerts, stamps alone are probed as `benchmarks.real_alerts` does. The rates are of the
same network and batches, one thread, interleaved.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.alert_scores import compare_methods, linear_probe
from benchmarks.measuring import save
from ztfrep.data.alert_table import AlertTable
from ztfrep.encoders.alert_batches import concatenate, encode, input_batches
from ztfrep.encoders.model_folder import load_alert_network
from ztfrep.evaluation.metrics import METRICS, confusion
from ztfrep.evaluation.probes import fit_probe
from ztfrep.models.alert.base import AlertInput
from ztfrep.models.alert.invariant import InvariantAutoencoder
from ztfrep.models.alert.orientation import N_ORIENTATIONS
from ztfrep.params import Params, read_params
from ztfrep.training.alert_training import train_autoencoder
from ztfrep.training.training_run import RunSettings

ROOT = Path(__file__).parents[1]
_READ = (1, 2, 4, 8)
_BATCH = 128
_REPEATS = 7


def main() -> None:
    """Train, probe and time, then save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stamps", type=Path, default=ROOT / "data/parquet/stamps.parquet")
    parser.add_argument("--real", type=Path, help="table of real alerts with labels")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trained", type=int, nargs="+", default=[2, 1])
    options = parser.parse_args()
    params = read_params(ROOT / "params.yaml")
    table = AlertTable(options.stamps)
    real = None if options.real is None else AlertTable(options.real)
    results: dict[str, Any] = {}
    for trained in options.trained:
        for seed in range(options.seeds):
            name = f"trained with {trained}, seed {seed}"
            with tempfile.TemporaryDirectory() as folder:
                start = time.process_time()
                _train(options.stamps, Path(folder), params, trained, seed)
                seconds = time.process_time() - start
                network, _ = load_alert_network(Path(folder) / "model")
            results[name] = {"training_cpu_seconds": round(seconds, 1)} | {
                f"read {read}": _probe(_reading(network, read), table, real) for read in _READ
            }
            print(name, results[name], flush=True)
    alerts = concatenate(input_batches(network, table, _BATCH)).rows(slice(0, 1024))
    save("orientations", {"results": results, "encoding": _rates(network, alerts)})


def _train(stamps: Path, folder: Path, params: Params, orientations: int, seed: int) -> None:
    settings = RunSettings(
        epochs=params.epochs("autoencoder"), seed=seed, threads=params.threads,
        precision="float32", start_weights=None, checkpoints=folder,
    )  # fmt: skip
    original = InvariantAutoencoder._encode_stamps

    def of_two(self: InvariantAutoencoder, images: Tensor, orientation: Tensor) -> Tensor:
        if not self.training:
            return original(self, images, orientation)
        random = torch.randint_like(orientation, N_ORIENTATIONS)
        oriented = self.orientations.apply_to(images, random)
        encoded: Tensor = self.stamp_encoder(torch.cat([oriented, oriented.flip((2, 3))]))
        return encoded.unflatten(0, (2, -1)).mean(dim=0)

    try:
        if orientations == 2:
            InvariantAutoencoder._encode_stamps = of_two  # type: ignore[method-assign]
        train_autoencoder(
            stamps, "invariant", params.autoencoder.invariant, settings,
            model=folder / "model", metrics=folder / "metrics",
        )  # fmt: skip
    finally:
        InvariantAutoencoder._encode_stamps = original  # type: ignore[method-assign]


class _Reading(InvariantAutoencoder):
    """The network with another number of orientations."""

    n_read: int

    def _encode_stamps(self, crop_and_context: Tensor, orientation: Tensor) -> Tensor:
        images = self.orientations.apply_to(crop_and_context, orientation)
        oriented = [images, images.flip((2, 3))]
        oriented += [torch.rot90(part, 1, (2, 3)) for part in oriented]
        oriented += [part.flip(3) for part in oriented]
        encoded = [self.stamp_encoder(part) for part in oriented[: self.n_read]]
        return torch.stack(encoded).mean(dim=0)


def _reading(network: Any, n: int) -> _Reading:
    reading = _Reading(
        network.config, classes=5, feature_scaling=network.preprocessing.feature_scaling
    )
    reading.load_state_dict(network.state_dict())
    reading.n_read = n
    return reading.eval()


def _probe(network: _Reading, table: AlertTable, real: AlertTable | None) -> dict[str, Any]:
    index = table.identity()
    labels = index["label"].to_numpy()
    train, validation = ((index["split"] == name).to_numpy() for name in ("train", "validation"))
    scores: dict[str, Any] = {}
    for name, with_metadata in (("both", True), ("stamps alone", False)):
        vectors = _encode(network, table, with_metadata)
        probe = fit_probe("linear_probe", vectors[train], labels[train], seed=0)
        matrix = confusion(labels[validation], probe.predict(vectors[validation]), 5)
        scores[name] = round(float(METRICS["balanced_accuracy"](matrix[None])[0]), 4)
    if real is not None:
        identity = real.index()
        rows = np.flatnonzero(identity["label"] >= 0)
        objects = identity["object_id"].to_numpy()[rows]
        of_real = identity["label"].to_numpy()[rows].astype(np.int64)
        vectors = _encode(network, real, False)[rows].astype(float)
        compared = compare_methods({"": (vectors, linear_probe())}, of_real, objects, objects)
        scores["real, stamps alone"] = compared[""]["balanced_accuracy"]
    return scores


def _encode(network: _Reading, table: AlertTable, with_metadata: bool) -> np.ndarray:
    batches = input_batches(network, table, _BATCH, with_metadata=with_metadata)
    return np.concatenate([encode(network, batch, "float32") for batch in batches])


def _rates(network: Any, alerts: AlertInput) -> dict[str, Any]:
    """Return alerts per CPU second of each number of orientations, of prepared input."""
    torch.set_num_threads(1)
    networks = {f"read {n}": _reading(network, n) for n in _READ} | {"the network": network}
    best: dict[str, float] = {}
    for _ in range(_REPEATS):
        for name, reading in networks.items():
            start = time.process_time()
            for rows in torch.arange(len(alerts.pixels)).split(_BATCH):
                encode(reading, alerts.rows(rows), "float32")
            best[name] = min(best.get(name, 1e9), time.process_time() - start)
    rates = {name: round(len(alerts.pixels) / seconds) for name, seconds in best.items()}
    return {**rates, "ratio to read 8": round(best["read 8"] / best["the network"], 2)}


if __name__ == "__main__":
    main()
