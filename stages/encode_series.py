"""Encode every detection of every series to baseRecurrente.npy."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from stages import run
from stages.paths import ENCODED_SERIES, ENCODED_STAMPS, SERIES
from stages.vectors import alert_vectors
from ztfrep.alerts import AlertTable
from ztfrep.encoding import fill, read_blocks, read_names, write_names, writing_blocks
from ztfrep.params import Params


def main(params: Params) -> None:
    """Write one row per object: its vectors in time order, zeros after the last."""
    table = AlertTable(SERIES)
    alerts = table.identity()
    # Detections without stamps, and upper limits, have no vector.
    alerts = alerts[alerts["has_stamps"]].reset_index(drop=True)
    objects = alerts.groupby("object_id", sort=False).agg(
        split=("split", "first"), label=("label", "first"), length=("detection", "size")
    )
    objects["row"] = objects.groupby("split").cumcount()
    row = objects["row"].loc[alerts["object_id"]].to_numpy()
    step = alerts.groupby("object_id").cumcount().to_numpy()
    size, vectors = (
        alert_vectors(table, params) if table.info.held == "here" else _encoded_before(alerts)
    )
    names = objects.reset_index()
    names.attrs["classes"] = list(table.info.classes)
    shape = (int(names["length"].max()), size)
    with writing_blocks(ENCODED_SERIES, names, shape, "<f8", "<f8") as blocks:
        fill(blocks, vectors, alerts["split"].to_numpy(), row, step)
    write_names(ENCODED_SERIES, names)


def _encoded_before(alerts: pd.DataFrame) -> tuple[int, Iterator[np.ndarray]]:
    """Give the vectors of alerts that the stamps table holds, as `alert_vectors` does."""
    blocks, names = read_blocks(ENCODED_STAMPS), read_names(ENCODED_STAMPS)
    row = names.set_index("candid")["row"].loc[alerts["candid"]].to_numpy()
    vectors = np.empty((len(alerts), blocks["train"].vectors.shape[1]), np.float32)
    for split, block in blocks.items():
        chosen = (alerts["split"] == split).to_numpy()
        vectors[chosen] = block.vectors[row[chosen]]
    return vectors.shape[1], iter([vectors])


if __name__ == "__main__":
    run(main)
