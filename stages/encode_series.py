"""Encode every detection of every series to baseRecurrente.npy."""

from stages import run
from stages.paths import ENCODED_SERIES, SERIES
from stages.vectors import alert_vectors
from ztfrep.alerts import AlertTable
from ztfrep.encoding import fill, write_names, writing_blocks
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
    size, vectors = alert_vectors(table, params)
    names = objects.reset_index()
    names.attrs["classes"] = list(table.info.classes)
    shape = (int(names["length"].max()), size)
    with writing_blocks(ENCODED_SERIES, names, shape, "<f8", "<f8") as blocks:
        fill(blocks, vectors, alerts["split"].to_numpy(), row, step)
    write_names(ENCODED_SERIES, names)


if __name__ == "__main__":
    run(main)
