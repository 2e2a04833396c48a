"""Seconds of training until our autoencoder is as good as the published recipe is at its end.

    python -m benchmarks.time_to_accuracy --stamps data/parquet/stamps.parquet --seeds 3

Both are trained on the same rows by the function of the stage, each with its own committed recipe:
60 epochs for the published one. The accuracy is that of the classifier head on the validation rows,
after every epoch; the published recipe gets the best of its epochs. Times are of the epochs alone,
reading not included.
"""

import argparse
import logging
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.measuring import save
from ztfrep.params import read_params
from ztfrep.training import training_run
from ztfrep.training.alert_training import train_autoencoder
from ztfrep.training.resumption import Record

ROOT = Path(__file__).parents[1]
_METRIC = "validation_accuracy"


def main() -> None:
    """Train both for every seed, then save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stamps", type=Path, default=ROOT / "data/parquet/stamps.parquet")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    runs = []
    for seed in range(options.seeds):
        published = _train("published", options, seed)
        ours = _train("invariant", options, seed)
        goal = max(accuracy for _, accuracy in published)
        reached = [seconds for seconds, accuracy in ours if accuracy >= goal]
        runs.append(
            {
                "published_accuracy": round(goal, 4),
                "published_seconds": round(published[-1][0], 1),
                "our_accuracy": round(max(accuracy for _, accuracy in ours), 4),
                "our_seconds_until_it": round(reached[0], 1) if reached else None,
                "ratio": round(reached[0] / published[-1][0], 3) if reached else None,
            }
        )
        print(runs[-1], flush=True)
    save("time_to_accuracy", {"threads": options.threads, "runs": runs})


def _train(architecture: str, options: argparse.Namespace, seed: int) -> list[tuple[float, float]]:
    """Return the seconds since the start, and the accuracy, after each epoch."""
    params = read_params(ROOT / "params.yaml")
    config = getattr(params.autoencoder, architecture)
    epochs: list[tuple[float, float]] = []

    @contextmanager
    def timed(*_: Any) -> Iterator[Any]:
        # Epoch 0 evaluates the initial weights.
        def log(record: Record) -> None:
            epochs.append((time.perf_counter(), record[_METRIC]))

        yield log

    with (
        tempfile.TemporaryDirectory() as name,
        mock.patch.object(training_run, "logged_curves", timed),
    ):
        folder = Path(name)
        (folder / "metrics").mkdir()
        train_autoencoder(
            options.stamps,
            architecture,
            config,
            training_run.RunSettings(
                epochs=config.epochs or params.budget.sample.autoencoder_epochs,
                seed=seed,
                threads=options.threads,
                precision="float32",
                start_weights=None,
                checkpoints=folder,
            ),
            model=folder / "model",
            metrics=folder / "metrics",
        )
    start = epochs[0][0]
    return [(seconds - start, accuracy) for seconds, accuracy in epochs[1:]]


if __name__ == "__main__":
    main()
