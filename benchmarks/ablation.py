"""What each part of the default autoencoder earns: the same rows, trained or computed without it.

python -m benchmarks.ablation --scale 0.03 --seeds 3 [--real STAMPS.parquet]    # 10 minutes

A sample of the simulation is converted once. The autoencoder is trained by its parameters, and
without each part that a parameter switches off, for several seeds. What needs no other training is
computed of the whole network: vectors that are not mixed, or of one orientation. Probes of the
train rows' vectors, and the classifier head, are scored on the validation rows. With `--real`, the
table of real alerts, so are the head, and a probe in folds by object, on half A of the labelled
ones (see `benchmarks.halves`). Each cell is written to the folder of
`--scratch` when it is done, so that an interrupted run goes on with the next. Differences are the
whole network minus the variant, with the interval of resampled rows and the span of the seeds.
"""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from tqdm import tqdm

from benchmarks.ablation_scores import FULL, Predicted, as_table, score_cells
from benchmarks.alert_scores import linear_probe, predict_in_folds
from benchmarks.halves import rows_of
from benchmarks.measuring import RESULTS, save
from ztfrep.data.alert_table import AlertTable
from ztfrep.data.files import replacing, write_json
from ztfrep.data.splits import Splitting
from ztfrep.data.stamps import CONTEXT_CHANNELS
from ztfrep.encoders.alert_batches import concatenate, encode, input_batches
from ztfrep.encoders.model_folder import load_alert_network
from ztfrep.evaluation.probes import fit_probe
from ztfrep.models.alert.base import AlertInput, AlertNetwork
from ztfrep.params import Params, read_params
from ztfrep.sources import get_source
from ztfrep.sources.base import TablePaths
from ztfrep.sources.conversion import convert
from ztfrep.training.alert_training import train_autoencoder
from ztfrep.training.sampling import sample_fraction
from ztfrep.training.training_run import RunSettings

# Below 1, which a probability of dropout may not be.
_ALWAYS = 0.999999
_NO_CONTEXT = "no context view"
TRAINED: dict[str, dict[str, float]] = {
    FULL: {},
    "no morphology targets": {"morphology_weight": 0.0},
    "no contrastive term": {"contrastive_weight": 0.0},
    _NO_CONTEXT: {"drop_context": _ALWAYS},
    "no metadata targets": {"feature_weight": 0.0},
    "no modality dropout": {"drop_stamps": 0.0, "drop_context": 0.0, "drop_features": 0.0},
}
# Computed of the whole network, without training.
COMPUTED = ("one orientation", "stamps as they are", "not mixed")
SCORES = (
    "linear probe",
    "linear probe, 1 % of labels",
    "kNN",
    "head",
    "linear probe, stamps alone",
    "head, stamps alone",
)
REAL_SCORES = ("real, linear probe", "real, head", "real, linear probe, stamps alone")
_BATCH = 128
_ROOT = Path(__file__).parents[1]


def main(
    scale: Annotated[float, typer.Option(help="Scale of the simulated sample.")] = 0.03,
    seeds: Annotated[int, typer.Option(help="Trainings of each variant.")] = 3,
    real: Annotated[Path | None, typer.Option(help="Stamps table of real alerts.")] = None,
    scratch: Annotated[Path, typer.Option(help="Folder of finished cells.")] = Path(
        ".cache/ablation"
    ),
    name: Annotated[str, typer.Option(help="Of the files in benchmarks/results.")] = "ablation",
) -> None:
    """Train and score every cell that is not done, then write the table."""
    params = read_params(_ROOT / "params.yaml")
    folder = scratch / _digest(params, scale, real)
    data = Data(_sample(params, scale, folder), real, params)
    cells: dict[str, list[Predicted]] = {}
    for seed in tqdm(range(seeds), desc="seeds"):
        for variant, changes in tqdm(TRAINED.items(), desc="variants", leave=False):
            for part, predicted in _cell(data, folder, variant, changes, seed).items():
                cells.setdefault(part, []).append(predicted)
    scores = score_cells(cells, data.scored_rows())
    command = f"python -m benchmarks.ablation --scale {scale:g} --seeds {seeds}"
    command += " --real STAMPS.parquet" if real else ""
    save(
        name,
        {
            "command": command,
            "rows": {name: len(labels) for name, (labels, _) in data.scored_rows().items()},
            "changes": TRAINED,
            "scores": scores,
        },
        shown=("command",),
    )
    text = f"`{command}`: balanced accuracy\n\n{as_table(scores)}\n"
    with replacing(RESULTS / f"{name}.md") as temporary:
        temporary.write_text(text, encoding="utf-8")
    typer.echo(text)


class Data:
    """The stamps tables of a sample and, if there are any, of real alerts."""

    def __init__(self, sample: Path, real: Path | None, params: Params) -> None:
        self.sample, self.params = AlertTable(sample), params
        self.real = None if real is None else AlertTable(real)
        identity = self.sample.identity()
        self.split = identity["split"].to_numpy()
        self.labels = identity["label"].to_numpy().astype(np.int64)
        if self.real is not None:
            index = self.real.index()
            labels, objects = index["label"].to_numpy(), index["object_id"].to_numpy(dtype=str)
            self.real_rows = rows_of("A", objects, labels)
            self.real_labels = labels[self.real_rows].astype(np.int64)
            self.real_objects = objects[self.real_rows]

    def scored_rows(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Return labels and objects of the rows of each score."""
        labels = self.labels[self.split == "validation"]
        rows = dict.fromkeys(SCORES, (labels, np.arange(len(labels))))
        if self.real is not None:
            rows |= dict.fromkeys(REAL_SCORES, (self.real_labels, self.real_objects))
        return rows


def _digest(params: Params, scale: float, real: Path | None) -> str:
    """Return a name for the cells of these parameters and this code."""
    digest = hashlib.sha256(f"{scale} {real} {params.autoencoder.config!r}".encode())
    for path in [*sorted((_ROOT / "ztfrep").rglob("*.py")), Path(__file__)]:
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


def _cell(
    data: Data, folder: Path, variant: str, changes: dict[str, float], seed: int
) -> dict[str, Predicted]:
    """Return the predictions of a variant, and for the whole network those of `COMPUTED`."""
    path = folder / f"{variant.replace(' ', '-')}-{seed}.json"
    if not path.is_file():
        autoencoder, model = data.params.autoencoder, folder / "model"
        settings = RunSettings(
            epochs=data.params.epochs("autoencoder"),
            seed=seed,
            threads=1,
            precision="float32",
            start_weights=None,
            checkpoints=folder / "checkpoints",
        )
        train_autoencoder(
            data.sample.path,
            autoencoder.architecture,
            autoencoder.config.model_copy(update=changes),
            settings,
            model=model,
            metrics=folder / "metrics",
        )
        network, _ = load_alert_network(model)
        predicted = {variant: _predict(network, data, seed, context=variant != _NO_CONTEXT)}
        if variant == FULL:
            predicted |= _predict_computed(network, data, seed)
        write_json(path, predicted)
    content: dict[str, Predicted] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _predict_computed(network: Any, data: Data, seed: int) -> dict[str, Predicted]:
    """Return the predictions of vectors that are computed without one of the parts."""
    unmixed = _predict(network, data, seed, matrix=network.mixing.numpy().T)
    # The encoder reads the canonical orientations of a batch, then their opposites.
    hook = network.stamp_encoder.register_forward_hook(
        lambda module, images, output: output[: len(output) // 2].repeat(2, 1)
    )
    one = _predict(network, data, seed)
    network.orientation = lambda alerts: alerts.features.new_zeros(
        len(alerts.features), dtype=torch.int64
    )
    as_they_are = _predict(network, data, seed)
    hook.remove()
    del network.orientation
    return dict(zip(COMPUTED, (one, as_they_are, unmixed), strict=True))


def _predict(
    network: AlertNetwork,
    data: Data,
    seed: int,
    *,
    context: bool = True,
    matrix: np.ndarray | None = None,
) -> Predicted:
    """Return the predicted classes by score, of vectors that a matrix multiplies for the probes."""
    protocol, labels = data.params.evaluate, data.labels
    vectors, heads = _encode(network, data.sample, slice(None), context, matrix)
    train, validation = (np.flatnonzero(data.split == part) for part in ("train", "validation"))
    sampled = train[sample_fraction(labels[train], 0.01, seed)]

    def probe(kind: str, values: np.ndarray, rows: np.ndarray) -> list[int]:
        classifier = fit_probe(
            kind,
            values[rows],
            labels[rows],
            seed=seed,
            linear_c=protocol.linear_c,
            neighbours=protocol.knn_neighbours,
        )
        classes: list[int] = classifier.predict(values[validation]).tolist()
        return classes

    whole, stamps_alone = vectors
    predicted = {
        SCORES[0]: probe("linear_probe", whole, train),
        SCORES[1]: probe("linear_probe", whole, sampled),
        SCORES[2]: probe("knn", whole, train),
        SCORES[3]: heads[0][validation].tolist(),
        SCORES[4]: probe("linear_probe", stamps_alone, train),
        SCORES[5]: heads[1][validation].tolist(),
    }
    if data.real is not None:
        vectors, heads = _encode(network, data.real, data.real_rows, context, matrix)
        in_folds = [
            predict_in_folds(part, linear_probe(), data.real_labels, data.real_objects, seed)
            for part in vectors
        ]
        real = (in_folds[0], heads[0], in_folds[1])
        predicted |= {name: c.tolist() for name, c in zip(REAL_SCORES, real, strict=True)}
    return predicted


def _encode(
    network: AlertNetwork,
    table: AlertTable,
    rows: np.ndarray | slice,
    context: bool,
    matrix: np.ndarray | None,
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return vectors and the head's classes of rows, with all that is known and of stamps alone."""
    inputs = concatenate(input_batches(network, table, _BATCH)).rows(rows)
    if not context:
        inputs = _without_context(inputs)
    stamps_alone = inputs._replace(feature_mask=torch.zeros_like(inputs.feature_mask))
    vectors, heads = [], []
    for part in (inputs, stamps_alone):
        starts = range(0, len(part.pixels), _BATCH)
        batches = (part.rows(slice(start, start + _BATCH)) for start in starts)
        encoded = np.concatenate([encode(network, batch, "float32") for batch in batches])
        with torch.inference_mode():
            heads.append(network.classify(torch.from_numpy(encoded)).argmax(dim=1).numpy())
        vectors.append((encoded if matrix is None else encoded @ matrix).astype(float))
    return vectors, heads


def _without_context(inputs: AlertInput) -> AlertInput:
    """Return alerts without the context of their stamps, as in training."""
    images = inputs.crop_and_context.clone()
    images[:, CONTEXT_CHANNELS] = 0
    images[:, -1] = 0
    return inputs._replace(crop_and_context=images)


if __name__ == "__main__":
    typer.run(main)
