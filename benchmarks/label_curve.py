"""Learning curve of real labels: the released encoder frozen, tuned, training from nothing, forest.

python -m benchmarks.label_curve --stamps STAMPS.parquet --series SERIES.parquet --part A
python -m benchmarks.label_curve --stamps STAMPS.parquet --series SERIES.parquet --part B

For choices on half A, every row is predicted in five folds by object, by classifiers that are
fitted to labels drawn from the other folds. For the claim on half B (see `benchmarks.halves`),
they are fitted to draws from half A. A draw has one alert of each of n objects of each class,
or as many as there are; "all" are all alerts. The frozen encoder is measured by its head as it is,
by the head fitted to the draw, and by a linear probe of its vectors; a network that is tuned or
trained from nothing by its head and by a probe of its vectors for the draw. Trainings have no
validation rows, so all of their epochs are run. Scores are means over the seeds; intervals, of
paired differences too, are of resampled objects.
"""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import pandas as pd
import torch
import typer
from sklearn.model_selection import StratifiedGroupKFold
from tqdm import tqdm

from benchmarks.alert_scores import (
    SHOWN_METRICS,
    forest,
    forest_features,
    format_cell,
    linear_probe,
    score_predictions,
)
from benchmarks.halves import Part, rows_of
from benchmarks.measuring import RESULTS, save
from ztfrep.data.alert_schema import CLASSES
from ztfrep.data.alert_table import AlertTable
from ztfrep.data.files import replacing
from ztfrep.encoders.alert_batches import concatenate, encode, input_batches
from ztfrep.encoders.devices import make_deterministic
from ztfrep.encoders.encoder import load
from ztfrep.models.alert.base import AlertInput, AlertNetwork
from ztfrep.models.alert.preprocessing import FeatureScaling
from ztfrep.params import read_params
from ztfrep.training.alert_training import alert_loss, epoch_rows, make_dataset
from ztfrep.training.fit import fit
from ztfrep.training.head_fit import fit_head

RESULT = "label_curve"
AS_IT_IS = "released, head as it is"
PROBE = "released, frozen: probe"
HEAD = "released, frozen: head"
TUNED, TUNED_HEAD = "released, tuned: probe", "released, tuned: head"
SCRATCH, SCRATCH_HEAD = "from nothing: probe", "from nothing: head"
FOREST = "forest on the metadata"
_ROOT = Path(__file__).parents[1]
_FOLDS = 5
_BATCH = 128
_VALIDATION_ROWS = 32
# A network that is trained from nothing on fewer labels predicts little more than chance.
_LEAST_FROM_NOTHING = 30

Predicted = dict[str, np.ndarray]


class Rows(NamedTuple):
    """Labelled alerts: labels, objects, raw rows of the table, and what the methods read."""

    labels: np.ndarray
    objects: np.ndarray
    inputs: AlertInput
    vectors: torch.Tensor
    features: np.ndarray


class Recipes(NamedTuple):
    """How networks are trained: parameters, epochs and rate if tuned, epochs from nothing."""

    config: Any
    c: float
    tuned_epochs: int
    tuned_rate: float
    scratch_epochs: int


def main(
    stamps: Annotated[Path, typer.Option(help="The stamps table of the real alerts.")],
    series: Annotated[Path, typer.Option(help="Their series table.")],
    part: Annotated[str, typer.Option(help="A: choices; B: the claim.")] = "A",
    model: Annotated[Path | None, typer.Option(help="Another model than the released one.")] = None,
    seeds: Annotated[int, typer.Option(help="Draws, each with its own trainings.")] = 2,
    labels: Annotated[str, typer.Option(help="Labels of each class, by comma.")] = "10,30,100,all",
    epochs: Annotated[int | None, typer.Option(help="Of tuning; default: params.yaml.")] = None,
    rate: Annotated[float | None, typer.Option(help="Of tuning; default: params.yaml.")] = None,
    from_nothing: Annotated[int, typer.Option(help="Epochs from nothing; 0: not trained.")] = 40,
    name: Annotated[str | None, typer.Option(help="Of the files in benchmarks/results.")] = None,
) -> None:
    """Predict one half for every number of labels, and write scores and a table."""
    if part not in ("A", "B"):
        raise typer.BadParameter("one of A, B")
    make_deterministic(1)
    params, encoder = read_params(_ROOT / "params.yaml"), load(model, device="cpu")
    table = AlertTable(stamps, series=series)
    released = params.autoencoder.released
    recipes = Recipes(
        encoder.network.config,
        released.head_c,
        released.epochs if epochs is None else epochs,
        released.learning_rate if rate is None else rate,
        from_nothing,
    )
    rows = {half: _read(encoder.network, table, half) for half in ("A", "B")}
    scored = rows[part]
    counts = [None if text == "all" else int(text) for text in labels.split(",")]
    as_it_is = _logits(encoder.network, scored.vectors).argmax(1)[None]
    curve: dict[str, Any] = {
        "0": score_predictions({AS_IT_IS: as_it_is}, scored.labels, scored.objects)
    }
    for count in counts:
        of_seeds = [
            _predict_part(encoder.network, rows, part, count, seed, recipes)
            for seed in tqdm(range(seeds), desc=f"{count or 'all'} labels")
        ]
        predicted = {method: np.stack([p[method] for p in of_seeds]) for method in of_seeds[0]}
        curve[str(count or "all")] = score_predictions(predicted, scored.labels, scored.objects)
    result = {
        "model": encoder.checksum,
        "part": part,
        "rows": len(scored.labels),
        "objects": len(set(scored.objects)),
        "objects of each class": {
            kind: len(set(scored.objects[scored.labels == index]))
            for index, kind in enumerate(CLASSES)
        },
        "seeds": seeds,
        "tuned": {"epochs": recipes.tuned_epochs, "rate": recipes.tuned_rate},
        "from nothing": {"epochs": from_nothing},
        "curve": curve,
    }
    name = name or f"{RESULT}_{part}"
    save(name, result, shown=("part", "rows"))
    text = as_table(result)
    with replacing(RESULTS / f"{name}.md") as temporary:
        temporary.write_text(text, encoding="utf-8")
    typer.echo(text)


def as_table(result: dict[str, Any]) -> str:
    """Return a curve as Markdown: one line per number of labels and method."""
    lines = [
        f"Half {result['part']}: {result['rows']} real alerts of {result['objects']} objects, weak "
        f"labels; {result['seeds']} draws\n",
        f"| labels of each class | method | balanced accuracy | macro-F1 | {PROBE} minus it |",
        "|---|---|---|---|---|",
    ]
    for count, scores in result["curve"].items():
        for method, values in scores.items():
            difference = values[SHOWN_METRICS[0]].get(f"{PROBE} minus {method}")
            cells = [format_cell(values[metric]) for metric in SHOWN_METRICS]
            cells.append(format_cell(difference) if difference else "")
            lines.append(f"| {count} | {method} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def draw(labels: np.ndarray, objects: np.ndarray, count: int | None, seed: int) -> np.ndarray:
    """Return rows, int `(m,)`: one of each of `count` objects of each class; with None all rows.

    A class of fewer objects has all of them.
    """
    if count is None:
        return np.arange(len(labels))
    generator, drawn = np.random.default_rng(seed), []
    for label in np.unique(labels):
        rows = generator.permutation(np.flatnonzero(labels == label))
        _, first = np.unique(objects[rows], return_index=True)
        drawn.append(rows[np.sort(first)[:count]])
    return np.sort(np.concatenate(drawn))


def _read(network: AlertNetwork, table: AlertTable, part: Part) -> Rows:
    index = table.index()
    labels, objects = index["label"].to_numpy().astype(np.int64), index["object_id"].to_numpy(str)
    rows = rows_of(part, objects, labels)
    inputs = concatenate(input_batches(network, table, _BATCH)).rows(rows)
    features = forest_features(table)[rows]
    return Rows(labels[rows], objects[rows], inputs, _vectors(network, inputs), features)


def _predict_part(
    network: AlertNetwork,
    rows: dict[Part, Rows],
    part: Part,
    count: int | None,
    seed: int,
    recipes: Recipes,
) -> Predicted:
    """Return the classes of the rows of a half by method."""
    a, scored = rows["A"], rows[part]
    predicted: Predicted = {}
    for train, test in _splits(a, part, scored, seed):
        drawn = train[draw(a.labels[train], a.objects[train], count, seed)]
        from_nothing = count is None or count >= _LEAST_FROM_NOTHING
        parts = _predict(network, a, drawn, scored, test, seed, recipes, from_nothing=from_nothing)
        for method, classes in parts.items():
            predicted.setdefault(method, np.empty(len(scored.labels), np.int64))[test] = classes
    return predicted


def _splits(
    a: Rows, part: Part, scored: Rows, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield rows of A to draw from and rows of the scored half: folds of A, or A and all of B."""
    if part == "B":
        yield np.arange(len(a.labels)), np.arange(len(scored.labels))
    else:
        folds = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=seed)
        yield from folds.split(a.vectors, a.labels, a.objects)


def _predict(
    network: AlertNetwork,
    a: Rows,
    drawn: np.ndarray,
    scored: Rows,
    test: np.ndarray,
    seed: int,
    recipes: Recipes,
    *,
    from_nothing: bool,
) -> Predicted:
    """Return the classes of test rows by method, each fitted to the drawn rows of half A."""
    labels = torch.from_numpy(a.labels[drawn])
    train, tested = a.inputs.rows(drawn), scored.inputs.rows(test)

    def by(trained: AlertNetwork, probe: str, head: str) -> Predicted:
        fitted, vectors = _vectors(trained, train), _vectors(trained, tested)
        model = linear_probe().fit(fitted.double().numpy(), a.labels[drawn])
        return {
            probe: model.predict(vectors.double().numpy()),
            head: _logits(trained, vectors).argmax(1),
        }

    frozen = copy.deepcopy(network)
    fit_head(frozen, a.vectors[drawn], labels, recipes.c)
    predicted = by(frozen, PROBE, HEAD)
    predicted[FOREST] = (
        forest(seed).fit(a.features[drawn], a.labels[drawn]).predict(scored.features[test])
    )
    if recipes.tuned_epochs:
        # The head is fitted first: otherwise its first steps change vectors that are good.
        tuned = copy.deepcopy(frozen)
        config = recipes.config.model_copy(update={"learning_rate": recipes.tuned_rate})
        _train(tuned, train, labels, config, recipes.tuned_epochs, seed)
        predicted |= by(tuned, TUNED, TUNED_HEAD)
    if recipes.scratch_epochs and from_nothing:
        torch.manual_seed(seed)
        new: Any = type(network)
        scaling: FeatureScaling = network.preprocessing.feature_scaling
        scratch = new(recipes.config, classes=len(CLASSES), feature_scaling=scaling)
        scratch.fit_statistics(train)
        _train(scratch, train, labels, recipes.config, recipes.scratch_epochs, seed)
        predicted |= by(scratch, SCRATCH, SCRATCH_HEAD)
    return predicted


def _train(
    network: AlertNetwork,
    train: AlertInput,
    labels: torch.Tensor,
    config: Any,
    epochs: int,
    seed: int,
) -> None:
    """Train a network on alerts, and load the weights of the last epoch."""
    data = make_dataset(network, train, labels)
    last: dict[str, torch.Tensor] = {}

    def keep(record: dict[str, float]) -> None:
        if record["epoch"] == epochs:
            last.update({name: part.clone() for name, part in network.state_dict().items()})

    fit(
        network,
        data,
        epoch_rows(pd.DataFrame({"n_copies": 1, "label": labels.numpy()}), config.sampling),
        # Stopping is not wanted, so few rows are enough.
        tuple(part[:_VALIDATION_ROWS] for part in data),
        alert_loss,
        config.model_copy(update={"patience": epochs}),
        epochs=epochs,
        seed=seed,
        precision="float32",
        on_epoch=keep,
    )
    network.load_state_dict(last)


def _vectors(network: AlertNetwork, inputs: AlertInput) -> torch.Tensor:
    starts = range(0, len(inputs.pixels), _BATCH)
    batches = (inputs.rows(slice(start, start + _BATCH)) for start in starts)
    return torch.from_numpy(np.concatenate([encode(network, b, "float32") for b in batches]))


def _logits(network: AlertNetwork, vectors: torch.Tensor) -> np.ndarray:
    with torch.inference_mode():
        logits: np.ndarray = network.eval().classify(vectors).numpy()
    return logits


if __name__ == "__main__":
    typer.run(main)
