"""The workers of a run: those of the cluster if there is one, else processes."""

from collections.abc import Iterator
from contextlib import contextmanager

from ztfrep.parallel.cluster_address import cluster_address
from ztfrep.parallel.process_pool import open_processes
from ztfrep.parallel.workers import Workers


@contextmanager
def open_workers(processes: int, work: str) -> Iterator[Workers]:
    """Yield workers for tasks of one thread: those of `ZTFREP_CLUSTER`, else processes.

    See `open_processes` and `dask_cluster.open_cluster`.
    """
    address = cluster_address()
    if address is None:
        with open_processes(processes, work) as workers:
            yield workers
        return
    from ztfrep.parallel.dask_cluster import open_cluster  # An optional package.

    with open_cluster(address, threads=1) as workers:
        yield workers
