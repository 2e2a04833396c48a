"""Encode every detection of every series to baseRecurrente.npy."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from stages import run
from stages.paths import ENCODED_SERIES, ENCODED_STAMPS, EPOCHS, SERIES
from stages.vectors import Encoded, alert_vectors, noting
from ztfrep.data import features
from ztfrep.data.alert_table import AlertTable
from ztfrep.data.frames import look_up, write_frame
from ztfrep.data.row_index import read_row_index as read_names
from ztfrep.data.row_index import row_index_path as names_path
from ztfrep.data.row_index import write_row_index as write_names
from ztfrep.data.vector_files import read_vectors as read_blocks
from ztfrep.data.vector_writer import assign_vectors as fill
from ztfrep.data.vector_writer import open_vectors_for_writing as writing_blocks
from ztfrep.params import Params


def main(params: Params) -> None:
    """Write one row per object: its vectors in time order, zeros after the last."""
    table = AlertTable(SERIES)
    epochs = table.identity()
    # Detections without stamps, and upper limits, have no vector.
    alerts = epochs[epochs["has_stamps"]].reset_index(drop=True)
    objects = alerts.groupby("object_id", sort=False).agg(
        split=("split", "first"), label=("label", "first"), length=("detection", "size")
    )
    objects["row"] = objects.groupby("split").cumcount()
    row = objects["row"].loc[alerts["object_id"]].to_numpy()
    step = alerts.groupby("object_id").cumcount().to_numpy()
    size, encoded = (
        alert_vectors(table, params)
        if table.info.stamp_location == "inline"
        else _encoded_before(alerts)
    )
    poses: list[np.ndarray] = []
    names = objects.reset_index()
    names.attrs["classes"] = list(table.info.classes)
    shape = (int(names["length"].max()), size)
    with writing_blocks(ENCODED_SERIES, names, shape, "<f8", "<f8") as blocks:
        fill(blocks, noting(encoded, poses), alerts["split"].to_numpy(), row, step)
    alerts["pose"] = np.concatenate(poses)
    names["poses"] = alerts.groupby("object_id", sort=False)["pose"].agg(list).to_numpy()
    write_names(ENCODED_SERIES, names)
    _write_epochs(table, epochs, objects["row"])


def _write_epochs(table: AlertTable, epochs: pd.DataFrame, rows: pd.Series) -> None:
    """Write every epoch: its object's row, its vector's step (-1: none), when, and how bright."""
    found = epochs[["split", "detection", "mjd", "fid"]].copy()
    found["row"] = rows.loc[epochs["object_id"]].to_numpy()
    before = epochs.groupby("object_id")["has_stamps"].cumsum() - 1
    found["step"] = np.where(epochs["has_stamps"], before, -1)
    values = table.features()
    for name in ("magpsf", "sigmapsf", "diffmaglim"):
        found[name] = values[:, features.NAMES.index(name)]
    write_frame(EPOCHS, found)


def _encoded_before(alerts: pd.DataFrame) -> tuple[int, Iterator[Encoded]]:
    """Give the vectors of alerts that the stamps table holds, as `alert_vectors` does."""
    blocks, names = read_blocks(ENCODED_STAMPS), read_names(ENCODED_STAMPS)
    own = look_up(
        alerts, "candid", names, same=["object_id", "split"], source=str(names_path(ENCODED_STAMPS))
    )
    row = own["row"].to_numpy()
    vectors = np.empty((len(alerts), blocks["train"].vectors.shape[1]), np.float32)
    for split, block in blocks.items():
        chosen = (alerts["split"] == split).to_numpy()
        vectors[chosen] = block.vectors[row[chosen]]
    return vectors.shape[1], iter([Encoded(vectors, own["pose"].to_numpy())])


if __name__ == "__main__":
    run(main)
