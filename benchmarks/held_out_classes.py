"""Anomalies of a class that the encoder never saw: each class in turn is left out of its training.

The alerts of the class are removed from the train and validation rows, and the autoencoder is
trained on the rest. Then all validation and test rows are ranked by combinations of the terms of
the anomaly score, and the share of the class in the top 10, 50 and 100 is counted. The combination
is chosen on validation rows; test rows are for the report.

    python -m benchmarks.held_out_classes
"""

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
from sklearn.metrics import roc_auc_score

from benchmarks.measuring import save
from ztfrep.data.alert_schema import CLASSES
from ztfrep.data.alert_table import AlertTable
from ztfrep.data.alert_writer import AlertWriter
from ztfrep.data.features import ALERCE_FEATURES
from ztfrep.encoders.encoder import load
from ztfrep.encoders.reference import (
    ANOMALY_TERMS,
    CLASS_ENTROPY,
    NEIGHBOUR_DISTANCE,
    RECONSTRUCTION_ERROR,
    Reference,
)
from ztfrep.evaluation.anomaly_detection import TOP, top_share
from ztfrep.params import read_params
from ztfrep.training.alert_training import train_autoencoder
from ztfrep.training.training_run import RunSettings

ROOT = Path(__file__).parents[1]
Terms = Mapping[str, np.ndarray]


def main() -> None:
    """Train an encoder without each class, rank, and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", type=Path, default=ROOT / "data/parquet/stamps.parquet")
    parser.add_argument("--work", type=Path, default=ROOT / ".cache/held-out-classes")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    splits = ("validation", "test")
    shares: dict[str, dict[str, dict[str, dict[str, float]]]] = {split: {} for split in splits}
    for label, name in enumerate(CLASSES):
        folder = options.work / name
        if not (folder / "terms.npz").is_file():
            _train_without(options.table, label, folder, options.threads)
        terms = dict(np.load(folder / "terms.npz"))
        reference = load(folder / "model", device="cpu").reference
        assert reference is not None
        table = AlertTable(options.table).index()
        for split in splits:
            rows = (table["split"] == split).to_numpy()
            is_class = table["label"].to_numpy()[rows] == label
            split_terms = {term: values[rows] for term, values in terms.items()}
            for method, score in COMBINATIONS.items():
                scores = score(reference, split_terms)
                shares[split].setdefault(method, {})[name] = {
                    "auroc": round(float(roc_auc_score(is_class, scores)), 4),
                    **{f"top_{n}": top_share(is_class, scores, n) for n in TOP},
                }
    means = {
        split: {
            method: {
                key: round(float(np.mean([values[key] for values in by_class.values()])), 4)
                for key in next(iter(by_class.values()))
            }
            for method, by_class in shares[split].items()
        }
        for split in splits
    }
    index = AlertTable(options.table).index()
    rows_of = {split: int((index["split"] == split).sum()) for split in splits}
    counts = {
        split: index.loc[index["split"] == split, "label"].value_counts().sort_index().to_dict()
        for split in splits
    }
    by_name = {
        split: {CLASSES[int(label)]: int(n) for label, n in by_label.items()}
        for split, by_label in counts.items()
    }
    save(
        "held_out_classes",
        {"rows": rows_of, "rows_by_class": by_name, "mean_over_classes": means, "classes": shares},
        shown=("rows",),
    )
    for split in splits:
        print(split, json.dumps(means[split], indent=1))


def _train_without(table: Path, label: int, folder: Path, threads: int) -> None:
    """Train without the train and validation alerts of a class; save the terms of all alerts."""
    params = read_params(ROOT / "params.yaml")
    filtered = folder / "stamps.parquet"
    _write_without(AlertTable(table), label, filtered)
    train_autoencoder(
        filtered,
        params.autoencoder.architecture,
        params.autoencoder.config,
        RunSettings(
            epochs=params.epochs("autoencoder"),
            seed=params.seed,
            threads=threads,
            precision=params.precision,
            start_weights=None,
            checkpoints=folder / "checkpoints",
        ),
        model=folder / "model",
        metrics=folder / "metrics",
    )
    filtered.unlink()
    predictions = load(folder / "model", device="cpu").predict(AlertTable(table))
    with (folder / "terms.npz").open("wb") as file:
        np.savez(file, **predictions.anomaly_terms)


def _write_without(table: AlertTable, label: int, path: Path) -> None:
    index = table.index()
    start = 0
    with AlertWriter(path, table.info) as writer:
        for batch in table.batches():
            stop = start + len(batch.stamps)
            identity = index.iloc[start:stop]
            keep = ~((identity["label"] == label) & (identity["split"] != "test")).to_numpy()
            # As Arrow, so that candids of 19 digits with nulls stay integers.
            columns = {name: pa.array(identity[name][keep]) for name in index.columns}
            columns["label"] = identity["label"][keep].to_numpy()
            features = zip(ALERCE_FEATURES.names, batch.metadata[keep].T, strict=True)
            writer.write({**columns, **dict(features), "stamps": batch.stamps[keep]})
            start = stop


def _scaled(
    reference: Reference, terms: Terms, names: tuple[str, ...] = ANOMALY_TERMS
) -> np.ndarray:
    """Return terms as their differences from the median in units of the upper spread: `(k, n)`."""
    rows = []
    for name in names:
        median, high = reference.quantiles[name][[50, 84]]
        rows.append((terms[name] - median) / max(high - median, 1e-9))
    return np.nan_to_num(np.stack(rows))


def _tail(reference: Reference, terms: Terms, names: tuple[str, ...] = ANOMALY_TERMS) -> np.ndarray:
    """Return -log of the share of validation rows above each term, at least 0.005: `(k, n)`."""
    percentiles = np.stack([reference.percentiles(name, terms[name]) for name in names])
    return -np.log(1.005 - np.nan_to_num(percentiles, nan=50.0) / 100)


# `neighbour_distance_and_entropy` is that of `Reference.anomaly_score`.
COMBINATIONS: dict[str, Callable[[Reference, Terms], np.ndarray]] = {
    **{name: lambda _, terms, name=name: np.nan_to_num(terms[name]) for name in ANOMALY_TERMS},
    "mean": lambda reference, terms: _scaled(reference, terms).mean(axis=0),
    "max": lambda reference, terms: _scaled(reference, terms).max(axis=0),
    "mean_of_logarithms": lambda reference, terms: np.log1p(
        np.clip(_scaled(reference, terms), 0, None)
    ).mean(axis=0),
    "tail_probabilities": lambda reference, terms: _tail(reference, terms).sum(axis=0),
    "neighbour_distance_and_entropy": lambda reference, terms: _scaled(
        reference, terms, (NEIGHBOUR_DISTANCE, CLASS_ENTROPY)
    ).mean(axis=0),
    "neighbour_distance_and_entropy_max": lambda reference, terms: _scaled(
        reference, terms, (NEIGHBOUR_DISTANCE, CLASS_ENTROPY)
    ).max(axis=0),
    "neighbour_distance_and_entropy_tails": lambda reference, terms: _tail(
        reference, terms, (NEIGHBOUR_DISTANCE, CLASS_ENTROPY)
    ).sum(axis=0),
    "neighbour_distance_and_error": lambda reference, terms: _scaled(
        reference, terms, (NEIGHBOUR_DISTANCE, RECONSTRUCTION_ERROR)
    ).mean(axis=0),
}


if __name__ == "__main__":
    main()
