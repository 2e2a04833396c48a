"""The release of an encoder: the models of this workspace become those that `ztfrep.load()` loads.

make release              # trains on the simulated survey at scale 1.0 first; an hour on two cores
python -m benchmarks.release --stamps STAMPS.parquet --series SERIES.parquet

Copies the two model folders to ztfrep/released, and writes the figures of the model card: those of
the run, from metrics/, and with the tables of real alerts those of benchmarks.released_encoder.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.measuring import RESULTS
from benchmarks.released_encoder import RESULT
from ztfrep.data.files import replacing
from ztfrep.encoders.encoder import ALERT_FOLDER, OBJECT_FOLDER, RELEASED, load
from ztfrep.params import read_params

CARD = "README.md"
_MARKS = "<!-- figures: written by benchmarks.release -->", "<!-- figures: end -->"
_HEAD = "| {} | balanced accuracy | macro-F1 |\n|---|---|---|"
_DISPLAYED = ("balanced_accuracy", "macro_f1")


def main(
    models: Annotated[Path, typer.Option(help="The folder of the trained models.")] = Path(
        "data/models"
    ),
    metrics: Annotated[Path, typer.Option(help="Their metrics.")] = Path("metrics"),
    params: Annotated[Path, typer.Option(help="Their parameters.")] = Path("params.yaml"),
    stamps: Annotated[Path | None, typer.Option(help="Stamps table of real alerts.")] = None,
    series: Annotated[Path | None, typer.Option(help="Series table of real alerts.")] = None,
) -> None:
    """Copy the trained models into the package, and write the figures of the model card."""
    load(models)  # Refuses broken models, before anything is replaced.
    for name in (ALERT_FOLDER, OBJECT_FOLDER):
        target = RELEASED / name
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for path in sorted((models / name).iterdir()):
            shutil.copyfile(path, target / path.name)
    if stamps is not None and series is not None:
        arguments = ["--stamps", str(stamps), "--series", str(series)]
        subprocess.run(
            [sys.executable, "-m", "benchmarks.released_encoder", *arguments], check=True
        )
    card = RELEASED / CARD
    text = card.read_text(encoding="utf-8")
    before, _, rest = text.partition(_MARKS[0])
    _, mark, after = rest.partition(_MARKS[1])
    if not mark:
        sys.exit(f"error: {card}: no marks of the figures; write {_MARKS[0]} and {_MARKS[1]}")
    figures = "\n\n".join([_describe_run(params), _run_figures(metrics), _real_figures()])
    with replacing(card) as temporary:
        temporary.write_text(f"{before}{_MARKS[0]}\n{figures}\n{mark}{after}", encoding="utf-8")
    print(card)


def _describe_run(params: Path) -> str:
    run = read_params(params)
    source = run.source
    scale = getattr(getattr(run.sources, source), "scale", None)
    epochs = [f"{name} {run.epochs(name)}" for name in ("autoencoder", "recurrent")]
    encoder = load()
    return (
        f"Trained by `make release`: source `{source}`"
        + (f" at scale {scale:g}" if scale is not None else "")
        + f", seed {run.seed}, at most {' and '.join(epochs)} epochs. Architectures: "
        f"`{run.autoencoder.architecture}` and `{run.recurrent.architecture}`; vectors of "
        f"{encoder.network.config.latent_dim} and {encoder.require_object_network().config.hidden}"
        " numbers."
    )


def _run_figures(metrics: Path) -> str:
    """Return the scores on the test rows of the simulated survey as tables."""
    tables = []
    for name, rows in (("stamps", "alerts"), ("series", "objects")):
        content = json.loads((metrics / f"{name}.json").read_text(encoding="utf-8"))
        lines = [_HEAD.format(f"{content[rows]:,} simulated test {rows}")]
        for method, scores in content.items():
            if isinstance(scores, dict) and "balanced_accuracy" in scores:
                cells = [
                    _cell(scores[m], scores[f"{m}_low"], scores[f"{m}_high"]) for m in _DISPLAYED
                ]
                lines.append(f"| {method.replace('_', ' ')} | {' | '.join(cells)} |")
        tables.append("\n".join(lines))
    return "\n\n".join(tables)


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
