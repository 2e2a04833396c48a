"""Encode every first alert to base.npy."""

from stages import run
from stages.paths import ENCODED_STAMPS, STAMPS
from stages.vectors import alert_vectors
from ztfrep.alerts import AlertTable
from ztfrep.encoding import fill, write_names, writing_blocks
from ztfrep.params import Params


def main(params: Params) -> None:
    """Write one vector per row of the stamps table, in its order."""
    table = AlertTable(STAMPS)
    names = table.identity()
    names["row"] = names.groupby("split").cumcount()
    size, vectors = alert_vectors(table, params)
    with writing_blocks(ENCODED_STAMPS, names, (size,), "<f4", "<i8") as blocks:
        fill(blocks, vectors, names["split"].to_numpy(), names["row"].to_numpy())
    write_names(ENCODED_STAMPS, names)


if __name__ == "__main__":
    run(main)
