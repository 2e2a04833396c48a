"""Tasks that processes work ahead of: results in order, a bounded number of them, all errors."""

from contextlib import closing

import pytest

from tests.parallel.small_tasks import end, square
from ztfrep.parallel.process_pool import LostProcessError, map_ahead


@pytest.mark.parametrize("processes", [1, 2])
def test_results_are_in_the_order_of_the_tasks_and_few_are_taken_ahead(processes):
    taken = []

    def tasks():
        for number in range(12):
            taken.append(number)
            yield (number,)

    with closing(map_ahead(square, tasks(), processes, 3, "squaring")) as results:
        for number, result in enumerate(results):
            assert result == number**2
            # One more waits for its place.
            assert len(taken) <= number + 3 + 1
    assert len(taken) == 12


@pytest.mark.parametrize("processes", [1, 2])
def test_an_error_of_the_tasks_is_raised_after_the_results_before_it(processes):
    def tasks():
        yield from ((number,) for number in range(3))
        raise OSError("no such archive")

    results = map_ahead(square, tasks(), processes, 2, "squaring")
    assert [next(results) for _ in range(3)] == [0, 1, 4]
    with pytest.raises(OSError, match="no such archive"):
        next(results)


def test_an_iterator_that_is_closed_takes_no_more_tasks():
    taken = []

    def tasks():
        for number in range(1000):
            taken.append(number)
            yield (number,)

    results = map_ahead(square, tasks(), 2, 2, "squaring")
    assert next(results) == 0
    results.close()
    assert len(taken) <= 4


def test_a_killed_process_is_an_error():
    with pytest.raises(LostProcessError, match="squaring.*a worker process that was killed"):
        list(map_ahead(end, [(1,), (2,)], 2, 2, "squaring"))
