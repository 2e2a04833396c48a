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

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from sklearn.model_selection import StratifiedGroupKFold
from tqdm import tqdm

from benchmarks.alert_scores import SHOWN_METRICS, format_cell, score_predictions
from benchmarks.halves import Part
from benchmarks.label_methods import (
    AS_IT_IS,
    PROBE,
    Predicted,
    Recipes,
    Rows,
    draw,
    head_logits,
    predict,
    read_rows,
)
from benchmarks.measuring import RESULTS, save
from ztfrep.data.alert_schema import CLASSES
from ztfrep.data.alert_table import AlertTable
from ztfrep.data.files import replacing
from ztfrep.encoders.devices import make_deterministic
from ztfrep.encoders.encoder import load
from ztfrep.models.alert.base import AlertNetwork
from ztfrep.params import read_params

RESULT = "label_curve"
_ROOT = Path(__file__).parents[1]
_FOLDS = 5
# Ten of each class are few for a network of 768,158 parameters.
_LEAST_FROM_NOTHING = 30


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
    rows = {half: read_rows(encoder.network, table, half) for half in ("A", "B")}
    scored = rows[part]
    counts = [None if text == "all" else int(text) for text in labels.split(",")]
    as_it_is = head_logits(encoder.network, scored.vectors).argmax(1)[None]
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
        parts = predict(network, a, drawn, scored, test, seed, recipes, from_nothing=from_nothing)
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


if __name__ == "__main__":
    typer.run(main)
