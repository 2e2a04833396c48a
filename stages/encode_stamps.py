"""Encode every first alert to base.npy."""

import numpy as np

from stages import run
from stages.paths import ENCODED_STAMPS, STAMPS
from stages.vectors import alert_vectors, noting
from ztfrep.data.alert_table import AlertTable
from ztfrep.data.row_index import write_row_index as write_names
from ztfrep.data.vector_writer import assign_vectors as fill
from ztfrep.data.vector_writer import open_vectors_for_writing as writing_blocks
from ztfrep.params import Params


def main(params: Params) -> None:
    """Write one vector per row of the stamps table, in its order."""
    table = AlertTable(STAMPS)
    names = table.identity()
    names["row"] = names.groupby("split").cumcount()
    size, encoded = alert_vectors(table, params)
    poses: list[np.ndarray] = []
    with writing_blocks(ENCODED_STAMPS, names, (size,), "<f4", "<i8") as blocks:
        vectors = noting(encoded, poses)
        fill(blocks, vectors, names["split"].to_numpy(), names["row"].to_numpy())
    # For the decoder alone: turned, an alert has the same vector and another pose.
    names["pose"] = np.concatenate(poses).astype(np.int8)
    write_names(ENCODED_STAMPS, names)


if __name__ == "__main__":
    run(main)
