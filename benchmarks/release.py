"""The release of an encoder: models of this workspace become those that `ztfrep.load()` loads.

make release              # trains on the simulated survey at scale 1.0 first; an hour on two cores
python -m benchmarks.release autoencoder
python -m benchmarks.release recurrent --stamps STAMPS.parquet --series SERIES.parquet

Copies the folder of a network to ztfrep/released, and writes the figures of its run, from metrics/,
into the model card. The autoencoder is trained on source=sample. The recurrent network is trained
on source=survey, which has times and magnitudes, with the vectors of the released autoencoder. With
the tables of real alerts, the figures of benchmarks.released_encoder are written too.
"""

import json
import shutil
import subprocess
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.measuring import RESULTS
from benchmarks.released_encoder import RESULT
from ztfrep.data.files import replacing
from ztfrep.encoders.encoder import ALERT_FOLDER, OBJECT_FOLDER, RELEASED, load
from ztfrep.encoders.model_folder import load_alert_network, load_object_network
from ztfrep.params import read_params

CARD = "README.md"
_MARKS = "<!-- figures of {}: written by benchmarks.release -->", "<!-- figures of {}: end -->"
_REAL = "real alerts"
_HEAD = "| {} | balanced accuracy | macro-F1 |\n|---|---|---|"
_DISPLAYED = ("balanced_accuracy", "macro_f1")


class Network(StrEnum):
    """The network that is released."""

    autoencoder = ALERT_FOLDER
    recurrent = OBJECT_FOLDER


def main(
    network: Annotated[Network, typer.Argument(help="Which network of the run is released.")],
    models: Annotated[Path, typer.Option(help="The folder of the trained models.")] = Path(
        "data/models"
    ),
    metrics: Annotated[Path, typer.Option(help="Their metrics.")] = Path("metrics"),
    params: Annotated[Path, typer.Option(help="Their parameters.")] = Path("params.yaml"),
    stamps: Annotated[Path | None, typer.Option(help="Stamps table of real alerts.")] = None,
    series: Annotated[Path | None, typer.Option(help="Series table of real alerts.")] = None,
) -> None:
    """Copy a trained network into the package, and write the figures of the model card."""
    source, target = models / network, RELEASED / network
    # Refuses a broken model, before anything is replaced.
    (load_alert_network if network is Network.autoencoder else load_object_network)(source)
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for path in sorted(path for path in source.iterdir() if path.is_file()):
        shutil.copyfile(path, target / path.name)
    figures = [_describe_run(params, network), *_run_figures(metrics, network)]
    _write_card(network, figures)
    if stamps is not None and series is not None:
        arguments = ["--stamps", str(stamps), "--series", str(series)]
        subprocess.run(
            [sys.executable, "-m", "benchmarks.released_encoder", *arguments], check=True
        )
    if network is Network.recurrent:
        _write_card(_REAL, [_real_figures()])
    print(RELEASED / CARD)


def _write_card(name: str, figures: list[str]) -> None:
    """Replace what is between the marks of a name."""
    card = RELEASED / CARD
    start, end = (mark.format(name) for mark in _MARKS)
    before, _, rest = card.read_text(encoding="utf-8").partition(start)
    _, mark, after = rest.partition(end)
    if not mark:
        sys.exit(f"error: {card}: no marks of the figures; write {start} and {end}")
    text = "\n\n".join(figures)
    with replacing(card) as temporary:
        temporary.write_text(f"{before}{start}\n{text}\n{end}{after}", encoding="utf-8")


def _describe_run(params: Path, network: Network) -> str:
    run = read_params(params)
    scale = getattr(getattr(run.sources, run.source), "scale", None)
    table = run.autoencoder if network is Network.autoencoder else run.recurrent
    config: Any = table.config
    length = config.latent_dim if network is Network.autoencoder else config.hidden
    return (
        f"Trained by `make release`: source `{run.source}`"
        + (f" at scale {scale:g}" if scale is not None else "")
        + f", seed {run.seed}, at most {run.epochs(network.value)} epochs. Architecture "
        f"`{table.architecture}`, vectors of {length} numbers."
    )


def _run_figures(metrics: Path, network: Network) -> list[str]:
    """Return the scores on the test rows of the simulated survey as tables."""
    name, rows = ("stamps", "alerts") if network is Network.autoencoder else ("series", "objects")
    content = json.loads((metrics / f"{name}.json").read_text(encoding="utf-8"))
    lines = [_HEAD.format(f"{content[rows]:,} simulated test {rows}")]
    for method, scores in content.items():
        if isinstance(scores, dict) and "balanced_accuracy" in scores:
            lines.append(f"| {method.replace('_', ' ')} | {_cells(scores)} |")
    tables = ["\n".join(lines)]
    if "early_classification" in content:
        tables.append(_early_figures(content["early_classification"]))
    forecast = content.get("forecast_magnitude", {})
    if forecast:
        metric = "mean_absolute_error"
        lines = ["| forecast of the next magnitude | mean absolute error, mag |", "|---|---|"]
        for method, scores in forecast.items():
            if metric in scores:
                cell = _cell(scores[metric], scores[f"{metric}_low"], scores[f"{metric}_high"])
                lines.append(f"| {method.replace('_', ' ')} | {cell} |")
        tables.append("\n".join(lines))
    return tables


def _early_figures(early: dict[str, Any]) -> str:
    """Return the macro-F1 of each method by number of detections as a table."""
    methods = [name for name in next(iter(early.values())) if name != "paired_differences"]
    counts = [name.removeprefix("after_") for name in early]
    lines = [
        f"| macro-F1 after so many detections | {' | '.join(counts)} |",
        f"|---|{'---|' * len(counts)}",
    ]
    for method in methods:
        cells = [f"{scores[method]['macro_f1']:.3f}" for scores in early.values()]
        lines.append(f"| {method.replace('_', ' ')} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _real_figures() -> str:
    """Return the scores on real alerts as tables, if they were measured for this model."""
    content = json.loads((RESULTS / f"{RESULT}.json").read_text(encoding="utf-8"))
    if content["model"] != load().checksum:
        return "This model was not evaluated on real alerts: pass their tables to `make release`."
    head = f"| classifier head, as it is | {_cells(content['classifier_head'])} |"
    tables = []
    for name, title in (
        ("alerts", "real alerts, weak labels, five folds by object"),
        ("alerts_by_night", "the same, folds by night"),
        ("objects", "real objects, weak labels, five folds by object"),
    ):
        scores: dict[str, Any] = content[name]
        rows = f"{scores['rows']:,} " if "rows" in scores else ""
        lines = [_HEAD.format(rows + title)]
        for method, values in scores.items():
            if isinstance(values, dict):
                cells = [_cell(values[m]["mean"], *values[m]["interval"]) for m in _DISPLAYED]
                lines.append(f"| {method} | {' | '.join(cells)} |")
        tables.append("\n".join([*lines, head] if name == "alerts" else lines))
    return "\n\n".join(tables)


def _cells(scores: dict[str, float]) -> str:
    return " | ".join(_cell(scores[m], scores[f"{m}_low"], scores[f"{m}_high"]) for m in _DISPLAYED)


def _cell(value: float, low: float, high: float) -> str:
    return f"{value:.3f} ({low:.3f} - {high:.3f})"


if __name__ == "__main__":
    typer.run(main)
