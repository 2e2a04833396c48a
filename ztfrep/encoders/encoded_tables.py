"""The encoding of a whole table: in this process, or in parts on a cluster."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ztfrep.data.alert_table import AlertTable
from ztfrep.data.table_parts import TablePart, split_table
from ztfrep.encoders.alert_batches import (
    EncodedBatch,
    encode_batches,
    ignores_unit,
    warn_of_unit,
)
from ztfrep.encoders.devices import choose_device, make_deterministic
from ztfrep.models.alert.base import AlertNetwork
from ztfrep.parallel.cluster_address import cluster_address

# Batches of a task of a cluster: a second or two of work.
_BATCHES_PER_TASK = 16


def encode_table(
    network: AlertNetwork, table: AlertTable, rows: int, precision: str, threads: int
) -> Iterator[EncodedBatch]:
    """Yield vectors and orientations of all alerts that have stamps, at most `rows` at a time.

    They are computed on the cluster of `ZTFREP_CLUSTER` if there is one, in the same batches with
    the same number of threads each, and so have the same bytes.
    """
    address = cluster_address()
    if address is None:
        yield from encode_batches(network, table, rows, precision)
        return
    from ztfrep.parallel.dask_cluster import open_cluster  # An optional package.

    parts = split_table(table, rows, _BATCHES_PER_TASK)
    if ignores_unit(network, table.feature_unit):
        if np.isfinite(table.features()[table.has_stamps()]).any():
            warn_of_unit(network, table.feature_unit)
        parts = [replace(part, info=replace(part.info, feature_unit="none")) for part in parts]
    device = str(choose_device())
    tasks = ((part, precision, threads, device) for part in parts)
    with open_cluster(address, threads=threads) as workers:
        for batches in workers.map(encode_part, tasks, shared=(network.cpu(),)):
            yield from batches


def encode_part(
    network: AlertNetwork, part: TablePart, precision: str, threads: int, device: str
) -> list[EncodedBatch]:
    """Return the encoded batches of a part of a table, computed on the device of a name."""
    make_deterministic(threads)
    network.to(choose_device(device))
    return list(encode_batches(network, part, part.rows, precision))
