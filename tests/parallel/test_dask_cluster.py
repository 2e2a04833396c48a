"""Tasks on a Dask cluster: the same results, lost workers, and errors in one line."""

import os
import signal
import socket
import sys
from contextlib import ExitStack, contextmanager

import numpy as np
import pytest

from tests.isolation import restored_torch_settings
from tests.parallel.clusters import Runs, free_port, scheduler, worker
from tests.parallel.small_tasks import add, end, fail, slow_square, square
from ztfrep.data.alert_table import AlertTable
from ztfrep.encoders.encoded_tables import encode_table
from ztfrep.encoders.model_folder import load_alert_network
from ztfrep.errors import InputError
from ztfrep.parallel import dask_cluster
from ztfrep.parallel.dask_cluster import open_cluster
from ztfrep.parallel.remote_task import Environment, describe_environment
from ztfrep.sources.packets.batch_store import fill_batch_store

distributed = pytest.importorskip("distributed")


@contextmanager
def local_cluster(workers, **options):
    options = {"threads_per_worker": 1, "dashboard_address": "127.0.0.1:0"} | options
    with distributed.LocalCluster(n_workers=workers, silence_logs=50, **options) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Start two processes; they are restarted when they are killed."""
    folder = str(tmp_path_factory.mktemp("workers"))
    with local_cluster(2, local_directory=folder) as cluster:
        yield cluster


@pytest.fixture
def workers(cluster):
    with open_cluster(cluster.scheduler_address, threads=1) as workers:
        yield workers


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return Runs(tmp_path_factory.mktemp("runs"))


@pytest.fixture(autouse=True)
def settings(monkeypatch):
    monkeypatch.setenv("ZTFREP_DEVICE", "cpu")
    monkeypatch.delenv("ZTFREP_CLUSTER", raising=False)
    with restored_torch_settings():
        yield


def kill_a_worker(cluster):
    """Kill the process of a worker, as a machine without memory does."""
    with distributed.Client(cluster, set_as_default=False) as client:
        os.kill(min(client.run(os.getpid).values()), signal.SIGKILL)


def test_results_are_in_the_order_of_the_tasks(workers):
    assert workers.number == 2
    assert list(workers.map(square, [(n,) for n in range(30)])) == [n * n for n in range(30)]
    assert list(workers.map(add, [(1,), (2,)], shared=(np.arange(4),))) == [7, 8]


def test_a_killed_worker_costs_only_its_tasks(cluster, workers, tmp_path):
    log = tmp_path / "log"
    results = workers.map(slow_square, ((log, n) for n in range(20)))
    first = next(results)
    kill_a_worker(cluster)
    assert [first, *results] == [n * n for n in range(20)]
    # It had a task, and perhaps the result of another.
    assert 20 < len(log.read_text().split()) <= 23


def test_an_encoding_has_the_same_bytes_after_a_worker_was_killed(cluster, runs, monkeypatch):
    network, _ = load_alert_network(runs.model)
    options = (AlertTable(runs.table), 3, "float32", 1)
    expected = list(encode_table(network, *options))
    monkeypatch.setenv("ZTFREP_CLUSTER", cluster.scheduler_address)
    monkeypatch.setattr("ztfrep.encoders.encoded_tables._BATCHES_PER_TASK", 1)
    batches = encode_table(network, *options)
    encoded = [next(batches)]
    kill_a_worker(cluster)
    encoded += batches
    assert len(encoded) == len(expected) == 50
    for ours, other in zip(encoded, expected, strict=True):
        assert ours.vectors.tobytes() == other.vectors.tobytes()
        assert ours.orientations.tobytes() == other.orientations.tobytes()


def test_a_conversion_has_the_same_bytes_after_a_worker_was_killed(
    cluster, runs, monkeypatch, tmp_path
):
    for name in ("alone", "killed"):
        (tmp_path / name).mkdir()
    runs.convert(tmp_path / "alone")
    killed = []

    def kill_once(folder, numbers):
        if not killed:
            killed.append(numbers)
            kill_a_worker(cluster)

    monkeypatch.setattr("ztfrep.sources.packets.batch_store._wait_for_batches", kill_once)
    monkeypatch.setenv("ZTFREP_CLUSTER", cluster.scheduler_address)
    runs.convert(tmp_path / "killed")
    assert killed
    for path in (tmp_path / "alone").iterdir():
        assert (tmp_path / "killed" / path.name).read_bytes() == path.read_bytes()


def test_a_task_that_ends_its_workers_is_an_error(cluster, workers, monkeypatch):
    monkeypatch.setattr(cluster.scheduler, "allowed_failures", 0)
    with pytest.raises(InputError, match=r"found a task whose worker ended 1 times; .*memory"):
        list(workers.map(end, [(1,)]))


def test_the_error_of_a_task_is_that_of_the_run(workers):
    with pytest.raises(InputError, match="a file: found a; expected b; c"):
        list(workers.map(fail, [(n,) for n in range(3)]))


def test_a_folder_that_a_worker_does_not_see_is_an_error(workers, runs, tmp_path):
    with pytest.raises(InputError, match=r"found no such folder on .*share the disk"):
        fill_batch_store([list], tmp_path / "none", workers)


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        (lambda own: own._replace(code=""), "found another code of ztfrep, of the same version"),
        (
            lambda own: Environment((("ztfrep", "9"), *own.versions[1:]), "x"),
            "found ztfrep .*; expected ztfrep 9;",
        ),
    ],
)
def test_a_worker_of_another_version_is_an_error(workers, monkeypatch, environment, found):
    client = environment(describe_environment())
    monkeypatch.setattr(dask_cluster, "describe_environment", lambda: client)
    with pytest.raises(InputError, match=rf"the worker tcp://.* on .*: {found}"):
        list(workers.map(square, [(1,)]))


def test_a_worker_of_several_threads_is_an_error():
    with (
        local_cluster(1, threads_per_worker=2, processes=False) as threads,
        open_cluster(threads.scheduler_address, threads=1) as workers,
        pytest.raises(InputError, match=r"found 2 threads; .*--nthreads 1"),
    ):
        list(workers.map(square, [(1,)]))


def test_a_scheduler_without_workers_is_an_error(monkeypatch):
    monkeypatch.setattr(dask_cluster, "WORKER_SECONDS", 0.2)
    with (
        local_cluster(0) as empty,
        pytest.raises(InputError, match=r"a scheduler without a worker for 0.2 s"),
        open_cluster(empty.scheduler_address, threads=1),
    ):
        pass


@pytest.mark.parametrize("listens", [False, True])
def test_an_address_without_a_scheduler_is_an_error(monkeypatch, listens):
    monkeypatch.setattr(dask_cluster, "CONNECT_SECONDS", 1)
    with ExitStack() as stack:
        port = free_port()
        if listens:
            stack.enter_context(socket.create_server(("127.0.0.1", port)))
        stack.enter_context(pytest.raises(InputError, match="found no scheduler that answers in"))
        stack.enter_context(open_cluster(f"tcp://127.0.0.1:{port}", threads=1))


def test_the_command_that_installs_dask_is_in_the_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(InputError, match=r'pip install "ztfrep\[cluster\]"'),
        open_cluster("local", threads=1),
    ):
        pass


def test_the_bytes_do_not_depend_on_the_workers(runs, monkeypatch, tmp_path):
    alone = runs.content("alone")
    assert len(alone) == 8
    with scheduler() as (address, process), ExitStack() as stack:
        monkeypatch.setenv("ZTFREP_CLUSTER", address)
        for number in (1, 2):
            stack.enter_context(worker(address, tmp_path / str(number)))
            with distributed.Client(address, set_as_default=False) as client:
                client.wait_for_workers(number, timeout=60)
            assert runs.content(f"{number} workers") == alone
        with open_cluster(address, threads=1) as workers:
            results = workers.map(slow_square, ((tmp_path / "log", n) for n in range(50)))
            assert next(results) == 0
            process.kill()
            with pytest.raises(InputError, match=r"found a scheduler that no longer answers"):
                list(results)


def test_a_worker_without_this_package_is_an_error(tmp_path):
    (tmp_path / "ztfrep").mkdir()
    (tmp_path / "ztfrep/__init__.py").write_text("")
    with (
        scheduler() as (address, _),
        worker(address, tmp_path / "worker", path=tmp_path),
        pytest.raises(InputError, match=r"the worker tcp://.*: found an installation that cannot"),
        open_cluster(address, threads=1),
    ):
        pass


def test_processes_of_this_machine_are_a_cluster(monkeypatch):
    monkeypatch.setattr("dask.system.CPU_COUNT", 2)
    with open_cluster("local", threads=2) as workers:
        assert workers.number == 1
        assert list(workers.map(square, [(3,)])) == [9]
