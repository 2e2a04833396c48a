"""Encoding: torch against the exported ONNX files by ONNX Runtime, on the CPU.

python -m benchmarks.onnx_encoding [MODEL]

Both compute vectors of the same raw stamps and metadata, and of the same observations, with the
same threads, with the preprocessing. They take turns, so that what else runs on the machine slows
both. A rate is that of the median turn. `ratio` is torch's seconds divided by ONNX Runtime's, and
`processor_ratio` that of the processor's time, which other programs change less; both are medians
over the turns.
"""

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

from benchmarks.measuring import save
from ztfrep.data.alert_schema import CHANNELS
from ztfrep.data.alerts import Alerts
from ztfrep.data.features import ALERCE_FEATURES
from ztfrep.encoders.encoder import load
from ztfrep.encoders.onnx_export import export_onnx, open_session
from ztfrep.encoders.onnx_graphs import STAMP_SIZE, ObjectGraph

_BATCHES = (1, 16, 128)
_STEPS = 20
_ROWS = 128  # Per turn.


def main(
    model: Annotated[Path, typer.Argument(help="The folder of a trained encoder.")] = Path(
        "data/models"
    ),
    turns: Annotated[int, typer.Option(help="Times that each encodes the same rows.")] = 5,
    threads: Annotated[int, typer.Option(help="Threads of each.")] = 2,
) -> None:
    """Measure alerts and objects per second of both, then save."""
    torch.set_num_threads(threads)
    encoder = load(model, device="cpu")
    result: dict[str, Any] = {"threads": threads, "alerts": {}}
    with tempfile.TemporaryDirectory() as folder:
        files = export_onnx(encoder, folder)
        sessions = [open_session(file.path, threads=threads) for file in files]
    result["differences"] = [float(f"{file.difference:.1e}") for file in files]
    stamps, metadata = _alerts(_ROWS)
    columns = dict(zip(ALERCE_FEATURES.names, metadata.T, strict=True))
    inputs = {"stamps": stamps, "metadata": metadata}
    for batch in _BATCHES:
        encoder.batch_size = batch
        result["alerts"][batch] = _measure(
            lambda: encoder.encode(Alerts.from_arrays(stamps, columns)),
            partial(_run, sessions[0], inputs, batch),
            turns,
        )
    if encoder.object_network is not None:
        size = encoder.network.config.latent_dim
        graph = ObjectGraph(encoder.object_network, encoder.object_classes, size)
        objects = graph.random_inputs(_ROWS, _STEPS)
        result["objects"] = {
            "steps": _STEPS,
            "batch": _ROWS,
            **_measure(
                lambda: graph.reference(objects).vectors,
                lambda: _run(sessions[1], objects, _ROWS),
                turns,
            ),
        }
    save("onnx_encoding", result)


def _measure(
    by_torch: Callable[[], np.ndarray], by_onnx: Callable[[], np.ndarray], turns: int
) -> dict[str, float]:
    """Return rows per second of both, and ratios of their times."""
    difference = float(np.abs(by_torch() - by_onnx()).max())
    # Turn, torch or ONNX Runtime, seconds of the clock or of the processor.
    times = np.array([[_timed(by_torch), _timed(by_onnx)] for _ in range(turns)])
    torch_rate, onnx_rate = _ROWS / np.median(times[:, :, 0], axis=0)
    ratio, processor_ratio = np.median(times[:, 0] / times[:, 1], axis=0)
    return {
        "torch_per_s": round(torch_rate),
        "onnx_per_s": round(onnx_rate),
        "ratio": round(float(ratio), 2),
        "processor_ratio": round(float(processor_ratio), 2),
        "largest_difference": float(f"{difference:.1e}"),
    }


def _timed(work: Callable[[], np.ndarray]) -> tuple[float, float]:
    start, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - start, time.process_time() - processor


def _run(session: Any, inputs: dict[str, np.ndarray], batch: int) -> np.ndarray:
    parts = [
        session.run(
            ["vector"], {name: part[start : start + batch] for name, part in inputs.items()}
        )[0]
        for start in range(0, _ROWS, batch)
    ]
    return np.concatenate(parts)


def _alerts(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return stamps and metadata of n alerts; a tenth of the stamps are cut by an edge."""
    generator = np.random.default_rng(0)
    stamps = generator.normal(300, 20, (n, len(CHANNELS), STAMP_SIZE, STAMP_SIZE))
    stamps[:, :, 30:33, 30:33] += 1000
    stamps[: n // 10, :, :, :20] = np.nan
    return stamps.astype(np.float32), generator.uniform(0, 15, (n, len(ALERCE_FEATURES)))


if __name__ == "__main__":
    typer.run(main)
