"""What each part of the default autoencoder earns: the same rows, trained or computed without it.

python -m benchmarks.ablation --scale 0.03 --seeds 3    # some 15 minutes of one core

A sample of the simulation is converted once. The autoencoder is trained by its parameters, and
without each part that a parameter switches off, for several seeds. What needs no other training is
computed of the whole network: vectors that are not mixed, or of one orientation. Probes of the
train rows' vectors are scored on the validation rows. Each cell is written to the folder of
`--scratch` when it is done, so that an interrupted run goes on with the next. Differences are the
whole network minus the variant, with the interval of resampled rows and the span of the seeds.
"""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from tqdm import tqdm

from benchmarks.measuring import RESULTS, save
from ztfrep.data.alert_schema import CLASSES
from ztfrep.data.alert_table import AlertTable
from ztfrep.data.files import replacing, write_json
from ztfrep.data.splits import Splitting
from ztfrep.data.stamps import CONTEXT_CHANNELS
from ztfrep.encoders.alert_batches import concatenate, encode, input_batches
from ztfrep.encoders.model_folder import load_alert_network
from ztfrep.evaluation.bootstrap import Bootstrap, with_interval
from ztfrep.evaluation.classifier_scores import resampled_confusions
from ztfrep.evaluation.metrics import METRICS, confusion
from ztfrep.evaluation.probes import fit_probe
from ztfrep.models.alert.base import AlertInput, AlertNetwork
from ztfrep.params import Params, read_params
from ztfrep.sources import get_source
from ztfrep.sources.base import TablePaths
from ztfrep.sources.conversion import convert
from ztfrep.training.alert_training import train_autoencoder
from ztfrep.training.sampling import sample_fraction
from ztfrep.training.training_run import RunSettings

FULL = "whole network"
# Below 1, which a probability of dropout may not be.
_ALWAYS = 0.999999
TRAINED: dict[str, dict[str, float]] = {
    FULL: {},
    "no morphology targets": {"morphology_weight": 0.0},
    "no contrastive term": {"contrastive_weight": 0.0},
    "no context view": {"drop_context": _ALWAYS},
    "no modality dropout": {"drop_stamps": 0.0, "drop_context": 0.0, "drop_features": 0.0},
}
# Computed of the whole network, without training.
COMPUTED = ("one orientation", "stamps as they are", "not mixed")
SCORES = ("linear probe", "linear probe, 1 % of labels", "kNN", "stamps alone")
_METRIC = "balanced_accuracy"
_BATCH = 128
_ROOT = Path(__file__).parents[1]

# By score: the predicted classes of the validation rows.
Predicted = dict[str, list[int]]


def main(
    scale: Annotated[float, typer.Option(help="Scale of the simulated sample.")] = 0.03,
    seeds: Annotated[int, typer.Option(help="Trainings of each variant.")] = 3,
    scratch: Annotated[Path, typer.Option(help="Folder of finished cells.")] = Path(
        ".cache/ablation"
    ),
    name: Annotated[str, typer.Option(help="Of the files in benchmarks/results.")] = "ablation",
) -> None:
    """Train and score every cell that is not done, then write the table."""
    params = read_params(_ROOT / "params.yaml")
    folder = scratch / _digest(params, scale)
    table = _sample(params, scale, folder)
    cells: dict[str, list[Predicted]] = {}
    for seed in tqdm(range(seeds), desc="seeds"):
        for variant, changes in tqdm(TRAINED.items(), desc="variants", leave=False):
            for part, predicted in _cell(params, table, folder, variant, changes, seed).items():
                cells.setdefault(part, []).append(predicted)
    labels = _labels(table, "validation")
    scores = score_cells(cells, labels)
    command = f"python -m benchmarks.ablation --scale {scale:g} --seeds {seeds}"
    save(
        name,
        {
            "command": command,
            "validation rows": len(labels),
            "changes": TRAINED,
            "scores": scores,
        },
        shown=("command",),
    )
    text = f"`{command}`: {len(labels)} validation rows, balanced accuracy\n\n{as_table(scores)}\n"
    with replacing(RESULTS / f"{name}.md") as temporary:
        temporary.write_text(text, encoding="utf-8")
    typer.echo(text)


def score_cells(cells: dict[str, list[Predicted]], labels: np.ndarray) -> dict[str, Any]:
    """Return the balanced accuracy of each variant and score, and the differences of the whole.

    `cells` are predictions of the rows of `labels` int `(n,)`, by variant and seed; `FULL` is one
    of the variants. Rows are resampled within each class, the same for all.
    """
    bootstrap = Bootstrap.within_classes(labels, seed=0)
    compute = METRICS[_METRIC]
    result: dict[str, Any] = {}
    for score in SCORES:
        values, samples = {}, {}
        for variant, of_seeds in cells.items():
            predicted = np.array([of_seed[score] for of_seed in of_seeds])
            matrices = np.stack([confusion(labels, p, len(CLASSES)) for p in predicted])
            values[variant] = compute(matrices)
            drawn = resampled_confusions(labels, predicted, len(CLASSES), bootstrap)
            samples[variant] = compute(drawn).mean(axis=1)
        for variant in cells:
            lead = values[FULL] - values[variant]
            interval = with_interval(
                "difference", float(lead.mean()), samples[FULL] - samples[variant]
            )
            result.setdefault(variant, {})[score] = {
                "mean": round(float(values[variant].mean()), 4),
                "of_seeds": values[variant].round(4).tolist(),
                "difference": [round(value, 4) for value in interval.values()],
                "span_of_seeds": [round(float(lead.min()), 4), round(float(lead.max()), 4)],
            }
    return result


def as_table(scores: dict[str, Any]) -> str:
    """Return the scores as a Markdown table: value, difference, interval, span of the seeds."""
    lines = [f"| variant | {' | '.join(SCORES)} |", "|---" * (len(SCORES) + 1) + "|"]
    for variant, by_score in scores.items():
        cells = []
        for score in SCORES:
            part = by_score[score]
            difference, low, high = part["difference"]
            text = f"{part['mean']:.3f}"
            if variant != FULL:
                span = "{:+.3f} .. {:+.3f}".format(*part["span_of_seeds"])
                text += f"; {difference:+.3f} ({low:+.3f} - {high:+.3f}), seeds {span}"
            cells.append(text)
        lines.append(f"| {variant} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _digest(params: Params, scale: float) -> str:
    """Return a name for the cells of these parameters and this code."""
    digest = hashlib.sha256(f"{scale} {params.autoencoder.config!r}".encode())
    for path in sorted((_ROOT / "ztfrep").rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _sample(params: Params, scale: float, folder: Path) -> Path:
    """Return the stamps table of the sample, which is simulated once."""
    tables = TablePaths(folder / "stamps.parquet", folder / "series.parquet", folder / "bad.csv")
    if not (tables.stamps.is_file() and tables.series.is_file()):
        config = params.sources.sample.model_copy(update={"scale": scale})
        files = get_source("sample").fetch(config, folder / "raw", folder / "cache")
        splitting = Splitting(**params.convert.model_dump())
        convert({**files, "source": "sample"}, config, tables, splitting=splitting, threads=1)
        shutil.rmtree(folder / "raw")
    return tables.stamps


def _labels(table: Path, split: str) -> np.ndarray:
    identity = AlertTable(table).identity()
    return identity["label"].to_numpy()[(identity["split"] == split).to_numpy()]


def _cell(
    params: Params, table: Path, folder: Path, variant: str, changes: dict[str, float], seed: int
) -> dict[str, Predicted]:
    """Return the predictions of a variant, and for the whole network those of `COMPUTED`."""
    path = folder / f"{variant.replace(' ', '-')}-{seed}.json"
    if not path.is_file():
        config = params.autoencoder.config.model_copy(update=changes)
        settings = RunSettings(
            epochs=params.epochs("autoencoder"),
            seed=seed,
            threads=1,
            precision="float32",
            start_weights=None,
            checkpoints=folder / "checkpoints",
        )
        model = folder / "model"
        train_autoencoder(
            table,
            params.autoencoder.architecture,
            config,
            settings,
            model=model,
            metrics=folder / "metrics",
        )
        network, _ = load_alert_network(model)
        context = variant != "no context view"
        predicted = {variant: _predict(network, table, params, seed, context=context)}
        if variant == FULL:
            predicted |= _predict_computed(network, table, params, seed)
        write_json(path, predicted)
    content: dict[str, Predicted] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _predict_computed(network: Any, table: Path, params: Params, seed: int) -> dict[str, Predicted]:
    """Return the predictions of vectors that are computed without one of the parts."""
    unmixed = _predict(
        network, table, params, seed, change=lambda vectors: vectors @ network.mixing.numpy().T
    )
    # The encoder reads the canonical orientations of a batch, then their opposites.
    hook = network.stamp_encoder.register_forward_hook(
        lambda module, images, output: output[: len(output) // 2].repeat(2, 1)
    )
    one = _predict(network, table, params, seed)
    network.orientation = lambda alerts: alerts.features.new_zeros(
        len(alerts.features), dtype=torch.int64
    )
    as_they_are = _predict(network, table, params, seed)
    hook.remove()
    del network.orientation
    return dict(zip(COMPUTED, (one, as_they_are, unmixed), strict=True))


def _predict(
    network: AlertNetwork,
    table: Path,
    params: Params,
    seed: int,
    *,
    context: bool = True,
    change: Callable[[np.ndarray], np.ndarray] = lambda vectors: vectors,
) -> Predicted:
    """Return the classes of validation rows that probes of the train rows' vectors predict."""
    alerts = AlertTable(table)
    split = alerts.identity()["split"].to_numpy()
    labels = alerts.identity()["label"].to_numpy().astype(np.int64)
    inputs = concatenate(input_batches(network, alerts, _BATCH))
    if not context:
        inputs = _without_context(inputs)
    stamps_alone = inputs._replace(feature_mask=torch.zeros_like(inputs.feature_mask))
    train, validation = split == "train", split == "validation"
    protocol = params.evaluate
    sampled = np.flatnonzero(train)[sample_fraction(labels[train], 0.01, seed)]
    vectors = change(_encode(network, inputs))
    masked = change(_encode(network, stamps_alone))
    tasks = {
        "linear probe": ("linear_probe", vectors, np.flatnonzero(train)),
        "linear probe, 1 % of labels": ("linear_probe", vectors, sampled),
        "kNN": ("knn", vectors, np.flatnonzero(train)),
        "stamps alone": ("linear_probe", masked, np.flatnonzero(train)),
    }
    predicted: Predicted = {}
    for score, (kind, values, rows) in tasks.items():
        probe = fit_probe(
            kind,
            values[rows],
            labels[rows],
            seed=seed,
            linear_c=protocol.linear_c,
            neighbours=protocol.knn_neighbours,
        )
        predicted[score] = probe.predict(values[validation]).tolist()
    return predicted


def _without_context(inputs: AlertInput) -> AlertInput:
    """Return alerts without the context of their stamps, as in training."""
    images = inputs.crop_and_context.clone()
    images[:, CONTEXT_CHANNELS] = 0
    images[:, -1] = 0
    return inputs._replace(crop_and_context=images)


def _encode(network: AlertNetwork, inputs: AlertInput) -> np.ndarray:
    rows = range(0, len(inputs.pixels), _BATCH)
    batches = (inputs.rows(slice(start, start + _BATCH)) for start in rows)
    return np.concatenate([encode(network, batch, "float32") for batch in batches]).astype(float)


if __name__ == "__main__":
    typer.run(main)
