"""The command `ztfrep summary`: the metrics of the last run."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from ztfrep.errors import InputError


def summary(
    metrics: Annotated[Path, typer.Option(help="The folder of the metrics.")] = Path("metrics"),
) -> None:
    """Print the main metrics of the last run as a table.

    \b
    ztfrep summary --metrics metrics
    """
    for name, rows in (("stamps", "alerts"), ("series", "objects")):
        content = _read_metrics(metrics / f"{name}.json")
        head = f"{content[rows]:,} test {rows}"
        typer.echo(f"\n{head:<30}accuracy  balanced   95 % interval  macro-F1")
        for method, scores in content.items():
            if isinstance(scores, dict) and "balanced_accuracy" in scores:
                interval = "{balanced_accuracy_low:.3f} - {balanced_accuracy_high:.3f}"
                typer.echo(
                    f"  {method.replace('_', ' '):<28}{scores['accuracy']:>8.3f}"
                    f"{scores['balanced_accuracy']:>10.3f}   {interval.format(**scores)}"
                    f"{scores['macro_f1']:>10.3f}"
                )
        for method in ("reconstruction", "pca_reconstruction"):
            if method in content:
                mse, psnr = content[method]["mse"], content[method]["psnr"]
                typer.echo(f"  {method.replace('_', ' '):<28}MSE {mse:.5f}, PSNR {psnr:.2f} dB")
        if "prediction_sets" in content:
            sets = content["prediction_sets"]
            typer.echo(
                "  {:<28}coverage {coverage:.3f} ({coverage_low:.3f} - {coverage_high:.3f}) of "
                "{stated_coverage:g} stated, {mean_size:.2f} classes".format(
                    "prediction sets", **sets
                )
            )


def _read_metrics(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            path, found=str(error), expected="metrics", remedy="make them with dvc repro"
        ) from error
    return content
