"""Results of tasks in their order, whichever workers compute them."""

import pickle

import numpy as np
import pytest

from tests.parallel.small_tasks import add, end, fail, square
from ztfrep.errors import InputError
from ztfrep.parallel.cluster_address import cluster_address
from ztfrep.parallel.open_workers import open_workers
from ztfrep.parallel.process_pool import open_processes


@pytest.fixture(scope="module", params=[1, 2])
def workers(request):
    with open_processes(request.param, "adding") as workers:
        yield workers


def test_results_are_in_the_order_of_the_tasks(workers):
    assert list(workers.map(square, [(n,) for n in range(20)])) == [n * n for n in range(20)]


def test_shared_values_are_the_first_arguments(workers):
    shared = np.arange(4)
    assert list(workers.map(add, [(1,), (2,)], shared=(shared,))) == [7, 8]


def test_tasks_are_made_as_they_are_needed(workers):
    made = []

    def tasks():
        for number in range(1000):
            made.append(number)
            yield (number,)

    results = workers.map(square, tasks())
    assert [next(results) for _ in range(3)] == [0, 1, 4]
    assert len(made) <= 3 + 4 * workers.number
    results.close()


def test_the_error_of_a_task_is_that_of_the_run(workers):
    with pytest.raises(InputError, match="a file: found a; expected b; c"):
        list(workers.map(fail, [(n,) for n in range(3)]))


def test_progress_is_shown(workers):
    shown = []
    list(workers.map(square, [(n,) for n in range(3)], show_progress=lambda: shown.append(1)))
    assert len(shown) >= 3


def test_a_killed_process_is_an_error():
    with (
        open_processes(2, "adding") as workers,
        pytest.raises(InputError, match=r"adding: found a worker process that was killed"),
    ):
        list(workers.map(end, [(1,)]))


def test_an_input_error_of_another_process_is_whole():
    error = InputError("a file", found="a", expected="b", remedy="c").with_remedy("d")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is InputError
    assert str(copy) == str(error) == "a file: found a; expected b; d"


@pytest.mark.parametrize(
    "value",
    ["", "tcp://", "tcp://host", "http://host:8786", "tcp://host:8786/x", "Local", "tcp://a b:1"],
)
def test_a_value_that_is_no_address_is_refused(monkeypatch, value):
    monkeypatch.setenv("ZTFREP_CLUSTER", value)
    with (
        pytest.raises(InputError, match=r"ZTFREP_CLUSTER: found .*expected none, local or"),
        open_workers(1, "adding"),
    ):
        pass


@pytest.mark.parametrize(
    "value", ["local", "tcp://scheduler:8786", "tls://10.0.0.1:1", "tcp://[::1]:8786"]
)
def test_an_address_is_accepted(monkeypatch, value):
    monkeypatch.setenv("ZTFREP_CLUSTER", value)
    assert cluster_address() == value


def test_there_is_no_cluster_by_default(monkeypatch):
    monkeypatch.delenv("ZTFREP_CLUSTER", raising=False)
    assert cluster_address() is None
    monkeypatch.setenv("ZTFREP_CLUSTER", "none")
    assert cluster_address() is None
