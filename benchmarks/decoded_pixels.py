"""Reconstructions of a stamps table against its pixels, beside PCA fitted to its train rows.

dvc exp run --temp -S source=alerts -S sources.alerts.path=FOLDER convert
python -m benchmarks.decoded_pixels ztfrep/released/autoencoder --stamps STAMPS.parquet

PCA has as many components as a vector has numbers. Errors are those of the test rows, with paired
intervals of resampled objects.
"""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.measuring import save
from ztfrep.data.alert_table import AlertTable
from ztfrep.encoders.encoder import load
from ztfrep.evaluation.alert_rows import read_inputs
from ztfrep.evaluation.bootstrap import Bootstrap
from ztfrep.evaluation.pixel_pca import PixelPCA
from ztfrep.evaluation.reconstruction import squared_errors

RESULT = "decoded_pixels"


def main(
    model: Annotated[Path, typer.Argument(help="The folder of an autoencoder.")],
    stamps: Annotated[Path, typer.Option(help="A stamps table.")],
    name: Annotated[str, typer.Option(help="Of the JSON in benchmarks/results.")] = RESULT,
) -> None:
    """Compare reconstructions with the pixels of test rows."""
    encoder, table = load(model), AlertTable(stamps)
    identity = table.identity()
    split = identity["split"].to_numpy()
    alerts = read_inputs(encoder.network, table, np.arange(len(split)))
    pixels, mask = alerts.pixels.cpu().numpy(), alerts.pixel_mask.cpu().numpy()
    train, test = split == "train", split == "test"
    pca = PixelPCA.fit(pixels[train], mask[train], encoder.network.config.latent_dim)
    decoded = {
        "pca": pca.decode(pca.encode(pixels[test], mask[test])),
        "reconstruction": encoder.reconstruct(table)[test],
        "denoised": encoder.reconstruct(table, denoised=True)[test],
    }
    errors = {
        name: squared_errors(pixels[test], mask[test], part) for name, part in decoded.items()
    }
    sums = {name: part.sums.sum(axis=1) for name, part in errors.items()}
    counts = errors["pca"].counts.sum(axis=1)
    bootstrap = Bootstrap.of_groups(identity["object_id"].to_numpy(dtype=str)[test], seed=0)
    result: dict[str, Any] = {"model": encoder.checksum, "rows": int(test.sum())}
    for method, values in sums.items():
        result[method] = bootstrap.score("mse", _ratio, values, counts)
        result[method] |= bootstrap.score("of_pca", _ratio, values, sums["pca"])
    save(name, result)


def _ratio(values: np.ndarray, baseline: np.ndarray) -> float:
    return float(values.sum() / baseline.sum())


if __name__ == "__main__":
    typer.run(main)
